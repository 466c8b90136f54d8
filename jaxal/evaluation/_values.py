"""Checks of the values of arrays, where they can be looked at: outside of compiled programs."""

from typing import Any

import numpy as np

from jaxal.checks import check_at_least, is_traced


def check_drawn(probabilities: Any, drawn: Any = True) -> None:
    """Raises ValueError where something was drawn with a probability outside (0, 1].

    Args:
      probabilities: [M].
      drawn: [M] bool, the entries that count.
    """
    if is_traced(probabilities, drawn):
        return
    values = np.asarray(probabilities)
    wrong = np.flatnonzero(~((values > 0) & (values <= 1)) & np.asarray(drawn))
    if wrong.size:
        row = wrong[0]
        raise ValueError(
            f"probabilities: expected numbers in (0, 1] where a label was drawn, got "
            f"{values[row]} in row {row}"
        )


def check_not_negative(**arrays: Any) -> None:
    """Raises ValueError for a number below 0 or NaN, in arrays of any shape."""
    for name, array in arrays.items():
        if is_traced(array):
            continue
        values = np.asarray(array)
        wrong = np.argwhere(~(values >= 0))
        if len(wrong):
            place = tuple(wrong[0].tolist())
            raise ValueError(f"{name}: expected numbers >= 0, got {values[place]} at {list(place)}")


def check_shares(counted: Any = True, **arrays: Any) -> None:
    """Raises ValueError for a number outside of 0 to 1 among the entries that count, [N]."""
    for name, array in arrays.items():
        if is_traced(array, counted):
            continue
        values = np.asarray(array)
        wrong = np.flatnonzero(~((values >= 0) & (values <= 1)) & np.asarray(counted))
        if wrong.size:
            row = wrong[0]
            raise ValueError(
                f"{name}: expected numbers from 0 to 1, got {values[row]} in row {row}"
            )


def check_classes(classes: int, **values: Any) -> None:
    """Raises unless all are integers from 0 to `classes` - 1; values in jit are not looked at."""
    for name, value in values.items():
        if is_traced(value):
            continue
        array = np.asarray(value)
        if not np.issubdtype(array.dtype, np.integer):
            raise TypeError(f"{name}: expected integers from 0 to {classes - 1}, got {value!r}")
        wrong = array[(array < 0) | (array >= classes)]
        if wrong.size:
            raise ValueError(
                f"{name}: expected classes from 0 to {classes - 1}, got {wrong.flat[0]}"
            )


def share(name: str, value: Any) -> None:
    """A number from 0 to 1."""
    check_at_least(0, **{name: value})
    if not is_traced(value) and value > 1:
        raise ValueError(f"{name}: expected a number from 0 to 1, got {value!r}")
