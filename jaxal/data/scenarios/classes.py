"""Scenarios of classes: some are rare, some are of no interest, and some are held out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxal import entry
from jaxal.base import Examples
from jaxal.checks import as_integers, describe, is_integer
from jaxal.data.checks import check_labeled
from jaxal.data.splits import take

Count = int | float
"""How many rows: an integer, or a float for a share in (0, 1]."""


@entry.checked(examples=check_labeled, seed=entry.integer(0))
def imbalanced(
    examples: Examples,
    keep: Mapping[int, Count],
    *,
    others: int | None = None,
    seed: int = 0,
) -> Examples:
    """Keeps so many rows, or such a share, of some classes: they become rare.

    Args:
      examples: NumPy arrays, inputs [N, ...] and labels [N].
      keep: class -> how many of its rows stay, an integer from 1 to those it has, or which share
        of them as a float in (0, 1], rounded, and one row at least.
      others: how many rows stay of each class that `keep` does not name; all, if not given. With
        `keep={}` it makes a pool of so many examples a class.
      seed: of `numpy.random.default_rng`.

    Returns:
      The rows kept, in the order they had.

    Raises:
      TypeError: no examples, or an argument of another type.
      ValueError: a class without rows, or more rows than it has.

    References:
      Kothawade et al., "SIMILAR: submodular information measures based active learning in realistic
      scenarios", NeurIPS 2021, section 4.1.

    Example:
      >>> examples = Examples(np.arange(10), np.array([0] * 6 + [1] * 4))
      >>> np.bincount(imbalanced(examples, {1: 1}, others=5).labels).tolist()
      [5, 1]
    """
    examples = Examples(*examples)
    if not isinstance(keep, Mapping):
        raise TypeError(f"keep: expected a mapping of classes to counts, got {describe(keep)}")
    counts = _counts(examples.labels)
    quota = {number: _quota(f"keep[{number!r}]", number, keep[number], counts) for number in keep}
    for number in counts.keys() - quota.keys() if others is not None else ():
        quota[number] = _quota("others", number, others, counts)
    kept = np.ones(len(examples.labels), bool)
    generator = np.random.default_rng(seed)
    for number in sorted(quota):
        rows = generator.permutation(np.flatnonzero(examples.labels == number))
        kept[rows[quota[number] :]] = False
    return take(examples, np.flatnonzero(kept))


def _quota(name: str, number: Any, asked: Any, counts: Mapping[int, int]) -> int:
    """How many rows of a class stay."""
    if not is_integer(number):
        raise TypeError(f"keep: expected classes as integers, got {number!r}")
    if number not in counts:
        raise ValueError(f"{name}: expected a class with rows, got {number}")
    if isinstance(asked, float | np.floating) and name != "others":
        if not 0 < asked <= 1:
            raise ValueError(f"{name}: expected a share in (0, 1], got {asked!r}")
        return max(1, round(asked * counts[number]))
    if not is_integer(asked):
        raise TypeError(f"{name}: expected an integer, got {asked!r}")
    if not 1 <= asked <= counts[number]:
        raise ValueError(
            f"{name}: expected 1 to {counts[number]} (the rows of class {number}), got {asked}"
        )
    return int(asked)


@entry.checked(examples=check_labeled)
def out_of_distribution(examples: Examples, classes: Sequence[int] | np.ndarray) -> Examples:
    """Takes the rows of some classes for rows of no class, which stay in the pool.

    Their labels become -1, and those of the others 0 to C - 1 in the order they had. A simulation
    with `skip_unlabeled=True` may pick such a row: it costs one of the budget, and is then skipped.

    Args:
      examples: NumPy arrays, inputs [N, ...] and labels [N].
      classes: which are out of distribution.

    Returns:
      All rows, with these labels.

    Raises:
      TypeError: no examples, or classes that are not integers.
      ValueError: a class without rows, or no other class.

    References:
      Kothawade et al., "SIMILAR: submodular information measures based active learning in realistic
      scenarios", NeurIPS 2021, section 4.3.

    Example:
      >>> examples = Examples(np.arange(4), np.array([0, 1, 2, 1]))
      >>> out_of_distribution(examples, [1]).labels.tolist()
      [0, -1, 1, -1]
    """
    examples = Examples(*examples)
    outside = check_classes("classes", classes)
    missing = np.setdiff1d(outside, examples.labels)
    if len(missing):
        raise ValueError(f"classes: expected classes with rows, got {missing[0]}")
    labels = renumbered(examples.labels, outside)
    if not (labels >= 0).any():
        raise ValueError("classes: expected at least one class to be left, got all")
    return Examples(examples.inputs, labels)


@entry.checked(examples=check_labeled)
def in_distribution(examples: Examples, classes: Sequence[int] | np.ndarray) -> Examples:
    """Leaves out the rows of classes that are out of distribution, as for a test set.

    Args:
      examples: NumPy arrays, inputs [N, ...] and labels [N].
      classes: which are left out; one without rows may be among them.

    Returns:
      The other rows, with the labels that `out_of_distribution` gives them.

    Raises:
      TypeError: no examples, or classes that are not integers.
      ValueError: no row is left.

    Example:
      >>> examples = Examples(np.arange(4), np.array([0, 1, 2, 1]))
      >>> in_distribution(examples, [1]).labels.tolist()
      [0, 1]
    """
    examples = Examples(*examples)
    labels = renumbered(examples.labels, check_classes("classes", classes))
    inside = np.flatnonzero(labels >= 0)
    if not len(inside):
        raise ValueError("classes: expected at least one row to be left, got none")
    return take(Examples(examples.inputs, labels), inside)


@entry.checked(examples=check_labeled, rows_per_class=entry.integer(1), seed=entry.integer(0))
def hold_out(
    examples: Examples,
    rows_per_class: int,
    *,
    classes: Sequence[int] | np.ndarray | None = None,
    seed: int = 0,
) -> tuple[Examples, Examples]:
    """Takes so many rows of some classes out of a pool, as for a query set.

    Args:
      examples: NumPy arrays, inputs [N, ...] and labels [N].
      rows_per_class: how many of each class; the class keeps one row at least.
      classes: of which classes; of all, if not given.
      seed: of `numpy.random.default_rng`.

    Returns:
      (the rest in the order it had, the rows held out by class).

    Raises:
      TypeError: no examples, or an argument of another type.
      ValueError: no class, or one that has too few rows.

    Example:
      >>> examples = Examples(np.arange(6), np.array([0, 0, 0, 1, 1, 1]))
      >>> rest, query = hold_out(examples, 2, classes=[1])
      >>> rest.labels.tolist(), query.labels.tolist()
      ([0, 0, 0, 1], [1, 1])
    """
    examples = Examples(*examples)
    counts = _counts(examples.labels)
    chosen = np.array([*counts]) if classes is None else check_classes("classes", classes)
    if not len(chosen):
        raise ValueError("classes: expected at least one, got none")
    generator = np.random.default_rng(seed)
    held = []
    for number in np.sort(chosen):
        rows = generator.permutation(np.flatnonzero(examples.labels == number))
        if rows_per_class >= len(rows):
            raise ValueError(
                f"rows_per_class: expected fewer than the {len(rows)} rows of class {number}, "
                f"got {rows_per_class}"
            )
        held.append(rows[:rows_per_class])
    rows = np.concatenate(held)
    rest = np.setdiff1d(np.arange(len(examples.labels)), rows)
    return take(examples, rest), take(examples, rows)


def renumbered(labels: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Labels with -1 for the classes outside, and the others moved down past these.

    Args:
      labels: [N] integers, -1 where unknown.
      outside: distinct classes.
    """
    below = np.searchsorted(np.sort(outside), labels)
    return np.where(np.isin(labels, outside), -1, labels - below).astype(np.int32)


def check_classes(name: str, classes: Any) -> np.ndarray:
    """Returns classes as an array; raises unless they are distinct integers of at least 0."""
    if not isinstance(classes, Sequence | np.ndarray) or isinstance(classes, str):
        raise TypeError(f"{name}: expected a list of classes, got {describe(classes)}")
    numbers = as_integers(name, classes, "[n]")
    if (numbers < 0).any() or len(np.unique(numbers)) < len(numbers):
        raise ValueError(f"{name}: expected distinct classes of at least 0, got {classes!r}")
    return numbers


def _counts(labels: np.ndarray) -> dict[int, int]:
    """How many rows each class has."""
    classes, counts = np.unique(labels[labels >= 0], return_counts=True)
    return dict(zip(classes.tolist(), counts.tolist(), strict=True))
