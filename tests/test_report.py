"""The report: numbers worked by hand, tables as plain text, picture and display."""

import csv
import io
import math

import numpy as np
import pytest
from helpers import bad_inputs
from rich.console import Console

from jaxal import report
from jaxal.experiment import Record, Seconds, Writer
from jaxal.report import label_efficiency, labels_to
from jaxal.report.curves import _looks
from jaxal.report.summary import names

NAN = math.nan


def curve(strategy, seed, accuracies, select=0.001):
    rounds = len(accuracies)
    return [
        Record(
            strategy=strategy,
            seed=seed,
            round=round,
            labels=20 + 10 * round,
            rows=(round,) if round < rounds - 1 else (),
            train_accuracy=1.0,
            train_loss=0.1,
            test_accuracy=accuracy,
            test_loss=1 - accuracy,
            epochs=5,
            seconds=Seconds(fit=0.5, observe=select, select=select),
        )
        for round, accuracy in enumerate(accuracies)
    ]


RECORDS = [
    *curve("random", 0, [0.5, 0.7, 0.9]),
    *curve("random", 1, [0.6, 0.8, 0.8]),
    *curve("badge", 0, [0.5, 0.9, 0.98], select=2.0),
    *curve("badge", 1, [0.6, 0.9, 0.96], select=1.0),
]


def terminal(width=80, **options):
    return Console(file=io.StringIO(), width=width, **options)


def shown(renderable, console):
    console.print(renderable)
    return written(console)


def written(console):
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


LABELS_TO = {
    "starts above": ([100, 200], [0.5, 0.6], 0.4, 100),
    "starts at": ([100, 200], [0.5, 0.6], 0.5, 100),
    "on a point": ([100, 200, 300], [0.5, 0.6, 0.7], 0.6, 200),
    "between points": ([100, 200, 300], [0.5, 0.6, 0.8], 0.7, 250),
    "never": ([100, 200], [0.5, 0.6], 0.61, NAN),
    "one point": ([100], [0.5], 0.6, NAN),
    "plateau: its start": ([1, 2, 3, 4], [0.1, 0.5, 0.5, 0.9], 0.5, 2),
    "falls, then crosses": ([1, 2, 3, 4], [0.4, 0.6, 0.2, 0.8], 0.7, 4 - 1 / 6),
    "crosses, then falls": ([1, 2, 3], [0.2, 0.6, 0.1], 0.4, 1.5),
    # From the reference cases, "uneven" and "plateau".
    "uneven": ([118, 198, 395], [0.49864468, 0.5678495, 0.67496526], 0.6, 257.12902759),
    "flat": ([400, 500, 800], [0.7259734, 0.7759857, 0.8364424], 0.75, 448.04133639),
}


@pytest.mark.parametrize(
    ("points", "accuracies", "target", "expected"),
    LABELS_TO.values(),
    ids=LABELS_TO.keys(),
)
def test_labels_to(points, accuracies, target, expected):
    reached = labels_to(points, accuracies, target)
    assert np.ndim(reached) == 0
    np.testing.assert_allclose(reached, expected, rtol=1e-6)


def test_labels_to_matches_a_dense_grid():
    rng = np.random.default_rng(0)
    points = np.cumsum(rng.integers(1, 9, 20))
    accuracies = rng.uniform(size=20)
    grid = np.linspace(points[0], points[-1], 200_001)
    on_grid = np.interp(grid, points, accuracies)
    targets = rng.uniform(size=(4, 5))
    naive = [
        grid[np.argmax(on_grid >= t)] if (on_grid >= t).any() else NAN for t in targets.ravel()
    ]
    found = labels_to(points, accuracies, targets)
    assert found.shape == (4, 5)
    np.testing.assert_allclose(found.ravel(), naive, atol=2e-3)


def test_label_efficiency():
    strategy = ([10, 20, 30], [0.4, 0.8, 0.9])
    random = ([10, 30, 50], [0.4, 0.6, 0.8])
    at_targets = label_efficiency(*strategy, *random, [0.3, 0.6, 0.8, 0.85])
    np.testing.assert_allclose(at_targets, [1, 2, 2.5, NAN])
    np.testing.assert_allclose(label_efficiency(*strategy, *random), [1, 2.5, NAN])
    np.testing.assert_allclose(label_efficiency(*random, *random), 1)


