"""Runs an experiment round by round, all seeds at once, and writes each round as it ends."""

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxal import processes
from jaxal.experiment._provenance import provenance
from jaxal.experiment.build import Parts, build
from jaxal.experiment.config import to_toml
from jaxal.experiment.identity import (
    DATA,
    SEEDS_PER_DEVICE,
    check_same,
    data_digest,
    identity,
    provenance_of,
)
from jaxal.experiment.journal import Journal
from jaxal.experiment.outcomes import Known, round_records
from jaxal.experiment.planned import planned
from jaxal.experiment.predictions import (
    Predictions,
    predicted,
    predicted_of_pool,
    write_predictions,
)
from jaxal.experiment.settings import Config
from jaxal.experiment.stages import Stages, compile_ahead, make_stages, make_streamed_stages
from jaxal.files import written_whole
from jaxal.loop.checked import check_loss, check_strategies
from jaxal.loop.checkpoint import Checkpoints, claimed_together
from jaxal.loop.plan import Prepared
from jaxal.loop.round import Round
from jaxal.loop.simulation import begin, run_rounds
from jaxal.loop.state import State
from jaxal.pools import Directory, StreamedPool, devices
from jaxal.records import CONFIG, HISTORY, Listener, Rmse, Writer

CHECKPOINTS = "checkpoints"
CHECKPOINT_SHARE = 0.05
"""The most of a run's time that checkpoints take; rounds since the last are done again."""


class Silence:
    """A listener that does nothing."""

    def begin(self, strategy: str) -> None:
        """Nothing."""

    def advance(self, strategy: str, round: int, accuracy: float, *, steps: int = 1) -> None:
        """Nothing."""


def run(
    config: Config, out: Path, listener: Listener | None = None, *, resume: bool = False
) -> Path:
    """Runs every strategy and seed of an experiment and writes its records into `out`.

    Several processes run it together, on all their devices: the first of them reads and writes
    `out`, which the others need not see.

    Args:
      config: what to run.
      out: folder, created if it is not there; no other process may write to it meanwhile.
      listener: told of every round; nobody if not given.
      resume: go on with the run in `out`, or begin where there is none. Records and picks are those
        of a run that was never broken off, whenever that was.

    Returns:
      The folder, with `config.toml` and `history.jsonl`; `report.write` makes the rest of it.

    Raises:
      ValueError: unknown names or options, data that cannot be used, more labels than the pool has;
        a run in `out` already, or, to go on, one of other settings, data or versions.
      FloatingPointError: the training loss, the variables or what a strategy observes are not
        finite; the rounds before are in `history.jsonl`.
      OSError: another run is writing to `out`, it cannot be written to, or was deleted meanwhile.
      MemoryError: of the device.
    """
    together = processes.are_several()
    with claimed_together(out, together), _explained():
        begun = processes.from_first(lambda: (out / HISTORY).exists())
        if begun and not resume:
            raise ValueError(f"{out}: holds a run already; to go on with it, resume it")
        with processes.agreed():
            parts = build(config)
        sets = (parts.query, parts.private)
        data = data_digest(parts.pool, parts.test, parts.validation, *sets)
        if together:
            processes.check_same(config=repr(config), data=data)
        streamed = isinstance(parts.pool.inputs, Directory)
        mesh = _mesh(config.seeds, out / CONFIG if begun else None, streamed)
        experiment = _Experiment(config, parts, mesh, listener or Silence(), out)
        facts = {DATA: data, SEEDS_PER_DEVICE: experiment.seeds_per_device}
        settings = processes.from_first(lambda: _settle(config, facts, out, begun))
        saved = Checkpoints(
            out / CHECKPOINTS, identity(settings), CHECKPOINT_SHARE, together=together
        )
        try:
            with _writer(out / HISTORY) as writer:
                experiment.run(Journal(writer, config.seeds), saved)
            saved.clear()
        finally:
            # The folder may have been deleted meanwhile.
            if processes.is_first() and out.exists() and not (out / CONFIG).exists():
                _write(out / CONFIG, settings)
    return out


