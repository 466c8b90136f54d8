"""Experiments from a config file to the files they leave."""

import csv
import json
import pathlib
import re
import tomllib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs

import jaxal
from jaxal import cli, experiment, report
from jaxal.experiment import _run as runner
from jaxal.experiment import stages
from jaxal.pools import devices

CONFIGS = pathlib.Path(__file__).parent.parent / "configs"
DIGITS = CONFIGS / "digits.toml"
SMALL = [
    "seeds=2",
    "strategy.rounds=2",
    "strategy.budget=3",
    "strategy.initial=12",
    "learner.max_epochs=3",
]
SMALL_PARTS = ["data.limit=150", "data.test_limit=100", "learner.epoch_rows=0"]


def strategies_of_their_own():
    """The configs, each with the strategies whose options no earlier one has.

    tests/test_strategies.py runs each strategy with its default options.
    """
    seen = set()
    for path in sorted(CONFIGS.glob("*.toml")):
        if path.stem == "digits_all":  # minutes of compiling
            continue
        table = tomllib.loads(path.read_text())["strategy"]
        said = {name: repr(options) for name, options in table.get("options", {}).items()}
        new = [name for name in said if said[name] not in seen]
        seen |= {*said.values()}
        yield pytest.param(path, new or table["names"][-1:], id=path.stem)


@pytest.fixture
def one_device(monkeypatch):
    """A run takes one device of the eight: what it compiles has half the operations."""
    monkeypatch.setattr(devices, "mesh_for", lambda seeds: None)


@pytest.mark.slow
@pytest.mark.parametrize(("path", "names"), [*strategies_of_their_own()])
def test_every_config_runs_in_a_small_form(path, names, tmp_path, one_device):
    settings = [*SMALL, *SMALL_PARTS, f"strategy.names={','.join(names)}"]
    if "[scenario]" in path.read_text():
        settings.remove("data.limit=150")  # a scenario needs so many rows of each class
    config = experiment.load(path, settings)
    if config.data.validation:
        config = experiment.override(config, "data.validation=30")
    of_options = config.strategy.options
    for name in {*of_options}.difference(names):
        del of_options[name]
    for options in of_options.values():
        for posterior in (options, options.get("strategy", {})):
            if "posterior" in posterior:
                posterior["posterior"]["num_draws"] = 2
    try:
        out = experiment.run(config, tmp_path / "out")
    except FileNotFoundError as error:
        pytest.skip(f"not on this machine: {error}")
    records = experiment.read(out / "history.jsonl")
    assert {one.strategy for one in records} == set(config.strategy.names)
    assert all(np.isfinite(one.train_loss) for one in records)


@pytest.fixture(scope="module")
def small_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "digits"
    config = experiment.load(DIGITS, [*SMALL, "strategy.names=random,badge"])
    heard = Heard()
    experiment.run(config, out, heard)
    report.write(experiment.read(out / "history.jsonl"), out, "a run")
    return config, out, heard


class Heard:
    """A listener that writes down what it hears."""

    def __init__(self):
        self.begun, self.rounds = [], []

    def begin(self, strategy):
        self.begun.append(strategy)

    def advance(self, strategy, round, accuracy, *, steps=1):
        self.rounds.append((strategy, round, accuracy, steps))


@pytest.mark.slow
def test_a_listener_hears_every_round(small_run):
    _, out, heard = small_run
    assert heard.begun == ["random", "badge"]
    records = experiment.read(out / "history.jsonl")
    for strategy, number, accuracy, steps in heard.rounds:
        of_round = [r for r in records if (r.strategy, r.round) == (strategy, number)]
        assert steps == len(of_round) == 2
        assert accuracy == pytest.approx(np.mean([one.test_accuracy for one in of_round]))
    assert len(heard.rounds) == 6


@pytest.mark.slow
def test_batch_size_is_a_setting(small_run, tmp_path):
    config, out, _ = small_run
    assert config.run.batch_size == 1024
    smaller = experiment.override(config, "run.batch_size=100")
    experiment.run(smaller, tmp_path)
    for one, other in zip(
        experiment.read(out / "history.jsonl"),
        experiment.read(tmp_path / "history.jsonl"),
        strict=True,
    ):
        assert one.rows == other.rows
        assert one.test_loss == pytest.approx(other.test_loss, rel=1e-4)


