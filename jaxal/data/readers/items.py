"""Items that people label: rows with an id, what is shown of them, and a label if it is known."""

import base64
import binascii
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxal.checks import check_name, nearest
from jaxal.data.readers.columns import Refused, csv_rows, json_lines
from jaxal.data.readers.images import checked_size
from jaxal.data.readers.paths import find, lines
from jaxal.data.readers.pictures import MODES, decode
from jaxal.data.readers.registry import Table, source
from jaxal.data.readers.text import VOCABULARY, check_token_options, token_ids
from jaxal.data.readers.vectors import Vectors

OPTIONS = {
    "columns": {"columns": None},
    "image": {"size": None, "color": None},
    "text": {"length": None, "tokenizer": None, "vocabulary": VOCABULARY},
    "vectors": {"vectors": None},
}
"""What a model may be given, and the options of this alone with their defaults."""


class Items(NamedTuple):
    """The rows of a file of items, in its order."""

    file: Path
    ids: tuple[str, ...]
    labels: tuple[str, ...]  # "" where unknown
    shown: tuple[Mapping[str, str], ...]  # column -> what is in it


def read_rows(
    path: str,
    folder: Path | None = None,
    *,
    id: str = "id",
    label: str = "label",
    encoding: str = "utf-8",
) -> Items:
    """Reads a file of items, CSV with a header or, by its suffix, JSONL.

    Args:
      path: the file.
      folder: where a relative path is looked for after the working directory.
      id: the column of the ids: text or integers, each once.
      label: the column of the labels; there may be none.
      encoding: of the text.

    Raises:
      FileNotFoundError: no such file.
      ValueError: a line that is no row, an id that is missing, has blanks around it or is there
        twice, or a label that is no text; names the line. Ids and labels in one column.
    """
    if id == label:
        raise ValueError(f"label: expected another column than that of the ids, got {label!r}")
    file = find(path, folder)
    text = "".join(lines(file, encoding))
    is_jsonl = file.suffix.lower() == ".jsonl"
    try:
        found = json_lines(text) if is_jsonl else csv_rows(text, [id])
        rows = [_row(where, row, id, label) for where, row in found]
    except ValueError as error:
        raise ValueError(f"{file}, {error}") from None
    if not rows:
        raise ValueError(f"{file}: expected at least one row, got none")
    places: dict[str, str] = {}
    for where, name, _, _ in rows:
        if name in places:
            raise ValueError(f"{file}, {where}: id {name!r} is that of {places[name]} already")
        places[name] = where
    _, ids, labels, shown = zip(*rows, strict=True)
    return Items(file, ids, labels, shown)


def _row(where: str, row: Any, id: str, label: str) -> tuple[str, str, str, Mapping[str, str]]:
    """Where it is, the id, the label, and the other columns."""
    if isinstance(row, Refused):
        raise ValueError(f"{where}: {row.reason}")
    if isinstance(row.get(id), float):  # whose text is another where a column of integers has gaps
        raise ValueError(f"{where}: {id}: expected text or an integer, got {row[id]!r}")
    values = {}
    for name, value in row.items():
        if isinstance(value, dict | list | bool):
            raise ValueError(f"{where}: {name}: expected text or a number, got {value!r:.60}")
        values[name] = "" if value is None else str(value)
    name, known = values.pop(id, ""), values.pop(label, "").strip()
    if not name or name != name.strip() or not name.isprintable():
        raise ValueError(f"{where}: {id}: expected text without blanks around it, got {name!r}")
    return where, name, known, values


