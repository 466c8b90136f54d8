"""Scenarios, sets and seed sets of a config: what is made of the data, in which order."""

import csv
import math
import re
import tomllib
from typing import Any

import numpy as np
import pytest
from helpers import bad_inputs

from jaxal import cli, data, experiment, models, report
from jaxal.base import Examples, prepared
from jaxal.data.scenarios import Facts
from jaxal.experiment import _run as runner
from jaxal.experiment import override, parse, to_toml
from jaxal.experiment.scenario import initial_rows
from jaxal.records import figures

ROWS = 40  # of each of 5 classes
CONFIG = """
name = "made"
seeds = 2
[data]
source = "npz:{path}"
standardize = false
[model]
name = "logistic"
[learner]
max_epochs = 3
[strategy]
names = ["random"]
initial = 5
budget = 10
rounds = 2
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A config of data whose first input is the row's number, negative in the test part."""
    folder = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(5), ROWS)
    inputs = np.concatenate([np.arange(len(labels))[:, None], rng.normal(size=(200, 3))], axis=1)
    np.savez(
        folder / "made.npz",
        train_inputs=inputs.astype(np.float32),
        train_labels=labels,
        test_inputs=(inputs * [-1, 1, 1, 1])[:60].astype(np.float32),
        test_labels=labels[:60],
    )
    path = folder / "made.toml"
    path.write_text(CONFIG.format(path=folder / "made.npz"))
    return path


def built(made, *settings) -> Any:
    return runner.build(experiment.load(made, settings))


def numbers(examples):
    return np.asarray(examples.inputs)[:, 0].astype(int)


def counts(labels, classes=5):
    return np.bincount(labels[labels >= 0], minlength=classes).tolist()


def test_without_a_scenario_nothing_is_made(made):
    parts = built(made)
    assert parts.facts is None and parts.query is None and parts.private is None
    np.testing.assert_array_equal(numbers(parts.pool), np.arange(200))
    text = to_toml(experiment.load(made))
    assert "scenario" not in text and "sets" not in text and "seed_set" not in text


def test_classes_become_rare(made):
    settings = ["scenario.rare_classes=[1, 4]", "scenario.rows_per_class=30"]
    parts = built(made, *settings, "scenario.rare_rows=3")
    assert counts(parts.pool.labels) == [30, 3, 30, 30, 3]
    assert parts.facts is not None and parts.facts.rare == (1, 4)
    np.testing.assert_array_equal(parts.facts.classes, parts.pool.labels)
    assert len(parts.test.labels) == 60
    parts = built(made, *settings, "scenario.rare_fraction=0.1")
    assert counts(parts.pool.labels) == [30, 4, 30, 30, 4]
    assert counts(built(made, *settings).pool.labels) == [30] * 5


def test_the_order_is_thin_then_no_class_then_noise_then_copies_then_repetition(made):
    parts = built(
        made,
        "scenario.rare_classes=[4]",
        "scenario.rare_rows=4",
        "scenario.ood_classes=[1]",
        "scenario.ood_rows=20",
        "scenario.rows_per_class=16",
        "scenario.label_noise=0.25",
        "scenario.copies=3",
        "scenario.copied_rows=10",
        "data.repeat=2",
        "data.noise=0.001",
    )
    pool, facts = parts.pool, parts.facts
    assert facts is not None and facts.originals is not None
    assert len(pool.labels) == 2 * (16 * 3 + 4 + 20 + 2 * 10) == len(facts.originals)
    rows = numbers(pool._replace(inputs=pool.inputs + 0.5))
    # Classes 2, 3 and 4 are 1, 2 and 3 now; what a label was before the noise is known.
    np.testing.assert_array_equal(facts.classes, np.array([0, -1, 1, 2, 3])[rows % 5])
    assert facts.rare == (3,)
    assert ((pool.labels == -1) == (rows % 5 == 1)).all(), "noise gives no class to what has none"
    originals = {}
    for row, original, label in zip(rows, facts.originals, pool.labels, strict=True):
        assert originals.setdefault(original, (row, label)) == (row, label)
    assert len(originals) == 16 * 3 + 4 + 20 == len({row for row, _ in originals.values()})
    wrong = [label != np.array([0, -1, 1, 2, 3])[row % 5] for row, label in originals.values()]
    assert sum(wrong) == (16 * 3 + 4) // 4
    assert counts(parts.test.labels, 4) == [12] * 4 and (numbers(parts.test) <= 0).all()
    np.testing.assert_array_equal(
        parts.test.labels, np.array([0, -1, 1, 2, 3])[-numbers(parts.test) % 5]
    )


