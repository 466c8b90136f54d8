"""What the journal adds up to: who said what of which row, and which label follows from it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

SKIPPED, DISPUTED = "skipped", "disputed"


class Said(NamedTuple):
    """One answer, as the journal has it."""

    label: str | None  # None: skipped
    place: str  # the file and the place in it


class Verdict(NamedTuple):
    """What the answers to a row come to."""

    label: str | None  # None where there is none
    kind: str  # "labelled", SKIPPED or DISPUTED


class Told(NamedTuple):
    """What a state is told, in an order that does not depend on that of the answers."""

    rows: np.ndarray  # [n] int32, labelled rows
    labels: np.ndarray  # [n] int32
    weights: np.ndarray  # [n] float32
    skipped: np.ndarray  # [m] int32, rows that are neither trained on nor asked for again


class Ledger:
    """The answers to the rows of a project.

    Args:
      ids: of all rows, in order.
      known: the labels that the pool came with, by id.
      classes: names, in order.
      agreement: "majority" or "unanimous".
      events: of the journal.

    Raises:
      ValueError: an event of an unknown kind or without what is of its kind, or an answer to a row
        that is none of the project's; names the line.
    """

    def __init__(
        self,
        ids: Sequence[str],
        known: Mapping[str, str],
        classes: Sequence[str],
        agreement: str,
        events: Iterable[Mapping[str, Any]] = (),
    ):
        self.ids, self.known, self.classes, self.agreement = ids, known, classes, agreement
        self.rows = {name: row for row, name in enumerate(ids)}
        self.batches: list[Mapping[str, Any]] = []
        self.answers: dict[str, dict[str, Said]] = {}  # id -> annotator -> what was said last
        self.files: dict[str, str] = {}  # SHA-256 of a file -> whose answers it was said to hold
        self.stopped: str | None = None
        for line, event in enumerate(events, start=1):
            try:
                self._add(event)
            except KeyError as error:
                raise ValueError(f"line {line}: no key {error}") from None
            except (TypeError, ValueError) as error:
                raise ValueError(f"line {line}: {error}") from None

    def _add(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "batch":
            self.batches.append(event)
            self.stopped = None
        elif event["event"] == "stop":
            self.stopped = event["reason"]
        elif event["event"] == "answers":
            for where, name, label, annotator in event["answers"]:
                if name not in self.rows:
                    raise ValueError(f"expected answers to known ids, got one to {name!r}")
                said = Said(label, f"{event['file']}, {where}")
                self.answers.setdefault(name, {})[annotator] = said
            self.files[event["sha256"]] = event["annotator"]
        else:
            raise ValueError(f"event {event['event']!r} is unknown: a later version's?")

    def verdict(self, name: str) -> Verdict | None:
        """What is known of a row; None if nothing is.

        A skip is no vote: a row is skipped if nobody gave it a label. It is disputed where no label
        has more votes than every other or, where all have to agree, where they do not.
        """
        if name in self.known:
            return Verdict(self.known[name], "labelled")
        said = self.answers.get(name)
        if not said:
            return None
        votes = Counter(one.label for one in said.values() if one.label is not None)
        if not votes:
            return Verdict(None, SKIPPED)
        (label, most), *others = votes.most_common()
        if others and (self.agreement == "unanimous" or others[0][1] == most):
            return Verdict(None, DISPUTED)
        return Verdict(label, "labelled")

    def open(self) -> list[str]:
        """The ids of the newest batch that nobody has answered, in order."""
        if not self.batches:
            return []
        return [name for name in self.batches[-1]["ids"] if self.verdict(name) is None]

    def told(self) -> Told:
        """What the answers so far come to: known rows first, then by batch and rank.

        Rows that were answered without being asked for come last, in the order of the pool.
        """
        weights = {}
        order = dict.fromkeys(name for name in self.ids if name in self.known)
        for batch in self.batches:
            order |= dict.fromkeys(batch["ids"])
            if batch.get("weights") is not None:
                weights |= dict(zip(batch["ids"], batch["weights"], strict=True))
        order |= dict.fromkeys(name for name in self.ids if name in self.answers)
        rows, labels, skipped = [], [], []
        for name in order:
            verdict = self.verdict(name)
            if verdict is not None and verdict.label is not None:
                rows.append(self.rows[name])
                labels.append(self.classes.index(verdict.label))
            elif verdict is not None:
                skipped.append(self.rows[name])
        return Told(
            np.array(rows, np.int32),
            np.array(labels, np.int32),
            np.array([weights.get(self.ids[row], 1.0) for row in rows], np.float32),
            np.array(skipped, np.int32),
        )
