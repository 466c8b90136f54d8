"""How far a label project is, and the labels it has."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxal import entry
from jaxal.data.readers.columns import csv_text
from jaxal.data.tables import check_folder
from jaxal.files import written_whole
from jaxal.labeling import project
from jaxal.labeling.ledger import DISPUTED, SKIPPED

EXPORTED = ("id", "label", "kind", "given", "answers")
"""The columns of an export."""


class BatchStatus(NamedTuple):
    """One batch."""

    number: int
    rule: str  # how its rows were picked
    asked: int
    answered: int  # of these
    labels: int  # that the model was fitted to
    accuracy: float | None  # of that model, on the held-out rows


class Status(NamedTuple):
    """How far a project is."""

    rows: int
    labels: Mapping[str, int]  # rows of each class
    skipped: tuple[str, ...]  # ids
    disputed: tuple[str, ...]  # ids; another answer decides
    open: tuple[str, ...]  # ids of the newest batch without an answer, in order
    annotators: Mapping[str, tuple[int, int]]  # -> labels and skips
    several: int  # rows with labels of several annotators
    agreed: int  # those of them whose labels are all the same
    batches: tuple[BatchStatus, ...]
    stopped: str | None  # why nothing more is asked

    @property
    def labelled(self) -> int:
        """Rows with a label."""
        return sum(self.labels.values())


@entry.checked(folder=check_folder)
def status(folder: str | Path) -> Status:
    """How far the project in a folder is; reads its files alone, and loads no data.

    Args:
      folder: of the project.

    Raises:
      ValueError: there is no project, or one of its files cannot be read.
    """
    ledger = project.read(folder).ledger
    verdicts = {name: ledger.verdict(name) for name in ledger.ids}
    found = {name: one for name, one in verdicts.items() if one is not None}
    counts = Counter(one.label for one in found.values())
    people: dict[str, list[int]] = {}
    several = agreed = 0
    for said in ledger.answers.values():
        for annotator, one in said.items():
            people.setdefault(annotator, [0, 0])[one.label is None] += 1
        labels = [one.label for one in said.values() if one.label is not None]
        several += len(labels) > 1
        agreed += len(labels) > 1 and len(set(labels)) == 1
    return Status(
        rows=len(ledger.ids),
        labels={name: counts[name] for name in ledger.classes},
        skipped=tuple(name for name, one in found.items() if one.kind == SKIPPED),
        disputed=tuple(name for name, one in found.items() if one.kind == DISPUTED),
        open=tuple(ledger.open()),
        annotators={name: (pair[0], pair[1]) for name, pair in sorted(people.items())},
        several=several,
        agreed=agreed,
        batches=tuple(_batch(batch, found) for batch in ledger.batches),
        stopped=ledger.stopped,
    )


def _batch(batch: Mapping[str, Any], found: Mapping[str, Any]) -> BatchStatus:
    answered = sum(name in found for name in batch["ids"])
    asked, rule = len(batch["ids"]), batch["rule"]
    return BatchStatus(batch["batch"], rule, asked, answered, batch["labels"], batch["accuracy"])


@entry.checked(folder=check_folder, path=check_folder)
def export_labels(folder: str | Path, path: str | Path) -> int:
    """Writes what is known of every row into a CSV file: its label, and how it came about.

    Columns are `id`, `label` (empty where there is none), `kind` (labelled, skipped, disputed, or
    empty), `given` (whether the pool came with it) and `answers`, every annotator's.

    Args:
      folder: of the project.
      path: of the file; an earlier export is replaced, and nothing else.

    Returns:
      How many rows have a label.

    Raises:
      ValueError: as `status`.
      OSError: the file cannot be written, or is there and no export.
    """
    ledger, path = project.read(folder).ledger, Path(path)
    head = csv_text(EXPORTED, [])
    if path.exists() and not path.read_bytes().startswith(head.encode()):
        raise FileExistsError(f"{path}: there already, and no export of labels")
    rows = []
    for name in ledger.ids:
        verdict, said = ledger.verdict(name), ledger.answers.get(name, {})
        label, kind = (None, None) if verdict is None else verdict
        answers = "; ".join(f"{who or '-'}: {one.label or SKIPPED}" for who, one in said.items())
        rows.append([name, label, kind, "yes" if name in ledger.known else "", answers])
    with written_whole(path) as part:
        part.write_text(csv_text(EXPORTED, rows), "utf-8")
    return sum(row[1] is not None for row in rows)
