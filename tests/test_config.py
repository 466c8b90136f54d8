"""Settings: what is read, what is refused and how, and the way back to TOML."""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import pytest
from helpers import bad_inputs

from jaxal.experiment import Config, load, override, parse, provenance, to_toml
from jaxal.experiment._provenance import git_revision
from jaxal.experiment.build import build
from jaxal.training import Learner, TrainingOptions

MINIMAL = """
[data]
source = "sklearn:iris"
[model]
name = "logistic"
[strategy]
names = ["random"]
"""

CONFIGS = sorted(Path(__file__).parent.parent.glob("configs/*.toml"))


@pytest.fixture
def minimal(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(MINIMAL)
    return path


def test_defaults(minimal):
    config = load(minimal)
    assert config.name == "small"  # the file's stem
    assert (config.seeds, config.seed) == (10, 0)
    assert config.data.limit is None and config.data.test_fraction == 0.2
    assert (config.data.validation, config.data.repeat, config.data.noise) == (0, 1, 0)
    assert config.model.hyper == {}
    assert config.learner.learning_rate == 1e-3 and not config.learner.warm_start
    assert config.strategy.names == ("random",)
    assert (config.learner.epoch_rows, config.learner.patience) == (0, 0)
    assert config.learner.l2 == 0
    assert (config.learner.subset_fraction, config.learner.subset_every) == (1, 20)
    assert dataclasses.astuple(config.strategy)[1:] == (20, 20, 15, False, None, {})


def test_free_tables_are_kept():
    config = parse(
        {
            "name": "free",
            "data": {"source": "npz:x"},
            "model": {"name": "mlp", "hidden": [128, [64]], "dropout": 0.5},
            "learner": {"learning_rate": 1, "optimizer_options": {"b1": 0.8}},
            "strategy": {"names": ["badge"], "options": {"badge": {"kind": "linear"}}},
        }
    )
    assert config.model.hyper == {"hidden": (128, (64,)), "dropout": 0.5}
    assert config.learner.optimizer_options == {"b1": 0.8}
    assert config.strategy.options == {"badge": {"kind": "linear"}}
    assert type(config.learner.learning_rate) is float


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_file_loads_and_says_how_to_run_it(path):
    config = load(path)
    assert config.name == path.stem
    assert f"jaxal run configs/{path.name}" in path.read_text().splitlines()[0]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_round_trip(path, tmp_path):
    config = load(path, ["data.limit=100", "strategy.options.badge.kind=linear"])
    written = tmp_path / "config.toml"
    written.write_text(to_toml(config, provenance()))
    assert load(written) == config
    assert tomllib.loads(written.read_text())["provenance"]["devices"] == 8


@pytest.mark.parametrize(
    ("assignment", "section", "key", "value"),
    [
        ("seeds=3", None, "seeds", 3),
        ("name = other", None, "name", "other"),
        ("strategy.budget=50", "strategy", "budget", 50),
        ("strategy.names=random, badge", "strategy", "names", ("random", "badge")),
        ("strategy.names=badge", "strategy", "names", ("badge",)),
        ('strategy.names=["badge"]', "strategy", "names", ("badge",)),
        ("data.source=npz:/a,b=c.npz", "data", "source", "npz:/a,b=c.npz"),
        ("data.limit=7", "data", "limit", 7),
        ("data.flat=false", "data", "flat", False),
        ("data.validation=9", "data", "validation", 9),
        ("data.test_limit=7", "data", "test_limit", 7),
        ("data.repeat=4", "data", "repeat", 4),
        ("data.noise=0.1", "data", "noise", 0.1),
        ("learner.window=0", "learner", "window", 0),
        ("learner.epoch_rows=64", "learner", "epoch_rows", 64),
        ("learner.patience=3", "learner", "patience", 3),
        ("learner.l2=5e-4", "learner", "l2", 5e-4),
        ("learner.schedule=cosine", "learner", "schedule", "cosine"),
        ("learner.schedule_epochs=9", "learner", "schedule_epochs", 9),
        ("data.num_classes=9", "data", "num_classes", 9),
        ("strategy.balanced=true", "strategy", "balanced", True),
        ("learner.learning_rate=1", "learner", "learning_rate", 1.0),
        ("learner.warm_start=true", "learner", "warm_start", True),
        ("learner.subset_fraction=0.3", "learner", "subset_fraction", 0.3),
        ("learner.subset_every=5", "learner", "subset_every", 5),
        ("run.batch_size=64", "run", "batch_size", 64),
        ("model.width=3", "model", "hyper", {"width": 3}),
        (
            "learner.optimizer_options.b1=0.8",
            "learner",
            "optimizer_options",
            {"b1": 0.8},
        ),
        ("strategy.options.x.k=2", "strategy", "options", {"x": {"k": 2}}),
    ],
)
def test_override(minimal, assignment, section, key, value):
    config = load(minimal, [assignment])
    assert getattr(getattr(config, section) if section else config, key) == value


def test_overrides_apply_in_order_and_copy(minimal):
    config = load(minimal)
    assert load(minimal, ["seeds=3", "seeds=4"]).seeds == 4
    assert override(config, "model.width=3") != config
    assert config == load(minimal)


def test_options_of_the_learner_are_those_of_its_config(minimal):
    """They stand once, in `TrainingOptions`: types, defaults and bounds are shared."""
    changed = dict(batch_size=5, epoch_rows=6, max_epochs=7, max_accuracy=0.5, window=8)
    changed |= dict(min_gain=0.25, patience=9, warm_start=True, subset_fraction=0.75)
    changed |= dict(subset_every=11, restart_every=12, restart_below=0.125)
    free = {"average_from"}  # which patience excludes
    assert {option.name for option in dataclasses.fields(TrainingOptions)} == changed.keys() | free
    settings = [f"learner.{name}={str(value).lower()}" for name, value in changed.items()]
    config = load(minimal, [*settings, "data.validation=30", "run.batch_size=12"])
    learner: Any = build(config).learner
    default: Any = build(load(minimal)).learner
    plain = Learner(default.model, default.optimizer)
    for name, value in changed.items():
        assert getattr(config.learner, name) == getattr(learner, name) == value
        assert getattr(default, name) == getattr(plain, name) != value
    assert (learner.eval_batch_size, default.eval_batch_size) == (12, 1024)
    averaged: Any = build(load(minimal, ["learner.average_from=3"])).learner
    assert averaged.average_from == 3
    # Equal settings make equal learners, which share what is compiled.
    assert learner == build(config).learner != default


@bad_inputs(
    {
        "unknown key": ("strategy.budgt=5", ValueError, r"^strategy\.budgt: .*'budget'"),
        "unknown section": ("lerner.window=5", ValueError, r"^lerner: .*'learner'"),
        "unknown, nothing near": (
            "xyz=5",
            ValueError,
            "^xyz: unknown key; valid names: augmentation",
        ),
        "below a value": ("strategy.budget.x=5", ValueError, "strategy.budget is a value"),
        "provenance is not a setting": ("provenance.git=5", ValueError, "^provenance: unknown"),
        "no value": ("seeds", ValueError, "expected KEY=VALUE.*got 'seeds'"),
        "no key": ("=5", ValueError, "expected KEY=VALUE.*got '=5'"),
        "section as value": ("data=5", TypeError, "^data: expected a table, got 5"),
        "model as value": ("model=5", TypeError, "^model: expected a table, got 5"),
        "word for integer": ("seeds=many", TypeError, "seeds: expected an integer.*'many'"),
        "float for integer": ("seeds=2.0", TypeError, "seeds: expected an integer.*2.0"),
        "bool for integer": ("seeds=true", TypeError, "seeds: expected an integer.*True"),
        "integer for bool": ("learner.warm_start=1", TypeError, "expected true or false, got 1"),
        "integer for string": ("data.source=1", TypeError, "data.source: expected a string"),
        "list of integers": ("strategy.names=[1]", TypeError, r"strategy.names: expected a list"),
        "option not a table": ("strategy.options.badge=1", TypeError, "options.badge: .* table"),
        "no seeds": ("seeds=0", ValueError, "^seeds: expected an integer of at least 1, got 0"),
        "negative seed": ("seed=-1", ValueError, r"^seed: .* from 0 to 2\*\*32 - 1, got -1"),
        "name with a slash": ("name=a/b", ValueError, "^name: expected letters.*got 'a/b'"),
        "name of the parent": ("name=..", ValueError, "^name: expected letters"),
        "no initial labels": ("strategy.initial=0", ValueError, "strategy.initial: .*got 0"),
        "no budget": ("strategy.budget=0", ValueError, "strategy.budget: .*at least 1, got 0"),
        "no rounds": ("strategy.rounds=0", ValueError, "strategy.rounds: .*at least 1, got 0"),
        "no strategies": ("strategy.names=[]", ValueError, r"one or more strategies.*got \[\]"),
        "a strategy twice": ("strategy.names=a,a", ValueError, "strategies, each once"),
        "all rows for the test": ("data.test_fraction=1", ValueError, "0 and 1, both.*got 1"),
        "no rows for the test": ("data.test_fraction=0.0", ValueError, "between 0 and 1"),
        "no pool": ("data.limit=0", ValueError, "data.limit: .*at least 1, got 0"),
        "validation of less than nothing": (
            "data.validation=-1",
            ValueError,
            "data.validation: .*at least 0, got -1",
        ),
        "no copy": ("data.repeat=0", ValueError, "data.repeat: .*at least 1, got 0"),
        "negative noise": ("data.noise=-0.1", ValueError, "data.noise: .*at least 0"),
        "infinite noise": ("data.noise=inf", ValueError, "data.noise: .*finite"),
        "balanced by number": (
            "strategy.balanced=1",
            TypeError,
            "strategy.balanced: expected true or false, got 1",
        ),
        "negative rows of an epoch": (
            "learner.epoch_rows=-1",
            ValueError,
            "learner.epoch_rows: .*at least 0, got -1",
        ),
        "negative patience": (
            "learner.patience=-1",
            ValueError,
            "learner.patience: .*at least 0, got -1",
        ),
        "no rows in a subset": (
            "learner.subset_fraction=0",
            ValueError,
            "learner.subset_fraction: .*above 0, at most 1, got 0",
        ),
        "more than all rows": (
            "learner.subset_fraction=1.5",
            ValueError,
            "learner.subset_fraction: .*at most 1, got 1.5",
        ),
        "no epoch on a subset": (
            "learner.subset_every=0",
            ValueError,
            "learner.subset_every: .*at least 1, got 0",
        ),
        "unknown schedule": (
            "learner.schedule=linear",
            ValueError,
            "learner.schedule: expected one of constant, cosine, or a table .*, got 'linear'",
        ),
        "a schedule of nothing": (
            "learner.schedule_epochs=0",
            ValueError,
            "learner.schedule_epochs: .*at least 1, got 0",
        ),
        "no classes": ("data.num_classes=0", ValueError, "data.num_classes: .*at least 1, got 0"),
        "negative l2": ("learner.l2=-1", ValueError, "learner.l2: .*at least 0"),
        "a fold": ("learner.calibration_folds=1", ValueError, "calibration_folds: .*at least 2"),
        "no learning": ("learner.learning_rate=0", ValueError, "a finite number above 0, got 0"),
        "infinite rate": ("learner.learning_rate=inf", ValueError, "a finite number above 0"),
        "rate not a number": ("learner.learning_rate=nan", ValueError, "finite number above 0"),
        "no rows at once": ("run.batch_size=0", ValueError, "run.batch_size: .*at least 1, got 0"),
        "all rows twice": ("learner.subset_fraction=2", ValueError, "above 0, at most 1, got 2"),
        "no batch": ("learner.batch_size=0", ValueError, "learner.batch_size: .*got 0"),
        "no epochs": ("learner.max_epochs=0", ValueError, "learner.max_epochs: .*got 0"),
        "no accuracy": ("learner.max_accuracy=0", ValueError, "learner.max_accuracy: .*got 0"),
        "negative window": (
            "learner.window=-1",
            ValueError,
            "learner.window: .*at least 0, got -1",
        ),
        "negative gain": ("learner.min_gain=-1", ValueError, "learner.min_gain: .*at least 0"),
    }
)
def test_bad_setting(minimal, given, error, message):
    with pytest.raises(error, match=message):
        load(minimal, [given])


@bad_inputs(
    {
        "not TOML": ("seeds = ", ValueError, r"bad\.toml: Invalid value"),
        "not text": (b"\xff\xfe", ValueError, r"bad\.toml: .*utf-8"),
        "no data": ("[model]\nname='x'", ValueError, r"bad\.toml: data\.source: missing"),
        "no model name": ("[data]\nsource='x'\n[model]\nw=1", ValueError, "model.name: missing"),
        "unknown key": (MINIMAL + "round = 3", ValueError, r"strategy\.round: .*'rounds'"),
        "wrong type": (MINIMAL + "rounds = '3'", TypeError, r"bad\.toml: strategy\.rounds: "),
    }
)
def test_bad_file(tmp_path, given, error, message):
    path = tmp_path / "bad.toml"
    path.write_bytes(given if isinstance(given, bytes) else given.encode())
    with pytest.raises(error, match=message):
        load(path)


def test_absent_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent.toml"):
        load(tmp_path / "absent.toml")


def test_config_is_frozen(minimal):
    config: Config = load(minimal)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.strategy.budget = 3  # pyright: ignore[reportAttributeAccessIssue]


def test_git_revision_outside_a_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_revision() is None
    monkeypatch.setenv("PATH", str(tmp_path))  # no git at all
    assert git_revision() is None