@bad_inputs(
    {
        "unequal lengths": (([1, 2], [0.1], 0.5), ValueError, "equal length, got shapes"),
        "a table": (([[1, 2]], [[0.1, 0.2]], 0.5), ValueError, "two lists of equal length"),
        "no point": (([], [], 0.5), ValueError, "expected at least one"),
        "equal counts": (([1, 1], [0.1, 0.2], 0.5), ValueError, "increasing, got 1 then 1"),
        "falling counts": (
            ([1, 3, 2], [0.1, 0.2, 0.3], 0.5),
            ValueError,
            "increasing, got 3 then 2",
        ),
        "NaN accuracy": (([1, 2], [0.1, NAN], 0.5), ValueError, "accuracies: .*NaN"),
        "NaN count": (([1, NAN], [0.1, 0.2], 0.5), ValueError, "points: .*NaN"),
        "NaN target": (([1, 2], [0.1, 0.2], NAN), ValueError, "target: .*NaN"),
    }
)
def test_bad_curve(given, error, message):
    points, accuracies, target = given
    with pytest.raises(error, match=message):
        labels_to(points, accuracies, target)


def test_summary_by_hand():
    random, badge = report.summarize(RECORDS)
    assert (random.strategy, badge.strategy) == ("random", "badge")
    assert [point.labels for point in random.points] == [20, 30, 40]
    means = [point.accuracy_mean for point in random.points]
    np.testing.assert_allclose(means, [0.55, 0.75, 0.85])
    np.testing.assert_allclose(random.points[0].accuracy_std, 0.1 / math.sqrt(2))
    np.testing.assert_allclose(random.points[0].loss_mean, 0.45)
    np.testing.assert_allclose(random.area_mean, (0.7 + 0.75) / 2)
    np.testing.assert_allclose(badge.select_seconds, 3.0)
    np.testing.assert_allclose(badge.fit_seconds, 0.5)
    assert math.isnan(badge.points[-1].select_seconds)
    # One of two seeds of random reaches 90 %, none 95 %.
    assert random.labels_to[0.90] == 40 and math.isnan(random.labels_to[0.95])
    assert badge.labels_to[0.90] == 30
    np.testing.assert_allclose(badge.labels_to[0.95], 30 + 10 * 0.05 / 0.08)


def test_efficiency_by_hand():
    random, badge = report.summarize(RECORDS)
    np.testing.assert_allclose([p.efficiency for p in random.points], 1)
    # Mean curves: random 55, 75, 85 %, badge 55, 90, 97 %; so badge needs 25.7 labels for 75 %.
    by_hand = [1, 30 / (20 + 10 * 20 / 35), 40 / (20 + 10 * 30 / 35)]
    np.testing.assert_allclose([p.efficiency for p in badge.points], by_hand)
    assert badge.efficiency == badge.points[-1].efficiency and random.efficiency == 1
    # Seeds of badge reach 75 % with 26.25 and 25 labels; those of random reach 85 % with 37.5 or
    # never.
    stds = [30 / 25 - 30 / 26.25, 40 / (20 + 25 / 3) - 40 / 28.75]
    found = [p.efficiency_std for p in badge.points]
    np.testing.assert_allclose(found[1:], np.abs(stds) / math.sqrt(2))
    assert found[0] > 0 and math.isnan(random.points[-1].efficiency_std)


def test_efficiency_where_a_curve_falls_or_ends_early():
    records = [
        *curve("random", 0, [0.5, 0.7, 0.6, 0.8]),
        *curve("weak", 0, [0.5, 0.6, 0.7, 0.7]),
    ]
    random, weak = report.summarize(records)
    # Random's best accuracy, not its latest, is matched; weak never reaches the last.
    expected = [1, 30 / 40, 30 / 40, NAN]
    np.testing.assert_allclose([p.efficiency for p in weak.points], expected)
    assert weak.efficiency == 30 / 40
    np.testing.assert_allclose([p.efficiency for p in random.points], [1, 1, 1, 1], rtol=1e-12)
    [alone] = report.summarize(records[4:])
    assert math.isnan(alone.efficiency) and math.isnan(alone.points[0].efficiency)
    [helped] = report.summarize(records[4:], random=records[:4])
    assert repr(helped) == repr(weak)


def test_labels_to_needs_half_of_the_seeds():
    high, low = [0.8, 0.96], [0.8, 0.85]
    for seeds, known in [([high, low, low], False), ([high, high, low], True)]:
        records = [r for seed, a in enumerate(seeds) for r in curve("a", seed, a)]
        [summary] = report.summarize(records)
        assert math.isnan(summary.labels_to[0.95]) != known