def test_copies_by_repetition_alone_are_known_too(made):
    parts = built(made, "data.repeat=3")
    assert parts.facts == Facts(parts.facts.classes, parts.facts.originals)
    np.testing.assert_array_equal(parts.facts.originals, numbers(parts.pool))


def test_sets_are_held_out_of_the_pool_one_after_the_other(made):
    parts = built(
        made,
        "sets.query.classes=[4, 3]",
        "sets.query.rows_per_class=5",
        "sets.private.rows_per_class=2",
        "sets.validation.rows_per_class=3",
        "scenario.ood_classes=[2]",
        "scenario.ood_rows=7",
        "learner.patience=2",
    )
    query, private, validation = parts.query, parts.private, parts.validation
    assert query is not None and validation is not None and not isinstance(private, str | None)
    assert query.labels.tolist() == [2] * 5 + [3] * 5
    assert private.labels.tolist() == [0, 0, 1, 1, -1, -1, 2, 2, 3, 3]
    assert validation.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    rows = [numbers(one) for one in (parts.pool, query, private, validation)]
    assert len(np.unique(np.concatenate(rows))) == sum(map(len, rows))
    assert counts(parts.pool.labels, 4) == [35, 35, 30, 30] and (parts.pool.labels < 0).sum() == 7


def test_sets_of_the_rounds_are_named(made):
    parts = built(made, "sets.private.source=labeled")
    assert parts.private == "labeled"
    parts = built(made, "sets.private.source=found", "scenario.ood_classes=[0]")
    assert parts.private == "found"


def test_sets_from_a_file_are_scaled_as_the_pool_is(made, tmp_path):
    rng = np.random.default_rng(1)
    inputs, labels = rng.normal(size=(20, 4)).astype(np.float32), np.arange(20) % 5
    np.savez(tmp_path / "query.npz", inputs=inputs, labels=labels)
    settings = [f"sets.query.source=npz:{tmp_path}/query.npz", "sets.query.classes=[1, 2]"]
    parts = built(made, *settings, "data.standardize=true", "scenario.ood_classes=[0]")
    raw, _ = data.load(experiment.load(made).data.source, standardize=False)
    mean, std = raw.inputs.mean(axis=0), raw.inputs.std(axis=0)
    assert parts.query is not None and len(parts.query.labels) == 8
    order = np.argsort(parts.query.inputs[:, 1])
    mine = np.isin(labels, [1, 2])
    expected = (inputs[mine] - mean) / std
    again = np.argsort(expected[:, 1])
    np.testing.assert_allclose(parts.query.inputs[order], expected[again], rtol=1e-4, atol=1e-5)
    assert parts.query.labels[order].tolist() == (labels[mine][again] - 1).tolist()
    parts = built(made, *settings, "sets.query.rows_per_class=1")
    assert parts.query is not None and sorted(parts.query.labels) == [1, 2]


@pytest.mark.slow
def test_seed_sets(made):
    parts = built(made)
    pool, model = parts.pool, parts.learner.model

    def of(*settings, pool=pool, model=model):
        return initial_rows(experiment.load(made, settings).strategy, pool, model)

    assert of() == of("strategy.seed_set=random") == of("strategy.seed_set=balanced") == 5
    assert of("strategy.seed_set=[3, 1]") == [3, 1]
    assert of("strategy.seed_set={4 = 2, 0 = 1}") == {4: 2, 0: 1}
    rows = of("strategy.seed_set=facility_location")
    assert len(set(rows.tolist())) == 5
    rows = of("strategy.seed_set=facility_location", "strategy.balanced=true")
    assert pool.labels[rows].tolist() == [0, 1, 2, 3, 4]
    raw = Examples(np.round(20 * pool.inputs + 100).astype(np.uint8), pool.labels)
    by = models.normalized(model, 100.0, 20.0, scale=1)
    floats = Examples(np.asarray(prepared(by, raw.inputs)), pool.labels)
    found = of("strategy.seed_set=facility_location", pool=raw, model=by)
    assert found.tolist() == of("strategy.seed_set=facility_location", pool=floats).tolist()
    with pytest.raises(TypeError, match="^strategy.seed_set: .* as of token ids"):
        of("strategy.seed_set=facility_location", pool=raw)


