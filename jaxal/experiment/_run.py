"""Runs an experiment round by round, all seeds at once, and writes each round as it ends."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxal.base import Strategy
from jaxal.experiment._provenance import provenance
from jaxal.experiment.build import build
from jaxal.experiment.config import Config, to_toml
from jaxal.loop import round
from jaxal.loop.plan import ExampleSets, Plan, prepare
from jaxal.loop.round import Round, RoundInfo
from jaxal.loop.simulation import begin, check_loss, run_rounds
from jaxal.pools import devices
from jaxal.records import Listener, Record, Seconds, Writer
from jaxal.training import AnyLearner


class Silence:
    """A listener that does nothing."""

    def begin(self, strategy: str) -> None:
        """Nothing."""

    def advance(self, strategy: str, round: int, accuracy: float, *, steps: int = 1) -> None:
        """Nothing."""


class Stage:
    """A compiled function that tells how long it ran, and how long its compilation took before."""

    def __init__(self, function: Callable):
        self._jitted = jax.jit(function)
        self._compiled: Any = None
        self.seconds = 0.0
        self.compile_seconds = 0.0

    def __call__(self, *args: Any) -> Any:
        self.compile_seconds = 0.0
        if self._compiled is None:
            start = time.perf_counter()
            self._compiled = self._jitted.lower(*args).compile()
            self.compile_seconds = time.perf_counter() - start
        start = time.perf_counter()
        result = jax.block_until_ready(self._compiled(*args))
        self.seconds = time.perf_counter() - start
        return result


def run(config: Config, out: Path, listener: Listener | None = None) -> Path:
    """Runs every strategy and seed of an experiment and writes its records into `out`.

    Args:
      config: what to run.
      out: folder, created if it is not there.
      listener: told of every round; nobody if not given.

    Returns:
      The folder, with `config.toml` and `history.jsonl`; `report.write` makes the rest of it.

    Raises:
      ValueError: unknown names or options, data that cannot be used, more labels than the pool has.
      FloatingPointError: the training loss is not finite; the rounds before are in `history.jsonl`.
    """
    listener = Silence() if listener is None else listener
    parts, asked = build(config), config.strategy
    plan = Plan(asked.initial, asked.budget, asked.rounds, asked.balanced, config.run.batch_size)
    mesh = devices.mesh_for(config.seeds)
    sets = ExampleSets(validation=parts.validation)
    prepared = prepare(parts.learner, parts.pool, parts.test, plan, sets, mesh)
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.toml").write_text(to_toml(config, provenance()), encoding="utf-8")

    def start(keys, prepared):
        return jax.vmap(lambda key: begin(key, parts.learner, prepared, plan))(keys)

    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    # All strategies begin with the same rows, and the same variables, of each seed.
    state = jax.jit(start)(devices.place_seeds(keys, mesh), prepared)
    hint = f"lower learner.learning_rate, which is {config.learner.learning_rate}"
    fit, measure = _shared_stages(parts.learner)
    with Writer(out / "history.jsonl") as writer:
        for name, strategy in parts.strategies.items():
            listener.begin(name)
            stages = Stages(fit, measure, *_own_stages(parts.learner, strategy, plan.budget))
            rounds = run_rounds(Round(*stages), state, prepared, plan)
            for number, (_, info) in enumerate(rounds):
                info = jax.device_get(info)
                selects = number < plan.rounds
                for record in _records(name, number, info, stages, selects):
                    writer.write(record)
                accuracy = float(np.mean(info.test.accuracy))
                listener.advance(name, number, accuracy, steps=config.seeds)
                check_loss(info.train.loss, number, hint)
    return out


class Stages(NamedTuple):
    """The stages of a round over all seeds, timed; the first two serve every strategy."""

    fit: Stage
    measure: Stage
    observe: Stage
    select: Stage


def _shared_stages(learner: AnyLearner) -> tuple[Stage, Stage]:
    return (
        Stage(jax.vmap(partial(round.fit, learner=learner), (0, None, None))),
        Stage(jax.vmap(partial(round.measure, learner=learner), (0, None, None, 0))),
    )


def _own_stages(learner: AnyLearner, strategy: Strategy, budget: int) -> tuple[Stage, Stage]:
    observe = partial(round.observe, learner=learner, strategy=strategy)
    select = partial(round.select, strategy=strategy, budget=budget)
    return (
        Stage(jax.vmap(observe, (0, None, None))),
        Stage(jax.vmap(select, (0, None, 0))),
    )


def _records(
    name: str, number: int, info: RoundInfo, stages: Stages, selects: bool
) -> Iterator[Record]:
    """A record a seed. The seeds run together: each is given an equal share of the time."""
    timed = [stages.fit, *([stages.observe, stages.select] if selects else [])]
    seeds = len(info.labels)
    for seed in range(seeds):
        compiled = [stage.compile_seconds for stage in timed] if seed == 0 else []
        yield Record(
            strategy=name,
            seed=seed,
            round=number,
            labels=int(info.labels[seed]),
            rows=info.rows[seed].tolist() if selects else [],
            train_accuracy=float(info.train.accuracy[seed]),
            train_loss=float(info.train.loss[seed]),
            test_accuracy=float(info.test.accuracy[seed]),
            test_loss=float(info.test.loss[seed]),
            epochs=int(info.epochs[seed]),
            seconds=Seconds(*(stage.seconds / seeds for stage in timed)),
            compile_seconds=Seconds(*compiled),
        )
