"""Runs an experiment round by round, all seeds at once, and writes each round as it ends."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np

from jaxal.experiment._provenance import provenance
from jaxal.experiment.build import build
from jaxal.experiment.config import Config, to_toml
from jaxal.experiment.stages import Stage, compile_ahead, make_stages
from jaxal.loop.plan import ExampleSets, Plan, prepare
from jaxal.loop.round import Round, RoundInfo
from jaxal.loop.simulation import begin, check_loss, run_rounds
from jaxal.pools import devices
from jaxal.records import Listener, Record, Seconds, Writer


class Silence:
    """A listener that does nothing."""

    def begin(self, strategy: str) -> None:
        """Nothing."""

    def advance(self, strategy: str, round: int, accuracy: float, *, steps: int = 1) -> None:
        """Nothing."""


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
    hint = f"lower learner.learning_rate, which is {config.learner.learning_rate}"

    def start(keys, prepared):
        return jax.vmap(lambda key: begin(key, parts.learner, prepared, plan))(keys)

    stages = make_stages(parts.learner, parts.strategies, plan.budget)
    keys = devices.place_seeds(jax.random.split(jax.random.key(config.seed), config.seeds), mesh)
    executor = ThreadPoolExecutor(os.cpu_count())
    try:
        if mesh is None:
            compile_ahead(executor, stages, jax.eval_shape(start, keys, prepared), prepared)
        # All strategies begin with the same rows, and the same variables, of each seed.
        state = jax.jit(start)(keys, prepared)
        with Writer(out / "history.jsonl") as writer:
            for name, own in stages.items():
                listener.begin(name)
                rounds = run_rounds(Round(*own), state, prepared, plan)
                for number, (_, info) in enumerate(rounds):
                    info = jax.device_get(info)
                    timed = own.timed(selects=number < plan.rounds)
                    for record in _records(name, number, info, timed):
                        writer.write(record)
                    accuracy = float(np.mean(info.test.accuracy))
                    listener.advance(name, number, accuracy, steps=config.seeds)
                    check_loss(info.train.loss, number, hint)
    finally:
        # After an error or an interrupt nobody waits for what is not compiled yet.
        executor.shutdown(wait=False, cancel_futures=True)
    return out


def _records(name: str, number: int, info: RoundInfo, timed: Sequence[Stage]) -> Iterator[Record]:
    """A record a seed. The seeds run together: each is given an equal share of the time."""
    seeds, last = len(info.labels), len(timed) == 1
    for seed in range(seeds):
        compiled = [stage.compile_seconds for stage in timed] if seed == 0 else []
        yield Record(
            strategy=name,
            seed=seed,
            round=number,
            labels=int(info.labels[seed]),
            rows=[] if last else info.rows[seed].tolist(),
            train_accuracy=float(info.train.accuracy[seed]),
            train_loss=float(info.train.loss[seed]),
            test_accuracy=float(info.test.accuracy[seed]),
            test_loss=float(info.test.loss[seed]),
            epochs=int(info.epochs[seed]),
            seconds=Seconds(*(stage.seconds / seeds for stage in timed)),
            compile_seconds=Seconds(*compiled),
        )
