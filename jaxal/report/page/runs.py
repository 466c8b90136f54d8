"""A page of the folders of runs; the data come again from their settings."""

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxal.checks import check_name
from jaxal.data.readers.registry import FOLDER_VARIABLE
from jaxal.data.readers.text import read_with_texts
from jaxal.data.tables import open_table
from jaxal.experiment.examples import Loaded, examples
from jaxal.experiment.identity import DATA, data_digest, provenance_of
from jaxal.experiment.inputs import load as load_inputs
from jaxal.experiment.on_disk import is_on_disk
from jaxal.experiment.predictions import OfPool, read_predictions_of_pool
from jaxal.experiment.settings import Config, DataConfig
from jaxal.records import CONFIG, HISTORY, Record
from jaxal.report.comparison import compare
from jaxal.report.learning_curves import grouped
from jaxal.report.page._write import write
from jaxal.report.page.collecting import collect
from jaxal.report.page.histories import check_rows
from jaxal.report.page.shown import LAYOUTS, Shown, ShownPool
from jaxal.report.paired import paired_differences
from jaxal.report.rebuild import Run, load_run
from jaxal.report.summary import names, summarize


def write_runs_page(
    folders: Sequence[str | Path],
    path: str | Path,
    *,
    different_data: bool = False,
    layout: str = "auto",
) -> list[str]:
    """Writes one HTML file that shows a run, or several on the same data side by side.

    The pool is loaded as the first run's settings say. If that cannot be done, or gives other data
    than those of the run, the page is made without what needs them, and says so.

    Args:
      folders: of the runs, finished or not.
      path: of the file, which is replaced.
      different_data: whether runs on different data are shown side by side all the same, without
        the pool.
      layout: of the map, as of `write_page`.

    Returns:
      Notes on what is missing.

    Raises:
      OSError: the records cannot be read, or the file not written.
      ValueError: no run, a run without a finished round, or runs on different data.
    """
    check_name("layout", layout, LAYOUTS)
    if not folders:
        raise ValueError("folders: expected at least one run, got none")
    runs = [load_run(Path(folder)) for folder in folders]
    summaries, paired, notes = _compared(runs, folders, different_data)
    own = [records for run in runs for records in grouped("records", run.records).values()]
    differ = len(runs) > 1 and len({repr(run.config and run.config.data) for run in runs}) > 1
    pool, class_names, missing = _pool(runs[0], [one for line in own for one in line], differ)
    if pool is not None:
        found, damaged = _predicted(runs, len(pool.labels))
        pool, missing = pool._replace(predicted=found, layout=layout), [*missing, *damaged]
    texts = {run.name: _text(run.folder / CONFIG) for run in runs}
    shown = Shown(
        ", ".join(texts),
        dict(zip(names(summaries), own, strict=True)),
        summaries,
        paired,
        runs[0].random,
        [*notes, *missing],
        class_names,
        pool,
        texts,
        {key: value for run in runs for key, value in _facts(run, len(runs) > 1).items()},
    )
    write(*collect(shown), Path(path))
    return [*shown.notes]


def _compared(runs: Sequence[Run], folders: Sequence[str | Path], different_data: bool) -> Any:
    """Summaries, paired differences and notes, as the tables in the terminal have them."""
    notes = [note for run in runs for note in run.notes]
    if len(runs) > 1:
        side_by_side = compare(folders, different_data=different_data)
        return side_by_side.summaries, side_by_side.paired, [*notes, *side_by_side.notes]
    [run] = runs
    summaries = summarize(run.records, random_as=run.random)
    return summaries, paired_differences(run.records, run.random), notes


