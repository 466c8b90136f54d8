"""Checks on the host of what is told to the state: rows, labels, weights, and the room for them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxal import processes
from jaxal.checks import as_integers, describe, is_integer
from jaxal.numerics import are_targets, is_known


class Told(NamedTuple):
    """What a state knows already, on the host; see `State`."""

    rows: np.ndarray  # [M]
    skipped: np.ndarray  # [S]
    count: int
    pool_rows: int
    num_classes: int  # 1 is a regression


def check_answers(told: Told, rows: Any, labels: Any, weights: Any) -> None:
    """Raises unless the answers can all be kept as they are; see `tell`."""
    regression = told.num_classes == 1
    rows = as_integers("rows", rows)
    labels = _as_targets("labels", labels) if regression else as_integers("labels", labels)
    _check_length("labels", labels, len(rows))
    check_each("rows", rows, (rows >= -1) & (rows < told.pool_rows), f"-1 to {told.pool_rows - 1}")
    used = rows >= 0
    if regression:
        good, expected = ~np.isinf(labels), "finite numbers, or NaN"
    else:
        good = (labels >= -1) & (labels < told.num_classes)
        expected = f"-1 to {told.num_classes - 1}"
    check_each("labels", labels, good | ~used, expected)
    check_distinct("rows", rows)
    in_use = told.rows[: told.count]
    check_each("rows", rows, ~(used & np.isin(rows, in_use)), "rows without a label so far")
    skips = used & ~is_known(labels)
    again = skips & np.isin(rows, told.skipped)
    check_each("rows", rows, ~again, "rows to skip that are not skipped already")
    if weights is not None:
        check_weights("weights", weights, len(rows))
    _check_room("capacity", int(np.sum(used & ~skips)), len(told.rows) - told.count)
    _check_room("skips", int(np.sum(skips)), int(np.sum(told.skipped < 0)))


def _as_targets(name: str, values: Any) -> np.ndarray:
    """Targets [B] as float32; refuses what are no numbers."""
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        raise TypeError(
            f"{name}: expected numbers [B], as this is a regression, got {describe(values)}"
        )
    if array.ndim != 1:
        raise ValueError(f"{name}: expected numbers [B], got {describe(array)}")
    with np.errstate(over="ignore"):
        return array.astype(np.float32)


def check_each(name: str, values: np.ndarray, holds: np.ndarray, expected: str) -> None:
    """Raises ValueError, with the first value for which `holds` is False."""
    if not holds.all():
        position = int(np.argmin(holds))
        raise ValueError(
            f"{name}: expected {expected}, got {values[position]} at position {position}"
        )


def check_distinct(name: str, rows: np.ndarray) -> None:
    """Raises ValueError unless each row, -1 aside, is there once."""
    values, counts = np.unique(rows[rows >= 0], return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"{name}: expected each row once, got {values[counts > 1][0]} twice")


def check_classes_to_count(labels: Any, *, balanced: bool, by_class: bool) -> None:
    """Raises ValueError where initial rows of a regression are to be counted by class."""
    if are_targets(labels) and (balanced or by_class):
        what = "balanced" if balanced else "initial"
        raise ValueError(f"{what}: expected no classes to count by, as this is a regression")


def check_initial_rows(rows: Any, labels: Any, pool_rows: int) -> np.ndarray:
    """Returns rows to begin with; raises unless each is in the pool, once, and has a label.

    Args:
      rows: [n] integers.
      labels: [N] integers, -1 where unknown, with padding or without.
      pool_rows: how many rows the pool has without padding.
    """
    if isinstance(rows, bool | float | str) or rows is None:
        raise TypeError(f"initial: expected an integer, rows, or a count by class, got {rows!r}")
    rows = as_integers("initial", rows, "[n]")
    last = pool_rows - 1
    check_each("initial", rows, (rows >= 0) & (rows <= last), f"rows from 0 to {last}")
    labels = np.asarray(processes.to_host(labels[rows]))
    check_each("initial", rows, is_known(labels), "rows whose labels the pool knows")
    check_distinct("initial", rows)
    return rows


def check_counts(counts: Mapping[Any, Any]) -> None:
    """Raises unless a mapping says at least for one class how many rows are to begin with."""
    if not counts:
        raise ValueError("initial: expected a count for at least one class, got none")
    for number, count in counts.items():
        if not (is_integer(number) and is_integer(count)):
            raise TypeError(f"initial: expected integers by class, got {number!r}: {count!r}")


def check_initial_counts(counts: Mapping[Any, Any], labels: Any) -> None:
    """Raises unless the pool has as many rows of each class as are to begin with."""
    check_counts(counts)
    for number, count in counts.items():
        known = int((labels == number).sum()) if number >= 0 else 0
        if not 1 <= count <= known:
            raise ValueError(
                f"initial: expected 1 to {known} rows of class {number}, as the pool has, "
                f"got {count}"
            )


def check_weights(name: str, weights: Any, count: int) -> None:
    """Raises unless there are `count` finite weights of at least 0."""
    weights = np.asarray(weights)
    if weights.dtype == bool or not np.issubdtype(weights.dtype, np.number):
        raise TypeError(f"{name}: expected numbers [B], got dtype {weights.dtype}")
    _check_length(name, weights, count)
    check_each(name, weights, np.isfinite(weights) & (weights >= 0), "finite numbers >= 0")


def _check_length(name: str, values: np.ndarray, count: int) -> None:
    if values.shape != (count,):
        raise ValueError(f"{name}: expected one for each of {count} rows, got {values.shape}")


def _check_room(name: str, wanted: int, room: int) -> None:
    if wanted > room:
        kind = "labels" if name == "capacity" else "skipped rows"
        raise ValueError(
            f"{name}: the state has room for {room} more {kind}, got {wanted}; "
            f"jaxal.enlarge(state, {name}=...) makes more"
        )
