"""Sparse rows of numbers, as LIBSVM writes them: `label index:value index:value ...`."""

import math
from array import array
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxal.checks import check_flag, check_integer
from jaxal.data.readers.paths import find, lines
from jaxal.data.readers.registry import Table, source

MOST = 100_000  # features: an index above is more often a mistake than a feature


class _Part(NamedTuple):
    """The numbers that stand in a file, and where: those that are absent are 0."""

    labels: list[str]
    counts: array  # of the numbers in each row
    columns: array  # from 0
    values: array


@source("libsvm")
def read_libsvm(
    path: str,
    *,
    folder: Path | None = None,
    test: str | None = None,
    features: int | None = None,
    zero_based: bool = False,
) -> Table:
    """Reads a file of LIBSVM as a dense array.

    Args:
      path: the file.
      folder: where a relative path is looked for after the working directory.
      test: the file of the test part.
      features: D; None: the largest index in both files, up to 100,000.
      zero_based: whether indices begin with 0.

    Returns:
      float64 [N, D], and labels that are text.

    Raises:
      FileNotFoundError: no such file.
      ValueError: a line of another form, an index out of order or above `features`, or an empty
        file; names the file and the line.
    """
    check_flag(zero_based=zero_based)
    if features is not None:
        check_integer(1, features=features)
    files = [find(path, folder)] + ([] if test is None else [find(test, folder)])
    first = 0 if zero_based else 1
    parts = [_read(file, first, features) for file in files]
    width = features or 1 + max(max(part.columns, default=0) for part in parts)
    train, *held_out = (_dense(part, width) for part in parts)
    return Table(train, held_out[0] if held_out else None)


def _read(file: Path, first: int, features: int | None) -> _Part:
    part = _Part([], array("q"), array("q"), array("d"))
    for number, line in enumerate(lines(file), start=1):
        label, *entries = line.partition("#")[0].split() or [""]
        if not label:
            continue
        try:
            _append(part, label, entries, first, features)
        except ValueError as error:
            raise ValueError(f"{file}, line {number}: {error}") from None
    if not part.labels:
        raise ValueError(f"{file}: expected at least one row, got none")
    return part


def _append(part: _Part, label: str, entries: list[str], first: int, features: int | None) -> None:
    """Adds a row; raises ValueError, which says what is wrong with it."""
    if _number(label) is None:
        raise ValueError(f"expected a finite number as the label, got {label!r}")
    part.labels.append(label)
    last = -1
    for entry in entries:
        index, _, value = entry.partition(":")
        if not (index.isascii() and index.isdigit()):
            raise ValueError(f"expected INDEX:VALUE with a finite value, got {entry!r}")
        column = int(index) - first
        if not last < column < (features or MOST):
            most = (features or MOST) - 1 + first
            raise ValueError(
                f"expected indices that rise, from {first} to {most}, got {entry!r}; "
                "the options zero_based and features allow others"
            )
        number = _number(value)
        if number is None:
            raise ValueError(f"expected INDEX:VALUE with a finite value, got {entry!r}")
        last = column
        part.columns.append(column)
        part.values.append(number)
    part.counts.append(len(entries))


def _number(text: str) -> float | None:
    """The number, if it is a finite one."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _dense(part: _Part, width: int) -> tuple[np.ndarray, np.ndarray]:
    inputs = np.zeros((len(part.labels), width))
    rows = np.repeat(np.arange(len(part.labels)), np.frombuffer(part.counts, np.int64))
    if len(rows):  # an empty buffer is refused
        columns = np.frombuffer(part.columns, np.int64)
        inputs[rows, columns] = np.frombuffer(part.values)
    return inputs, np.array(part.labels)
