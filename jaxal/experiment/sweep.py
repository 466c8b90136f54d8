"""Many experiments in one program: data sets of a size class and seeds vmapped, and resumed."""

import dataclasses
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxal import processes
from jaxal.checks import check_integer
from jaxal.experiment._provenance import provenance
from jaxal.experiment._run import Silence
from jaxal.experiment.build import Parts, build
from jaxal.experiment.config import to_toml
from jaxal.experiment.grid import Cell, Grid, with_rounds
from jaxal.experiment.identity import DATA, check_same
from jaxal.experiment.outcomes import Known, round_records
from jaxal.experiment.settings import Config
from jaxal.experiment.size_classes import (
    Batch,
    Program,
    Sizes,
    joined,
    lanes,
    padded,
    sizes,
    stacked,
)
from jaxal.files import Lines, claimed, whole_lines, written_whole
from jaxal.loop.checked import check_loss
from jaxal.loop.identity import digest
from jaxal.loop.plan import NO_SETS, Plan, make_plan, prepare
from jaxal.pools import Directory
from jaxal.records import CONFIG, HISTORY, Listener, Record, Rmse, Writer

JOURNAL = "sweep.jsonl"
"""The groups that are finished, a line each."""


class _Loaded(NamedTuple):
    """A cell with its examples: of all seeds, or of each its own."""

    name: str
    config: Config
    parts: Parts  # of the first split
    splits: list[Parts]  # one, or one a seed
    plan: Plan
    sizes: Sizes


class _Group(NamedTuple):
    """One strategy on all cells of a class: what a program runs, and what is finished as one."""

    number: int
    strategy: str
    cells: tuple[_Loaded, ...]
    sizes: Sizes


class Sweep:
    """The experiments of a grid, loaded and checked.

    Args:
      grid: from `load_grid`.

    Raises:
      ValueError: as `run`: unknown names or options, data that cannot be used, more labels than a
        pool has; several processes.
      FileNotFoundError: a data source that is not there.
    """

    def __init__(self, grid: Grid):
        if processes.are_several():
            raise ValueError("sweep: expected one process; jaxal run takes several")
        self._cells = [_load(cell, grid.whole_pool) for cell in grid.cells]
        names = [cell.name for cell in self._cells]
        if len(set(names)) < len(names):
            raise ValueError(f"sweep.data: expected names that differ, got {', '.join(names)}")
        classes: dict[Sizes, list[_Loaded]] = {}
        for cell in self._cells:
            classes.setdefault(cell.sizes, []).append(cell)
        self._groups = []
        for kind, cells in classes.items():
            for name in cells[0].config.strategy.names:
                group = _Group(len(self._groups), name, tuple(cells), kind)
                self._groups.append(group)

    @property
    def experiments(self) -> int:
        """How many complete experiments there are: cells x strategies x seeds."""
        return sum(len(one.config.strategy.names) * one.config.seeds for one in self._cells)

    @property
    def groups(self) -> int:
        """How many programs run them."""
        return len(self._groups)

    @property
    def total(self) -> int:
        """How many rounds they have."""
        return sum(_rounds(group) for group in self._groups)

    def run(self, out: Path, listener: Listener | None = None, *, resume: bool = False) -> Path:
        """Runs what is not finished and writes each cell as a run into a folder of its name.

        After each group, one strategy on all data sets of a size class, its records are on the
        disk, and a line in `sweep.jsonl` says so. A kill loses the group that runs, and no more.

        Args:
          out: folder, created if it is not there; no other process may write to it meanwhile.
          listener: told of every group; nobody if not given.
          resume: go on with the sweep in `out`, or begin where there is none. Records are those of
            a sweep that was never broken off.

        Returns:
          The folder. Each cell has `config.toml` and `history.jsonl`, as a run has; the seconds of
          its records are 0, as rounds are not timed one by one: `sweep.jsonl` has those of groups.

        Raises:
          ValueError: a sweep in `out` already, or, to go on, one of other settings, data or
            versions.
          FloatingPointError: a training loss that is not finite.
          OSError: another process writes to `out`, or it cannot be written to.
        """
        listener = listener or Silence()
        with claimed(out):
            self._check_folder(out, resume)
            for cell in self._cells:
                _settle(cell, out / cell.name)
            with Lines(out / JOURNAL) as journal:
                done = [json.loads(line) for line in whole_lines(out / JOURNAL)[0]]
                self._check_done(out, done)
                self._drop_unfinished(out, len(done))
                for group in self._groups[: len(done)]:
                    listener.begin(group.strategy)
                    last = done[group.number]["accuracy"]
                    listener.advance(group.strategy, 0, last, steps=_rounds(group))
                for group in self._groups[len(done) :]:
                    listener.begin(group.strategy)
                    line = _run_group(group, out)
                    journal.append(json.dumps(line))
                    reached = line["accuracy"]
                    if group.cells[0].config.data.task == "regression":
                        reached = Rmse(reached)
                    listener.advance(group.strategy, 0, reached, steps=_rounds(group))
        return out

    def _check_folder(self, out: Path, resume: bool) -> None:
        """Raises ValueError for a sweep that is not to go on, or runs that are none of a sweep."""
        if (out / JOURNAL).exists():
            if not resume:
                raise ValueError(f"{out}: holds a sweep already; to go on with it, resume it")
            return
        for cell in self._cells:  # their records would be dropped as those of a broken-off group
            if (out / cell.name / HISTORY).exists():
                raise ValueError(f"{out / cell.name}: holds a run that is not of a sweep")

    def _check_done(self, out: Path, done: Sequence[dict[str, Any]]) -> None:
        """Raises ValueError unless the finished groups are the first ones of this sweep."""
        ours = [(group.strategy, _names(group)) for group in self._groups[: len(done)]]
        if [(line["strategy"], line["cells"]) for line in done] != ours:
            raise ValueError(
                f"{out}: cannot go on, as this is not the same sweep: its data sets and budgets "
                "are run in other groups"
            )

    def _drop_unfinished(self, out: Path, done: int) -> None:
        """Leaves the records of the finished groups alone: they stand first."""
        for cell in self._cells:
            finished = [group for group in self._groups[:done] if cell.name in _names(group)]
            count = (cell.plan.rounds + 1) * cell.config.seeds * len(finished)
            with Writer(out / cell.name / HISTORY) as writer:
                writer.keep(count)


