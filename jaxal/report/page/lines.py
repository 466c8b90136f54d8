"""The panels of learning curves, efficiency, comparison and timings."""

import math
from collections.abc import Sequence
from typing import Any

from jaxal.records import Record
from jaxal.report.page.shown import Shown
from jaxal.report.paired import POWER
from jaxal.report.summary import ERRORS, FOUND, TARGETS, Summary, found_columns, over_seeds


def curves(shown: Shown) -> dict[str, Any]:
    """The curves over seeds of each line, with what is said of the whole of it."""
    return {
        "over": over_seeds(shown.summaries),
        "targets": list(TARGETS),
        "found": found_columns(shown.summaries),
        "lines": [
            _line(name, summary, records)
            for (name, records), summary in zip(shown.lines.items(), shown.summaries, strict=True)
        ],
    }


def comparison(shown: Shown) -> dict[str, Any]:
    """The paired differences, as the second table in the terminal has them."""
    return {
        "power": POWER,
        "rows": [
            {
                **pair._asdict(),
                "seeds_needed": pair.seeds_needed if math.isfinite(pair.seeds_needed) else None,
                "told_apart": pair.told_apart,
            }
            for pair in shown.paired
        ],
    }


def _line(name: str, summary: Summary, records: Sequence[Record]) -> dict[str, Any]:
    points = summary.points
    columns = ("labels", "seeds", "accuracy_mean", "accuracy_std", "efficiency", "efficiency_std")
    columns += ("loss_mean", "fit_seconds", "select_seconds", *FOUND)
    columns += ERRORS if summary.regression else ()
    return {
        "name": name,
        "strategy": summary.strategy,
        "run": summary.run,
        "seeds": summary.seeds,
        "points": {column: [getattr(one, column) for one in points] for column in columns},
        "area_mean": summary.area_mean,
        "area_std": summary.area_std,
        "labels_to": [summary.labels_to[target] for target in TARGETS],
        "efficiency": summary.efficiency,
        "seconds": _seconds(summary, records),
    }


def _seconds(summary: Summary, records: Sequence[Record]) -> dict[str, float]:
    """Medians over rounds, and sums over all rounds and seeds."""
    stages = ("fit", "observe", "select")
    return {
        "fit": summary.fit_seconds,
        "pick": summary.select_seconds,
        **{
            f"all_{stage}": math.fsum(getattr(one.seconds, stage) for one in records)
            for stage in stages
        },
        "compile": math.fsum(
            getattr(one.compile_seconds, stage) for one in records for stage in stages
        ),
        "epochs": sum(one.epochs for one in records),
    }
