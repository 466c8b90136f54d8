"""Learning curves from records: what a model is worth against labels, of each seed and on average.

That is the test accuracy, of a regression less the logarithm of the test RMSE: higher is better.
"""

import dataclasses
import math
import statistics
from collections.abc import Iterable

import numpy as np

from jaxal.checks import describe
from jaxal.records import Record

Curve = tuple[list[int], list[float]]  # labels, worths
Curves = dict[int, dict[int, float]]  # by seed, then by labels: worth

SMALLEST = 1e-30  # an error that is 0 counts as that much


def checked_records(name: str, records: Iterable[Record]) -> Iterable[Record]:
    """The records, each looked at; what is none is refused as the argument `name`."""
    if isinstance(records, str | bytes) or not isinstance(records, Iterable):
        raise TypeError(f"{name}: expected records, got {describe(records)}")
    for record in records:
        if not isinstance(record, Record):
            raise TypeError(f"{name}: expected records, got {describe(record)} among them")
        yield record


def grouped(name: str, records: Iterable[Record]) -> dict[str, list[Record]]:
    """The records of each strategy, in the order in which strategies first appear."""
    by_strategy: dict[str, list[Record]] = {}
    for record in checked_records(name, records):
        by_strategy.setdefault(record.strategy, []).append(record)
    return by_strategy


def is_regression(records: Iterable[Record]) -> bool:
    """Whether records are of a regression.

    Raises:
      ValueError: some are, and some are not.
    """
    tasks = {record.test_rmse is not None for record in records}
    if len(tasks) > 1:
        raise ValueError("records: expected those of classifications or of regressions, got both")
    return tasks == {True}


def worth(record: Record) -> float:
    """The test accuracy, or less the logarithm of the test RMSE."""
    if record.test_rmse is None:
        return record.test_accuracy
    return -math.log(max(record.test_rmse, SMALLEST))


def curves_by_seed(records: Iterable[Record]) -> Curves:
    """The curve of each seed of one strategy, by labels."""
    curves: Curves = {}
    for record in sorted(records, key=lambda record: record.labels):
        curves.setdefault(record.seed, {})[record.labels] = worth(record)
    return curves


def carried_on(records: Iterable[Record], counts: Iterable[int]) -> list[Record]:
    """The records, and for a seed that a stopping rule has ended, its last one at later counts.

    It buys no more labels, and keeps its accuracy: so a mean over seeds at a label count is one of
    all that had so many at most, and not of those alone that were not stopped.

    Args:
      records: of one strategy.
      counts: of labels, of all strategies.

    Returns:
      The records; those that were carried on have the round -1.
    """
    kept = list(records)
    later = sorted({*counts})
    return kept + [
        dataclasses.replace(record, labels=labels, rows=(), round=-1)
        for record in kept
        if record.stopped is not None
        for labels in later
        if labels > record.labels
    ]


def mean_curve(records: Iterable[Record]) -> Curve:
    """The mean over the seeds that got so far, at each label count."""
    reached: dict[int, list[float]] = {}
    for record in sorted(records, key=lambda record: record.labels):
        reached.setdefault(record.labels, []).append(worth(record))
    return list(reached), [statistics.fmean(found) for found in reached.values()]


def area(curve: dict[int, float]) -> float:
    """The worth averaged over the labels; the curve is linear between its points."""
    labels, accuracies = list(curve), list(curve.values())
    if len(labels) == 1:
        return accuracies[0]
    return float(np.trapezoid(accuracies, labels)) / (labels[-1] - labels[0])
