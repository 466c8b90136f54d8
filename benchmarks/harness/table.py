"""Markdown of stored records: what differs is said, and so is who could not be asked."""

import json
import math
import pathlib
from collections.abc import Sequence
from typing import Any

BEGIN, END = "<!-- written by `python -m benchmarks table` -->", "<!-- until here -->"
SAME = 1e-3  # relative difference in quality below which two answers are as good
ORDER = {"small": 0, "medium": 1, "large": 2}
HEAD = (
    "",
    "beside jaxal",
    "seconds",
    "jaxal's",
    "times its processor time",
    "by the clock",
    "answers",
)


def read(folder: pathlib.Path, order: Sequence[str]) -> list[dict[str, Any]]:
    """The records of a folder, in the order of the topics and sizes."""
    records = [json.loads(path.read_text()) for path in sorted(folder.glob("peers-*.json"))]
    place = {name: number for number, name in enumerate(order)}
    known = [record for record in records if record["topic"] in place]
    return sorted(known, key=lambda one: (place[one["topic"]], ORDER.get(one["size"], 9)))


def markdown(records: Sequence[dict[str, Any]], order: Sequence[str] = ()) -> str:
    """Tables of times beside others, of first calls and memory, and of rates; who is missing."""
    compared = [row for record in records for row in _rows(record)]
    head = ("", "side", "import", "first call", "of it compiling", "MB at most", "versions")
    costs = [row for record in records for row in _costs(record)]
    absent = [name for name in order if name not in {record["topic"] for record in records}]
    missing = [f"Not measured: {', '.join(absent)}."] if absent else []
    return "\n\n".join(
        [_grid(HEAD, compared), *missing, _about(records), _grid(head, costs), _ceilings(records)]
    )


def short(records: Sequence[dict[str, Any]]) -> str:
    """One line a topic: how many times jaxal's processor time each of the others takes."""
    grids = []
    for what, whole in (("one decision", False), ("a whole experiment", True)):
        rows = [_line(one) for one in records if one.get("whole", False) == whole and _asked(one)]
        if rows:
            grids.append(_grid((what, "jaxal", "times jaxal's processor time"), rows))
    return "\n\n".join(grids)


def _asked(record: dict[str, Any]) -> bool:
    """Whether jaxal and another have answered."""
    ours, *others = record["sides"].values()
    return "seconds" in ours and any("seconds" in side for side in others)


def _line(record: dict[str, Any]) -> list[str]:
    (_, ours), *others = record["sides"].items()
    mine = f"{_number(1e3 * ours['seconds']['median'])} ms"
    times = [
        f"{name}{_star(record, ours, side)} {_times(side)}"
        for name, side in others
        if "seconds" in side
    ]
    return [f"{record['title']}: {record['shape']}", mine, "; ".join(times)]


def _star(record: dict[str, Any], ours: dict[str, Any], side: dict[str, Any]) -> str:
    return "*" if "better" in _difference(record, ours["quality"], side["quality"]) else ""


def _times(side: dict[str, Any]) -> str:
    ratio = side["times_cpu_seconds"]["median"]
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"