def test_unfinished_run_is_summarised_as_far_as_it_got():
    [summary] = report.summarize(RECORDS[:5])
    assert [point.seeds for point in summary.points] == [2, 2, 1]
    assert math.isnan(summary.points[-1].accuracy_std)
    np.testing.assert_allclose(summary.area_mean, 0.7)
    assert math.isnan(report.summarize(RECORDS[:1])[0].area_std)


def test_accuracy_that_is_not_finite_hides_no_other():
    records = [
        *curve("random", 0, [0.5, NAN, 0.9]),
        *curve("badge", 0, [0.5, 0.7, 0.9]),
        *curve("broken", 0, [0.5, 0.7, 0.9]),
        *curve("broken", 1, [0.5, NAN, 0.9]),
    ]
    random, badge, broken = report.summarize(records)
    assert math.isnan(random.points[1].accuracy_mean)
    assert random.labels_to[0.90] == 40 and badge.area_mean == pytest.approx(0.7)
    assert math.isnan(broken.points[1].accuracy_std) and math.isnan(badge.efficiency)
    assert report.draw([random, badge, broken], "")


def test_nothing_to_summarise():
    with pytest.raises(ValueError, match="at least one round, got none"):
        report.summarize([])


def test_files(tmp_path):
    summaries = report.write(RECORDS, tmp_path, "title")
    assert repr(summaries) == repr(report.summarize(RECORDS))
    rows = list(csv.DictReader((tmp_path / "summary.csv").read_text().splitlines()))
    assert [(row["strategy"], row["labels"]) for row in rows[2:4]] == [
        ("random", "40"),
        ("badge", "20"),
    ]
    assert float(rows[2]["accuracy_mean"]) == pytest.approx(0.85)
    assert rows[2]["seeds"] == "2"
    assert rows[2]["select_seconds"] == rows[2]["labels_to_95"] == ""
    assert rows[2]["efficiency"] == "1" and rows[2]["efficiency_std"] == ""
    assert float(rows[5]["efficiency"]) == pytest.approx(1.4) and "run" not in rows[0]
    picture = (tmp_path / "curves.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    width, height = (int.from_bytes(picture[i : i + 4]) for i in (16, 20))
    assert width >= 1200 and height >= 500


def test_curves_tell_strategies_apart_without_colour():
    records = [r for i in range(12) for r in curve(f"s{i}", 0, [0.1, 0.5, 0.6 + i / 100])]
    figure = report.draw(report.summarize([*records, *RECORDS[:3]]), "many")
    lines = figure.axes[0].get_lines()
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 13
    strategies = [("", "random"), *(("", f"s{i}") for i in range(30))]
    assert len({look[1:] for look in _looks(strategies)}) == 31
    assert legend_of(figure.axes[-1].get_legend())[:2] == [
        "random  90.0%",
        "s11  71.0%, 0.8x",
    ]


def legend_of(legend):
    return [text.get_text() for text in legend.get_texts()]


def test_efficiency_has_a_panel_if_there_is_random_sampling():
    summaries = report.summarize(RECORDS)
    with_random = report.draw(summaries, "")
    *_, panel, corner = with_random.axes
    assert panel.get_title(loc="left") == "labelling efficiency"
    at_1, badge, random = (np.asarray(line.get_xydata()) for line in panel.get_lines())
    np.testing.assert_allclose(badge[-1], [40, 1.4])
    assert (random[:, 1] == 1).all() and (at_1[:, 1] == 1).all()
    assert legend_of(corner.get_legend()) == ["badge  97.0%, 1.4x", "random  85.0%"]
    without = report.draw(report.summarize(RECORDS[6:]), "")
    assert len(without.axes) == 2 and len(without.legends) == 1
    assert with_random.get_figheight() > without.get_figheight()


def test_looks_of_several_runs():
    lines = [(run, name) for run in ("a", "b") for name in ("random", "x", "y")]
    looks = _looks(lines)
    assert len(set(looks)) == 6
    for first, second in zip(looks[:3], looks[3:], strict=True):
        assert (first.color, first.marker) == (second.color, second.marker)
        assert first.linestyle != second.linestyle


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_curves_of_short_runs(rounds, tmp_path):
    records = curve("random", 0, [0.5, 0.7, 0.9][:rounds])
    report.write(records, tmp_path, "short")


def test_table_is_plain_text_in_80_columns():
    summaries = report.summarize(RECORDS)
    text = shown(report.results_table(summaries, terminal()), terminal())
    assert max(map(len, text.splitlines())) <= 80
    above, header, _, random, badge = text.splitlines()[1:6]
    assert above.split() == ["vs"]
    assert header.split() == "strategy 20 30 40 to 90% to 95% random select".split()
    assert random.split()[-4:] == [">40", "1.0x", "2.0", "ms"]
    assert badge.split()[-5:] == ["30*", "36*", "1.4x*", "3.0", "s"]
    assert "vs random: labels random needs over" in " ".join(text.split())
    assert "97.0 ± 1.4*" in badge and "\x1b" not in text
    assert "55.0 ± 7.1 " in random  # all alike in this column: none is best


def test_table_marks_the_best_in_bold_on_a_terminal():
    console = terminal(force_terminal=True, color_system="standard")
    text = shown(report.results_table(report.summarize(RECORDS), console), console)
    assert "\x1b[1m97.0 ± 1.4\x1b[0m" in text and "*" not in text


def test_area_in_the_table():
    console = terminal(90)
    text = shown(report.results_table(report.summarize(RECORDS), console), console)
    assert "area: mean over all label counts" in " ".join(text.split())
    random, badge = text.splitlines()[4:6]
    assert "72.5" in random.split() and "83.0*" in badge.split()


def test_table_without_random_sampling_has_no_efficiency():
    text = shown(report.results_table(report.summarize(RECORDS[6:]), terminal()), terminal())
    assert "vs" not in text and "random" not in text


@pytest.mark.parametrize(
    ("width", "columns", "area"),
    [(60, 1, False), (80, 2, True), (90, 3, True), (100, 4, False), (120, 5, True)],
)
def test_table_fits_its_columns_to_the_width(width, columns, area):
    accuracies = np.linspace(0.5, 0.99, 16)
    names = ["random", "least_confidence"]
    records = [r for n in names for seed in (0, 1) for r in curve(n, seed, accuracies)]
    summaries = report.summarize(records)
    console = terminal(width)
    lines = shown(report.results_table(summaries, console), console).splitlines()
    header = next(line for line in lines if line.startswith("strategy"))
    counts = [int(word) for word in header.split() if word.isdigit()]
    assert len(counts) == columns and counts[-1] == 170
    assert columns == 1 or counts[0] == 20
    assert ("area" in header.split()) == area
    assert max(map(len, lines)) <= width


def test_table_on_an_old_terminal_is_ascii():
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console = Console(file=file, width=80)
    console.print(report.results_table(report.summarize(RECORDS), console))
    file.flush()
    assert b"97.0 +- 1.4*" in file.buffer.getvalue()  # pyright: ignore


CONFIG = """
[data]
source = "{source}"
[model]
name = "logistic"
[strategy]
names = ["random", "badge"]
"""


def run_folder(folder, records, source="sklearn:iris"):
    folder.mkdir(parents=True)
    if source:
        (folder / "config.toml").write_text(CONFIG.format(source=source))
    with Writer(folder / "history.jsonl") as writer:
        for record in records:
            writer.write(record)
    return folder


def test_compare_tells_runs_apart(tmp_path):
    first = run_folder(tmp_path / "first", RECORDS)
    second = run_folder(tmp_path / "second", RECORDS[3:6] + curve("margin", 0, [0.9]))
    summaries, notes, _ = report.compare([first, second / "history.jsonl"])
    assert names(summaries) == ["first/random", "badge", "second/random", "margin"]
    assert [summary.run for summary in summaries] == ["first"] * 2 + ["second"] * 2
    assert notes == []
    # Each against random sampling of its own run, and the seeds of two runs are not added up.
    assert repr([s._replace(run="") for s in summaries[:2]]) == repr(report.summarize(RECORDS))
    assert summaries[2].seeds == 1 and summaries[2].efficiency == 1
    report.write_comparison(report.Comparison(summaries, notes, []), tmp_path / "new" / "out")
    table = (tmp_path / "new" / "out" / "comparison.csv").read_text().splitlines()
    rows = list(csv.DictReader(table))
    assert [(row["run"], row["strategy"]) for row in rows[2:4] + rows[-1:]] == [
        ("first", "random"),
        ("first", "badge"),
        ("second", "margin"),
    ]
    assert (tmp_path / "new/out/comparison.png").read_bytes().startswith(b"\x89PNG")
    text = shown(report.results_table(summaries, terminal()), terminal())
    assert "1 to 2 seeds" in " ".join(text.split()) and "second/random" in text
    assert max(map(len, text.splitlines())) <= 80


def test_compare_without_random_sampling_in_a_run(tmp_path):
    other = run_folder(tmp_path / "other", RECORDS[6:])
    whole = run_folder(tmp_path / "whole", RECORDS)
    summaries, notes, _ = report.compare([other, whole])
    assert summaries[0].efficiency == pytest.approx(1.4)
    assert notes == ["other has no random sampling: its efficiency is against that of whole"]
    [alone], notes, _ = report.compare([other])
    assert math.isnan(alone.efficiency) and notes == []


def test_compare_refuses_data_that_differ(tmp_path):
    runs = [
        run_folder(tmp_path / "iris", RECORDS),
        run_folder(tmp_path / "digits", RECORDS, "sklearn:digits"),
        run_folder(tmp_path / "bare", RECORDS, source=""),
    ]
    differ = "not the same data: source = 'sklearn:digits' in digits, 'sklearn:iris' in iris"
    with pytest.raises(ValueError, match=f"{differ} .--different-data"):
        report.compare(runs)
    compared = report.compare(runs, different_data=True)
    assert compared.notes == ["bare has no config.toml: its data may be others", differ]
    assert {one.against.split("/")[0] for one in compared.paired} == {"iris", "digits", "bare"}
    assert report.compare(runs[2:]).notes == []


def test_compare_names_runs_by_their_paths_where_folders_are_alike(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "b"):
        run_folder(tmp_path / folder / "digits", RECORDS[:3])
    summaries, *_ = report.compare(["a/digits", "b/digits"])
    assert names(summaries) == ["a/digits/random", "b/digits/random"]
    monkeypatch.chdir("a/digits")
    (tmp_path / "a/digits/history.jsonl").rename("early.jsonl")
    assert [s.run for s in report.compare(["early.jsonl"]).summaries] == ["early"]


def test_compare_counts_the_labels_that_all_runs_have(tmp_path):
    long = run_folder(tmp_path / "long", curve("random", 0, np.linspace(0.5, 0.9, 9)))
    short = run_folder(tmp_path / "short", curve("random", 0, [0.5, 0.6, 0.7]))
    summaries, *_ = report.compare([long, short])
    text = shown(report.results_table(summaries, terminal(100)), terminal(100))
    header = next(line for line in text.splitlines() if line.startswith("strategy"))
    assert header.split()[1:4] == ["20", "30", "40"]


def test_compare_refuses_what_is_no_run(tmp_path):
    run = run_folder(tmp_path / "run", RECORDS)
    empty = run_folder(tmp_path / "empty", [])
    (tmp_path / "plain").mkdir()
    (tmp_path / "words.jsonl").write_text("words\n")
    for paths, message in {
        (run, run / "history.jsonl"): "run/history.jsonl: given twice",
        (tmp_path / "plain",): "plain: not a run: it has no history.jsonl",
        (run, empty): "empty/history.jsonl: no finished round",
        (tmp_path / "words.jsonl",): "words.jsonl, line 1: not a record",
    }.items():
        with pytest.raises(ValueError, match=message):
            report.compare(paths)
    with pytest.raises(FileNotFoundError):
        report.compare([tmp_path / "absent"])


def test_progress_off_a_terminal_is_a_few_lines():
    console = terminal()
    with report.progress(100, console) as bar:
        bar.begin("badge")
        for step in range(50):
            bar.advance("badge", step, 0.5, steps=2)
    lines = written(console).splitlines()
    assert len(lines) == 10
    assert lines[0] == "10/100 in 0 s: badge, round 4: 50.0%"
    assert lines[-1].startswith("100/100 in 0 s")


def test_progress_on_a_terminal_is_a_bar():
    console = terminal(width=100, force_terminal=True)
    with report.progress(2, console) as bar:
        bar.begin("badge")
        bar.advance("badge", 0, 0.5)
        bar.advance("badge", 1, 0.75)
    text = written(console)
    assert "badge, round 1: 75.0%" in text and "2/2" in text


def test_progress_is_silent_when_quiet():
    for on_terminal in (False, True):
        console = terminal(force_terminal=on_terminal, quiet=True)
        with report.progress(1, console) as bar:
            bar.advance("badge", 0, 0.5)
        assert written(console).strip("\x1b[?25lh") == ""
