"""What the terminal shows: strategies against labels, and the list of strategies."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from rich import box
from rich.console import Console, Group
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from jaxal.report.summary import TARGETS, Point, Summary


class Described(Protocol):
    """What `strategies_list` reads of a strategy."""

    @property
    def name(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def options(self) -> Mapping[str, Any]: ...
    @property
    def paper(self) -> str: ...


def results_table(summaries: Sequence[Summary], console: Console) -> Table:
    """Builds the table of a run: one row per strategy.

    Args:
        summaries: of `summarize`.
        console: where it will be shown; its width decides how many label counts have a column, and what it can
            show how the best mean of a column is marked.

    Returns:
        The table: test accuracy in %, mean and std over seeds; labels to each target; time to select a round.
    """
    roomy = console.options.update(max_width=10_000)
    for number in (5, 4, 3, 2):
        table = _results(summaries, _counts(summaries, number), console)
        if console.measure(table, options=roomy).maximum <= console.width:
            break
    return table


def strategies_list(descriptions: Iterable[Described]) -> Group:
    """Builds the list of strategies: name, meaning, options with defaults, paper."""
    parts = []
    for known in descriptions:
        options = ", ".join(
            f"{key} = {value!r}" for key, value in known.options.items()
        )
        lines = [known.summary, options and f"options: {options}", known.paper]
        # Square brackets, as in shapes, are markup to rich.
        body = "\n".join(escape(line) for line in lines if line)
        parts += [Text(known.name, style="bold"), Padding(body, (0, 0, 1, 4))]
    return Group(*parts)


def _results(
    summaries: Sequence[Summary], counts: Sequence[int], console: Console
) -> Table:
    pm = "±" if "utf" in console.encoding.lower() else "+-"
    mark = "[bold]{}[/]" if console.is_terminal else "{}*"
    seeds = max(summary.seeds for summary in summaries)
    over = f"mean {pm} std over {seeds} seeds" if seeds > 1 else "one seed"
    table = _table(title=f"Test accuracy in % by number of labels, {over}")
    table.caption = (
        f"{'Bold' if console.is_terminal else '*'}: best of the column. "
        "to 90%: labels needed for it (median seed). select: to pick a round (median)."
    )
    columns = {str(n): _accuracies(summaries, n, mark, f" {pm} ") for n in counts}
    columns |= {f"to {t:.0%}": _prices(summaries, t, mark) for t in TARGETS}
    columns["select"] = [_duration(summary.select_seconds) for summary in summaries]
    table.add_column("strategy")
    for header in columns:
        table.add_column(header, justify="right")
    for summary, *cells in zip(summaries, *columns.values(), strict=True):
        table.add_row(summary.strategy, *cells)
    return table


def _table(**options: Any) -> Table:
    # One rule and no vertical lines: it survives plain text and 80 columns.
    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        title_justify="left",
        title_style="",
        caption_justify="left",
        caption_style="dim",
        **options,
    )


def _counts(summaries: Sequence[Summary], number: int) -> list[int]:
    """Returns `number` label counts, the first and the last and some evenly between."""
    known = sorted({point.labels for summary in summaries for point in summary.points})
    steps = (round(i * (len(known) - 1) / (number - 1)) for i in range(number))
    return [known[step] for step in sorted(set(steps))]


def _accuracies(
    summaries: Sequence[Summary], labels: int, mark: str, plus_minus: str
) -> list[str]:
    points = [_at(summary, labels) for summary in summaries]
    cells, means = [], []
    for point in points:
        mean = math.nan if point is None else 100 * point.accuracy_mean
        std = math.nan if point is None else 100 * point.accuracy_std
        spread = "" if math.isnan(std) else f"{plus_minus}{std:.1f}"
        cells.append("-" if math.isnan(mean) else f"{mean:.1f}{spread}")
        means.append(round(mean, 1))
    return _marked(cells, [-mean for mean in means], mark)


def _prices(summaries: Sequence[Summary], target: float, mark: str) -> list[str]:
    prices = [summary.labels_to[target] for summary in summaries]
    cells = [
        f">{summary.points[-1].labels}" if math.isnan(price) else f"{price:.0f}"
        for summary, price in zip(summaries, prices, strict=True)
    ]
    return _marked(
        cells, [price if math.isnan(price) else round(price) for price in prices], mark
    )


def _marked(cells: list[str], costs: list[float], mark: str) -> list[str]:
    """Marks the cells of lowest cost, unless all are alike; a NaN cost is never the lowest."""
    best = min((cost for cost in costs if not math.isnan(cost)), default=math.nan)
    if all(cost == best for cost in costs):
        return cells
    return [
        mark.format(cell) if cost == best else cell
        for cell, cost in zip(cells, costs, strict=True)
    ]


def _at(summary: Summary, labels: int) -> Point | None:
    return next((point for point in summary.points if point.labels == labels), None)


def _duration(seconds: float) -> str:
    if math.isnan(seconds):
        return "-"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"
