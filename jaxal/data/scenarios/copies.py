"""Redundancy: rows that are there several times, and which are copies of which."""

import numpy as np

from jaxal import entry
from jaxal.base import Examples
from jaxal.data.checks import check_labeled
from jaxal.data.splits import subset, take


@entry.checked(
    examples=check_labeled,
    times=entry.integer(1),
    unique=entry.integer(1),
    copied=entry.integer(1),
    seed=entry.integer(0),
)
def redundant(
    examples: Examples,
    times: int,
    *,
    unique: int | None = None,
    copied: int | None = None,
    seed: int = 0,
) -> tuple[Examples, np.ndarray]:
    """Copies rows exactly, and says which row each is a copy of.

    `jaxal.data.repeat` copies all rows and adds noise.

    Args:
      examples: NumPy arrays, inputs [N, ...] and labels [N].
      times: how often each of the copied rows is there.
      unique: U, how many distinct rows stay, with the classes in proportion; all, if not given.
      copied: how many of these are copied, drawn at random; all, if not given.
      seed: of `numpy.random.default_rng`.

    Returns:
      (examples in random order, originals int32: rows with equal numbers are copies of one row, and
      numbers go from 0 to U - 1).

    Raises:
      TypeError: no examples, or an argument of another type.
      ValueError: fewer than one time, or more rows than there are.

    References:
      Kothawade et al., "SIMILAR: submodular information measures based active learning in realistic
      scenarios", NeurIPS 2021, section 4.2.

    Example:
      >>> examples = Examples(np.arange(6.0), np.zeros(6, int))
      >>> pool, originals = redundant(examples, 3, unique=4, copied=1)
      >>> np.sort(np.bincount(originals)).tolist()
      [1, 1, 1, 3]
    """
    examples = Examples(*examples)
    rows = len(examples.labels)
    if unique is not None:
        if unique > rows:
            raise ValueError(f"unique: expected 1 to {rows} (the rows there are), got {unique}")
        examples, rows = subset(examples, unique, seed=seed), unique
    copied = rows if copied is None else copied
    if copied > rows:
        raise ValueError(f"copied: expected 1 to {rows} (the distinct rows), got {copied}")
    generator = np.random.default_rng(seed)
    counts = np.ones(rows, int)
    counts[generator.permutation(rows)[:copied]] = times
    originals = generator.permutation(np.repeat(np.arange(rows, dtype=np.int32), counts))
    return take(examples, originals), originals
