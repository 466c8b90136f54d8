"""What `growth.py` measured: the powers that fit, a picture, and the tables of a page.

`python benchmarks/growth_page.py` draws the picture and writes the tables of
`docs/guide/growth.md` anew from `benchmarks/results/growth-cpu.json`.
"""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

ROOT = pathlib.Path(__file__).parent.parent
PAGE = ROOT / "docs" / "guide" / "growth.md"
RESULTS = ROOT / "benchmarks" / "results"
BEGIN, END = "<!-- written by `python benchmarks/growth.py`: {} -->", "<!-- until here -->"
FITTED = 4  # cells of an axis, the largest
SLACK = 0.1  # of a power above what is said that is not called more
TIME, MEMORY = "processor_seconds", "temporary_bytes"
AXES = ("rows", "features", "classes", "budget", "seeds", "devices")


class Said(NamedTuple):
    """The time that docstrings say, of the model's pass over the pool and of the rule."""

    words: str
    powers: tuple[float, float, float, float]  # of rows, features, classes and budget, at most


SAID = {
    "margin": Said("N D C", (1, 1, 1, 0)),
    "bald": Said("K N D C", (1, 1, 1, 0)),
    "core_set": Said("N D (M + B)", (1, 1, 0, 1)),
    "badge": Said("N (C + D) B", (1, 1, 1, 1)),
    "glister": Said("N C D B", (1, 1, 1, 1)),
    "lcmd": Said("N D (M + B), and N (M + B) / 1024 a pick", (1, 1, 1, 1)),
    "submodular": Said("at most N^2 D, and what of it is looked at again", (2, 1, 0, 1)),
    "max_herding": Said("N^2 D, and what of it is looked at again", (2, 1, 0, 1)),
    "k_means": Said("N B D a step, N B D log B to seed", (1, 1, 0, 1)),
    "typi_clust": Said("N D (M + B) a step, n^2 D a pick of n rows", (2, 1, 0, 1)),
    "batch_bald": Said("N K C, and up to N K C outcomes a pick", (1, 1, 1, 1)),
}


def power(sizes: Sequence[float], values: Sequence[float]) -> tuple[float, float] | None:
    """The b of the least-squares line log y = log a + b log x, and its standard error."""
    if len(sizes) < 3 or min(values) <= 0:
        return None
    x = np.log(sizes) - np.mean(np.log(sizes))
    y = np.log(values) - np.mean(np.log(values))
    slope = float(x @ y / (x @ x))
    left = y - slope * x
    return slope, float(np.sqrt(left @ left / (len(x) - 2) / (x @ x)))


def exponents(cells: Mapping[str, Any]) -> dict[str, Any]:
    """{strategy: {axis: {what: [power, standard error]}}}, of the largest cells of each axis."""
    found: dict[str, Any] = {}
    for name, axes in cells.items():
        found[name] = {}
        for axis, all_of_it in axes.items():
            some = all_of_it[-FITTED:]
            sizes = [one["at"] for one in some]
            fits = {
                what: power(sizes, [one[what] for one in some])
                for what in (TIME, MEMORY)
                if all(what in one for one in some)
            }
            found[name][axis] = {what: list(fit) for what, fit in fits.items() if fit}
    return found


def above(name: str, axis: str, fit: Sequence[float]) -> bool:
    """Whether a power of time is more than is said, by more than two standard errors."""
    if axis == "seeds":
        most = 1.0
    elif name in SAID and axis in AXES[:4]:
        most = SAID[name].powers[AXES.index(axis)]
    else:
        return False
    return fit[0] - 2 * fit[1] > most + SLACK


def times(cases: Mapping[str, Any]) -> str:
    """Powers of processor time, those above what docstrings say in bold."""
    rows = []
    for name, axes in cases["exponents"].items():
        cells = [_cell(axes[axis].get(TIME), above(name, axis, axes[axis].get(TIME) or (0, 0)))
                 for axis in AXES[:5]]  # fmt: skip
        middle = _middle(cases, name)
        seconds = f"{1e3 * middle[TIME]:.3g}"
        rows.append([f"`{name}`", seconds, *cells, SAID[name].words if name in SAID else ""])
    return _table(["strategy", "ms", *AXES[:5], "said"], rows)