def _pool(
    run: Run, records: Sequence[Record], differ: bool
) -> tuple[ShownPool | None, list[str], list[str]]:
    """The pool, the names of its classes, and why it is not there."""
    if differ:
        return (
            None,
            [],
            ["the runs are on different data: there is no map of the pool"],
        )
    if run.config is None:
        return None, [], ["without settings the data are not known: there is no map of the pool"]
    try:
        loaded = examples(run.config)
        _check_same(run, loaded)
        check_rows(records, len(loaded.pool.labels))
    except (OSError, ValueError, TypeError, ImportError) as error:
        return None, [], [f"the data could not be loaded, so there is no map of the pool: {error}"]
    on_disk = is_on_disk(run.config.data)
    # Pictures of bytes and token ids are as the source has them.
    is_whole = np.issubdtype(loaded.pool.inputs.dtype, np.integer)
    pool = ShownPool(
        loaded.pool.inputs,
        np.asarray(loaded.pool.labels),
        raw=None if on_disk or is_whole else _raw(run.config),
        left_out=on_disk,
    )
    if not on_disk and is_whole and pool.inputs.ndim == 2:
        tokens = load_inputs(run.config.data).raw.tokens
        pool = pool._replace(tokens=tokens, texts=_texts(run.config.data) if tokens else None)
    names = [] if run.config.data.task == "regression" else _class_names(run.config)
    return pool, names, []


def _predicted(runs: Sequence[Run], rows: int) -> tuple[dict[int, OfPool], list[str]]:
    """What the last models say of the pool, by line, and why it is not there."""
    found, notes = {}, []
    lines = [(run, strategy) for run in runs for strategy in grouped("records", run.records)]
    for line, (run, strategy) in enumerate(lines):
        try:
            own = read_predictions_of_pool(run.folder, strategy)
        except (OSError, ValueError) as error:
            notes.append(f"without the predictions of {strategy}: {error}")
            continue
        if own is not None and len(own.values) != rows:
            notes.append(
                f"without the predictions of {strategy}: they are of {len(own.values)} rows, and "
                f"the pool has {rows}"
            )
        elif own is not None:
            found[line] = own
    return found, notes


def _check_same(run: Run, loaded: Loaded) -> None:
    expected = _provenance(run.folder / CONFIG).get(DATA)
    sets = loaded.sets
    now = data_digest(
        loaded.pool, loaded.test, *(sets.get(name) for name in ("validation", "query", "private"))
    )
    if expected not in (None, now):
        raise ValueError("they are not those of the run, by their digest")


def _raw(config: Config) -> Any:
    """The same rows as they are shown: as images where they can be, and as they were read."""
    settings = config.data
    for changes in ({"flat": False}, {}):
        changes = {**changes, "pca": None}
        if not settings.noise and settings.normalization == "pool":
            changes = {**changes, "standardize": False}
        try:
            plain = dataclasses.replace(config, data=dataclasses.replace(settings, **changes))
            return examples(plain).pool.inputs
        except (ValueError, TypeError):
            continue
    return None


def _texts(settings: DataConfig) -> dict[bytes, str] | None:
    """The texts of a source of texts, by their token ids; None of another source of ids."""
    kind, _, which = settings.source.partition(":")
    if kind != "text":
        return None
    folder = settings.folder or os.environ.get(FOLDER_VARIABLE)
    table, texts = read_with_texts(
        which,
        folder=Path(folder).expanduser() if folder else None,
        test=settings.test and settings.test.partition(":")[2],
        **settings.options,
    )
    return {ids.tobytes(): text for ids, text in zip(table.train[0], texts, strict=True)}


def _class_names(config: Config) -> list[str]:
    """By label, as the scenario numbers them: what is out of distribution has none."""
    settings = config.data
    if is_on_disk(settings):
        return []
    found = open_table(
        settings.source, test=settings.test, folder=settings.folder, options=settings.options
    )
    labels = [part[1] for part in (found.train, found.test) if part is not None]
    given = tuple(found.class_names or ())
    every = range(1 + max(int(one.max()) for one in labels))
    known = [given[number] if number < len(given) else str(number) for number in every]
    return [name for number, name in enumerate(known) if number not in config.scenario.ood_classes]


def _facts(run: Run, several: bool) -> dict[str, Any]:
    """Where the numbers come from: versions and device of the run, and hashes of its files."""
    facts = _provenance(run.folder / CONFIG)
    for name in (CONFIG, HISTORY):
        path = run.folder / name
        if path.is_file():
            facts[f"{name} SHA-256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return {f"{run.name}: {key}" if several else key: value for key, value in facts.items()}


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
    return text


def _provenance(path: Path) -> dict[str, Any]:
    """The table `[provenance]` of a config; empty where it cannot be read."""
    try:
        return provenance_of(path)
    except (OSError, ValueError):
        return {}
