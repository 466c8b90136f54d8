"""The harness of `benchmarks/`: what workers answer, what is compared, and what the table says."""

import importlib
import json
import os
import pathlib
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORE = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are pinned on Linux")


@pytest.fixture(scope="module")
def harness():
    """The modules of the harness, and the fakes where workers find them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        patch.setenv("PYTHONPATH", str(ROOT / "tests"))
        names = ("players", "conductor", "table", "peers", "topic")
        yield {name: importlib.import_module(f"benchmarks.harness.{name}") for name in names}


@pytest.fixture(scope="module")
def said():
    return []


@pytest.fixture(scope="module")
def record(harness, said):
    """Every kind of side, compared."""
    return harness["conductor"].compare("all", "small", settings(harness, said, limit=2.0))


def settings(harness, said, **options):
    given = {"missing": {"left-out": "no such release"}, "cores": (CORE,), "spend": 2.0}
    return harness["players"].Settings(
        pathlib.Path(sys.executable), module="fake_topics", say=said.append, **given | options
    )


def test_sides_are_compared_turn_by_turn(record, said):
    ours, again, smallest = (record["sides"][name] for name in ("ours", "again", "smallest"))
    assert ours["runs"] == smallest["runs"] == 5
    assert ours["seconds"]["min"] <= ours["seconds"]["median"] <= ours["seconds"]["max"]
    assert ours["times_seconds"] == {"median": 1.0, "min": 1.0, "max": 1.0}
    assert smallest["times_seconds"]["median"] > 3 and smallest["seconds"]["min"] >= 0.02
    assert smallest["cpu_seconds"]["median"] < 0.02 < smallest["seconds"]["median"]  # it sleeps
    assert ours["version"] == np.__version__ and ours["threads"] == 1
    assert ours["peak_bytes"] >= ours["resident_bytes_before"] / 2 > 1e6
    assert (again["same_order"], again["picks_shared"]) == (False, 1.0)
    assert smallest["picks_shared"] == 0.0 and smallest["distinct"]
    assert record["cores"] == [CORE] and len(record["load_before"]) == 3
    turns = [line for line in said if " of 5, " in line]
    assert [line.split(":")[0].strip() for line in turns[:4]] == [
        "ours",
        "again",
        "smallest",
        "ours",
    ]


def test_quality_is_measured_in_the_same_way_of_all(record):
    values = np.sort(np.random.default_rng(0).normal(size=50))
    ours, smallest = (record["sides"][name]["quality"] for name in ("ours", "smallest"))
    assert ours["median"] == pytest.approx(values[-5:].sum())
    assert smallest["median"] == pytest.approx(values[:5].sum())


def test_who_gives_no_answer_is_told(record):
    reasons = {
        "absent": ("unavailable", "a_package_that_is_not_there"),
        "left_out": ("unavailable", "no such release"),
        "fails": ("failed", "ArithmeticError: no answer"),
        "ends": ("failed", "ended with status 3"),
        "sleeps": ("unfinished", "no answer in 2 s"),
    }
    for name, (kind, reason) in reasons.items():
        assert reason in record["sides"][name][kind], name


def test_without_an_environment_of_peers_all_of_them_are_named(harness, said):
    nobody = settings(harness, said)._replace(python=None)
    side = harness["conductor"].import_module("fake_topics").TOPICS["all"].sides["ours"]
    found = harness["players"].warm("all", "ours", side, ROOT, {}, nobody)
    assert "python -m benchmarks peers" in found["unavailable"]


def test_the_table_of_a_stored_record(harness, record, tmp_path):
    (tmp_path / "peers-all-small-cpu.json").write_text(json.dumps(record))
    table = harness["table"]
    stored = table.read(tmp_path, ["all"])
    text = table.markdown(stored, ["all", "another"])
    assert "Not measured: another." in text
    rows = {line.split(" | ")[1]: line for line in text.split("\n\n")[0].splitlines()[2:]}
    assert "the same rows; sum" in rows["again"] and "**" not in rows["again"]
    assert "0% of the rows" in rows["smallest"] and "% worse**" in rows["smallest"]
    assert "unavailable: no such release" in rows["left_out"]
    assert "unfinished: no answer in 2 s" in rows["sleeps"]
    (line,) = table.short(stored).splitlines()[2:]
    assert "again " in line and "smallest " in line and "sleeps" not in line and "*" not in line
    page = f"before\n{table.BEGIN}\nold\n{table.END}\nafter"
    assert table.into(page, text) == f"before\n{table.BEGIN}\n\n{text}\n\n{table.END}\nafter"
    with pytest.raises(ValueError, match="marks"):
        table.into("no marks", text)
    assert table.read(tmp_path, ["another"]) == []


def test_whole_experiments_have_a_table_of_their_own(harness, record, said):
    table = harness["table"]
    whole = harness["conductor"].compare("whole", "small", settings(harness, said))
    ours, starts = whole["sides"].values()
    # What it started is counted with it.
    assert 0.2 <= starts["cpu_seconds"]["min"] < 2 and ours["cpu_seconds"]["max"] < 0.1
    assert starts["peak_bytes"] > 2**26
    assert whole["whole"] and whole["work"] is None
    parts = table.short([record, whole]).split("\n\n")
    assert [part.split(" | ")[0] for part in parts] == ["| one decision", "| a whole experiment"]
    assert "starts " in parts[1] and "starts" not in parts[0]
    assert table.markdown([whole]).startswith("|  | beside jaxal")


def test_random_answers_are_told_apart_by_their_spread(harness, said):
    record = harness["conductor"].compare("random", "small", settings(harness, said))
    ours, theirs = record["sides"].values()
    assert ours["quality"] == theirs["quality"] and ours["quality"]["answers"] == 25
    assert ours["quality"]["standard_error"] > 0
    for away, said_of_it in ((1.0, "not told apart"), (10.0, "% better**")):
        theirs["quality"]["mean"] = (
            ours["quality"]["mean"] + away * ours["quality"]["standard_error"]
        )
        assert said_of_it in harness["table"].markdown([record])


def test_peers_are_installed_one_by_one_where_one_fails(harness, tmp_path, monkeypatch):
    peers = harness["peers"]
    together, alone = peers.requirements("a==1  # for b\nb\n# a remark\n--no-deps c>=2\n\n")
    assert (together, alone) == (["a==1", "b"], ["c>=2"])
    calls = []

    class Done:
        def __init__(self, command):
            calls.append(command[5:])
            self.returncode = int("b" in command or "c>=2" in command)
            self.stderr = "WARNING: old\nERROR: no matching release\n" if self.returncode else ""

    monkeypatch.setattr(peers.subprocess, "run", lambda command, **_: Done(command))
    text = "a==1\nb\n--no-deps c>=2\n--no-deps d"
    failed = peers.make(tmp_path, {"d": "somewhere"}, lambda line: None, text)
    reason = "ERROR: no matching release"
    assert failed == {"b": reason, "c": reason} == peers.missing(tmp_path)
    assert calls[-1] == ["--no-deps", "somewhere", "--force-reinstall"]
    assert ["a==1", "b"] in calls and ["a==1"] in calls


def test_the_page_is_written_from_what_is_stored(harness):
    table = harness["table"]
    topics = importlib.import_module("benchmarks.topics").TOPICS
    stored = table.read(ROOT / "benchmarks" / "results", list(topics))
    assert stored
    page = (ROOT / "docs" / "guide" / "benchmarks.md").read_text()
    assert table.into(page, table.markdown(stored, list(topics))) == page
    readme = (ROOT / "README.md").read_text()
    assert table.into(readme, table.short(stored)) == readme


def test_every_topic_makes_its_inputs_and_measures_an_answer(harness):
    topics = importlib.import_module("benchmarks.topics").TOPICS
    for name, topic in topics.items():
        size, rng = topic.sizes["small"], np.random.default_rng(0)
        assert set(topic.sizes) == {"small", "medium", "large"}, name
        inputs = topic.make(rng, size)
        if topic.picks_rows:
            count = topic.sizes["small"]["rows"]
            answer = rng.choice(count, size["picks"], False)
        elif topic.whole:
            answer = rng.random(size.get("rounds", 0) + 1)
        else:
            answer = inputs["points"][: size["centers"]]
        assert np.isfinite(topic.quality.measure(inputs, size, answer)), name
        assert topic.shape(size) and (topic.whole or min(topic.work(size)) > 0), name
        first, *others = topic.sides.values()
        assert not first.peer and any(side.peer for side in others) != topic.alone, name


@pytest.fixture(scope="module")
def experiments(harness):
    pytest.importorskip("sklearn")
    return importlib.import_module("benchmarks.topics.experiments")


def test_loops_begin_with_jaxal_s_model(experiments):
    topic = experiments.EXPERIMENT
    inputs = topic.make(None, {})
    size = {"rounds": 1, "picks": 5, "hidden": 8, "epochs": 2}
    ours, by_hand = (
        topic.sides[name].prepare(inputs, size)(1) for name in ("jaxal", "a loop by hand")
    )
    assert ours.shape == by_hand.shape == (2,) and 0.6 < ours[0] < 0.9
    np.testing.assert_allclose(ours[0], by_hand[0], atol=0.006)  # two rows of the test set
    rows = experiments.first_rows(inputs["pool_labels"], 1)
    assert sorted(inputs["pool_labels"][rows]) == [label for label in range(10) for _ in "ab"]


@pytest.mark.slow
def test_seeds_in_one_program_are_those_of_single_runs(experiments):
    topic = experiments.SEEDS
    inputs = topic.make(None, {})
    size = {"rounds": 1, "picks": 5, "hidden": 8, "epochs": 5, "seeds": 3}
    together, alone = (side.prepare(inputs, size)(0) for side in topic.sides.values())
    assert together.shape == alone.shape == (3,)
    np.testing.assert_allclose(together, alone, atol=0.03)


@pytest.mark.slow
def test_a_command_is_timed_to_its_picture(experiments, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    quick = ["strategy.names=random,margin", "seeds=2", "strategy.rounds=1", "learner.max_epochs=2"]
    side = experiments.COLD_START.sides["jaxal"]
    accuracies = side.prepare({}, {"changed": quick})(0)
    assert accuracies.shape == (4,) and 0 < accuracies.min() <= accuracies.max() <= 1
    assert [*tmp_path.glob("*/cache/*")] and [*tmp_path.glob("*/*/run/curves.png")]


def test_shares_are_of_the_machine_that_measured(harness, record):
    def measured(platform, rate):
        return record | {
            "work": {"flops": 1e9, "bytes": 1e9},
            "environment": record["environment"] | {"platform": platform},
            "ceilings": {"numpy": {"flops": rate, "bytes_per_second": rate}},
        }

    text = harness["table"]._ceilings([measured("slow", 1e15), measured("fast", 4e15)])
    head, _, *rows = ([*map(str.strip, line.split("|")[1:-1])] for line in text.splitlines())
    assert head[3:] == [
        "of 1000000 or 4000000 GFLOP/s of a matrix product",
        "of 1000000.0 or 4000000.0 GB/s of a copy",
    ]
    slow, fast = ([*map(float, row[1:])] for row in rows)
    assert slow[:2] == fast[:2] == [1.0, 1.0]
    np.testing.assert_allclose(np.divide(slow, fast)[2:], 4, rtol=0.1)
