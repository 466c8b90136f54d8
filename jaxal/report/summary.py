"""Records to numbers: learning curves over seeds, labels to a target, times; and `summary.csv`."""

import csv
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxal.records import Record
from jaxal.report._text import printable
from jaxal.report.baseline import random_name
from jaxal.report.efficiency import label_efficiency, labels_to
from jaxal.report.learning_curves import (
    Curve,
    Curves,
    area,
    carried_on,
    checked_records,
    curves_by_seed,
    grouped,
    is_regression,
    mean_curve,
)

TARGETS = (0.90, 0.95)
"""Test accuracies whose price in labels is reported."""

NAN = float("nan")


class Point(NamedTuple):
    """A strategy at one label count, over the seeds that got there."""

    labels: int
    seeds: int
    accuracy_mean: float  # of test accuracy, a fraction
    accuracy_std: float  # of a sample; NaN with one seed
    loss_mean: float
    fit_seconds: float  # median, compilation not included
    select_seconds: float  # median of observe + select; NaN where nothing was picked
    efficiency: float  # labels random needs / labels needed, for random's best mean
    # accuracy up to this many labels; NaN where it is not reached
    efficiency_std: float  # over seeds, random's mean given; NaN unless all reach it
    rare_recall: float = NAN  # these are means; NaN where the runs have no such rows
    rare_found: float = NAN
    unique_picks: float = NAN
    ood_picks: float = NAN
    rmse_mean: float = NAN  # of a regression, whose accuracies are NaN: of the test RMSE
    rmse_std: float = NAN
    mae_mean: float = NAN


ERRORS = ("rmse_mean", "rmse_std", "mae_mean")
"""What points of a regression have in place of accuracies."""

FOUND = ("rare_recall", "rare_found", "unique_picks", "ood_picks")
"""What a scenario adds to records and points, by the same names."""


class Summary(NamedTuple):
    """A strategy over all its rounds and seeds."""

    strategy: str
    seeds: int
    points: tuple[Point, ...]  # by labels
    # Test accuracy, or the logarithm of the test RMSE, averaged over the labels, of seeds with all
    # rounds.
    area_mean: float
    area_std: float
    labels_to: dict[float, float]  # by target: median over seeds; NaN: not reached
    fit_seconds: float  # median over rounds
    select_seconds: float  # median over rounds of observe + select
    run: str = ""  # among several runs, which one
    stopped: tuple[tuple[int, float], ...] = ()  # labels and accuracy of each seed that was stopped
    regression: bool = False  # errors in place of accuracies: lower is better

    @property
    def efficiency(self) -> float:
        """Labels random needs / labels needed, for the best of its accuracies that is reached."""
        known = [point.efficiency for point in self.points]
        return next((ratio for ratio in reversed(known) if math.isfinite(ratio)), NAN)


def summarize(
    records: Iterable[Record],
    *,
    run: str = "",
    random: Iterable[Record] = (),
    random_as: str | None = None,
) -> list[Summary]:
    """Reduces records to one summary per strategy, in the order in which strategies first appear.

    An unfinished run is summarised as far as it got. Labels to a target are the lower median over
    seeds, where a seed that never reaches it counts as infinite, so it is known if half of the
    seeds reach it.

    Args:
      records: of one run.
      run: its name, where several runs are compared.
      random: records of random sampling in another run, for the efficiency if this run has none.
      random_as: what random sampling is called in this run; None: `random`, or as DISTIL calls it.

    Returns:
      The summaries.

    Raises:
      ValueError: there is no record, or none of the strategy `random_as`.
      TypeError: something else than records.
    """
    by_strategy = grouped("records", records)
    if not by_strategy:
        raise ValueError("records: expected at least one round, got none")
    if random_as is not None and random_as not in by_strategy:
        raise ValueError(f"random_as: expected one of {', '.join(by_strategy)}, got {random_as!r}")
    counts = {record.labels for kept in by_strategy.values() for record in kept}
    by_strategy = {name: carried_on(kept, counts) for name, kept in by_strategy.items()}
    given, own = [*checked_records("random", random)], random_as or random_name(by_strategy)
    baseline = mean_curve(by_strategy.get(own, given) if own else given)
    is_regression(record for kept in by_strategy.values() for record in kept)  # refuses a mixture
    return [_summary(name, kept, baseline)._replace(run=run) for name, kept in by_strategy.items()]


def names(summaries: Sequence[Summary]) -> list[str]:
    """Printable names: the strategy, or RUN/STRATEGY where several runs have that strategy."""
    times = Counter(summary.strategy for summary in summaries)
    return [
        printable(
            f"{summary.run}/{summary.strategy}" if times[summary.strategy] > 1 else summary.strategy
        )
        for summary in summaries
    ]


def over_seeds(summaries: Sequence[Summary], plus_minus: str = "±") -> str:
    """Says what means and deviations are taken over."""
    seeds = [summary.seeds for summary in summaries]
    if max(seeds) == 1:
        return "one seed"
    count = f"{max(seeds)}" if min(seeds) == max(seeds) else f"{min(seeds)} to {max(seeds)}"
    return f"mean {plus_minus} std over {count} seeds"


