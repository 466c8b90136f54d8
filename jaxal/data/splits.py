"""Stratified random splits, and standardisation by the statistics of the pool."""

from collections.abc import Callable

import numpy as np

from jaxal import entry
from jaxal.base import Examples
from jaxal.data.checks import check_targeted
from jaxal.numerics import are_targets


@entry.checked(examples=check_targeted, fraction=entry.fraction, seed=entry.integer(0))
def split(examples: Examples, fraction: float, *, seed: int = 0) -> tuple[Examples, Examples]:
    """Splits examples in two at random, each class by the same fraction; of a regression, all rows.

    The second part holds floor or ceil(fraction x count) rows of each class, and the first keeps at
    least one row of each. Rows come in random order in both.

    Args:
      examples: NumPy arrays, inputs [N, ...] and labels [N].
      fraction: the share of the second part, in (0, 1).
      seed: of `numpy.random.default_rng`.

    Returns:
      (the rest, the share).

    Raises:
      TypeError: no examples, or an argument of another type.
      ValueError: a fraction outside (0, 1), or one that leaves the second part empty.

    Example:
      >>> examples = Examples(np.arange(10), np.array([0] * 5 + [1] * 5))
      >>> rest, share = split(examples, 0.4, seed=0)
      >>> np.bincount(rest.labels).tolist(), np.bincount(share.labels).tolist()
      ([3, 3], [2, 2])
    """
    examples = Examples(*examples)
    rest, share = stratified_rows(
        examples.labels, fraction, np.random.default_rng(seed), keep_one=True
    )
    if not len(share):
        raise ValueError(f"fraction: expected enough for one row of {len(rest)}, got {fraction}")
    return take(examples, rest), take(examples, share)


@entry.checked(examples=check_targeted, size=entry.integer(1), seed=entry.integer(0))
def subset(examples: Examples, size: int, *, seed: int = 0) -> Examples:
    """Keeps `size` random rows, with the classes in proportion (each within one row), if any.

    Args:
      examples: NumPy arrays, inputs [N, ...] and labels [N].
      size: from 1 to N.
      seed: of `numpy.random.default_rng`.

    Returns:
      The rows kept, in random order.

    Raises:
      TypeError: no examples, or an argument of another type.
      ValueError: a size outside 1 to N.
    """
    examples = Examples(*examples)
    count = len(examples.labels)
    if size > count:
        raise ValueError(f"size: expected 1 to {count} (the rows of the examples), got {size}")
    fraction = size / count
    rows = stratified_rows(examples.labels, fraction, np.random.default_rng(seed))[1]
    return take(examples, rows)


def standardizer(pool: Examples) -> Callable[[Examples], Examples]:
    """A function that shifts and scales inputs to mean 0 and standard deviation 1 over the pool.

    One mean and deviation per column for inputs [N, D], one for all of images [N, H, W, ...]. What
    is constant in the pool becomes 0.

    Args:
      pool: float arrays.

    Returns:
      Of examples with float inputs [n, ...]: the same, shifted and scaled.
    """
    axis = 0 if pool.inputs.ndim == 2 else None
    mean = pool.inputs.mean(axis, dtype=np.float64).astype(pool.inputs.dtype)
    deviation = pool.inputs - mean
    variance = np.square(deviation, out=deviation).mean(axis, dtype=np.float64)
    del deviation  # as large as the pool
    # By comparison: the deviation of a constant need not be exactly 0 after rounding.
    constant = pool.inputs.min(axis) == pool.inputs.max(axis)
    constant |= variance == 0  # underflow
    scale = np.where(constant, 0, 1 / np.sqrt(np.where(constant, 1, variance)))
    scale = scale.astype(pool.inputs.dtype)

    def apply(part: Examples) -> Examples:
        inputs = part.inputs - mean
        inputs *= scale
        return Examples(inputs, part.labels)

    return apply


def stratified_rows(
    labels: np.ndarray,
    fraction: float,
    generator: np.random.Generator,
    *,
    keep_one: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the rest and of the share, in random order.

    Args:
      labels: [N] integers; or targets, which are of one class.
      fraction: the share, of each class.
      generator: draws the rows.
      keep_one: whether at least one row of each class stays in the rest.
    """
    if are_targets(labels):
        labels = np.zeros(len(labels), np.int32)
    order = generator.permutation(len(labels))
    classes, codes, counts = np.unique(labels[order], return_inverse=True, return_counts=True)
    exact = fraction * counts
    quota = np.floor(exact).astype(int)
    # The largest remainders round up, so that each class is within one row and the total is right.
    spare = round(exact.sum()) - quota.sum()
    quota[np.argsort(quota - exact, kind="stable")[:spare]] += 1
    if keep_one:
        quota = np.minimum(quota, counts - 1)
    in_share = np.zeros(len(labels), bool)
    for code in range(len(classes)):
        in_share[np.flatnonzero(codes == code)[: quota[code]]] = True
    return order[~in_share], order[in_share]


def take(examples: Examples, rows: np.ndarray) -> Examples:
    """The given rows [n] of inputs and labels."""
    return Examples(examples.inputs[rows], examples.labels[rows])