@pytest.mark.slow
def test_history_has_a_line_per_strategy_seed_and_round(small_run):
    _, out, _ = small_run
    lines = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    found = [(line["strategy"], line["round"], line["seed"]) for line in lines]
    expected = [
        (strategy, number, seed)
        for strategy in ("random", "badge")
        for number in range(3)
        for seed in range(2)
    ]
    assert found == expected
    for line in lines:
        assert line["labels"] == 12 + 3 * line["round"]
        assert len(line["rows"]) == (3 if line["round"] < 2 else 0)
        first = lines[line["seed"]]["initial"]  # of random sampling
        assert line.get("initial") == (first if line["round"] == 0 else None)
        assert len({*first}) == 12
        assert 0 <= line["test_accuracy"] <= 1 and line["train_loss"] > 0
        assert line["seconds"]["fit"] > 0
    compiled = [line for line in lines if line["compile_seconds"]["fit"] > 0]
    assert len(compiled) == 1, "one compilation serves every strategy, seed and round"


@pytest.mark.slow
def test_records_are_those_of_the_loop(small_run):
    config, out, _ = small_run
    parts = runner.build(config)
    run = jaxal.simulate(
        parts.learner,
        parts.strategies["badge"],
        parts.pool,
        parts.test,
        initial=12,
        budget=3,
        rounds=2,
    )
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    records = experiment.read(out / "history.jsonl")
    for seed, key in enumerate(keys):
        _, history = run(key)
        mine = [one for one in records if one.strategy == "badge" and one.seed == seed]
        assert list(mine[0].rows) == history.rows[0].tolist()
        np.testing.assert_allclose(mine[0].test_accuracy, history.test.accuracy[0], atol=0.01)


@pytest.mark.slow
def test_a_warm_start_on_several_devices(tmp_path):
    settings = ["strategy.names=random", "model.hidden=4", "learner.warm_start=true"]
    experiment.run(experiment.load(DIGITS, [*SMALL, *settings]), tmp_path)
    assert jax.device_count() == 8
    assert len(experiment.read(tmp_path / "history.jsonl")) == 6


PARTS = [*SMALL, "strategy.names=random"]


def test_validation_rows_are_held_out_of_the_pool_and_copies_are_made_after():
    settings = ["data.limit=100", "data.validation=40", "data.repeat=3"]
    parts = runner.build(experiment.load(DIGITS, [*PARTS, *settings]))
    assert parts.validation is not None
    assert len(parts.pool.labels) == 300 and len(parts.validation.labels) == 40
    assert np.ptp(np.bincount(parts.validation.labels)) <= 1
    rows, counts = np.unique(parts.pool.inputs, axis=0, return_counts=True)
    assert len(rows) == 100 and (counts == 3).all()
    held_out = {row.tobytes() for row in parts.validation.inputs}
    assert held_out.isdisjoint(row.tobytes() for row in rows)


def test_without_validation_and_copies_the_examples_are_those_loaded():
    parts = runner.build(experiment.load(DIGITS, PARTS))
    pool, test = jaxal.data.load("sklearn:digits")
    jax.tree.map(np.testing.assert_array_equal, (parts.pool, parts.test), (pool, test))
    assert parts.validation is None


def test_fewer_test_rows():
    parts = runner.build(experiment.load(DIGITS, [*PARTS, "data.test_limit=50"]))
    assert len(parts.test.labels) == 50 and len(parts.pool.labels) == 1438
    parts = runner.build(experiment.load(DIGITS, [*PARTS, "data.test_limit=5000"]))
    assert len(parts.test.labels) == 359


def test_noise_alone_leaves_the_number_of_rows():
    plain = runner.build(experiment.load(DIGITS, PARTS)).pool
    noisy = runner.build(experiment.load(DIGITS, [*PARTS, "data.noise=0.1"])).pool
    assert noisy.inputs.shape == plain.inputs.shape
    assert abs(noisy.inputs.var() - plain.inputs.var() - 0.01) < 0.002


def test_l2_is_a_term_of_the_gradient():
    settings = ["learner.optimizer=sgd", "learner.learning_rate=0.1", "learner.l2=0.5"]
    learner: Any = runner.build(experiment.load(DIGITS, [*PARTS, *settings])).learner
    optimizer = learner.optimizer
    params = jnp.array([2.0, -4.0])
    state = optimizer.init(params)
    update, _ = optimizer.update(jnp.array([1.0, 1.0]), state, params)
    np.testing.assert_allclose(np.asarray(update), [-0.2, 0.1], atol=1e-6)