def _settle(config: Config, facts: dict[str, Any], out: Path, begun: bool) -> str:
    """The text of `config.toml`, which is written, or compared with that of the run that began."""
    settings = to_toml(config, provenance() | facts)
    if begun:
        check_same(out / CONFIG, settings)
    else:
        _write(out / CONFIG, settings)
        shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)  # of records that were deleted
    return settings


@contextlib.contextmanager
def _writer(path: Path) -> Iterator[Writer | None]:
    """The writer of the records, in the first process."""
    with contextlib.ExitStack() as held:
        writer = None
        with processes.agreed():
            if processes.is_first():
                writer = held.enter_context(Writer(path))
        yield writer


def _write(path: Path, text: str) -> None:
    with written_whole(path) as part:
        part.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Says in one line what JAX says in many: of memory, and of processes that are gone."""
    try:
        with processes.loss_explained():
            yield
    except jax.errors.JaxRuntimeError as error:
        reason = str(error).splitlines()[0]
        if not reason.startswith("RESOURCE_EXHAUSTED"):
            raise
        raise MemoryError(f"{reason}; lower run.batch_size or seeds") from error


def _mesh(seeds: int, begun: Path | None, streamed: bool = False) -> Mesh | None:
    """A mesh of all devices; to go on, one where each has as many seeds as before, if there is.

    Of a pool on disk they all share the rows, which are read once for all seeds.
    """
    if streamed:
        return devices.mesh_for(1)
    count = jax.device_count()
    per_device = processes.from_first(
        lambda: provenance_of(begun).get(SEEDS_PER_DEVICE) if begun else None
    )
    if count == 1 or not per_device or seeds % per_device or count % (seeds // per_device):
        return devices.mesh_for(seeds)
    return devices.make_mesh(seeds=seeds // per_device)


class _Experiment:
    """The parts of an experiment, its examples on the devices."""

    def __init__(
        self, config: Config, parts: Parts, mesh: Mesh | None, listener: Listener, out: Path
    ):
        self.config, self.parts, self.mesh, self.listener = config, parts, mesh, listener
        self.out = out
        self.plan, self.prepared = planned(config, parts, mesh)
        self.streamed = isinstance(self.prepared.pool, StreamedPool)
        labels = np.asarray(parts.test.labels)
        self.known = Known(labels, parts.facts, self.plan.initial, parts.stop)

    @property
    def seeds_per_device(self) -> int:
        """How many seeds are vmapped on a device."""
        shared = 1 if self.mesh is None else self.mesh.shape[devices.SEEDS]
        return self.config.seeds // shared

    def run(self, journal: Journal, saved: Checkpoints) -> None:
        """Runs the strategies that are not finished."""
        rounds = range(self.plan.rounds + 1)
        left = {}
        for name, strategy in self.parts.strategies.items():
            if not journal.is_whole(name, len(rounds)):
                left[name] = strategy
            else:
                self._tell(journal, name, range(journal.finished(name)))
                self._tell_ended(journal, name)
        if not left:
            return
        made = self.parts.learner, left, self.plan.budget, self.parts.stop
        if self.streamed:
            stages = make_streamed_stages(*made)
        else:
            stages = make_stages(*made, mesh=self.mesh)
        executor = ThreadPoolExecutor(os.cpu_count())
        try:
            start = self._start(stages, executor)
            for name, own in stages.items():
                self._run_strategy(journal, saved, name, own, start)
        finally:
            # After an error or an interrupt nobody waits for what is not compiled yet.
            executor.shutdown(wait=False, cancel_futures=True)

    def _start(self, stages: dict[str, Stages], executor: ThreadPoolExecutor) -> State:
        """The state before the first round, after the stages were traced: all that cannot work."""
        learner, plan, config = self.parts.learner, self.plan, self.config

        def start(keys, prepared: Prepared):
            stop = self.parts.stop
            states = jax.vmap(lambda key: begin(key, learner, prepared, plan, stop))(keys)
            return devices.share_seeds(states, self.mesh)

        keys = jax.random.split(jax.random.key(config.seed), config.seeds)
        keys = devices.place_seeds(keys, self.mesh)
        if self.mesh is None and not self.streamed:
            shapes = jax.eval_shape(start, keys, self.prepared)
            compile_ahead(executor, stages, shapes, self.prepared)
        else:
            left = {name: self.parts.strategies[name] for name in stages}
            check_strategies(learner, left, self.prepared, plan)
        # All strategies begin with the same rows, and the same variables, of each seed.
        return jax.jit(start)(keys, self.prepared)

    def _run_strategy(
        self, journal: Journal, saved: Checkpoints, name: str, own: Stages, start: State
    ) -> None:
        rate, plan = self.config.learner.learning_rate, self.plan
        hint = f"lower learner.learning_rate, which is {rate}"
        self.listener.begin(name)
        first, state = self._resume(journal, saved, name, start)
        self._tell(journal, name, range(first))
        rounds = run_rounds(
            Round(*own), state, self.prepared, plan, f"strategy {name}", first=first
        )
        for number, (state, info) in enumerate(rounds, first):
            info = processes.to_host(info)
            going = info.stopped is None or bool((info.stopped.rule < 0).any())
            selects = going and number < plan.rounds
            if not selects:  # before its last record, which says that the strategy is finished
                self._predict(name, state)
            timed, ended = own.timed(selects=selects), journal.ended(name, number)
            records = round_records(name, number, state, info, timed, self.known)
            journal.add([record for record in records if record.seed not in ended])
            self._tell(journal, name, [number])
            check_loss(info.train.loss, number, hint)
            if selects:  # a finished strategy has records, and needs no state
                place = [*self.parts.strategies].index(name) * plan.rounds + number
                saved.save(place, state, {"strategy": name, "round": number + 1})
        self._tell_ended(journal, name)

    def _predict(self, name: str, state: State) -> None:
        """Writes what the last models of a strategy say, for `jaxal evaluate` and the page."""
        model, size = self.parts.learner.model, self.config.run.batch_size
        test, options = self.prepared.test.inputs, {"model": model, "batch_size": size}
        if self.config.data.task == "classification":  # what is estimated is an accuracy
            classes, chances = processes.to_host(predicted(state.variables, test, **options))
            with processes.agreed():
                if processes.is_first():
                    found = Predictions(classes, chances, self.known.test_labels)
                    write_predictions(self.out, name, found)
        if not (self.streamed or processes.are_several()):
            own = self.parts.pool.inputs
            of_pool = predicted_of_pool(state.variables, own, test, **options)
            write_predictions(self.out, name, of_pool)

    def _tell_ended(self, journal: Journal, name: str) -> None:
        """Tells the listener of the rounds that stopping rules have saved."""
        number = journal.finished(name) - 1
        if saved := self.config.seeds * (self.plan.rounds - number):
            self.listener.advance(name, number, self._reached(journal, name, number), steps=saved)

    def _reached(self, journal: Journal, name: str, number: int) -> float:
        """The mean test accuracy after a round, or the mean RMSE."""
        mean = float(np.mean(journal.accuracies(name, number)))
        return Rmse(mean) if self.config.data.task == "regression" else mean

    def _resume(
        self, journal: Journal, saved: Checkpoints, name: str, start: State
    ) -> tuple[int, State]:
        """The round to go on with, and the state before it."""
        done = journal.finished(name)
        found = saved.newest(
            start, lambda where: where["strategy"] == name and where["round"] <= done
        )
        return (0, start) if found is None else (found[0]["round"], found[1])

    def _tell(self, journal: Journal, name: str, rounds: Sequence[int]) -> None:
        """Tells the listener of finished rounds."""
        for number in rounds:
            reached = self._reached(journal, name, number)
            self.listener.advance(name, number, reached, steps=self.config.seeds)
