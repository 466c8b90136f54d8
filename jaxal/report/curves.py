"""`curves.png`: test accuracy against labels, readable in print and by colour-blind people."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxal.report.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette without its yellow, which is too light on white.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_STYLES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_DARK = "#444444"
_LIGHT = "#999999"


class _Look(NamedTuple):
    color: str
    linestyle: str | tuple
    marker: str


def draw(summaries: Sequence[Summary], title: str) -> "Figure":
    """Draws the learning curves of a run: all rounds on the left, the last ones enlarged on the right.

    Lines are means over seeds, bands one standard deviation. The legend is in the order of the final accuracy.
    Lines differ in colour, dashes and marker; random sampling is always dark grey.

    Args:
        summaries: of `summarize`.
        title: above the picture.

    Returns:
        A figure of 150 dpi; `figure.savefig(path)` writes it. It belongs to no window and to no pyplot state.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), dpi=150, layout="constrained")
    whole, late = figure.subplots(1, 2)
    looks = _looks([summary.strategy for summary in summaries])
    ranked = sorted(summaries, key=_final, reverse=True)
    for axes in (whole, late):
        _style(axes)
        for rank, summary in enumerate(ranked):
            _line(axes, summary, looks[summary.strategy], rank)
    whole.set_ylabel("test accuracy")
    _zoom(whole, late, summaries)
    handles, _ = whole.get_legend_handles_labels()
    figure.legend(handles=handles, loc="outside right center", frameon=False)
    figure.suptitle(title, x=0.01, ha="left", fontsize="large", fontweight="bold")
    return figure


def _style(axes: "Axes") -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_xlabel("labels")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:.5g}%"))
    axes.grid(color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(_LIGHT)
    axes.tick_params(color=_LIGHT)


def _line(axes: "Axes", summary: Summary, look: _Look, rank: int) -> None:
    labels = [point.labels for point in summary.points]
    mean = np.array([point.accuracy_mean for point in summary.points])
    std = np.array([point.accuracy_std for point in summary.points])
    # Neighbours in rank have their markers at different rounds, so that none hides another.
    every = math.ceil(len(labels) / 6)
    axes.plot(
        labels,
        mean,
        color=look.color,
        linestyle=look.linestyle,
        linewidth=1.6,
        marker=look.marker,
        markersize=5,
        markevery=(rank % every, every),
        label=f"{summary.strategy}  {_final(summary):.1%}",
        zorder=10 - rank / 100,
    )
    band = {"color": look.color, "alpha": 0.1, "linewidth": 0}
    axes.fill_between(labels, mean - std, mean + std, **band)


def _looks(names: Sequence[str]) -> dict[str, _Look]:
    """Colour, dashes and marker by name; their cycles have no common factor, so pairs repeat late."""
    looks = {}
    for number, name in enumerate(name for name in names if name != "random"):
        style, marker = _STYLES[number % len(_STYLES)], _MARKERS[number % len(_MARKERS)]
        looks[name] = _Look(_COLORS[number % len(_COLORS)], style, marker)
    return looks | {"random": _Look(_DARK, (0, (2, 2)), "x")}


def _zoom(whole: "Axes", late: "Axes", summaries: Sequence[Summary]) -> None:
    """Limits `late` to the second half of the labels and the means there, and frames that in `whole`."""
    from matplotlib.patches import Rectangle

    points = [point for summary in summaries for point in summary.points]
    counts = sorted({point.labels for point in points})
    start, end = counts[len(counts) // 2], counts[-1]
    means = [point.accuracy_mean for point in points if point.labels >= start]
    means = [mean for mean in means if math.isfinite(mean)]
    if start == end or not means:
        return
    bottom, top = min(means), max(means)
    margin, side = max(0.08 * (top - bottom), 0.002), 0.03 * (end - start)
    late.set_xlim(start - side, end + side)
    late.set_ylim(bottom - margin, top + margin)
    late.set_title("second half, enlarged", loc="left", fontsize="medium")
    whole.set_title("all rounds", loc="left", fontsize="medium")
    size = end - start + 2 * side, top - bottom + 2 * margin
    corner = start - side, bottom - margin
    frame = {"fill": False, "edgecolor": _LIGHT, "linewidth": 0.8, "zorder": 0.9}
    whole.add_patch(Rectangle(corner, *size, **frame))


def _final(summary: Summary) -> float:
    return summary.points[-1].accuracy_mean