def test_settings_survive_the_way_to_toml(made):
    settings = [
        "scenario.rare_classes=[1]",
        "scenario.label_transition=[[1, 0.0], [0.5, 0.5]]",
        "sets.query.classes=[1]",
        "sets.query.rows_per_class=2",
        "strategy.seed_set={0 = 1}",
    ]
    config = experiment.load(made, settings)
    assert config.scenario.label_transition == ((1, 0.0), (0.5, 0.5))
    assert config.sets.query.classes == (1,) and config.strategy.seed_set == {"0": 1}
    text = to_toml(config)
    assert parse(tomllib.loads(text)) == config
    assert override(config, "seeds=3").scenario == config.scenario


@pytest.fixture(scope="module")
def run(made, tmp_path_factory):
    settings = [
        "scenario.rare_classes=[4]",
        "scenario.rare_rows=8",
        "scenario.ood_classes=[1]",
        "scenario.copies=3",
        "sets.private.source=found",
        "sets.query.classes=[4]",
        "sets.query.rows_per_class=2",
        "strategy.names=random,scmi,scg,smi",
        "strategy.seed_set={0 = 2, 1 = 2, 3 = 1}",
    ]
    config = experiment.load(made, settings)
    out = experiment.run(config, tmp_path_factory.mktemp("run") / "out")
    return config, out


@pytest.mark.slow
def test_records_count_what_was_found(run):
    config, out = run
    facts: Any = runner.build(config).facts
    records = experiment.read(out / "history.jsonl")
    assert len(records) == 24
    for strategy in config.strategy.names:
        for seed in range(2):
            mine = [one for one in records if (one.strategy, one.seed) == (strategy, seed)]
            assert [one.labels for one in mine] == [5, 15, 25]
            picks = []
            for one in mine:
                assert one.rare_found == sum(facts.classes[row] == 3 for row in picks)
                assert one.ood_picks == sum(facts.classes[row] == -1 for row in picks)
                assert 0 <= (one.unique_picks or 0) <= len(np.unique(facts.originals[picks]))
                assert one.rare_recall == one.class_accuracy[3]
                np.testing.assert_allclose(
                    np.mean(one.class_accuracy), one.test_accuracy, atol=1e-6
                )
                picks += one.rows
            assert len(set(picks)) == len(picks) == 20
    first = [one for one in records if one.round == 0]
    assert all((one.rare_found, one.unique_picks, one.ood_picks) == (0, 0, 0) for one in first)


@pytest.mark.slow
def test_a_run_with_a_scenario_goes_on(run, tmp_path, monkeypatch):
    class Stop:
        def begin(self, strategy):
            pass

        def advance(self, strategy, round, accuracy, *, steps=1):
            if (strategy, round) == ("scmi", 1):
                raise KeyboardInterrupt

    config, unbroken = run
    monkeypatch.setattr(runner, "CHECKPOINT_SHARE", math.inf)
    with pytest.raises(KeyboardInterrupt):
        experiment.run(config, tmp_path, Stop())
    experiment.run(config, tmp_path, resume=True)
    said = [
        list(map(figures, experiment.read(one / "history.jsonl"))) for one in (unbroken, tmp_path)
    ]
    assert said[0] == said[1]


@pytest.mark.slow
def test_table_and_summary_have_columns_for_it(run, capsys):
    _, out = run
    assert cli.main(["report", str(out)]) == 0
    shown = capsys.readouterr().out
    for head in ("recall", "found", "unique", "OOD"):
        assert re.search(rf"\b{head}\b", shown), shown
    with open(out / "summary.csv") as file:
        rows = list(csv.DictReader(file))
    records = experiment.read(out / "history.jsonl")
    last = [one for one in records if one.strategy == "scmi" and one.round == 2]
    row = next(row for row in rows if row["strategy"] == "scmi" and row["labels"] == "25")
    for name in ("rare_recall", "rare_found", "unique_picks", "ood_picks"):
        expected = np.mean([getattr(one, name) for one in last])
        assert float(row[name]) == pytest.approx(expected, rel=1e-5)
    assert cli.main(["compare", str(out), "--out", str(out / "c")]) == 0


def test_without_a_scenario_there_are_no_columns(tmp_path):
    record = experiment.Record("random", 0, 0, 5, (), 1.0, 0.1, 0.5, 0.5, 3)
    report.write([record], tmp_path, "a run")
    assert "rare" not in (tmp_path / "summary.csv").read_text()


def test_other_scenarios_are_noted(made, tmp_path):
    for name, setting in {"one": "seed=1", "two": "scenario.copies=2"}.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.toml").write_text(to_toml(experiment.load(made, [setting])))
        record = experiment.Record("random", 0, 0, 5, (), 1.0, 0.1, 0.5, 0.5, 3)
        with experiment.Writer(folder / "history.jsonl") as writer:
            writer.write(record)
    notes = report.compare([tmp_path / "one", tmp_path / "two"], different_data=True).notes
    assert notes == ["not the same data: scenario.copies = 2 in two, 1 in one"]