def memory(cases: Mapping[str, Any]) -> str:
    """Powers of the bytes of temporaries."""
    rows = [
        [
            f"`{name}`",
            f"{_middle(cases, name)[MEMORY] / 1e6:.3g}",
            f"{_middle(cases, name)['argument_bytes'] / 1e6:.3g}",
            *(_cell(axes[axis].get(MEMORY)) for axis in AXES),
        ]
        for name, axes in cases["exponents"].items()
    ]
    return _table(["strategy", "MB", "MB of arguments", *AXES], rows)


def where(cases: Mapping[str, Any]) -> str:
    """The middle cells, the machine and its load."""
    groups: dict[int, list[str]] = {}
    for name, sizes in cases["middle"].items():
        groups.setdefault(sizes["rows"], []).append(f"`{name}`")
    rows = "; ".join(f"{rows:,} rows for {', '.join(names)}" for rows, names in groups.items())
    sizes = next(iter(cases["middle"].values()))
    runs = {one["ended"]: one for one in cases["machine"].values()}.values()
    last = max(runs, key=lambda one: one["ended"])
    loads = [one[when][0] for one in runs for when in ("load_before", "load_after")]
    return (
        f"The middle cells have {sizes['features']} features, {sizes['classes']} classes, a budget "
        f"of {sizes['budget']}, and {rows}. Measured on {last['processor']} "
        f"({last['cores']} cores, {last['ended'][:10]}), whose load was {min(loads):.1f} to "
        f"{max(loads):.1f}, in {sum(one['seconds'] for one in runs) / 60:.0f} minutes."
    )


def tables(cases: Mapping[str, Any]) -> dict[str, str]:
    """The tables of the page, by the name in their mark."""
    return {"where": where(cases), "time": times(cases), "memory": memory(cases)}


def into(page: str, cases: Mapping[str, Any]) -> str:
    """The page with its tables; raises ValueError where a mark is missing."""
    for name, text in tables(cases).items():
        begin = BEGIN.format(name)
        before, found, rest = page.partition(begin)
        _, end, after = rest.partition(END)
        if not (found and end):
            raise ValueError(f"page: expected the marks {begin} and {END}")
        page = f"{before}{begin}\n\n{text}\n\n{END}{after}"
    return page


def draw(cells: Mapping[str, Any], path: pathlib.Path) -> None:
    """A panel an axis: processor time above, temporaries below."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, 6, figsize=(15, 6.2), sharey="row", layout="constrained")
    colors = plt.get_cmap("tab20").colors  # type: ignore[attr-defined]
    for column, axis in enumerate(AXES):
        for panel, what, scale in zip(panels[:, column], (TIME, MEMORY), (1.0, 1e-6), strict=True):
            for number, (name, axes) in enumerate(cells.items()):
                some = [one for one in axes[axis] if what in one]
                panel.plot(
                    [one["at"] / (1000 if axis == "rows" else 1) for one in some],
                    [scale * one[what] for one in some],
                    marker="os^Dv"[number % 5],
                    color=colors[number % 20],
                    markersize=4,
                    linewidth=1.2,
                    label=name,
                )
            panel.set(xscale="log", yscale="log")
            panel.set_xscale("log", base=2)
            panel.grid(alpha=0.3)
            panel.xaxis.set_major_formatter("{x:g}")
        panels[1, column].set_xlabel("thousand rows" if axis == "rows" else axis)
    panels[0, 0].set_ylabel("processor seconds")
    panels[1, 0].set_ylabel("MB of temporaries")
    panels[0, 5].axis("off")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    panels[0, 5].legend(handles, labels, loc="center", fontsize=10, frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def stored() -> dict[str, Any]:
    return json.loads((RESULTS / "growth-cpu.json").read_text())["cases"]


def write() -> None:
    """The tables into the page."""
    PAGE.write_text(into(PAGE.read_text(), stored()))


def _middle(cases: Mapping[str, Any], name: str) -> dict[str, Any]:
    return cases["cells"][name]["seeds"][0]


def _cell(fit: Sequence[float] | None, bold: bool = False) -> str:
    if fit is None:
        return ""
    text = f"{fit[0]:.2f} ± {fit[1]:.2f}"
    return f"**{text}**" if bold else text


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    draw(stored()["cells"], RESULTS / "growth.png")
    write()