@source("items")
def read_items(
    path: str,
    *,
    folder: Path | None = None,
    test: str | None = None,
    id: str = "id",
    label: str = "label",
    inputs: str | None = None,
    columns: Sequence[str] | None = None,
    vectors: str | None = None,
    size: int | tuple[int, int] | None = None,
    color: str | None = None,
    length: int | None = None,
    tokenizer: str | None = None,
    vocabulary: int = VOCABULARY,
    encoding: str = "utf-8",
) -> Table:
    """Reads items as a model takes them: pictures, token ids, numbers, or vectors made elsewhere.

    Args:
      path: the file, CSV with a header or JSONL: `id`, `label` if known, and what is shown.
      folder: where relative paths are looked for after the working directory.
      test: the file of the test part, in the same form.
      id: the column of the ids.
      label: the column of the labels.
      inputs: what a model is given: the column "image" (paths, relative to the file, or data URIs),
        the column "text", numbers in "columns", or "vectors"; None: what there is of vectors,
        image, text and columns, in this order. Options of what it is not given are refused.
      columns: which columns have the numbers; None: all but the id and the label.
      vectors: an npz file with `ids` and `inputs` [N, ...], whose rows are found by their ids.
      size: as for "images:FOLDER", as is `color`.
      color: "gray" or "rgb".
      length: as for "text:FILE", as are `tokenizer` and `vocabulary`.
      tokenizer: a file.
      vocabulary: how many tokens.
      encoding: of the text.

    Returns:
      Inputs [N, ...] and labels that are text.

    Raises:
      FileNotFoundError: no such file, or a picture that is not there.
      ValueError: as `read_rows`; a picture, text, number or vector that is missing or none.
    """
    if inputs is not None:
        check_name("inputs", inputs, OPTIONS)
    if color is not None:
        check_name("color", color, MODES)
    check_token_options(length, vocabulary)
    given = {"id": id, "label": label, "encoding": encoding}
    parts = [read_rows(one, folder, **given) for one in (path, test) if one is not None]
    kind = inputs or _kind(parts[0], vectors)
    of_texts: dict = {"length": length, "tokenizer": tokenizer, "vocabulary": vocabulary}
    of_pictures = {"size": checked_size(size), "color": color}
    _check_use(kind, of_texts | of_pictures | {"columns": columns, "vectors": vectors})
    if kind == "text":
        texts = [(part.file, [_field(part, row, "text") for row in _range(part)]) for part in parts]
        arrays = token_ids(texts, folder, **of_texts)
    elif kind == "image":
        arrays = [_pictures(part, of_pictures) for part in parts]
    elif kind == "vectors":
        if vectors is None:
            raise ValueError("vectors: expected an npz file with ids and inputs, got None")
        known = Vectors(vectors, folder)
        arrays = [known.of(part.ids) for part in parts]
    else:
        named = list(parts[0].shown[0]) if columns is None else list(columns)
        arrays = [_numbers(part, named, alone=columns is None) for part in parts]
    train, *tests = zip(arrays, (np.array(part.labels) for part in parts), strict=True)
    return Table(train, next(iter(tests), None), tokens=kind == "text")


def _kind(items: Items, vectors: str | None) -> str:
    if vectors is not None:
        return "vectors"
    return next((kind for kind in ("image", "text") if kind in items.shown[0]), "columns")


def _check_use(kind: str, given: Mapping[str, Any]) -> None:
    """Raises ValueError for an option that would say nothing of such inputs."""
    for other, defaults in OPTIONS.items():
        for name, default in defaults.items():
            if other != kind and given[name] != default:
                raise ValueError(f"{name}: of no use with inputs = {kind!r}; it is for {other!r}")


def _range(items: Items) -> range:
    return range(len(items.ids))


def _field(items: Items, row: int, column: str) -> str:
    value = items.shown[row].get(column, "")
    if not value.strip():
        raise ValueError(f"{items.file}: id {items.ids[row]!r}: expected {column}, got nothing")
    return value


def _pictures(items: Items, options: Mapping[str, Any]) -> np.ndarray:
    """What is in the column "image", uint8 [N, H, W, channels]."""
    names = (f"{items.file}: id {name!r}" for name in items.ids)
    files = (picture(_field(items, row, "image"), items.file.parent) for row in _range(items))
    return decode(zip(names, files, strict=True), len(items.ids), **options)


def picture(value: str, folder: Path) -> Path | bytes:
    """The file of a picture, or the bytes of one that is a data URI.

    Args:
      value: of the column.
      folder: where a relative path is looked for.

    Raises:
      FileNotFoundError: no such file.
      ValueError: a data URI that is not base64.
    """
    if value.startswith("data:"):
        try:
            return base64.b64decode(value.partition(",")[2], validate=True)
        except binascii.Error:
            raise ValueError(f"image: expected base64, got {value[:40]!r}") from None
    path = folder / Path(value).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    return path


def _numbers(items: Items, columns: Sequence[str], *, alone: bool) -> np.ndarray:
    """The numbers in the columns, float64 [N, D]; `alone`, if there may be no others."""
    if not columns:
        raise ValueError(f"{items.file}: expected columns of numbers, image or text, got none")
    numbers = np.empty((len(items.ids), len(columns)))
    for row, shown in enumerate(items.shown):
        where = f"{items.file}: id {items.ids[row]!r}"
        if alone and set(shown) != set(columns):
            raise ValueError(
                f"{where}: expected the columns {', '.join(columns)}, got {', '.join(shown)}; the "
                "option columns says which are inputs"
            )
        for place, name in enumerate(columns):
            if name not in shown:
                raise ValueError(f"columns: {name!r} is unknown; {nearest(name, shown)}")
            numbers[row, place] = _number(shown[name])
            if not math.isfinite(numbers[row, place]):
                raise ValueError(
                    f"{where}: {name}: expected a number, got {shown[name]!r}; the option columns "
                    "says which are inputs"
                )
    return numbers


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
