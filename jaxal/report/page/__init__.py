"""One HTML file that shows a run: curves, comparison, picks, the pool as a map, and where from."""

from jaxal.report.page.histories import write_page
from jaxal.report.page.runs import write_runs_page

__all__ = ["write_page", "write_runs_page"]
