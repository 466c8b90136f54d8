"""What a run showed: numbers, a table, a picture, and a display while it goes on."""

from collections.abc import Iterable
from pathlib import Path

from jaxal.records import Record
from jaxal.report._progress import progress
from jaxal.report.comparison import (
    COMPARISON_FILES,
    Comparison,
    compare,
    write_comparison,
)
from jaxal.report.curves import draw
from jaxal.report.efficiency import label_efficiency, labels_to
from jaxal.report.summary import Point, Summary, summarize, write_csv
from jaxal.report.table import results_table, strategies_list

__all__ = [
    "COMPARISON_FILES",
    "Comparison",
    "Point",
    "Summary",
    "compare",
    "draw",
    "label_efficiency",
    "labels_to",
    "progress",
    "results_table",
    "strategies_list",
    "summarize",
    "write",
    "write_comparison",
    "write_csv",
]


def write(records: Iterable[Record], folder: Path, title: str) -> list[Summary]:
    """Writes `summary.csv` and `curves.png` into `folder` and returns what they show."""
    summaries = summarize(records)
    write_csv(summaries, folder / "summary.csv")
    draw(summaries, title).savefig(folder / "curves.png")
    return summaries
