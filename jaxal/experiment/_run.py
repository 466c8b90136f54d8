"""Runs an experiment round by round, all seeds at once, and writes each round as it ends."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from rich.console import Console

from jaxal import report
from jaxal.base import Strategy
from jaxal.experiment._provenance import provenance
from jaxal.experiment.build import Parts, build
from jaxal.experiment.config import Config, to_toml
from jaxal.loop import simulation
from jaxal.loop import state as loop
from jaxal.loop._acquire import ExampleSets
from jaxal.pools import devices
from jaxal.records import Record, Seconds, Writer, read
from jaxal.report._progress import Progress

BATCH_SIZE = 1024  # rows that go through the model at once on a device


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


class Stages(NamedTuple):
    """The stages of a round, over all seeds; the first two serve every strategy."""

    fit: Stage
    measure: Stage
    observe: Stage
    select: Stage


def run(config: Config, out: Path, console: Console) -> Path:
    """Runs every strategy and seed of an experiment and writes its files into `out`.

    Args:
      config: what to run.
      out: folder, created if it is not there.
      console: for the progress display.

    Returns:
      The folder with `config.toml`, `history.jsonl`, `summary.csv` and `curves.png`.

    Raises:
      ValueError: unknown names or options, data that cannot be used, more labels than the pool has.
      FloatingPointError: the training loss is not finite; the rounds before are in `history.jsonl`.
    """
    parts = build(config)
    plan = config.strategy
    mesh = devices.mesh_for(config.seeds)
    setting = simulation.prepare(
        parts.learner,
        parts.pool,
        parts.test,
        initial=plan.initial,
        budget=plan.budget,
        rounds=plan.rounds,
        extras=ExampleSets(validation=parts.validation),
        mesh=mesh,
    )
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.toml").write_text(to_toml(config, provenance()), encoding="utf-8")
    history = out / "history.jsonl"
    fit, measure = _shared_stages(parts)
    total = len(parts.strategies) * config.seeds * (plan.rounds + 1)
    with Writer(history) as writer, report.progress(total, console) as progress:
        for name, strategy in parts.strategies.items():
            progress.begin(name)
            stages = Stages(fit, measure, *_own_stages(parts, strategy, config, mesh))
            _run_strategy(name, stages, parts, setting, config, mesh, writer, progress)
    seeds = "1 seed" if config.seeds == 1 else f"mean ± std over {config.seeds} seeds"
    report.write(read(history), out, f"{config.name}: test accuracy, {seeds}")
    return out


def _shared_stages(parts: Parts) -> tuple[Stage, Stage]:
    def fit(state, pool, extras):
        return loop.fit(state, parts.learner, pool, extras)

    def measure(state, pool, test, fitted):
        return loop.measure(state, parts.learner, pool, test, fitted, BATCH_SIZE)

    return (
        Stage(jax.vmap(fit, in_axes=(0, None, None))),
        Stage(jax.vmap(measure, in_axes=(0, None, None, 0))),
    )


def _own_stages(
    parts: Parts, strategy: Strategy, config: Config, mesh: Mesh | None
) -> tuple[Stage, Stage]:
    def observe(state, pool, extras):
        return loop.observe(
            state,
            parts.learner,
            strategy,
            pool,
            extras,
            batch_size=BATCH_SIZE,
            mesh=mesh,
        )

    def select(state, pool, observed):
        picked = loop.select(state, strategy, pool, observed, config.strategy.budget)
        return loop.reveal(state, pool, picked), picked.rows

    return (
        Stage(jax.vmap(observe, in_axes=(0, None, None))),
        Stage(jax.vmap(select, in_axes=(0, None, 0))),
    )


def _run_strategy(
    name: str,
    stages: Stages,
    parts: Parts,
    setting: simulation.Setting,
    config: Config,
    mesh: Mesh | None,
    writer: Writer,
    progress: Progress,
) -> None:
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    start = partial(
        loop.init,
        learner=parts.learner,
        initial=config.strategy.initial,
        capacity=setting.capacity,
        balanced=config.strategy.balanced,
    )
    begin = jax.jit(lambda keys, pool: jax.vmap(lambda key: start(key, pool=pool))(keys))
    state = begin(devices.place_seeds(keys, mesh), setting.pool)
    for number in range(config.strategy.rounds + 1):
        state, fitted = stages.fit(state, setting.pool, setting.extras)
        metrics = stages.measure(state, setting.pool, setting.test, fitted)
        labels, rows, used = state.count, None, [stages.fit]
        if number < config.strategy.rounds:
            observed = stages.observe(state, setting.pool, setting.extras)
            state, rows = stages.select(state, setting.pool, observed)
            used += [stages.observe, stages.select]
        reports = {
            "labels": labels,
            "epochs": fitted.epochs,
            "metrics": metrics,
            "rows": rows,
        }
        _write(writer, name, number, jax.device_get(reports), used)
        accuracy = float(jnp.mean(metrics[1].accuracy))
        progress.advance(name, number, accuracy, steps=config.seeds)
        simulation.check_loss(
            metrics[0].loss,
            number,
            f"lower learner.learning_rate, which is {config.learner.learning_rate}",
        )


def _write(
    writer: Writer, name: str, number: int, reports: dict[str, Any], used: list[Stage]
) -> None:
    """Writes a line a seed. The seeds run together: each is given an equal share of the time."""
    train, test = reports["metrics"]
    seeds = len(reports["labels"])
    for seed in range(seeds):
        rows = [] if reports["rows"] is None else reports["rows"][seed]
        record = Record(
            strategy=name,
            seed=seed,
            round=number,
            labels=int(reports["labels"][seed]),
            rows=np.asarray(rows).tolist(),
            train_accuracy=float(train.accuracy[seed]),
            train_loss=float(train.loss[seed]),
            test_accuracy=float(test.accuracy[seed]),
            test_loss=float(test.loss[seed]),
            epochs=int(reports["epochs"][seed]),
            seconds=Seconds(*(stage.seconds / seeds for stage in used)),
            compile_seconds=Seconds(*(stage.compile_seconds for stage in used))
            if seed == 0
            else Seconds(),
        )
        writer.write(record)
