"""The folder of a label project: its settings, ids, journal, checkpoints and task files."""

import json
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from jaxal.data.readers.items import Items
from jaxal.experiment import provenance
from jaxal.experiment.identity import DATA
from jaxal.files import written_whole
from jaxal.interop import OWN_COLUMNS
from jaxal.labeling import journal
from jaxal.labeling.ledger import Ledger
from jaxal.labeling.parts import Parts
from jaxal.labeling.settings import Settings, load, to_text
from jaxal.loop.identity import digest
from jaxal.records import CONFIG

ITEMS, TASKS, CHECKPOINTS = "items.jsonl", "tasks", "checkpoints"


class Project(NamedTuple):
    """A project as its folder has it."""

    folder: Path
    settings: Settings
    provenance: dict[str, Any]  # of the day it was made
    ids: tuple[str, ...]
    shown: tuple[Mapping[str, str], ...]
    ledger: Ledger

    def append(self, event: str, **values: Any) -> None:
        """Writes an event into the journal."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        journal.append(self.folder / journal.JOURNAL, {"event": event, "time": now, **values})


def write(folder: Path, settings: Settings, parts: Parts) -> None:
    """Writes the files that a project begins with, `config.toml` last: without it there is none."""
    items = parts.items
    _check_columns(items)
    with written_whole(folder / ITEMS) as part:
        lines = zip(items.ids, items.labels, items.shown, strict=True)
        keys = ("id", "label", "shown")
        texts = (json.dumps(dict(zip(keys, line, strict=True))) for line in lines)
        part.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    text = to_text(settings, provenance() | {DATA: data_digest(parts)})
    with written_whole(folder / CONFIG) as part:
        part.write_text(text, encoding="utf-8")


def data_digest(parts: Parts) -> str:
    """The SHA-256 of the ids and all that is computed on."""
    ids = "\n".join(parts.items.ids).encode()
    return digest((list(ids), parts.inputs, parts.held_out, parts.features))


def _check_columns(items: Items) -> None:
    taken = {name for shown in items.shown for name in shown} & {*OWN_COLUMNS, "item_id"}
    if taken:
        raise ValueError(
            f"{items.file}: column {min(taken)!r}: task files use this name; rename the column"
        )


def read(folder: str | Path) -> Project:
    """The project in a folder.

    Raises:
      ValueError: there is none, or one of its files cannot be read.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file() or not (folder / ITEMS).is_file():
        raise ValueError(f"{folder}: no label project here; jaxal label init makes one")
    settings = load(folder / CONFIG)
    where = tomllib.loads((folder / CONFIG).read_text(encoding="utf-8")).get("provenance", {})
    lines = (folder / ITEMS).read_text(encoding="utf-8").split("\n")
    items = [json.loads(line) for line in lines if line]
    ids = tuple(one["id"] for one in items)
    known = {one["id"]: one["label"] for one in items if one["label"]}
    events = journal.read(folder / journal.JOURNAL)
    ledger = Ledger(ids, known, settings.label.classes, settings.label.agreement, events)
    _check_ledger(folder, ledger)
    return Project(folder, settings, where, ids, tuple(one["shown"] for one in items), ledger)


def _check_ledger(folder: Path, ledger: Ledger) -> None:
    """Raises ValueError if the settings no longer fit what was told, as after a class was lost."""
    given = (one.label for said in ledger.answers.values() for one in said.values())
    lost = {*given, *ledger.known.values()} - {None, *ledger.classes}
    if lost:
        raise ValueError(
            f"{folder / CONFIG}: label.classes: expected {sorted(map(str, lost))[0]!r} among them, "
            "as rows are labelled so"
        )


def free_path(path: Path) -> Path:
    """The path, or the first of NAME-2, NAME-3, ... where nothing is: answers may be in a file."""
    free, number = path, 1
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free
