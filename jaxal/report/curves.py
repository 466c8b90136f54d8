"""`curves.png`: accuracy and efficiency against labels, for print and colour-blind readers."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxal.report._text import printable
from jaxal.report.summary import Summary, measure, names

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


class _Line(NamedTuple):
    summary: Summary
    label: str
    look: _Look


def draw(summaries: Sequence[Summary], title: str) -> "Figure":
    """Draws the learning curves of a run, or of several.

    Above, test accuracy, or the RMSE of a regression: all rounds, and the last ones enlarged.
    Below, if there is random sampling to compare with, the labelling efficiency. Lines are means
    over seeds, or the efficiency of the mean curves; bands are one standard deviation. The legend
    is in the order of the final accuracy. A tick is where a stopping rule has ended a seed, whose
    accuracy stays as it was from there on. Lines differ in colour, dashes and marker; of several
    runs, dashes say which run it is. Random sampling is always dark grey.

    Args:
      summaries: of `summarize`.
      title: above the picture.

    Returns:
      A figure of 150 dpi; `figure.savefig(path)` writes it. It belongs to no window and to no
      pyplot state.
    """
    from matplotlib.figure import Figure

    efficient = any(math.isfinite(summary.efficiency) for summary in summaries)
    rows = 2 if efficient else 1
    figure = Figure(figsize=(10, 0.5 + 3.7 * rows), dpi=150, layout="constrained")
    (full, late), *below = figure.subplots(rows, 2, squeeze=False)
    lines = _lines(summaries)
    for axes in (full, late):
        _accuracy(axes, lines)
    full.set_ylabel(measure(summaries))
    _zoom(full, late, summaries)
    legend = {"handles": full.get_legend_handles_labels()[0], "frameon": False}
    if below:
        [(axes, corner)] = below
        _efficiency(axes, lines)
        corner.axis("off")
        shown = corner.legend(loc="center left", **legend)
    else:
        shown = figure.legend(loc="outside right center", **legend)
    for text in shown.get_texts():
        text.set_parse_math(False)  # a "$" in a name is itself
    heading = {"x": 0.01, "ha": "left", "fontsize": "large", "fontweight": "bold"}
    figure.suptitle(printable(title), parse_math=False, **heading)
    return figure


def _lines(summaries: Sequence[Summary]) -> list[_Line]:
    looks = _looks([(summary.run, summary.strategy) for summary in summaries])
    labels = map(_label, names(summaries), summaries)
    lines = map(_Line, summaries, labels, looks)
    lower_first = any(summary.regression for summary in summaries)
    return sorted(lines, key=lambda line: _final(line.summary), reverse=not lower_first)


def _label(name: str, summary: Summary) -> str:
    ratio = summary.efficiency
    unknown = math.isnan(ratio) or summary.strategy == "random"
    saved = "" if unknown else f", {ratio:.1f}x"
    name = f" {name}" if name.startswith("_") else name  # legends leave out "_..."
    final = _final(summary)
    return f"{name}  {f'{final:.3g}' if summary.regression else f'{final:.1%}'}{saved}"


def _looks(lines: Sequence[tuple[str, str]]) -> list[_Look]:
    """Colour, dashes and marker of each (run, strategy).

    Their cycles have no common factor, so that pairs of them repeat late.
    """
    runs = list(dict.fromkeys(run for run, _ in lines))
    others = list(dict.fromkeys(name for _, name in lines if name != "random"))
    looks = []
    for run, name in lines:
        number = 0 if name == "random" else others.index(name)
        look = _Look(
            _COLORS[number % len(_COLORS)],
            _STYLES[(number if len(runs) == 1 else runs.index(run)) % len(_STYLES)],
            _MARKERS[number % len(_MARKERS)],
        )
        if name == "random":
            look = look._replace(color=_DARK, marker="x")
            if len(runs) == 1:
                look = look._replace(linestyle=(0, (2, 2)))
        looks.append(look)
    return looks


def _accuracy(axes: "Axes", lines: Sequence[_Line]) -> None:
    from matplotlib.ticker import FuncFormatter

    _style(axes)
    axes.set_xlabel("labels")
    if not any(line.summary.regression for line in lines):
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:.5g}%"))
    for rank, line in enumerate(lines):
        _plot(axes, line, rank, *_measured(line.summary))
        if line.summary.stopped:  # a tick where each seed was stopped
            labels, reached = zip(*line.summary.stopped, strict=True)
            axes.plot(labels, reached, "|", color=line.look.color, markersize=9, zorder=11)


def _measured(summary: Summary) -> tuple[list[float], list[float]]:
    """Means and deviations at each label count: of the accuracy, or of the RMSE."""
    points = summary.points
    if summary.regression:
        return [point.rmse_mean for point in points], [point.rmse_std for point in points]
    return [point.accuracy_mean for point in points], [point.accuracy_std for point in points]


def _efficiency(axes: "Axes", lines: Sequence[_Line]) -> None:
    from matplotlib.ticker import FuncFormatter

    _style(axes)
    axes.set_title("labelling efficiency", loc="left", fontsize="medium")
    axes.set_xlabel("labels of random sampling")
    axes.set_ylabel("labels random needs / labels needed")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:.5g}x"))
    axes.axhline(1, color=_LIGHT, linewidth=0.8)
    for rank, line in enumerate(lines):
        points = line.summary.points
        ratio = [point.efficiency for point in points]
        _plot(axes, line, rank, ratio, [point.efficiency_std for point in points])
    ratios = [point.efficiency for line in lines for point in line.summary.points]
    _fit(axes, [ratio for ratio in ratios if math.isfinite(ratio)])


def _style(axes: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(_LIGHT)
    axes.tick_params(color=_LIGHT)


def _plot(
    axes: "Axes", line: _Line, rank: int, mean: Sequence[float], std: Sequence[float]
) -> None:
    labels = [point.labels for point in line.summary.points]
    # Neighbours in rank have their markers at different rounds, so that none hides another.
    every = math.ceil(len(labels) / 6)
    axes.plot(
        labels,
        mean,
        **line.look._asdict(),
        linewidth=1.6,
        markersize=5,
        markevery=(rank % every, every),
        label=line.label,
        zorder=10 - rank / 100,
    )
    low, high = np.subtract(mean, std), np.add(mean, std)
    axes.fill_between(labels, low, high, color=line.look.color, alpha=0.1, linewidth=0)


def _zoom(full: "Axes", late: "Axes", summaries: Sequence[Summary]) -> None:
    """Limits `late` to the second half of the labels and the means there; frames that in `full`."""
    from matplotlib.patches import Rectangle

    points = [point for summary in summaries for point in summary.points]
    counts = sorted({point.labels for point in points})
    start, end = counts[len(counts) // 2], counts[-1]
    means = [
        mean
        for summary in summaries
        for point, mean in zip(summary.points, _measured(summary)[0], strict=True)
        if point.labels >= start
    ]
    means = [mean for mean in means if math.isfinite(mean)]
    if start == end or not means:
        return
    side = 0.03 * (end - start)
    late.set_xlim(start - side, end + side)
    bottom, top = _fit(late, means)
    late.set_title("second half, enlarged", loc="left", fontsize="medium")
    full.set_title("all rounds", loc="left", fontsize="medium")
    corner, size = (start - side, bottom), (end - start + 2 * side, top - bottom)
    frame = {"fill": False, "edgecolor": _LIGHT, "linewidth": 0.8, "zorder": 0.9}
    full.add_patch(Rectangle(corner, *size, **frame))


def _fit(axes: "Axes", means: Sequence[float]) -> tuple[float, float]:
    """Limits `axes` to the means, whatever the bands; returns the limits."""
    margin = max(0.08 * (max(means) - min(means)), 0.002)
    limits = min(means) - margin, max(means) + margin
    axes.set_ylim(*limits)
    return limits


def _final(summary: Summary) -> float:
    return _measured(summary)[0][-1]
