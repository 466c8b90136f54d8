"""The table and the picture of one run, from the records in its folder, finished or not."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxal.experiment.config import load
from jaxal.experiment.settings import Config
from jaxal.files import written_whole
from jaxal.records import CONFIG, HISTORY, Record, read
from jaxal.report.baseline import random_name
from jaxal.report.curves import draw
from jaxal.report.paired import Paired, paired_differences
from jaxal.report.summary import Summary, measure, over_seeds, summarize, write_csv


class Rebuilt(NamedTuple):
    """What the records of a run say."""

    summaries: list[Summary]
    notes: list[str]  # on what is missing
    paired: list[Paired]  # each strategy with random sampling, seed by seed


class Run(NamedTuple):
    """What the folder of a run has."""

    folder: Path
    name: str
    records: list[Record]
    config: Config | None  # None: it cannot be read
    notes: list[str]
    random: str | None  # what random sampling is called


def rebuild(folder: Path) -> Rebuilt:
    """Writes `summary.csv` and `curves.png` of the run in `folder`, as `write` does.

    Args:
      folder: with `history.jsonl`, and `config.toml` if it is there.

    Returns:
      What they show, with what is missing.

    Raises:
      OSError: the records cannot be read, or the files not written.
      ValueError: there is no finished round, or a line other than the last is no record.
    """
    run = load_run(folder)
    summaries = summarize(run.records, random_as=run.random)
    save(summaries, folder, f"{run.name}: {measure(summaries)}, {over_seeds(summaries)}")
    return Rebuilt(summaries, run.notes, paired_differences(run.records, run.random))


def load_run(folder: Path) -> Run:
    """Reads the records and the settings of the run in `folder`; errors are those of `rebuild`."""
    history = folder / HISTORY
    records = read(history)
    if not records:
        raise ValueError(f"{history}: no finished round")
    name, config = folder.resolve().name, None
    try:
        config = load(folder / CONFIG)
    except (OSError, ValueError, TypeError):
        notes = [f"{folder} has no {CONFIG} that can be read: whether all rounds are there is open"]
    else:
        name, notes = config.name, _unfinished(records, config)
    random = random_name(dict.fromkeys(record.strategy for record in records), config)
    return Run(folder, name, records, config, notes, random)


def write(records: Iterable[Record], folder: str | Path, title: str) -> list[Summary]:
    """Writes `summary.csv` and `curves.png` into `folder`, which is made; returns the summaries."""
    summaries, folder = summarize(records), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save(summaries, folder, title)
    return summaries


def save(
    summaries: list[Summary],
    folder: Path,
    title: str,
    files: tuple[str, str] = ("summary.csv", "curves.png"),
) -> None:
    """Writes a table and a picture into `folder`, each whole or not at all.

    Args:
      summaries: what they show.
      folder: of the files.
      title: above the picture.
      files: their names.
    """
    table, picture = files
    with written_whole(folder / table) as part:
        write_csv(summaries, part)
    with written_whole(folder / picture) as part:
        draw(summaries, title).savefig(part)


def _unfinished(records: Sequence[Record], config: Config) -> list[str]:
    asked = config.strategy
    total = len(asked.names) * (asked.rounds + 1) * config.seeds
    stopped = (asked.rounds - one.round for one in records if one.stopped is not None)
    if len(records) + sum(stopped) == total:
        return []
    return [f"the run is not finished: {len(records)} of its {total} rounds, over all seeds"]
