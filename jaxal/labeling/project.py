"""The folder of a label project: its settings, ids, journal, checkpoints and task files.

The journal has a line of JSON for each batch that was asked for, each file of answers and each time
a rule ended the loop. A line is on the disk before anything else follows from it, and none is ever
changed: what is known is what they add up to.
"""

import json
import tomllib
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from jaxal.data.readers.items import Items
from jaxal.experiment import provenance, to_toml
from jaxal.experiment.identity import DATA
from jaxal.files import Lines, whole_lines, written_whole
from jaxal.interop import OWN_COLUMNS
from jaxal.labeling.ledger import Ledger
from jaxal.labeling.parts import Parts
from jaxal.labeling.settings import Settings, load
from jaxal.loop.identity import digest
from jaxal.records import CONFIG

ITEMS, JOURNAL, TASKS, CHECKPOINTS = "items.jsonl", "journal.jsonl", "tasks", "checkpoints"


class Project(NamedTuple):
    """A project as its folder has it."""

    folder: Path
    settings: Settings
    provenance: dict[str, Any]  # of the day it was made
    items: list[dict[str, Any]]  # of each row its id, its label ("" if unknown) and what is shown
    ledger: Ledger

    def append(self, event: str, **values: Any) -> None:
        """Writes an event into the journal; it is on the disk when this returns.

        Raises:
          OSError: it cannot be written; the journal is as it was.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        line = {"event": event, "time": now, **values}
        with Lines(self.folder / JOURNAL) as journal:
            journal.append(json.dumps(line, allow_nan=False))

    def check_data(self, parts: Parts) -> None:
        """Raises ValueError if the data are not those that the project was made with."""
        problem, file = f"are not those that {self.folder} was made with", parts.items.file
        now = _rows(parts.items)
        if [one["id"] for one in now] != [one["id"] for one in self.items]:
            raise ValueError(f"{file}: the ids, or their order, {problem}")
        for before, one in zip(self.items, now, strict=True):
            if one != before:
                is_label = one["shown"] == before["shown"]
                what = "another label" if is_label else "other columns"
                hint = "; jaxal label import takes labels" * is_label
                raise ValueError(
                    f"{file}: id {one['id']!r}: {what} than {self.folder} was made with{hint}"
                )
        if _digest(parts) != self.provenance.get(DATA):
            raise ValueError(f"{file}: the pictures, vectors or test rows {problem}")


def check_there(folder: str | Path) -> Path:
    """The folder; raises ValueError if there is no project in it."""
    folder = Path(folder)
    if not (folder / CONFIG).is_file() or not (folder / ITEMS).is_file():
        raise ValueError(f"{folder}: no label project here; jaxal label init makes one")
    return folder


def write(folder: Path, settings: Settings, parts: Parts) -> None:
    """Writes the files that a project begins with, `config.toml` last: without it there is none."""
    rows = _rows(parts.items)
    if taken := {name for one in rows for name in one["shown"]} & {*OWN_COLUMNS}:
        raise ValueError(
            f"{parts.items.file}: column {min(taken)!r}: task files use this name; rename the "
            "column"
        )
    with written_whole(folder / ITEMS) as part:
        part.write_text("".join(f"{json.dumps(one)}\n" for one in rows), encoding="utf-8")
    with written_whole(folder / CONFIG) as part:
        part.write_text(to_toml(settings, provenance() | {DATA: _digest(parts)}), encoding="utf-8")


def _rows(items: Items) -> list[dict[str, Any]]:
    rows = zip(items.ids, items.labels, items.shown, strict=True)
    return [{"id": name, "label": label, "shown": dict(shown)} for name, label, shown in rows]


def _digest(parts: Parts) -> str:
    """The SHA-256 of all that is computed on."""
    return digest((parts.inputs, parts.held_out, parts.features))


def read(folder: str | Path) -> Project:
    """The project in a folder.

    A last line of the journal that was cut off while it was written is left out, with a warning.

    Raises:
      ValueError: there is none, or one of its files cannot be read; names the line.
    """
    folder = check_there(folder)
    settings = load(folder / CONFIG)
    about = tomllib.loads((folder / CONFIG).read_text(encoding="utf-8")).get("provenance", {})
    items = _objects(folder / ITEMS, "id")
    events = _objects(folder / JOURNAL, "event") if (folder / JOURNAL).exists() else []
    ids = [one["id"] for one in items]
    known = {one["id"]: one["label"] for one in items if one["label"]}
    try:
        ledger = Ledger(ids, known, settings.label.classes, settings.label.agreement, events)
    except ValueError as error:
        raise ValueError(f"{folder / JOURNAL}, {error}") from None
    _check_classes(folder, ledger)
    return Project(folder, settings, about, items, ledger)


def _objects(path: Path, key: str) -> list[dict[str, Any]]:
    """The objects in a file of lines, each with this key."""
    lines, is_torn = whole_lines(path)
    if is_torn:
        warnings.warn(
            f"{path}: the last line was cut off while it was written, and is left out; what it "
            "was to say has to be done again",
            stacklevel=2,
        )
    objects = []
    for number, line in enumerate(lines, start=1):
        try:
            value = json.loads(line)
            if not isinstance(value, dict) or not isinstance(value.get(key), str):
                raise ValueError(f"expected an object with {key}")
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
        objects.append(value)
    return objects


def _check_classes(folder: Path, ledger: Ledger) -> None:
    """Raises ValueError if rows are labelled with what is no longer a class."""
    given = (one.label for said in ledger.answers.values() for one in said.values())
    if lost := {*given, *ledger.known.values()} - {None, *ledger.classes}:
        raise ValueError(
            f"{folder / CONFIG}: label.classes: expected {min(map(str, lost))!r} among them, as "
            "rows are labelled so"
        )


def free_path(path: Path, *, unless: str | None = None) -> Path:
    """The path, or the first of NAME-2, NAME-3, ... where nothing is: answers may be in a file.

    Args:
      path: wanted.
      unless: a file that says just this may be written anew.
    """
    free, number = path, 1
    while free.exists() and (unless is None or free.read_text("utf-8", "replace") != unless):
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free