@pytest.mark.slow
def test_one_strategy_may_come_twice_under_names_of_its_own(tmp_path, one_device):
    settings = [
        "strategy.names=linear,other",
        'strategy.options.linear={name="badge", block_size=3}',
        'strategy.options.other={name="badge"}',
        "strategy.rounds=1",
        "strategy.balanced=true",
        "learner.patience=1",
        "data.validation=30",
    ]
    config = experiment.load(DIGITS, [*SMALL, *settings])
    records = experiment.read(experiment.run(config, tmp_path) / "history.jsonl")
    assert {one.strategy for one in records} == {"linear", "other"}
    assert all(one.epochs <= 3 for one in records)


@pytest.mark.slow
def test_files_can_be_read_again(small_run):
    config, out, _ = small_run
    table = tomllib.loads((out / "config.toml").read_text())
    assert table["provenance"]["jaxal"] == jaxal.__version__
    assert {"device", "jax", "numpy"} <= set(table["provenance"])
    assert experiment.load(out / "config.toml") == config
    with open(out / "summary.csv") as file:
        rows = list(csv.DictReader(file))
    assert {row["strategy"] for row in rows} == {"random", "badge"}
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_an_interrupt_leaves_the_finished_rounds(tmp_path, monkeypatch, capsys):
    class Interrupt(stages.Stage):
        calls = 0

        def __call__(self, *args):
            Interrupt.calls += 1
            if Interrupt.calls == 8:
                raise KeyboardInterrupt
            return super().__call__(*args)

    monkeypatch.setattr(stages, "Stage", Interrupt)
    out = tmp_path / "run"
    arguments = [word for setting in SMALL for word in ("--set", setting)]
    arguments += ["--set", "strategy.names=random,margin"]
    status = cli.main(["run", str(DIGITS), "--out", str(out), *arguments])
    assert status == 130
    assert "history.jsonl" in capsys.readouterr().err
    records = experiment.read(out / "history.jsonl")
    assert [(one.round, one.seed) for one in records] == [(0, 0), (0, 1)]
    assert report.summarize(records)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_names_the_round_and_the_rate(tmp_path, capsys):
    arguments = [
        "--set",
        "learner.optimizer=sgd",
        "--set",
        "learner.learning_rate=1e30",
        "--set",
        "strategy.names=random",
    ]
    arguments += [word for setting in SMALL for word in ("--set", setting)]
    out = tmp_path / "run"
    assert cli.main(["run", str(DIGITS), "--out", str(out), *arguments]) == 2
    assert "not finite in round 0: lower learner.learning_rate, which is 1e+30" in (
        capsys.readouterr().err
    )
    assert np.isnan(experiment.read(out / "history.jsonl")[0].train_loss)


@bad_inputs(
    {
        "strategy": ("strategy.names=badg", "did you mean 'badge'"),
        "strategy's option": ("strategy.options.badge.block=3", "did you mean 'block_size'"),
        "options of none": ("strategy.options.bagde.x=3", "did you mean 'badge'"),
        "data": ("data.source=sklearn:digit", "did you mean 'sklearn:digits'"),
        "file": ("data.source=npz:/not/there.npz", "/not/there.npz"),
        "model": ("model.name=mpl", "did you mean 'mlp'"),
        "model's option": ("model.hiden=[3]", "did you mean 'hidden'"),
        "optimizer": ("learner.optimizer=adm", "did you mean 'adam'"),
        "optimizer's option": ("learner.optimizer_options.beta1=0.9", "valid names: b1, b2"),
        "key": ("strategy.buget=3", "did you mean 'strategy.budget'|budget"),
        "budget": ("strategy.budget=0", "strategy.budget"),
        "patience": ("learner.patience=3", "set data.validation"),
        "validation": (
            "data.validation=1438",
            "data.validation: expected fewer than the 1438 rows",
        ),
        "label": ('strategy.options.badge.name="badg"', "did you mean 'badge'"),
        "more than the pool": ("strategy.rounds=100", "at most 70 rounds"),
    }
)
def test_bad_settings(tmp_path, capsys, given, message):
    status = cli.main(["run", str(DIGITS), "--out", str(tmp_path / "run"), "--set", given])
    error = capsys.readouterr().err
    assert status == 2 and error.startswith("jaxal: error: ")
    assert re.search(message, error), error
    assert not (tmp_path / "run").exists()
