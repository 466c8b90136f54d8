"""Rows of named columns, as CSV and JSONL have them, each with its place in the file."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

DELIMITERS = (",", ";", "\t")  # spreadsheets of some countries save the second
csv.field_size_limit(2**31 - 1)  # The module's own, 131,072, is less than a picture as a data URI.


class Refused(NamedTuple):
    """A place in a file that is not what it should be."""

    where: str
    reason: str


def csv_rows(text: str, need: Sequence[str] = ()) -> Iterator[tuple[str, Any]]:
    """Where each row of a CSV file is, and its fields by column, or what is wrong as `Refused`.

    Args:
      text: of the file; its first line names the columns.
      need: columns that have to be there.

    Raises:
      ValueError: no such columns, or one that is there twice.
    """
    text = text.removeprefix("\ufeff")
    delimiter = max(DELIMITERS, key=text.split("\n", 1)[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        columns = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise ValueError(f"line 1: expected the names of the columns, got {error}") from None
    said = ", ".join(columns)[:200]
    for name in need:
        if name not in columns:
            raise ValueError(f"line 1: expected a column {name!r}, got {said or 'none'}")
    if len(set(columns)) < len(columns):
        raise ValueError(f"line 1: expected each column once, got {said}")
    while True:
        where = f"line {reader.line_num + 1}"
        try:
            fields = next(reader, None)
        except csv.Error as error:  # where the next row begins is not known
            yield where, Refused(where, f"expected a row, got {error}; nothing below was read")
            return
        if fields is None:
            return
        if not any(map(str.strip, fields)):
            continue
        if len(fields) == len(columns):
            yield where, dict(zip(columns, fields, strict=True))
        else:
            yield where, Refused(where, f"expected {len(columns)} fields, got {len(fields)}")


def json_lines(text: str) -> Iterator[tuple[str, Any]]:
    """Where each line is, and the object in it, or what is wrong with the line as `Refused`."""
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        if not line.strip():
            continue
        where = f"line {number}"
        try:
            value = json.loads(line)
        except ValueError as error:
            value = Refused(where, f"expected JSON, got {error}")
        yield where, as_object(where, value)


def as_object(where: str, value: Any) -> Any:
    """An object of JSON, or `Refused`."""
    if isinstance(value, Refused):
        return value
    if not isinstance(value, dict):
        return Refused(where, f"expected an object, got {value!r:.60}")
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:  # JSON may say half a character, which no file can hold
        return Refused(where, f"expected text, got {error}")
    return value


def csv_text(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A CSV file: the names of the columns, and a line for each row; None is an empty field."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return file.getvalue()
