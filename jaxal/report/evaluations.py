"""`jaxal evaluate`: how good the last models of a run are, and what it takes to know that."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.table import Table
from rich.text import Text

from jaxal import entry, evaluation
from jaxal.experiment.predictions import Predictions, read_predictions
from jaxal.records import HISTORY, read
from jaxal.report._text import printable
from jaxal.report.table import plain_table

ROWS = 100_000
"""Of the examples, like those tested on, of which some would be labelled."""


class Evaluated(NamedTuple):
    """The last model of one strategy and seed; accuracies are fractions."""

    strategy: str
    rows: int  # that are tested on
    accuracy: float  # on all of them
    labels: int  # that active inference has asked for here
    active: tuple[float, float, float]  # its estimate and the ends of its interval
    uniform_labels: int
    uniform: tuple[float, float, float]  # of a uniform sample, by Wilson
    active_needed: float  # labels for an interval of the width, of `ROWS` examples
    uniform_needed: float


@entry.checked(
    labels=entry.integer(2),
    width=entry.fraction,
    confidence=entry.fraction,
    seed=entry.integer(0),
    rows=entry.integer(2),
)
def evaluate_run(
    run: str | Path,
    *,
    labels: int = 100,
    width: float = 0.01,
    confidence: float = 0.9,
    seed: int = 0,
    rows: int = ROWS,
) -> list[Evaluated]:
    """Estimates the accuracy of each strategy's last model from few of its test labels.

    Args:
      run: the folder of a finished run.
      labels: of the test rows, how many are looked at, in the mean.
      width: half of that of an interval, for the labels that are needed.
      confidence: of the intervals.
      seed: whose models they are.
      rows: of the examples like these, of which some would be labelled.

    Returns:
      One a strategy, in the order of the records.

    Raises:
      ValueError: no such seed, more labels than test rows, or a run that is not finished, or that
        an earlier version wrote.
      OSError: no run is there.
    """
    run = Path(run)
    records = read(run / HISTORY)
    names = list(dict.fromkeys(record.strategy for record in records))
    found = []
    for name in names:
        predictions = read_predictions(run, name)
        if seed >= len(predictions.classes):
            most = len(predictions.classes) - 1
            raise ValueError(f"seed: expected 0 to {most}, got {seed}")
        if labels > len(predictions.labels):
            most = len(predictions.labels)
            raise ValueError(f"labels: expected at most {most}, the test rows, got {labels}")
        options = {"labels": labels, "width": width, "confidence": confidence, "rows": rows}
        found.append(_evaluated(name, predictions, seed, **options))
    return found


def _evaluated(
    name: str,
    predictions: Predictions,
    seed: int,
    *,
    labels: int,
    width: float,
    confidence: float,
    rows: int,
) -> Evaluated:
    truth = predictions.labels
    right = jnp.asarray(predictions.classes[seed] == truth, jnp.float32)
    sure = jnp.asarray(predictions.probabilities[seed])
    unsure = jnp.sqrt(sure * (1 - sure))
    rate = min(labels / len(truth), 1 - 1e-6)
    # All strategies are looked at with the same draws.
    draws = jax.random.uniform(jax.random.key(seed), right.shape)
    chances = evaluation.sampling_probabilities(unsure, rate=rate)
    sampled, plainly = draws < chances, draws < rate
    active = evaluation.active_inference(
        sure, right, chances, sampled, confidence=confidence, interval="wilson"
    )
    uniform = evaluation.wilson(right, plainly, confidence=confidence)
    needs: dict[str, Any] = {"half_width": width, "rows": rows, "confidence": confidence}
    plain = evaluation.labels_needed(
        jnp.full_like(right, right.mean()), right, jnp.ones_like(right), **needs
    )
    return Evaluated(
        name,
        rows=len(truth),
        accuracy=float(right.mean()),
        labels=int(sampled.sum()),
        active=_numbers(active),
        uniform_labels=int(plainly.sum()),
        uniform=_numbers(uniform),
        active_needed=float(evaluation.labels_needed(sure, right, unsure, **needs)),
        uniform_needed=float(plain),
    )


def _numbers(estimate: evaluation.Estimate) -> tuple[float, float, float]:
    return float(estimate.estimate), float(estimate.lower), float(estimate.upper)


def evaluation_table(
    found: Sequence[Evaluated], *, width: float, confidence: float, seed: int, rows: int = ROWS
) -> Table:
    """Builds the table of `evaluate_run`: one row a strategy.

    Args:
      found: what it returned.
      width: as there.
      confidence: as there.
      seed: as there.
      rows: as there.
    """
    table = plain_table(
        title=f"Accuracy in % of the last model, seed {seed}, {confidence:.0%} intervals"
    )
    counts = [count for one in found for count in (one.labels, one.uniform_labels)]
    table.caption = (
        f"all: on all {found[0].rows} test rows. active, uniform: from {_range(counts)} of their "
        "labels, for all examples like these (Wilson's intervals). "
        f"to +-{100 * width:.3g}: labels for such an interval, of {rows:,} examples."
    )
    table.add_column("strategy", overflow="fold")
    to = f"\nto +-{100 * width:.3g}"
    for header in ("all", "active", "uniform", f"active{to}", f"uniform{to}"):
        table.add_column(header, justify="right", no_wrap=True)
    for one in found:
        table.add_row(
            Text(printable(one.strategy)),
            f"{100 * one.accuracy:.1f}",
            _interval(one.active),
            _interval(one.uniform),
            _count(one.active_needed),
            _count(one.uniform_needed),
        )
    return table


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low}" if low == high else f"{low} to {high}"


def _interval(numbers: tuple[float, float, float]) -> str:
    estimate, lower, upper = (100 * number for number in numbers)
    return f"{estimate:.1f} ({max(lower, 0):.1f}-{min(upper, 100):.1f})"


def _count(labels: float) -> str:
    return f"{np.ceil(labels):,.0f}" if np.isfinite(labels) else "more"
