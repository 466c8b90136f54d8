"""Tables of comma-separated values."""

import csv
import itertools
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxal.checks import check_flag, nearest
from jaxal.data.readers.paths import find, lines
from jaxal.data.readers.registry import Table, source


class _Part(NamedTuple):
    inputs: np.ndarray
    labels: np.ndarray
    columns: list[str] | None  # as a header has them


@source("csv")
def read_csv(
    path: str,
    *,
    folder: Path | None = None,
    test: str | None = None,
    label: str = "last",
    header: bool | None = None,
    delimiter: str = ",",
    encoding: str = "utf-8",
) -> Table:
    """Reads a table with a label and numbers in each row.

    Args:
      path: the file.
      folder: where a relative path is looked for after the working directory.
      test: the file of the test part, with the same columns.
      label: the column of the labels, which may be numbers or text: "first", "last", or its name in
        the header. An empty label is unknown.
      header: whether the first row names the columns; None: if there is no number in it.
      delimiter: what stands between the fields, one character.
      encoding: of the text.

    Returns:
      float64 [N, D], and labels that are text.

    Raises:
      FileNotFoundError: no such file.
      ValueError: a missing value or one that is no number, a row of another length, or an empty
        file; names the file and the line.
    """
    if header is not None:
        check_flag(header=header)
    if len(delimiter) != 1:
        raise ValueError(f"delimiter: expected one character, got {delimiter!r}")
    given = {"label": label, "header": header, "delimiter": delimiter, "encoding": encoding}
    train = _read(find(path, folder), **given)
    if test is None:
        return Table((train.inputs, train.labels))
    file = find(test, folder)
    held_out = _read(file, **given)
    if held_out.columns != train.columns:
        raise ValueError(
            f"{file}: expected the columns of {path}, {_shown(train)}, got {_shown(held_out)}"
        )
    return Table((train.inputs, train.labels), (held_out.inputs, held_out.labels))


def rows(file: Path, delimiter: str, encoding: str) -> Iterator[tuple[int, list[str]]]:
    """The number of the line and the fields of each row that is not blank."""
    reader = csv.reader(lines(file, encoding), delimiter=delimiter, skipinitialspace=True)
    try:
        yield from ((reader.line_num, row) for row in reader if any(map(str.strip, row)))
    except csv.Error as error:
        raise ValueError(f"{file}, line {reader.line_num}: expected a row, got {error}") from None


def _read(file: Path, label: str, header: bool | None, delimiter: str, encoding: str) -> _Part:
    table = rows(file, delimiter, encoding)
    number, first = next(table, (0, []))
    if not first:
        raise ValueError(f"{file}: expected at least one row, got none")
    columns = [field.strip() for field in first]
    column, has_header = _layout(file, columns, label, header)
    if not has_header:
        table = itertools.chain([(number, first)], table)
    numbers, labels, places = array("d"), [], array("q")
    for line, fields in table:
        if len(fields) != len(columns):
            raise ValueError(
                f"{file}, line {line}: expected {len(columns)} fields, got {len(fields)}"
            )
        labels.append(fields.pop(column).strip())
        places.append(line)
        try:
            numbers.extend(map(float, fields))
        except ValueError:
            wrong = next(field for field in fields if not _is_number(field))
            raise ValueError(f"{file}, line {line}: expected a number, got {wrong!r}") from None
    if not labels or len(columns) == 1:
        raise ValueError(f"{file}: expected rows of a label and one or more numbers, got none")
    inputs = np.frombuffer(numbers).reshape(len(labels), -1)
    finite = np.isfinite(inputs).all(1)
    if not finite.all():
        line = places[int((~finite).argmax())]
        raise ValueError(f"{file}, line {line}: expected finite numbers, got NaN or infinity")
    return _Part(inputs, np.array(labels), columns if has_header else None)


def _layout(file: Path, first: list[str], label: str, header: bool | None) -> tuple[int, bool]:
    """The position of the label, and whether the first row names the columns."""
    is_named = label not in ("first", "last")
    if header is None:
        header = is_named or not any(map(_is_number, first))
    if not is_named:
        return (0 if label == "first" else len(first) - 1), header
    if not header:
        raise ValueError(f"label: expected first or last, as there is no header, got {label!r}")
    if label not in first:
        raise ValueError(f"label: {label!r} is unknown in {file}; {nearest(label, first)}")
    return first.index(label), header


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _shown(part: _Part) -> str:
    return "which have no names" if part.columns is None else ", ".join(part.columns)
