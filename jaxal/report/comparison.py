"""Several runs on one picture and in one table: `jaxal compare`."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jaxal.experiment.config import load
from jaxal.experiment.settings import Config
from jaxal.records import Record, read
from jaxal.report.baseline import random_records
from jaxal.report.learning_curves import carried_on, curves_by_seed, grouped, is_regression
from jaxal.report.paired import Pair, Paired, compare_pairs, pairs_of
from jaxal.report.rebuild import save
from jaxal.report.summary import Summary, measure, over_seeds, summarize

COMPARISON_FILES = ("comparison.csv", "comparison.png")
"""What a comparison leaves in its folder."""

_HISTORY = "history.jsonl"


class Comparison(NamedTuple):
    """Runs side by side."""

    summaries: list[Summary]  # of one run after the other, each with the run's name
    notes: list[str]  # what a reader has to know to take them for comparable
    paired: list[Paired]  # each strategy with random sampling, and with itself in the first run


class _Run(NamedTuple):
    name: str
    records: list[Record]
    config: Config | None

    @property
    def random(self) -> list[Record]:
        return random_records(self.records, self.config)

    @property
    def start(self) -> tuple[object, ...] | None:
        """What decides where each seed begins: runs alike in it are compared seed by seed."""
        if self.config is None:
            return None
        asked = self.config.strategy
        return self.config.seed, asked.initial, asked.balanced, asked.seed_set


def compare(paths: Sequence[str | Path], *, different_data: bool = False) -> Comparison:
    """Summarises several runs; none are merged, even if they differ in their seeds alone.

    The efficiency is against random sampling of the same run, or of the first that has it. Seed by
    seed a strategy is compared with random sampling of its run, and with the strategy of its name
    in the first run that begins as its own does: same data, seed and initial rows.

    Args:
      paths: folders of runs, finished or not, or files like their `history.jsonl`. A run is named
        after its folder, or as it is given if two names are alike; its `config.toml` is read if it
        is there.
      different_data: whether runs whose configs say that their data differ are put side by side
        all the same; then no two of them are compared seed by seed.

    Returns:
      The summaries, the paired differences, and notes on what makes the runs hard to compare: other
      data, no random sampling.

    Raises:
      OSError: a path that cannot be read.
      ValueError: a path that is no run, has no finished round or is given twice; runs on different
        data, unless `different_data`.
    """
    runs = _runs([Path(path) for path in paths])
    donor = next((run for run in runs if run.random), None)
    differ = _other_data(runs)
    if differ and not different_data:
        raise ValueError(f"{'; '.join(differ)} (--different-data puts them side by side)")
    summaries, notes = [], [*_unknown_data(runs), *differ]
    for run in runs:
        random = donor.random if donor else []
        own = run.random[0].strategy if run.random else None
        summaries += summarize(run.records, run=run.name, random=random, random_as=own)
        if donor and not run.random:
            notes.append(
                f"{run.name} has no random sampling: its efficiency is against that of {donor.name}"
            )
    is_regression(record for run in runs for record in run.records)  # refuses a mixture
    return Comparison(summaries, notes, compare_pairs(_pairs(runs)))


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Writes `comparison.csv` and `comparison.png` into `folder`, which is created."""
    folder.mkdir(parents=True, exist_ok=True)
    runs = ", ".join(dict.fromkeys(summary.run for summary in comparison.summaries))
    measured = measure(comparison.summaries)
    title = f"{runs}: {measured}, {over_seeds(comparison.summaries)}"
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


def _pairs(runs: Sequence[_Run]) -> list[Pair]:
    """Each strategy with random sampling of its run, and with its own first run of that start."""
    pairs, first = [], {}
    groups = [grouped("records", run.records) for run in runs]
    times = Counter(name for by_strategy in groups for name in by_strategy)
    for run, by_strategy in zip(runs, groups, strict=True):
        named = {name: f"{run.name}/{name}" if times[name] > 1 else name for name in by_strategy}
        if run.random:
            own = pairs_of(by_strategy, run.random[0].strategy)
            pairs += [
                pair._replace(strategy=named[pair.strategy], against=named[pair.against])
                for pair in own
            ]
        for name, records in by_strategy.items():
            if run.config is None:
                continue
            counts = {record.labels for record in run.records}
            curves = curves_by_seed(carried_on(records, counts))
            key = repr((name, run.start, _data(run.config)))
            if key in first:
                pairs.append(Pair(named[name], first[key][0], curves, first[key][1]))
            else:
                first[key] = named[name], curves
    return pairs


def _unknown_data(runs: Sequence[_Run]) -> list[str]:
    unknown = [run.name for run in runs if run.config is None and len(runs) > 1]
    return [f"{name} has no config.toml: its data may be others" for name in unknown]


def _other_data(runs: Sequence[_Run]) -> list[str]:
    """Says which settings of the data differ from those of the first run that says them."""
    data = {run.name: _data(run.config) for run in runs if run.config}
    first, notes = next(iter(data), ""), []
    for name, settings in data.items():
        differ = [
            f"{key} = {value!r} in {name}, {data[first][key]!r} in {first}"
            for key, value in settings.items()
            if value != data[first][key]
        ]
        if differ:
            notes.append("not the same data: " + "; ".join(differ))
    return notes
