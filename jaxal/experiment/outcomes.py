"""From what a round reports to what its records say."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxal import processes
from jaxal.data.scenarios import Facts, found
from jaxal.experiment.stages import Timed
from jaxal.loop.round import RoundInfo
from jaxal.loop.state import State
from jaxal.records import Record, Seconds
from jaxal.stopping.rules import Rule
from jaxal.stopping.watch import Stopped, reason
from jaxal.training import Metrics


class Known(NamedTuple):
    """What records need beside the reports of the rounds."""

    test_labels: np.ndarray  # [T]
    facts: Facts | None  # of the pool's rows
    initial: int  # rows labelled before the first round
    stop: tuple[Rule, ...] = ()


def round_records(
    name: str, number: int, state: State, info: RoundInfo, timed: Sequence[Timed], known: Known
) -> Iterator[Record]:
    """A record a seed. The seeds run together: each is given an equal share of the time.

    Args:
      name: the strategy's.
      number: of the round.
      state: of all seeds after the round.
      info: of the round, on the host.
      timed: the stages that ran.
      known: of the experiment.
    """
    seeds, last = len(info.labels), len(timed) == 1
    facts, rows, skipped = known.facts, *processes.to_host((state.rows, state.skipped))
    for seed in range(seeds):
        compiled = [stage.compile_seconds for stage in timed] if seed == 0 else []
        labels, dropped = int(info.labels[seed]), int(info.skipped[seed])
        more: dict[str, Any] = {}
        if facts is not None:
            picks = rows[seed][known.initial : labels], skipped[seed][:dropped]
            more = _counts(facts, np.concatenate(picks), rows[seed][: known.initial])
        train, test = (
            jax.tree.map(lambda leaf, seed=seed: leaf[seed], part)
            for part in (info.train, info.test)
        )
        accuracies = _class_accuracy(test.class_accuracy, known.test_labels)
        if facts is not None and facts.rare:
            more["rare_recall"] = float(np.mean([accuracies[one] for one in facts.rare]))
        if number == 0:
            more["initial"] = rows[seed][: known.initial].tolist()
        if info.stopped is not None:
            more["stopped"] = reason(known.stop, Stopped(*(leaf[seed] for leaf in info.stopped)))
        yield Record(
            strategy=name,
            seed=seed,
            round=number,
            labels=labels + dropped,
            rows=[] if last or more.get("stopped") else info.rows[seed].tolist(),
            **measured(train, test),
            epochs=int(info.epochs[seed]),
            seconds=Seconds(*(stage.seconds / seeds for stage in timed)),
            compile_seconds=Seconds(*compiled),
            class_accuracy=accuracies,
            **more,
        )


def measured(train: Metrics, test: Metrics) -> dict[str, Any]:
    """What a record says of the metrics of one seed, by the names of its fields."""
    found: dict[str, Any] = {"train_loss": float(train.loss), "test_loss": float(test.loss)}
    if test.rmse is None:
        accuracies = {"train_accuracy": train.accuracy, "test_accuracy": test.accuracy}
        return found | {name: float(value) for name, value in accuracies.items()}
    errors = {"train_rmse": train.rmse, "test_rmse": test.rmse, "test_mae": test.mae}
    found |= {"train_accuracy": math.nan, "test_accuracy": math.nan}
    return found | {name: float(value) for name, value in errors.items()}


def _counts(facts: Facts, picks: np.ndarray, initial: np.ndarray) -> dict[str, Any]:
    counts = found(facts, picks, initial)
    tells = {
        "rare_found": (counts.rare, facts.rare),
        "unique_picks": (counts.unique, facts.originals is not None),
        "ood_picks": (counts.ood, (facts.classes < 0).any()),
    }
    return {field: count for field, (count, told) in tells.items() if told}


def _class_accuracy(accuracies: np.ndarray | None, test_labels: np.ndarray) -> list[float]:
    """By class; NaN for one that is not tested on; empty in a regression."""
    if accuracies is None:
        return []
    there = np.bincount(test_labels, minlength=len(accuracies)) > 0
    return np.where(there, accuracies.astype(float), np.nan).tolist()
