"""Experiments on a pool on disk, and features written to one, from a config file."""

import json
import math
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers import bad_inputs, clouds
from test_resume import Stop, said
from test_runner import DIGITS, SMALL

from jaxal import cli, experiment, pools
from jaxal.experiment import _run as runner
from jaxal.pools import streaming

CONFIG = """
name = "pool"
seeds = 2
[data]
source = "{source}"
standardize = false
{data}
[model]
name = "linear"
[learner]
max_epochs = 3
[strategy]
names = ["random", "margin", "core_set"]
initial = 6
budget = 5
rounds = 2
[run]
batch_size = 32
"""


MAIN = [sys.executable, "-c", "import sys; from jaxal.cli import main; sys.exit(main())"]
HERE = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parent.parent)}


def config(source, data="", *settings):
    text = CONFIG.format(source=source, data=data)
    path = source.partition(":")[2]
    file = os.path.join(os.path.dirname(path), "pool.toml")
    with open(file, "w") as opened:
        opened.write(text)
    return experiment.load(file, settings)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(streaming, "BLOCK", 100 * 16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("on disk")
    (inputs, labels), (test, test_labels) = clouds(400, width=4), clouds(60, width=4, seed=1)
    pools.create(folder / "pool", inputs, labels=labels, shard_rows=150)
    pools.create(folder / "test", test, labels=test_labels)
    pools.create(folder / "bare", inputs)
    unknown = np.where(np.arange(400) % 4, labels, -1)
    pools.create(folder / "partly", inputs, labels=unknown)
    arrays = {"x_train": inputs, "y_train": labels, "x_test": test, "y_test": test_labels}
    np.savez(folder / "memory.npz", **arrays)
    return folder


@pytest.mark.slow
def test_a_run_is_that_of_the_pool_in_memory(folder, tmp_path):
    """Of two seeds on one device; of several devices the layout differs, and so may roundings."""
    config(f"npz:{folder / 'memory.npz'}")
    memory = (folder / "pool.toml").rename(folder / "memory.toml")
    config(f"pool:{folder / 'pool'}", f'test = "pool:{folder / "test"}"')
    files = {"disk": folder / "pool.toml", "memory": memory}
    runs = [["run", str(file), "-q", "--out", str(tmp_path / name)] for name, file in files.items()]
    code = f"from jaxal.cli import main; assert not any(map(main, {runs}))"
    subprocess.run([sys.executable, "-c", code], env=HERE, check=True, timeout=300)
    assert said(tmp_path / "disk") == said(tmp_path / "memory")


@pytest.mark.slow
def test_a_strategy_may_decide_from_a_copy(folder, tmp_path):
    settings = (
        "strategy.names=core_set,short",
        'strategy.options.short={name="core_set", precision="int8"}',
    )
    made = config(f"pool:{folder / 'pool'}", "", *settings)
    picked = {}
    for record in experiment.read(experiment.run(made, tmp_path) / "history.jsonl"):
        picked.setdefault(record.strategy, []).append((record.seed, record.round, record.rows))
    assert len(picked["short"]) == 6 and picked["short"] == picked["core_set"]


@pytest.mark.slow
def test_rows_that_are_held_out_are_not_picked(folder, tmp_path):
    made = config(
        f"pool:{folder / 'partly'}",
        "labeled_only = true\ntest_fraction = 0.3\ntest_limit = 40\nvalidation = 20",
        "learner.patience=2",
    )
    loaded = runner.build(made)
    assert loaded.pool.inputs[:0].shape == (0, 4) and len(loaded.test.labels) == 40
    assert loaded.validation is not None and len(loaded.validation.labels) == 20
    left = np.flatnonzero(loaded.pool.labels >= 0)
    assert len(left) == 300 - 90 - 20
    for record in experiment.read(experiment.run(made, tmp_path) / "history.jsonl"):
        assert set(record.rows) <= set(left.tolist())


@pytest.mark.slow
@pytest.mark.parametrize("share", [0, math.inf], ids=["no checkpoint", "each round"])
def test_a_resumed_run_is_the_unbroken_one(folder, tmp_path, monkeypatch, share):
    made = config(f"pool:{folder / 'pool'}", "", "strategy.names=random,margin")
    unbroken = experiment.run(made, tmp_path / "unbroken")
    monkeypatch.setattr(runner, "CHECKPOINT_SHARE", share)
    with pytest.raises(KeyboardInterrupt):
        experiment.run(made, tmp_path / "broken", Stop("margin", 1, KeyboardInterrupt()))
    experiment.run(made, tmp_path / "broken", resume=True)
    assert said(tmp_path / "broken") == said(unbroken)
    changed = clouds(400, width=4, seed=9)
    pools.create(tmp_path / "pool", changed.inputs, labels=changed.labels)
    other = experiment.override(made, f"data.source=pool:{tmp_path / 'pool'}")
    with pytest.raises(ValueError, match="not the same run: .*data_sha256 was"):
        experiment.run(other, tmp_path / "broken", resume=True)


@bad_inputs(
    {
        "scaled": ({"settings": ["data.standardize=true"]}, ValueError, "data.standardize: exp"),
        "components": ({"settings": ["data.pca=2"]}, ValueError, "data.pca: expected nothing"),
        "limit": ({"settings": ["data.limit=3"]}, ValueError, "data.limit: expected nothing"),
        "noise": ({"settings": ["data.noise=1.0"]}, ValueError, "data.noise: expected 0.0"),
        "scenario": ({"settings": ["scenario.copies=2"]}, ValueError, "scenario: expected none"),
        "seed set": (
            {"settings": ["strategy.seed_set=facility_location"]},
            ValueError,
            "strategy.seed_set: 'facility_location' needs a pool in memory",
        ),
        "rows of a set": (
            {"settings": ["sets.query.rows_per_class=2"]},
            ValueError,
            "sets.query.source: missing",
        ),
        "another test": (
            {"settings": ["data.test=sklearn:iris"]},
            ValueError,
            "data.test: expected a source of the kind pool",
        ),
        "no pool": ({"name": "none"}, FileNotFoundError, "no such folder"),
        "no labels": ({"name": "bare"}, ValueError, "data.source: expected a pool with labels"),
        "unknown labels": (
            {"name": "partly"},
            ValueError,
            "data.source: expected all labels to be known, got 100 of 400",
        ),
        "too few": ({"settings": ["data.validation=320"]}, ValueError, "data.validation: expected"),
    }
)
def test_bad_settings(given, error, message, folder):
    with pytest.raises(error, match=message):
        made = config(f"pool:{folder / given.get('name', 'pool')}", "", *given.get("settings", []))
        runner.build(made)


def settings(*more):
    return [word for one in (*SMALL, *more) for word in ("--set", one)]


@pytest.mark.slow
def test_features_of_a_config_are_a_pool_to_run_on(tmp_path, capsys):
    names = {"pool": [], "test": ["--test"]}
    for name, flags in names.items():
        command = ["embed", str(DIGITS), "--out", str(tmp_path / name), *flags, *settings()]
        assert cli.main([*command, "--shard-rows", "500", "-q"]) == 0
    assert cli.main([*command, "-q"]) == 0  # nothing is left to do
    pool, test = (pools.open(tmp_path / name) for name in names)
    assert pool.shape == (1438, 128) and test.shape == (359, 128)
    assert dict(pool.manifest.encoder or {})["name"] == "digits: mlp"
    assert len(pool.manifest.shards) == 3
    test = f'test = "pool:{tmp_path / "test"}"'
    made = config(f"pool:{tmp_path / 'pool'}", test, "strategy.names=margin")
    records = experiment.read(experiment.run(made, tmp_path / "run") / "history.jsonl")
    assert len(records) == 6
    capsys.readouterr()
    command = ["embed", str(DIGITS), "--out", str(tmp_path / "pool"), *settings("seed=9")]
    assert cli.main([*command, "-q"]) == 2
    assert "holds another pool, of 1438 rows" in capsys.readouterr().err


ENCODER = """
import pathlib, time
import numpy as np
def slow(batch):
    time.sleep(0.1)
    return np.asarray(batch)[:, :5] * 2
number = 3
"""


@pytest.mark.slow
def test_an_encoder_that_was_killed_goes_on(tmp_path):
    (tmp_path / "encoders.py").write_text(ENCODER)
    command = [*MAIN, "embed", str(DIGITS), "--out", "pool", "-q"]
    command += ["--encoder", "encoders:slow", "--shard-rows", "100"]
    command += ["--set", "run.batch_size=50", "--set", "data.standardize=false"]
    # From a file: two processes would take a second each to import scikit-learn.
    digits = runner.build(experiment.load(DIGITS, ["data.standardize=false"]))
    arrays = {"x_train": digits.pool.inputs, "y_train": digits.pool.labels}
    arrays |= {"x_test": digits.test.inputs, "y_test": digits.test.labels}
    np.savez(tmp_path / "digits.npz", **arrays)
    command += ["--set", f"data.source=npz:{tmp_path / 'digits.npz'}"]
    begun = subprocess.Popen(command, cwd=tmp_path, env=HERE)
    marker = tmp_path / "pool" / "features-00003.json"
    while not marker.exists() and begun.poll() is None:
        time.sleep(0.05)
    begun.send_signal(signal.SIGKILL)
    begun.wait()
    before = json.loads(marker.read_text())
    assert not (tmp_path / "pool" / "manifest.json").exists()
    kept = (tmp_path / "pool" / "features-00003.npy").stat().st_mtime_ns
    subprocess.run(command, cwd=tmp_path, env=HERE, check=True, timeout=120)
    assert (tmp_path / "pool" / "features-00003.npy").stat().st_mtime_ns == kept
    pool = pools.open(tmp_path / "pool")
    assert pool.manifest.shards[3].features.sha256 == before["features"]["sha256"]
    pool.check()
    np.testing.assert_array_equal(pool[:], np.asarray(digits.pool.inputs)[:, :5] * 2)
    np.testing.assert_array_equal(pool.labels, digits.pool.labels)


@bad_inputs(
    {
        "no colon": ("encoders", "encoder: expected module:function, got 'encoders'"),
        "no module": (
            "nothing_here:slow",
            "encoder: expected what can be imported, got 'nothing_here",
        ),
        "no function": ("math:slow", "encoder: expected what can be imported, got 'math:slow'"),
        "a number": ("math:pi", "encoder: expected a function, got 'math:pi'"),
    }
)
def test_bad_encoders(given, message, tmp_path, capsys):
    out = tmp_path / "pool"
    assert cli.main(["embed", str(DIGITS), "--out", str(out), "--encoder", given]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()