def _names(group: _Group) -> list[str]:
    return [cell.name for cell in group.cells]


def _rounds(group: _Group) -> int:
    return sum((cell.plan.rounds + 1) * cell.config.seeds for cell in group.cells)


def _load(cell: Cell, whole_pool: bool) -> _Loaded:
    config = cell.config
    splits = [build(one) for one in _splits(config)]
    parts = splits[0]
    if isinstance(parts.pool.inputs, Directory):
        raise ValueError(f"{cell.name}: data.source: expected no pool on disk in a sweep")
    asked = config.strategy
    if whole_pool:
        least = min(len(one.pool.labels) for one in splits)
        rounds = (least - asked.initial) // asked.budget
        config = with_rounds(config, max(rounds, 1))
        asked = config.strategy
    plan, _ = make_plan(
        asked.initial,
        asked.budget,
        asked.rounds,
        balanced=asked.balanced or asked.seed_set == "balanced",
        batch_size=config.run.batch_size,
    )
    for one in splits:
        if one.learner != parts.learner:
            raise ValueError(
                f"{cell.name}: data.resplit: expected one learner for all splits; images of "
                "integers are normalised in the model, by those of each split"
            )
        prepare(one.learner, one.pool, one.test, plan, NO_SETS)
    kind = sizes(parts.learner, plan, parts.pool, parts.test, exact=not whole_pool)
    return _Loaded(cell.name, config, parts, splits, plan, kind)


def _splits(config: Config) -> Iterator[Config]:
    """The settings of each split, as a run takes them."""
    data = config.data
    for number in range(config.seeds if data.resplit or data.redraw else 1):
        options = dict(data.options)
        if data.redraw:
            seed = options.get("seed", 0)
            check_integer(0, **{"data.options.seed": seed})
            options["seed"] = seed + number
        one = dataclasses.replace(data, split_seed=data.split_seed + number, options=options)
        yield dataclasses.replace(
            config, data=dataclasses.replace(one, resplit=False, redraw=False)
        )