@bad_inputs(
    {
        "no such class": (["scenario.rare_classes=[7]"], "scenario.rare_classes: .*pool, got 7"),
        "no such class outside": (["scenario.ood_classes=[7]"], "scenario.ood_classes: .* got 7"),
        "all outside": (["scenario.ood_classes=[0, 1, 2, 3, 4]"], "classes: .* left, got all"),
        "rare and outside": (
            ["scenario.rare_classes=[1]", "scenario.ood_classes=[1]"],
            "scenario.ood_classes: expected none that is rare, got 1",
        ),
        "rare rows of no class": (["scenario.rare_rows=3"], "scenario.rare_rows: .*rare_classes"),
        "rare both": (
            ["scenario.rare_classes=[1]", "scenario.rare_rows=3", "scenario.rare_fraction=0.5"],
            "scenario.rare_fraction: expected no rare_rows",
        ),
        "too many rare": (
            ["scenario.rare_classes=[1]", "scenario.rare_rows=41"],
            r"scenario.rare_rows: expected 1 to 40 \(the rows of class 1\), got 41",
        ),
        "too many": (["scenario.rows_per_class=41"], "scenario.rows_per_class: expected 1 to 40"),
        "too many outside": (
            ["scenario.ood_classes=[1]", "scenario.ood_rows=41"],
            "scenario.ood_rows: expected 1 to 40",
        ),
        "outside of none": (["scenario.ood_rows=3"], "scenario.ood_rows: .*scenario.ood_classes"),
        "copied once": (["scenario.copied_rows=3"], "scenario.copied_rows: needs scenario.copies"),
        "too many copied": (
            ["scenario.copied_rows=201", "scenario.copies=2"],
            "scenario.copied_rows: expected 1 to 200",
        ),
        "too many distinct": (["scenario.unique_rows=201"], "scenario.unique_rows: .* 1 to 200"),
        "transition": (
            ["scenario.label_transition=[[1.0]]"],
            r"scenario.label_transition: expected \[5, 5\]",
        ),
        "both kinds of noise": (
            ["scenario.label_transition=[[1.0]]", "scenario.label_noise=0.1"],
            "scenario.label_transition: expected no share",
        ),
        "set without a count": (["sets.query.classes=[1]"], "sets.query.rows_per_class: expected"),
        "set larger than its class": (
            ["sets.query.rows_per_class=40"],
            "sets.query.rows_per_class: expected fewer than the 40 rows of class 0",
        ),
        "query outside": (
            ["sets.query.classes=[1]", "sets.query.rows_per_class=3", "scenario.ood_classes=[1]"],
            "sets.query.classes: expected none that is out of distribution, got 1",
        ),
        "found without any": (["sets.private.source=found"], "sets.private.source: 'found' needs"),
        "labeled with a count": (
            ["sets.private.source=labeled", "sets.private.rows_per_class=3"],
            "sets.private.source: expected nothing else beside 'labeled'",
        ),
        "labeled query": (["sets.query.source=labeled"], "sets.query.source.*'labeled'"),
        "validation twice": (
            ["sets.validation.rows_per_class=3", "data.validation=5"],
            "sets.validation: expected no data.validation",
        ),
        "set of no file": (["sets.query.source=npz:/not/there.npz"], "/not/there.npz"),
        "seed set outside": (
            ["strategy.seed_set=[200]"],
            "strategy.seed_set: .* 0 to 199, got 200",
        ),
        "seed set of no class": (["strategy.seed_set={7 = 1}"], "strategy.seed_set: .*class 7"),
        "seed set twice": (["strategy.seed_set=[1, 1]"], "strategy.seed_set: expected .*list"),
        "seed set of another kind": (["strategy.seed_set=best"], 'seed_set: expected "random", '),
        "seed set too large": (
            ["strategy.seed_set=facility_location", "strategy.initial=201"],
            "strategy.initial: expected 1 to 200 ",
        ),
    }
)
def test_bad_settings(made, tmp_path, capsys, given, message):
    arguments = [word for setting in given for word in ("--set", setting)]
    out = tmp_path / "run"
    status = cli.main(["run", str(made), "--out", str(out), "--no-cache", *arguments])
    error = capsys.readouterr().err
    assert status == 2 and error.startswith("jaxal: error: ")
    assert re.search(message, error), error
    assert not out.exists()
