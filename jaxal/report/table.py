"""What the terminal shows: strategies against labels, and the list of strategies."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from rich import box
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from jaxal.report._text import printable
from jaxal.report.summary import TARGETS, Point, Summary, found_columns, names, over_seeds

_EFFICIENCY = "vs random: labels random needs over labels needed, for the best accuracy both reach."


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
      console: where it will be shown; its width decides how many label counts have a column and
        whether the area has one, and what it can show how the best of a column is marked.

    Returns:
      The table: test accuracy in %, or the RMSE of a regression, mean and std over seeds; its mean
      over all label counts (the area under the curve), or that of its logarithm; labels to each
      target; the labelling efficiency, if there is random sampling to compare with; what a
      scenario's picks were, at the last label count; time to select a round.
    """
    unbounded = console.options.update(max_width=10_000)
    for number, area in itertools.product((5, 4, 3, 2, 1), (True, False)):
        table = _results(summaries, _counts(summaries, number), area, console)
        if console.measure(table, options=unbounded).maximum <= console.width:
            break
    return table


def strategies_list(descriptions: Iterable[Described]) -> Group:
    """Builds the list of strategies: name, meaning, options with defaults, paper."""
    parts = []
    for known in descriptions:
        options = ", ".join(f"{key} = {value!r}" for key, value in known.options.items())
        lines = [known.summary, options and f"options: {options}", known.paper]
        # As `Text`: the square brackets of shapes would be markup in a string.
        body = Text("\n".join(printable(line) for line in lines if line))
        parts += [Text(printable(known.name), style="bold"), Padding(body, (0, 0, 1, 4))]
    return Group(*parts)


def _results(
    summaries: Sequence[Summary], counts: Sequence[int], area: bool, console: Console
) -> Table:
    pm = "±" if "utf" in console.encoding.lower() else "+-"
    mark = "[bold]{}[/]" if console.is_terminal else "{}*"
    regression = any(summary.regression for summary in summaries)
    table = plain_table(
        title=f"{_measured(regression)} by number of labels, {over_seeds(summaries, pm)}"
    )
    notes = [
        f"{'Bold' if console.is_terminal else '*'}: best of the column.",
        "to 90%: labels needed for it (median seed).",
        "select: to pick a round (median).",
    ]
    if regression:
        del notes[1]
    columns = {str(n): _accuracies(summaries, n, mark, f" {pm} ") for n in counts}
    if area:
        what = "log RMSE" if regression else "area"
        notes.insert(1, f"{what}: mean over all label counts.")
        columns[what.replace(" ", "\n")] = _areas(summaries, mark)
    if not regression:
        columns |= {f"to {t:.0%}": _prices(summaries, t, mark) for t in TARGETS}
    if any(math.isfinite(summary.efficiency) for summary in summaries):
        notes.insert(-1, _EFFICIENCY)
        columns["vs\nrandom"] = _efficiencies(summaries, mark)
    columns |= _found(summaries, mark)
    if any(summary.stopped for summary in summaries):
        notes.insert(-1, "stopped at: mean labels of the seeds that a rule ended.")
        columns["stopped\nat"] = [_stopped(summary) for summary in summaries]
    columns["select"] = [_duration(summary.select_seconds) for summary in summaries]
    table.caption = " ".join(notes)
    # Where even the fewest columns do not fit, it is names that go on in the next line.
    table.add_column("strategy", overflow="fold")
    for header in columns:
        table.add_column(header, justify="right", no_wrap=True)
    for name, *cells in zip(names(summaries), *columns.values(), strict=True):
        table.add_row(Text(name), *cells)
    return table


def plain_table(**options: Any) -> Table:
    """An empty table with one rule under its header; options are those of `rich`."""
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
    """Returns `number` label counts, from the last back to the first in even steps.

    Of several runs, those that all of them have, if there are any.
    """
    each = [{point.labels for point in summary.points} for summary in summaries]
    known = sorted(set.intersection(*each) or set.union(*each))
    stride = (len(known) - 1) / max(number - 1, 1)
    steps = {round((len(known) - 1) - i * stride) for i in range(number)}
    return [known[step] for step in sorted(steps)]