def _settle(cell: _Loaded, folder: Path) -> None:
    """Writes the settings of a cell, or compares them with those of the sweep that began."""
    data = [(one.pool, one.test) for one in cell.splits]
    settings = to_toml(cell.config, provenance() | {DATA: digest(data)})
    folder.mkdir(exist_ok=True)
    if (folder / CONFIG).exists():
        check_same(folder / CONFIG, settings)
        return
    with written_whole(folder / CONFIG) as part:
        part.write_text(settings, encoding="utf-8")


def _run_group(group: _Group, out: Path) -> dict[str, Any]:
    """Runs a group and writes its records; returns what the journal says of it."""
    start = time.perf_counter()
    result, compile_seconds = _run_batches(group)
    seconds = time.perf_counter() - start - compile_seconds
    first, accuracies = 0, []
    for cell in group.cells:
        seeds, rounds = cell.config.seeds, cell.plan.rounds
        part = jax.tree.map(lambda leaf, at=first, n=seeds: leaf[at : at + n], result)
        first += seeds
        records = list(itertools.chain(*_records(group.strategy, cell, part)))
        with Writer(out / cell.name / HISTORY) as writer:
            writer.write(*records)
        last = [one for one in records if one.round == rounds]
        accuracies += [o.test_accuracy if o.test_rmse is None else o.test_rmse for o in last]
    return {
        "strategy": group.strategy,
        "cells": _names(group),
        "experiments": first,
        "seconds": seconds,
        "compile_seconds": compile_seconds,
        "accuracy": float(np.mean(accuracies)),
    }


def _records(name: str, cell: _Loaded, part: Batch) -> Iterator[Sequence[Record]]:
    """The records of a cell, round by round."""
    labels = np.asarray(cell.parts.test.labels)
    known = Known(labels, cell.parts.facts, cell.plan.initial)
    state: Any = _Picked(part.rows, part.skipped)
    hint = f"lower learner.learning_rate, which is {cell.config.learner.learning_rate}"
    for number in range(cell.plan.rounds + 1):
        info = jax.tree.map(lambda leaf, number=number: leaf[:, number], part.info)
        check_loss(info.train.loss, number, hint)
        timed: list[Any] = [_UNTIMED] * (1 if number == cell.plan.rounds else 3)
        yield list(round_records(name, number, state, info, timed, known))


class _Picked(NamedTuple):
    """What records read of a state."""

    rows: np.ndarray
    skipped: np.ndarray


class _Untimed(NamedTuple):
    """A stage whose time nobody knows: all are one program."""

    seconds: float = 0.0
    compile_seconds: float = 0.0


_UNTIMED = _Untimed()


def _run_batches(group: _Group) -> tuple[Batch, float]:
    """All experiments of a group in batches of one size, and the seconds of the compiler."""
    examples, parts = [], []
    for cell in group.cells:
        own = [padded(group.sizes, one.pool, one.test) for one in cell.splits]
        seeds = cell.config.seeds
        examples += own if len(own) == seeds else own * seeds
        parts.append(jax.random.split(jax.random.key(cell.config.seed), seeds))
    keys = jax.numpy.concatenate(parts)
    cell, count = group.cells[0], len(examples)
    shared = len(group.cells) == 1 and len(cell.splits) == 1
    size = lanes(group.sizes, cell.parts.pool, count)
    rows = np.minimum(np.arange(count + -count % size), count - 1).reshape(-1, size)
    program = Program(group.sizes, cell.parts.strategies[group.strategy], shared=shared)

    def arguments(batch: np.ndarray) -> tuple[Any, jax.Array]:
        some = examples[0] if shared else stacked([examples[row] for row in batch])
        return some, keys[batch]

    start = time.perf_counter()
    program.compile(*arguments(rows[0]))
    compile_seconds = time.perf_counter() - start
    # One after the other: where two threads ran such programs at once on a CPU, they never ended.
    return joined([program(*arguments(batch)) for batch in rows], count), compile_seconds
