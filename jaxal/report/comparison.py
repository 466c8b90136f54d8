"""Several runs on one picture and in one table: `jaxal compare`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jaxal.experiment.config import load
from jaxal.experiment.settings import Config
from jaxal.records import Record, read
from jaxal.report.rebuild import save
from jaxal.report.summary import Summary, over_seeds, summarize

COMPARISON_FILES = ("comparison.csv", "comparison.png")
"""What a comparison leaves in its folder."""

_HISTORY = "history.jsonl"


class Comparison(NamedTuple):
    """Runs side by side."""

    summaries: list[Summary]  # of one run after the other, each with the run's name
    notes: list[str]  # what a reader has to know to take them for comparable


class _Run(NamedTuple):
    name: str
    records: list[Record]
    config: Config | None

    @property
    def random(self) -> list[Record]:
        return [record for record in self.records if record.strategy == "random"]


def compare(paths: Sequence[str | Path]) -> Comparison:
    """Summarises several runs; none are merged, even if they differ in their seeds alone.

    The efficiency is against random sampling of the same run, or of the first that has it.

    Args:
      paths: folders of runs, finished or not, or files like their `history.jsonl`. A run is named
        after its folder, or as it is given if two names are alike; its `config.toml` is read if it
        is there.

    Returns:
      The summaries, and notes on what makes the runs hard to compare: other data, no random
      sampling.

    Raises:
      OSError: a path that cannot be read.
      ValueError: a path that is no run, has no finished round or is given twice.
    """
    runs = _runs([Path(path) for path in paths])
    donor = next((run for run in runs if run.random), None)
    summaries, notes = [], _other_data(runs)
    for run in runs:
        random = donor.random if donor else []
        summaries += summarize(run.records, run=run.name, random=random)
        if donor and not run.random:
            notes.append(
                f"{run.name} has no random sampling: its efficiency is against that of {donor.name}"
            )
    return Comparison(summaries, notes)


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Writes `comparison.csv` and `comparison.png` into `folder`, which is created."""
    folder.mkdir(parents=True, exist_ok=True)
    runs = ", ".join(dict.fromkeys(summary.run for summary in comparison.summaries))
    title = f"{runs}: test accuracy, {over_seeds(comparison.summaries)}"
    save(comparison.summaries, folder, title, COMPARISON_FILES)


def _runs(paths: Sequence[Path]) -> list[_Run]:
    histories = [_history(path) for path in paths]
    for number, history in enumerate(histories):
        if history.resolve() in (other.resolve() for other in histories[:number]):
            raise ValueError(f"{paths[number]}: given twice")
    names = [_name(history.resolve()) for history in histories]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    return [_Run(name, *_read(history)) for name, history in zip(names, histories, strict=True)]


def _name(history: Path) -> str:
    return history.parent.name if history.name == _HISTORY else history.stem


def _history(path: Path) -> Path:
    if not path.is_dir():
        return path
    if not (path / _HISTORY).exists():
        raise ValueError(f"{path}: not a run: it has no {_HISTORY}")
    return path / _HISTORY


def _read(history: Path) -> tuple[list[Record], Config | None]:
    records = read(history)
    if not records:
        raise ValueError(f"{history}: no finished round")
    config = history.with_name("config.toml")
    return records, load(config) if config.exists() else None


def _data(config: Config) -> dict[str, object]:
    """What decides the examples: settings by key."""
    settings = dataclasses.asdict(config.data)
    scenario = dataclasses.asdict(config.scenario)
    settings |= {f"scenario.{key}": value for key, value in scenario.items()}
    return settings | {f"sets.{key}": one for key, one in dataclasses.asdict(config.sets).items()}


def _other_data(runs: Sequence[_Run]) -> list[str]:
    """Says which settings of the data differ from those of the first run that says them."""
    if len(runs) == 1:
        return []
    notes = [
        f"{run.name} has no config.toml: its data may be others"
        for run in runs
        if run.config is None
    ]
    data = {run.name: _data(run.config) for run in runs if run.config}
    first = next(iter(data), "")
    for name, settings in data.items():
        differ = [
            f"{key} = {value!r} in {name}, {data[first][key]!r} in {first}"
            for key, value in settings.items()
            if value != data[first][key]
        ]
        if differ:
            notes.append("not the same data: " + "; ".join(differ))
    return notes
