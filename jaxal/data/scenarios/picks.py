"""What the picks of a run were: rare, copies of what was there already, or of no class."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from jaxal.checks import as_integers

Rows = Sequence[int] | np.ndarray


class Facts(NamedTuple):
    """What is known of the rows of a pool beside what a strategy may see."""

    classes: np.ndarray  # [N], -1 for a row of no class; without the errors of label noise
    originals: np.ndarray | None = None  # [N], equal for copies of one row; None: no copies
    rare: tuple[int, ...] = ()  # classes

    def take(self, rows: np.ndarray) -> Self:
        """The facts of other rows [n], each one of these."""
        originals = None if self.originals is None else self.originals[rows]
        return self._replace(classes=self.classes[rows], originals=originals)


class Found(NamedTuple):
    """Counts of picks; those labelled to begin with are not counted."""

    rare: int  # of a rare class
    unique: int  # of distinct rows that were not among the initial ones
    ood: int  # of no class, out of distribution


def found(facts: Facts, picks: Rows, initial: Rows = ()) -> Found:
    """Counts what a run picked.

    After `state, info = run(key)` the picks are the rows of `info.rows`, and the initial rows the
    first of `state.rows`.

    Args:
      facts: of the pool.
      picks: rows [n], in any order; -1 is no row.
      initial: rows that were labelled to begin with.

    Returns:
      `Found`; `unique` is the number of picks where the pool has no copies.

    Raises:
      TypeError: rows that are not integers.
      ValueError: rows outside the pool.

    Example:
      >>> facts = Facts(np.array([0, 1, 1, -1]), np.array([0, 1, 1, 2]), rare=(1,))
      >>> found(facts, [1, 2, 3])
      Found(rare=2, unique=2, ood=1)
    """
    rows, known = _rows("picks", picks, facts), _rows("initial", initial, facts)
    classes = facts.classes[rows]
    originals = rows, known
    if facts.originals is not None:
        originals = facts.originals[rows], facts.originals[known]
    return Found(
        rare=int(np.isin(classes, facts.rare).sum()),
        unique=len(np.setdiff1d(*originals)),
        ood=int((classes < 0).sum()),
    )


def _rows(name: str, rows: Rows, facts: Facts) -> np.ndarray:
    numbers = as_integers(name, rows, "[n]")
    last = len(facts.classes) - 1
    if ((numbers < -1) | (numbers > last)).any():
        raise ValueError(f"{name}: expected rows from -1 to {last}, got {numbers.tolist()}")
    return numbers[numbers >= 0]
