"""Label noise: an oracle that errs."""

from typing import Any

import numpy as np

from jaxal import entry
from jaxal.base import Examples
from jaxal.checks import is_array, is_number
from jaxal.data.checks import check_labeled, num_classes
from jaxal.data.splits import stratified_rows


@entry.checked(examples=check_labeled, seed=entry.integer(0))
def noisy_labels(
    examples: Examples,
    share: float = 0.0,
    *,
    transition: Any = None,
    seed: int = 0,
) -> Examples:
    """Has a share of the labels be wrong; for a pool, never for a test set.

    Args:
      examples: NumPy arrays, inputs [N, ...] and labels [N], -1 where a row has none, which stays.
      share: of each class, in [0, 1), whose labels become one of the other classes, each as likely.
      transition: [C, C], in place of `share`: the probability, by row, that a label of this class
        becomes each of the classes; every row sums to 1.
      seed: of `numpy.random.default_rng`.

    Returns:
      The same inputs with other labels.

    Raises:
      TypeError: no examples, or an argument of another type.
      ValueError: a share outside [0, 1), one of a single class, both kinds of noise, or a
        transition that is not [C, C] or whose rows are no probabilities.

    Example:
      >>> examples = Examples(np.zeros((10, 1)), np.arange(10) % 2)
      >>> int((noisy_labels(examples, 0.2).labels != examples.labels).sum())
      2
    """
    examples = Examples(*examples)
    labels, generator = np.array(examples.labels, np.int32), np.random.default_rng(seed)
    classes = num_classes(labels)
    if not is_number(share):
        raise TypeError(f"share: expected a number in [0, 1), got {share!r}")
    if not 0 <= share < 1:
        raise ValueError(f"share: expected a number in [0, 1), got {share!r}")
    if transition is not None:
        if share:
            raise ValueError("transition: expected no share beside it, got both")
        return Examples(examples.inputs, _by_transition(labels, classes, transition, generator))
    if share and classes == 1:
        raise ValueError("share: expected two classes or more, got one")
    known = np.flatnonzero(labels >= 0)
    rows = known[stratified_rows(labels[known], share, generator)[1]] if share else known[:0]
    labels[rows] = (labels[rows] + generator.integers(1, max(classes, 2), len(rows))) % classes
    return Examples(examples.inputs, labels)


def _by_transition(
    labels: np.ndarray, classes: int, transition: Any, generator: np.random.Generator
) -> np.ndarray:
    table = _checked(transition, classes)
    known = labels >= 0
    # The first class whose cumulative probability is above a uniform draw.
    draws = generator.uniform(size=len(labels))
    above = np.cumsum(table, axis=1)[labels] > draws[:, None]
    # Rounding may leave the sum of a row below a draw: then it is the last class with a chance.
    last = classes - 1 - np.argmax(table[:, ::-1] > 0, axis=1)[labels]
    drawn = np.where(above.any(axis=1), above.argmax(axis=1), last)
    return np.where(known, drawn, -1).astype(np.int32)


def _checked(transition: Any, classes: int) -> np.ndarray:
    expected = f"transition: expected [{classes}, {classes}] probabilities"
    if not (is_array(transition) or isinstance(transition, list | tuple)):
        raise TypeError(f"{expected}, got {transition!r}")
    try:
        table = np.asarray(transition, float)
    except (TypeError, ValueError):
        raise TypeError(f"{expected}, got {transition!r}") from None
    if table.shape != (classes, classes):
        raise ValueError(f"{expected}, got shape {table.shape}")
    if not ((table >= 0).all() and np.allclose(table.sum(axis=1), 1)):
        raise ValueError(f"{expected} whose rows sum to 1, got {table.tolist()}")
    return table
