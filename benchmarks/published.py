"""Published figures beside ours: what they are apart, and the tables of `docs/guide/published.md`.

`python benchmarks/published.py` writes the tables of that page from `benchmarks/results`.
"""

import json
import pathlib
from typing import Any

ROOT = pathlib.Path(__file__).parent.parent
PAGE = ROOT / "docs" / "guide" / "published.md"
RESULTS = ROOT / "benchmarks" / "results"
BEGIN, END = "<!-- written by `python benchmarks/published.py`: {} -->", "<!-- until here -->"
Figure = tuple[float, float, int]  # mean, standard deviation, runs


def standard_errors_apart(ours: Figure, theirs: Figure) -> float:
    """The difference of two means in standard errors of it."""
    error = sum(deviation**2 / runs for _, deviation, runs in (ours, theirs)) ** 0.5
    return (ours[0] - theirs[0]) / error


def compared(ours: Figure, theirs: Figure) -> dict[str, Any]:
    """A row of a table, as it is stored."""
    return {
        "here": list(ours[:2]),
        "runs": ours[2],
        "published": list(theirs[:2]),
        "published_runs": theirs[2],
        "standard_errors_apart": standard_errors_apart(ours, theirs),
    }


def cases(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}-cpu.json").read_text())["cases"]


def rebenchmark() -> str:
    """Cells of the re-benchmark: margin as published and here, and random selection here."""
    head = ["data", "rows x inputs", "margin, published", "margin, here", "apart", "random, here"]
    rows = []
    for name, cell in cases("rebenchmark").items():
        theirs = _figure(cell["published"], cell["published_runs"])
        ours = [_figure(cell[each], cell["runs"]) for each in ("margin", "random")]
        size = "{:,} x {}".format(*cell["rows"])
        rows.append([name, size, theirs, ours[0], f"{cell['standard_errors_apart']:+.1f}", ours[1]])
    return _table(head, rows)


def cdalbench(name: str) -> str:
    """A set of CDALBench: each strategy, by its published area."""
    found = sorted(cases(f"cdalbench-{name}").items(), key=lambda case: -case[1]["published"][0])
    rows = [
        [
            f"`{strategy}`",
            _figure(each["published"], each["published_runs"], 3),
            _figure(each["here"], each["runs"], 3),
            f"{each['standard_errors_apart']:+.1f}",
        ]
        for strategy, each in found
    ]
    return _table(["strategy", "published", "here", "apart"], rows)


def tables() -> dict[str, str]:
    """The tables of the page, by the name in their mark."""
    return {
        "re-benchmark": rebenchmark(),
        "honeypot": cdalbench("honeypot"),
        "diverging sine": cdalbench("diverging_sine"),
    }


def into(page: str) -> str:
    """The page with its tables; raises ValueError where a mark is missing."""
    for name, text in tables().items():
        begin = BEGIN.format(name)
        before, found, rest = page.partition(begin)
        _, end, after = rest.partition(END)
        if not (found and end):
            raise ValueError(f"page: expected the marks {begin} and {END}")
        page = f"{before}{begin}\n\n{text}\n\n{END}{after}"
    return page


def _figure(figure: list[float], runs: int, digits: int = 4) -> str:
    mean, deviation = figure
    return f"{mean:.{digits}f} ± {deviation:.{digits}f} ({runs})"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main():
    PAGE.write_text(into(PAGE.read_text()))
    print(PAGE)


if __name__ == "__main__":
    main()
