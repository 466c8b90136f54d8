"""What a run showed: numbers, a table, a picture, and a display while it goes on."""

from jaxal.report._progress import progress, rows_progress
from jaxal.report.comparison import (
    COMPARISON_FILES,
    Comparison,
    compare,
    write_comparison,
)
from jaxal.report.contents import contents_table
from jaxal.report.curves import draw
from jaxal.report.efficiency import label_efficiency, labels_to
from jaxal.report.evaluations import Evaluated, evaluate_run, evaluation_table
from jaxal.report.histories import from_curve, from_history
from jaxal.report.page import write_page, write_runs_page
from jaxal.report.paired import Paired, paired_differences
from jaxal.report.paired_table import paired_table
from jaxal.report.rebuild import rebuild, write
from jaxal.report.summary import Point, Summary, summarize, write_csv
from jaxal.report.table import results_table, strategies_list

__all__ = [
    "COMPARISON_FILES",
    "Comparison",
    "Evaluated",
    "Paired",
    "Point",
    "Summary",
    "compare",
    "contents_table",
    "draw",
    "evaluate_run",
    "evaluation_table",
    "from_curve",
    "from_history",
    "label_efficiency",
    "labels_to",
    "paired_differences",
    "paired_table",
    "progress",
    "rows_progress",
    "rebuild",
    "results_table",
    "strategies_list",
    "summarize",
    "write",
    "write_comparison",
    "write_csv",
    "write_page",
    "write_runs_page",
]
