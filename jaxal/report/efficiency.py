"""How many labels an accuracy costs, and how many a strategy saves over random sampling."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jaxal.checks import describe


def labels_to(points: ArrayLike, accuracies: ArrayLike, target: ArrayLike) -> Any:
    """Returns the smallest label count at which a learning curve reaches a target.

    The curve is linear between its points and may fall; the first crossing counts.

    Args:
      points: label counts [P], increasing.
      accuracies: accuracy at each [P].
      target: the accuracy wanted, of any shape.

    Returns:
      Label counts of the shape of `target`: the first point if the curve starts at or above the
      target, NaN if it never reaches it.

    Raises:
      ValueError: unequal lengths, no point, label counts that do not increase, or NaN.
      TypeError: values that are no numbers.

    Example:
        >>> labels_to([20, 40, 60], [0.5, 0.7, 0.9], [0.4, 0.8, 0.95])
        array([20., 50., nan])
    """
    x, y = _curve(points, accuracies)
    wanted = _numbers("target", target)
    # The running maximum is sorted, and first reaches a target where the curve does.
    after = np.searchsorted(np.maximum.accumulate(y), wanted)
    high = np.minimum(after, len(x) - 1)
    low = np.maximum(high - 1, 0)
    rise = np.where(y[high] > y[low], y[high] - y[low], 1.0)
    reached = x[low] + (x[high] - x[low]) * (wanted - y[low]) / rise
    reached = np.where(after == 0, x[0], reached)
    return np.where(after == len(x), np.nan, reached)[()]


def label_efficiency(
    strategy_points: ArrayLike,
    strategy_accuracies: ArrayLike,
    random_points: ArrayLike,
    random_accuracies: ArrayLike,
    targets: ArrayLike | None = None,
) -> Any:
    """Returns the labels random sampling needs over the labels a strategy needs.

    Args:
      strategy_points: label counts of the strategy [P], increasing.
      strategy_accuracies: its accuracies [P].
      random_points: label counts of random sampling [R], increasing.
      random_accuracies: its accuracies [R].
      targets: accuracies to compare at, of any shape. None: at each of the strategy's points, the
        labels random sampling needs for the accuracy there over the labels of that point.

    Returns:
      Ratios of the shape of `targets` (or [P]); above 1 the strategy saves labels, NaN where either
      curve never reaches the accuracy.

    Raises:
      ValueError, TypeError: as `labels_to`.

    References:
      Beck et al. 2021, "Effective Evaluation of Deep Active Learning on Image Classification
      Tasks", arXiv 2106.15324.
    """
    points, accuracies = _curve(strategy_points, strategy_accuracies)
    if targets is None:
        return labels_to(random_points, random_accuracies, accuracies) / points
    by_random = labels_to(random_points, random_accuracies, targets)
    return by_random / labels_to(points, accuracies, targets)


def _curve(points: ArrayLike, accuracies: ArrayLike) -> tuple[NDArray, NDArray]:
    x, y = _numbers("points", points), _numbers("accuracies", accuracies)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(
            "points and accuracies: expected two lists of equal length, "
            f"got shapes {x.shape} and {y.shape}"
        )
    if not len(x):
        raise ValueError("points: expected at least one, got none")
    stuck = np.flatnonzero(np.diff(x) <= 0)
    if len(stuck):
        at = stuck[0]
        raise ValueError(f"points: expected increasing, got {x[at]:g} then {x[at + 1]:g}")
    return x, y


def _numbers(name: str, values: ArrayLike) -> NDArray:
    numbers = np.asarray(values)
    if numbers.dtype.kind not in "iuf" and numbers.size:
        raise TypeError(f"{name}: expected numbers, got {describe(values)}")
    numbers = numbers.astype(np.float64)
    if np.isnan(numbers).any():
        raise ValueError(f"{name}: expected numbers, got NaN")
    return numbers
