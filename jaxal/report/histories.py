"""Records from Python: of what `simulate` and `iterate` return, and of a loop of one's own."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray

from jaxal import processes
from jaxal.checks import as_integers, check_integer, describe
from jaxal.experiment.outcomes import measured
from jaxal.loop.round import RoundInfo
from jaxal.records import Record
from jaxal.stopping.watch import Stopped, as_rules, reason


def from_history(
    strategy: str, history: RoundInfo | Iterable[RoundInfo], *, seed: int = 0, stop: Any = None
) -> list[Record]:
    """Makes records of a simulation, or of the rounds of `iterate`.

    Args:
      strategy: what the records call it.
      history: what `simulate` returned, its leaves [rounds + 1, ...], under `vmap`
        [seeds, rounds + 1, ...]; or the reports of `iterate` in their order, or one of them.
      seed: of the first seed; the others count on from there.
      stop: the stopping rules that the loop was given, so that the records say which has ended a
        seed, and why; without them its place and its number are said.

    Returns:
      A record a seed and round, as `jaxal run` writes them but for times, the initial rows and what
      a scenario counts: every table, picture, comparison and page of `jaxal.report` takes them. The
      accuracy on a class that was never right is NaN, as there may be no such test examples.

    Raises:
      TypeError: a history that is none, or a strategy that is no text.
      ValueError: a history without rounds, or with more axes than seeds and rounds; stopping rules
        that are not those of the history.
    """
    _check_name(strategy)
    check_integer(0, seed=seed)
    info = _stacked(history)
    _check_stop(stop, info)
    axes = np.ndim(info.labels)
    if axes > 2 or not np.size(info.labels):
        raise ValueError(
            "history: expected one or more rounds, [rounds] or [seeds, rounds], got "
            f"{np.shape(info.labels)}"
        )
    info = jax.tree.map(lambda leaf: np.asarray(leaf)[(None,) * (2 - axes)], info)
    if info.test.class_accuracy is not None:
        accuracies = info.test.class_accuracy.astype(float)
        seen = (accuracies > 0).any((0, 1))
        found = np.where(seen, accuracies, np.nan)
        info = info._replace(test=info.test._replace(class_accuracy=found))
    seeds, rounds = info.labels.shape
    ends = np.full(seeds, rounds - 1)
    if info.stopped is not None:  # the rounds after that only repeat it
        held = info.stopped.rule >= 0
        ends = np.where(held.any(1), held.argmax(1), ends)
    return [
        _record(strategy, seed + one, number, _at(info, one, number), stop)
        for one in range(seeds)
        for number in range(ends[one] + 1)
    ]


def from_curve(
    strategy: str,
    labels: ArrayLike,
    accuracies: ArrayLike,
    *,
    rows: Sequence[ArrayLike] = (),
    seed: int = 0,
) -> list[Record]:
    """Makes records of a loop of one's own, of what it knows.

    Args:
      strategy: what the records call it.
      labels: how many labels there were at each point of the learning curve [P], increasing.
      accuracies: test accuracy there [P], or [seeds, P], fractions; NaN where it is not known.
      rows: what was picked after each point, of one seed; none: it is not known.
      seed: of the first seed; the others count on from there.

    Returns:
      A record a seed and point. What is not known is NaN.

    Raises:
      TypeError: numbers that are none.
      ValueError: shapes that do not match, accuracies that are no fractions, label counts that do
        not increase, or rows that are not as many as the points.

    Example:
      >>> [record.labels for record in from_curve("margin", [10, 20], [0.5, 0.7])]
      [10, 20]
    """
    _check_name(strategy)
    check_integer(0, seed=seed)
    counts, reached = _checked_curve(labels, accuracies)
    if len(rows) and (len(rows) != len(counts) or reached.ndim == 2):
        raise ValueError(
            f"rows: expected a list for each of {len(counts)} points of one seed, got {len(rows)}"
        )
    return [
        Record(
            strategy,
            seed=seed + one,
            round=number,
            labels=int(counts[number]),
            rows=as_integers("rows", rows[number], "[B]").tolist() if len(rows) else [],
            test_accuracy=float(accuracy),
            epochs=0,
            train_accuracy=math.nan,
            train_loss=math.nan,
            test_loss=math.nan,
        )
        for one, curve in enumerate(np.atleast_2d(reached))
        for number, accuracy in enumerate(curve)
    ]


def _check_name(strategy: str) -> None:
    if not isinstance(strategy, str):
        raise TypeError(f"strategy: expected a name, got {describe(strategy)}")


def _checked_curve(labels: ArrayLike, accuracies: ArrayLike) -> tuple[NDArray, NDArray]:
    counts, reached = as_integers("labels", labels, "[P]"), np.asarray(accuracies)
    if reached.dtype.kind not in "iuf":
        raise TypeError(f"accuracies: expected numbers, got {describe(accuracies)}")
    if reached.ndim not in (1, 2) or reached.shape[-1] != len(counts) or not reached.size:
        raise ValueError(
            f"accuracies: expected [P] or [seeds, P] with P = {len(counts)} labels and P > 0, got "
            f"{list(reached.shape)}"
        )
    if ((reached < 0) | (reached > 1)).any():
        raise ValueError("accuracies: expected fractions from 0 to 1, or NaN where not known")
    if (np.diff(counts) <= 0).any() or counts[0] < 0:
        raise ValueError(f"labels: expected counts that increase, got {counts.tolist()}")
    return counts, reached


def _at(info: RoundInfo, seed: int, number: int) -> RoundInfo:
    return jax.tree.map(lambda leaf: leaf[seed, number], info)


def _stacked(history: RoundInfo | Iterable[RoundInfo]) -> RoundInfo:
    """The reports as one, on the host, with an axis of rounds."""
    if isinstance(history, RoundInfo):
        return RoundInfo(*processes.to_host(tuple(history)))
    if isinstance(history, str) or not isinstance(history, Iterable):
        raise TypeError(f"history: expected reports of rounds, got {describe(history)}")
    reports = list(history)
    for one in reports:
        if not isinstance(one, RoundInfo) or np.ndim(one.labels):
            raise TypeError(f"history: expected reports of rounds, got {describe(one)} among them")
    if not reports:
        raise ValueError("history: expected one or more rounds, got none")
    return jax.tree.map(lambda *leaves: np.stack(leaves), *map(processes.to_host, reports))


def _check_stop(stop: Any, info: RoundInfo) -> None:
    """Raises ValueError if these cannot be the stopping rules of a loop with this history."""
    rules, there = len(as_rules(stop)), 0
    if info.stopped is not None:
        there = info.stopped.values.shape[-1]
    if rules and rules != there:
        raise ValueError(f"stop: expected the {there} rules of the history, got {rules}")


def _why(stop: Any, stopped: Stopped | None) -> str | None:
    """Why a seed was stopped in this round, in words; None if it was not."""
    if stopped is None or stopped.rule < 0:
        return None
    if stop is not None:
        return reason(stop, stopped)
    number, count = int(stopped.rule), len(stopped.values)
    which = "the stopping rule" if count == 1 else f"stopping rule {number + 1} of {count}"
    return f"{which}, at {float(stopped.values[number]):.4g}"


def _record(strategy: str, seed: int, number: int, info: RoundInfo, stop: Any) -> Record:
    """Of one seed and round."""
    by_class = info.test.class_accuracy
    return Record(
        strategy=strategy,
        seed=seed,
        round=number,
        labels=int(info.labels) + int(info.skipped),
        rows=info.rows[info.rows >= 0].tolist(),
        **measured(info.train, info.test),
        epochs=int(info.epochs),
        class_accuracy=() if by_class is None else by_class.tolist(),
        stopped=_why(stop, info.stopped),
    )