def into(page: str, text: str) -> str:
    """The page with the text between its two marks; raises ValueError if it lacks them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"page: expected the marks {BEGIN} and {END}, got a page without them")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def _rows(record: dict[str, Any]) -> list[list[str]]:
    (_, ours), *others = record["sides"].items()
    title, rows = f"{record['title']}: {record['shape']}", []
    if "seconds" not in ours:
        return [[title, f"jaxal itself: {_why(ours)}", "", "", "", "", ""]]
    mine = _number(ours["seconds"]["median"])
    for name, side in others:
        if "seconds" not in side:
            rows.append([title, name, _why(side), mine, "", "", ""])
            continue
        clock, processor = side["times_seconds"], side["times_cpu_seconds"]
        few = "" if side["runs"] >= 5 else f" ({side['runs']} run{'s' * (side['runs'] > 1)})"
        rows.append(
            [
                title,
                name,
                _number(side["seconds"]["median"]) + few,
                mine,
                f"{_number(processor['median'])} "
                f"({_number(processor['min'])} to {_number(processor['max'])})",
                _number(clock["median"]),
                _answers(record, ours, side),
            ]
        )
        title = ""
    return rows


def _why(side: dict[str, Any]) -> str:
    kind, reason = next(iter(side.items()))
    return f"{kind}: {reason[:120]}".replace("|", "/").replace("\n", " ")


def _answers(record: dict[str, Any], ours: dict[str, Any], side: dict[str, Any]) -> str:
    """The rows: the same or how many of them; and whose answer is better, by how much."""
    quality = f"{record['quality']} {_number(side['quality']['mean'], 4)}"
    quality += _difference(record, ours["quality"], side["quality"])
    if record["random"] or "picks_shared" not in side:
        return quality
    if side["same_order"]:
        return f"the same; {quality}"
    if side["picks_shared"] == 1.0 and side["distinct"]:
        return f"the same rows; {quality}"
    repeats = "" if side["distinct"] else ", some twice"
    return f"{side['picks_shared']:.0%} of the rows{repeats}; {quality}"


def _difference(record: dict[str, Any], ours: dict[str, Any], side: dict[str, Any]) -> str:
    mine, theirs = ours["mean"], side["mean"]
    if abs(mine - theirs) <= SAME * abs(mine):
        return ""
    text = f", jaxal {_number(mine, 4)}"
    errors = [one["standard_error"] for one in (ours, side)]
    if record["random"]:
        if None in errors:
            return f"{text} (one answer)"
        if abs(mine - theirs) < 2 * math.hypot(*errors):
            return f"{text}: not told apart in {side['answers']} answers"
    better = (theirs > mine) == record["higher_is_better"]
    share = abs(theirs - mine) / abs(mine)
    return f"{text}: **{share:.1%} {'better' if better else 'worse'}**"


def _costs(record: dict[str, Any]) -> list[list[str]]:
    title, rows = record["title"], []
    for name, side in record["sides"].items():
        if "seconds" not in side:
            continue
        compiled = side["first"].get("compile_seconds")
        peak = max(side["first"].get("peak_bytes") or 0, side["peak_bytes"] or 0)
        rows.append(
            [
                title,
                name,
                _number(side["import_seconds"]),
                _number(side["first"]["seconds"]),
                _number(compiled) if compiled else "",
                f"{peak / 1e6:.0f}" if peak else "unknown",
                str(side["version"] or next(iter(side["versions"].values()), "")),
            ]
        )
        title = ""
    return rows


def _about(records: Sequence[dict[str, Any]]) -> str:
    if not records:
        return "Nothing has been measured."
    first = records[0]["environment"]
    days = sorted({record["environment"]["started"][:10] for record in records})
    measured = " to ".join(dict.fromkeys((days[0], days[-1])))
    loads = [record[when][0] for record in records for when in ("load_before", "load_after")]
    cores = sorted({len(record["cores"]) for record in records})
    return (
        f"Measured on {first['processor']} ({first['cores']} cores, {measured}), "
        f"pinned to {' or '.join(map(str, cores))} of them; the machine's load was "
        f"{min(loads):.1f} to {max(loads):.1f}. Seconds are medians of warm calls."
    )


RATES = {"flops": "flops", "bytes": "bytes_per_second"}


def _ceilings(records: Sequence[dict[str, Any]]) -> str:
    """How near jaxal's side comes to its machine's own rates, the best of all runs on it."""
    machines: dict[str, dict[str, float]] = {}
    for record in records:
        best = machines.setdefault(_machine(record), dict.fromkeys(RATES, 0.0))
        for one in record.get("ceilings", {}).values():
            best.update({kind: max(best[kind], one[rate]) for kind, rate in RATES.items()})
    rows, used = [], []
    for record in records:
        ours, best = next(iter(record["sides"].values())), machines[_machine(record)]
        if "seconds" not in ours or record["work"] is None or not all(best.values()):
            continue
        work, least = record["work"], ours["cpu_seconds"]["min"]
        amounts = [f"{work[kind] / 1e9:.3g}" for kind in RATES]
        shares = [f"{work[kind] / least / best[kind]:.2g}" for kind in RATES]
        rows.append([record["title"], *amounts, *shares])
        used.append(best)
    if not rows:
        return ""
    flops, copied = (sorted({one[kind] / 1e9 for one in used}) for kind in RATES)
    head = (
        "the work of the definition",
        "GFLOP",
        "GB",
        f"of {' or '.join(f'{one:.0f}' for one in flops)} GFLOP/s of a matrix product",
        f"of {' or '.join(f'{one:.1f}' for one in copied)} GB/s of a copy",
    )
    return _grid(head, rows)


def _machine(record: dict[str, Any]) -> str:
    """What tells machines apart as far as records say."""
    return record["environment"]["platform"]


def _number(value: float, digits: int = 3) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