def _accuracies(summaries: Sequence[Summary], labels: int, mark: str, plus_minus: str) -> list[str]:
    points = [_at(summary, labels) for summary in summaries]
    if any(summary.regression for summary in summaries):
        return _errors(points, mark, plus_minus)
    cells, means = [], []
    for point in points:
        mean = math.nan if point is None else 100 * point.accuracy_mean
        std = math.nan if point is None else 100 * point.accuracy_std
        spread = "" if math.isnan(std) else f"{plus_minus}{std:.1f}"
        cells.append("-" if math.isnan(mean) else f"{mean:.1f}{spread}")
        means.append(round(mean, 1))
    return _marked(cells, [-mean for mean in means], mark)


def _measured(regression: bool) -> str:
    return "Test RMSE" if regression else "Test accuracy in %"


def _errors(points: Sequence[Point | None], mark: str, plus_minus: str) -> list[str]:
    cells, means = [], []
    for point in points:
        mean, std = (math.nan, math.nan) if point is None else (point.rmse_mean, point.rmse_std)
        spread = "" if math.isnan(std) else f"{plus_minus}{std:.2g}"
        cells.append("-" if math.isnan(mean) else f"{mean:.3g}{spread}")
        means.append(float(f"{mean:.3g}"))
    return _marked(cells, means, mark)


def _prices(summaries: Sequence[Summary], target: float, mark: str) -> list[str]:
    prices = [summary.labels_to[target] for summary in summaries]
    cells = [
        f">{summary.points[-1].labels}" if math.isnan(price) else f"{price:.0f}"
        for summary, price in zip(summaries, prices, strict=True)
    ]
    return _marked(cells, [price if math.isnan(price) else round(price) for price in prices], mark)


def _areas(summaries: Sequence[Summary], mark: str) -> list[str]:
    if any(summary.regression for summary in summaries):
        logs = [round(summary.area_mean, 3) for summary in summaries]
        cells = ["-" if math.isnan(area) else f"{area:.3f}" for area in logs]
        return _marked(cells, logs, mark)
    areas = [round(100 * summary.area_mean, 1) for summary in summaries]
    cells = ["-" if math.isnan(area) else f"{area:.1f}" for area in areas]
    return _marked(cells, [-area for area in areas], mark)


def _efficiencies(summaries: Sequence[Summary], mark: str) -> list[str]:
    ratios = [round(summary.efficiency, 1) for summary in summaries]
    cells = ["-" if math.isnan(ratio) else f"{ratio:.1f}x" for ratio in ratios]
    return _marked(cells, [-ratio for ratio in ratios], mark)


def _found(summaries: Sequence[Summary], mark: str) -> dict[str, list[str]]:
    """Columns of what was found, where a scenario has such rows; few OOD picks are good."""
    heads = {
        "rare_recall": ("rare\nrecall", -100, "{:.1f}"),
        "rare_found": ("rare\nfound", -1, "{:.0f}"),
        "unique_picks": ("unique\npicks", -1, "{:.0f}"),
        "ood_picks": ("OOD\npicks", 1, "{:.0f}"),
    }
    columns = {}
    for name in found_columns(summaries):
        head, scale, form = heads[name]
        numbers = [scale * getattr(summary.points[-1], name) for summary in summaries]
        cells = ["-" if math.isnan(one) else form.format(abs(one)) for one in numbers]
        columns[head] = _marked(cells, [round(one, 1) for one in numbers], mark)
    return columns


def _stopped(summary: Summary) -> str:
    """The mean labels of the seeds that were stopped, and how many these are, if not all."""
    labels = [labels for labels, _ in summary.stopped]
    if not labels:
        return "-"
    some = "" if len(labels) == summary.seeds else f" ({len(labels)})"
    return f"{sum(labels) / len(labels):.0f}{some}"


def _marked(cells: list[str], costs: list[float], mark: str) -> list[str]:
    """Marks the cells of lowest cost, unless all are alike; a NaN cost is never the lowest."""
    best = min((cost for cost in costs if not math.isnan(cost)), default=math.nan)
    if all(cost == best for cost in costs):
        return cells
    return [
        mark.format(cell) if cost == best else cell for cell, cost in zip(cells, costs, strict=True)
    ]


def _at(summary: Summary, labels: int) -> Point | None:
    return next((point for point in summary.points if point.labels == labels), None)


def _duration(seconds: float) -> str:
    if math.isnan(seconds):
        return "-"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"