def write_csv(summaries: Sequence[Summary], path: str | Path) -> None:
    """Writes one row per strategy and label count, with what is known of the whole strategy.

    Numbers that are not known are empty, as the accuracies of a regression, whose areas are of the
    logarithm of the RMSE; times are seconds, accuracies fractions. Where summaries have a run, its
    name comes first. What a scenario adds has columns where any of it is known.
    """
    targets = {target: f"labels_to_{target * 100:.0f}" for target in TARGETS}
    shared_columns = ("area_mean", "area_std", *targets.values())
    first = ("run", "strategy") if any(s.run for s in summaries) else ("strategy",)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        added = found_columns(summaries)
        columns = [name for name in Point._fields if name not in (*FOUND, *ERRORS)]
        if any(summary.regression for summary in summaries):
            columns += ERRORS
        writer.writerow((*first, *columns, *shared_columns, *added))
        for summary in summaries:
            which = [getattr(summary, column) for column in first]
            prices = (summary.labels_to[target] for target in targets)
            shared = (summary.area_mean, summary.area_std, *prices)
            for point in summary.points:
                own, found = ([getattr(point, name) for name in part] for part in (columns, added))
                writer.writerow([*which, *map(_cell, (*own, *shared, *found))])


def found_columns(summaries: Sequence[Summary]) -> list[str]:
    """Those fields of `FOUND` that are known of any strategy."""
    points = [point for summary in summaries for point in summary.points]
    return [name for name in FOUND if any(not math.isnan(getattr(one, name)) for one in points)]


def _summary(name: str, records: list[Record], baseline: Curve) -> Summary:
    curves = curves_by_seed(records)
    full = max(map(len, curves.values()))
    regression = is_regression(records)
    sign = -1 if regression else 1
    areas = [sign * area(curve) for curve in curves.values() if len(curve) == full]
    return Summary(
        strategy=name,
        seeds=len(curves),
        points=tuple(_points(records, baseline)),
        area_mean=statistics.fmean(areas),
        area_std=_std(areas),
        labels_to={t: NAN if regression else _price(curves, t) for t in TARGETS},
        fit_seconds=_median(_fit_seconds(records)),
        select_seconds=_median(_select_seconds(records)),
        stopped=tuple(
            (record.labels, record.test_accuracy if not regression else record.test_rmse or NAN)
            for record in records
            if record.stopped is not None and record.round >= 0
        ),
        regression=regression,
    )


def _points(records: list[Record], baseline: Curve) -> Iterable[Point]:
    points, accuracies = mean_curve(records)
    regression = is_regression(records)
    seeds = [([*curve], [*curve.values()]) for curve in curves_by_seed(records).values()]
    ratios = _efficiency(points, (points, accuracies), baseline)
    spread = [_efficiency(points, curve, baseline) for curve in seeds]
    for number, labels in enumerate(points):
        here = [record for record in records if record.labels == labels]
        yield Point(
            labels=labels,
            seeds=len(here),
            accuracy_mean=NAN if regression else accuracies[number],
            accuracy_std=_std([record.test_accuracy for record in here]),
            loss_mean=statistics.fmean(record.test_loss for record in here),
            fit_seconds=_median(_fit_seconds(here)),
            select_seconds=_median(_select_seconds(here)),
            efficiency=ratios[number],
            efficiency_std=_std([of_seed[number] for of_seed in spread]),
            **{name: _mean_known([getattr(record, name) for record in here]) for name in FOUND},
            **_errors(here),
        )


def _errors(records: list[Record]) -> dict[str, float]:
    """The fields of `ERRORS` over the seeds; none where there are classes."""
    errors = [record.test_rmse for record in records if record.test_rmse is not None]
    if not errors:
        return {}
    mae = _mean_known([record.test_mae for record in records])
    return dict(zip(ERRORS, (statistics.fmean(errors), _std(errors), mae), strict=True))


def measure(summaries: Sequence[Summary]) -> str:
    """What is measured on the test examples, in words."""
    return "test RMSE" if any(summary.regression for summary in summaries) else "test accuracy"


def _efficiency(labels: list[int], curve: Curve, baseline: Curve) -> list[float]:
    """What `Point.efficiency` says of one curve, at each of `labels`."""
    if not baseline[0] or not np.isfinite([*curve[1], *baseline[1]]).all():
        return [NAN] * len(labels)
    best = np.interp(labels, baseline[0], np.maximum.accumulate(baseline[1]))
    return label_efficiency(*curve, *baseline, best).tolist()


def _price(curves: Curves, target: float) -> float:
    prices = []
    for curve in curves.values():
        known = {n: accuracy for n, accuracy in curve.items() if math.isfinite(accuracy)}
        price = labels_to([*known], [*known.values()], target) if known else NAN
        prices.append(math.inf if math.isnan(price) else float(price))
    median = statistics.median_low(prices)
    return NAN if math.isinf(median) else median


def _fit_seconds(records: list[Record]) -> list[float]:
    return [record.seconds.fit for record in records if record.round >= 0]


def _select_seconds(records: list[Record]) -> list[float]:
    picked = (record.seconds for record in records if len(record.rows))
    return [seconds.observe + seconds.select for seconds in picked]


def _median(values: list[float]) -> float:
    return statistics.median(values) if values else NAN


def _mean_known(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else NAN


def _std(values: list[float]) -> float:
    # `statistics.stdev` cannot take NaN.
    return float(np.std(values, ddof=1)) if len(values) > 1 else NAN


def _cell(value: float) -> str | int:
    if isinstance(value, int):
        return value
    return "" if math.isnan(value) else f"{value:.6g}"
