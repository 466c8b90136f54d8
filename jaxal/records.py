"""What an experiment reports of each round: records in `history.jsonl`, and to a listener."""

import dataclasses
import json
import math
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from jaxal.files import Lines, whole_lines

CONFIG, HISTORY = "config.toml", "history.jsonl"
RUN_FILES = (CONFIG, HISTORY, "summary.csv", "curves.png")
"""What a finished run leaves in its folder."""


@dataclass(frozen=True)
class Seconds:
    """Wall-clock time by stage."""

    fit: float = 0.0
    observe: float = 0.0
    select: float = 0.0


@dataclass(frozen=True)
class Record:
    """One round of one strategy and seed: the fit on the labels so far, then the rows picked.

    Losses are mean cross-entropy in nats, of a regression mean squared errors; accuracies are
    fractions. What is found is counted over the labels that the fit saw, the initial ones aside;
    None where the experiment has no such rows.
    """

    strategy: str
    seed: int
    round: int
    labels: int  # bought so far; the fit saw all but `ood_picks` of them
    rows: Sequence[int]  # picked after the fit, in order; empty in the last round
    train_accuracy: float
    train_loss: float
    test_accuracy: float
    test_loss: float
    epochs: int
    seconds: Seconds = Seconds()  # compilation not included
    compile_seconds: Seconds = Seconds()  # zero but in the round that compiled
    class_accuracy: Sequence[float] = ()  # on the test examples of each class; NaN where none are
    rare_recall: float | None = None  # test accuracy, the mean over the rare classes
    rare_found: int | None = None  # picks of a rare class
    unique_picks: int | None = None  # distinct rows that were picked, copies counted once
    ood_picks: int | None = None  # picks that are out of distribution
    initial: Sequence[int] | None = None  # rows labelled before the first round, in its record
    stopped: str | None = None  # the stopping rule that ended the seed here, and why
    train_rmse: float | None = None  # of a regression, whose accuracies are NaN: root mean squared
    test_rmse: float | None = None  # errors,
    test_mae: float | None = None  # and the mean absolute error


ADDED = (
    *("class_accuracy", "rare_recall", "rare_found", "unique_picks", "ood_picks"),
    *("initial", "stopped", "train_rmse", "test_rmse", "test_mae"),
)
"""Fields that records of earlier versions lack."""


class Rmse(float):
    """A root mean squared error, as a listener hears it in place of an accuracy."""


class Listener(Protocol):
    """Hears how an experiment goes while it runs."""

    def begin(self, strategy: str) -> None:
        """The first round of a strategy begins; it compiles."""
        ...

    def advance(self, strategy: str, round: int, accuracy: float, *, steps: int = 1) -> None:
        """A round has ended, for `steps` seeds that ran together, at this mean test accuracy.

        Of a regression it is an `Rmse`.
        """
        ...


class Writer(Lines):
    """A journal: records are appended, a line each, and are on the disk when `write` returns.

    Use it as a context manager. NumPy and JAX scalars and arrays are accepted in the records;
    numbers that are not finite, which JSON cannot hold, are written as null. A last line that was
    torn when a process was killed is dropped.
    """

    def write(self, *records: Record) -> None:
        """Appends records, all or none.

        Raises:
          OSError: the disk is full, or the file was deleted; then it is made anew, with all
            records.
        """
        self.append(*(json.dumps(_plain(_known(one)), allow_nan=False) for one in records))


def read(path: str | Path) -> list[Record]:
    """Reads the records of a run, finished or not.

    Args:
      path: a file written by `Writer`. A last line without its end, which an interrupt can leave,
        is ignored; keys of a later version are too.

    Returns:
      The records in the order written. Numbers that were not finite are NaN.

    Raises:
      ValueError: another line is not a record; the message has its number.
    """
    records = []
    for number, line in enumerate(whole_lines(Path(path))[0], start=1):
        try:
            records.append(_from_json(line))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}, line {number}: not a record: {error}") from None
    return records


def figures(record: Record) -> dict[str, Any]:
    """What a record says beside times: equal for a run that was broken off and one that was not.

    Args:
      record: made, or read from a file.

    Returns:
      The values by name, rows as a list; None for a number that is not finite.
    """
    table = _plain(dataclasses.asdict(record))
    return {name: value for name, value in table.items() if not name.endswith("seconds")}


def is_same(old: Record, new: Record) -> bool:
    """Whether two records have the same figures, those aside that the old one does not have.

    Args:
      old: as it was written, perhaps by an earlier version.
      new: of the same round, strategy and seed.
    """
    now = figures(new)
    return all(
        now[name] == value
        for name, value in figures(old).items()
        if not (name in ADDED and value in (None, []))
    )


def free_directory(path: str | Path, files: Sequence[str] = RUN_FILES) -> Path:
    """Returns `path`, or the first of `path-2`, `path-3`, ... that has none of the files."""
    path = Path(path)
    if not path.name:
        path = path.resolve()
    free, number = path, 1
    while any((free / name).exists() for name in files):
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def _known(record: Record) -> dict[str, Any]:
    """The fields of a record but those that say nothing."""
    table = dataclasses.asdict(record)
    return {name: value for name, value in table.items() if value is not None}


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _from_json(text: bytes) -> Record:
    table = json.loads(text)
    if not isinstance(table, dict):
        raise ValueError("expected an object")
    values = {}
    for field in dataclasses.fields(Record):
        if field.name not in table:
            if field.name in ADDED:  # records of an earlier version lack them
                continue
            raise ValueError(f"no key {field.name!r}")
        values[field.name] = _value(field.type, table[field.name], field.name)
    return Record(**values)


def _value(kind: Any, value: Any, name: str) -> Any:
    if isinstance(kind, types.UnionType):  # `int | None`
        kind = typing.get_args(kind)[0]
    if kind is float:
        if value is None:
            return float("nan")
        if type(value) not in (int, float):
            raise ValueError(f"{name}: expected a number, got {value!r}")
        return float(value)
    if kind is Seconds and isinstance(value, dict):
        stages = {stage: _value(float, seconds, name) for stage, seconds in value.items()}
        return Seconds(**stages)
    if kind in (Sequence[int], Sequence[float]):
        return tuple(_value(typing.get_args(kind)[0], one, name) for one in value)
    if type(value) is not kind:
        raise ValueError(f"{name}: expected {kind.__name__}, got {value!r}")
    return value
