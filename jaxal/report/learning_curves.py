"""Learning curves from records: test accuracy against labels, of each seed and on average."""

import dataclasses
import statistics
from collections.abc import Iterable

import numpy as np

from jaxal.checks import describe
from jaxal.records import Record

Curve = tuple[list[int], list[float]]  # labels, accuracies
Curves = dict[int, dict[int, float]]  # by seed, then by labels: test accuracy


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


def curves_by_seed(records: Iterable[Record]) -> Curves:
    """The curve of each seed of one strategy, by labels."""
    curves: Curves = {}
    for record in sorted(records, key=lambda record: record.labels):
        curves.setdefault(record.seed, {})[record.labels] = record.test_accuracy
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
        reached.setdefault(record.labels, []).append(record.test_accuracy)
    return list(reached), [statistics.fmean(found) for found in reached.values()]


def area(curve: dict[int, float]) -> float:
    """Test accuracy averaged over the labels; the curve is linear between its points."""
    labels, accuracies = list(curve), list(curve.values())
    if len(labels) == 1:
        return accuracies[0]
    return float(np.trapezoid(accuracies, labels)) / (labels[-1] - labels[0])
