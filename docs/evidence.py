"""Tables of what `benchmarks/results` holds, for the pages: no number is written by hand."""

import csv
import json
from pathlib import Path

from IPython.display import Markdown

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"
PER_CENT = {"accuracy_mean": "accuracy, %", "area_mean": "mean over the curve, %"}
NAN = float("nan")
COUNTS = {
    "rare_found": "rare rows found",
    "unique_picks": "distinct picks",
    "ood_picks": "picks out of distribution",
}


def outcomes(name):
    """The last row of each strategy of a run, and the labels and seeds that it had."""
    with open(RESULTS / name / "summary.csv", newline="") as file:
        last = {row["strategy"]: row for row in csv.DictReader(file)}
    return last, next(iter(last.values()))


def run(name):
    """A table of a run: each strategy at the last number of labels."""
    last, one = outcomes(name)
    columns = [key for key in (*PER_CENT, *COUNTS) if one.get(key)]
    titles = [{**PER_CENT, **COUNTS}[key] for key in columns]
    caption = f"`{name}`: {one['labels']} labels, {one['seeds']} seeds."
    by_area = sorted(last, key=lambda strategy: -float(last[strategy]["area_mean"]))
    rows = [[f"`{each}`", *(shown(key, last[each][key]) for key in columns)] for each in by_area]
    return Markdown(f"{caption}\n\n{table(['strategy', *titles], rows)}")


def shown(key, value):
    return f"{100 * float(value):.1f}" if key in PER_CENT else f"{float(value):.0f}"


def along(name, counts):
    """A table of a run: the mean accuracy at numbers of labels, and the standard error of each."""
    with open(RESULTS / name / "summary.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    found = {(row["strategy"], int(row["labels"])): row for row in rows}
    by_area = {row["strategy"]: -float(row["area_mean"]) for row in rows}
    lines = [
        [f"`{each}`", *(_with_error(found[each, count]) for count in counts)]
        for each in sorted(by_area, key=by_area.__getitem__)
    ]
    head = ["strategy", *(f"{count} labels" for count in counts)]
    caption = f"`{name}`: accuracy in %, {rows[0]['seeds']} seeds, with the standard error."
    return Markdown(f"{caption}\n\n{table(head, lines)}")


def _with_error(row, key="accuracy", times=100, digits=1):
    error = float(row[f"{key}_std"]) / int(row["seeds"]) ** 0.5
    return f"{times * float(row[f'{key}_mean']):.{digits}f} ± {times * error:.{digits}f}"


def errors(*names):
    """A table of regressions: the logarithm of the RMSE, averaged over the labels, of each run."""
    runs = [outcomes(name)[0] for name in names]
    first = sorted(runs[0], key=lambda each: float(runs[0][each]["area_mean"]))
    lines = [
        [f"`{each}`", *(_with_error(run[each], "area", 1, 3) for run in runs)] for each in first
    ]
    caption = (
        "Mean log RMSE over the labels, with the standard error over the seeds; less is better."
    )
    return Markdown(f"{caption}\n\n{table(['strategy', *(f'`{name}`' for name in names)], lines)}")


def all_strategies():
    """Every strategy on digits, seed by seed against random selection."""
    rows = []
    for name, found in cases("digits_all").items():
        interval = [f"{100 * found.get(key, NAN):+.1f}" for key in ("difference", "low", "high")]
        ahead = "" if name == "random" else f"{interval[0]} ({interval[1]} to {interval[2]})"
        numbers = [f"{100 * found[key]:.1f}" for key in ("area", "last_accuracy")]
        rows.append([f"`{name}`", numbers[0], ahead, numbers[1]])
    head = ["strategy", "mean over the curve, %", "ahead of random by", "accuracy at 120 labels, %"]
    return Markdown(table(head, rows))


def cases(name):
    """The cases of a benchmark, {case: what was measured}."""
    return json.loads((RESULTS / f"{name}-cpu.json").read_text())["cases"]


def times():
    """Seconds of one selection on a CPU, compiled before."""
    rows = [
        [f"`{name}`", case, f"{found['budget']:,}", f"{found['seconds']:.3g}"]
        for name in ("k_center", "badge")
        for case, found in cases(name).items()
    ]
    return Markdown(table(["rule", "rows x features", "picks", "seconds"], rows))


def facility_location():
    """Facility location over all rows, a sample, and lists of neighbours."""
    found = sorted(cases("facility_location").items(), key=lambda case: case[1]["rows"])
    rows = [
        [case, f"{each['cpu_seconds']:.3g}", f"{100 * each.get('share_of_exact', NAN):.1f}"]
        for case, each in found
    ]
    head = ["rows x features", "processor seconds", "value, % of all rows'"]
    return Markdown(table(head, rows).replace("nan", "not known"))


def parts():
    """Facility location over MNIST in parts: its value and its time, against the whole pool's."""
    setting = cases("partition")["setting"]
    rows = [
        [case, f"{100 * found['of_central']:.1f}", f"{found['seconds']:.3g}"]
        for case, found in cases("partition").items()
        if case != "setting"
    ]
    caption = f"{setting['rows']:,} rows, {setting['budget']} picks."
    return Markdown(f"{caption}\n\n{table(['', 'value, % of the whole', 'seconds'], rows)}")


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
