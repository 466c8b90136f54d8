"""Runs that are broken off and resumed, and what is refused; a thin form of `sweep_resume.py`."""

import math
import random
import re
import shutil

import jax
import pytest
import sweep_resume
from test_runner import DIGITS, SMALL, Heard

from jaxal import experiment, records
from jaxal.experiment import _run as runner
from jaxal.experiment.identity import check_same


@pytest.fixture(scope="module")
def small_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "digits"
    config = experiment.load(DIGITS, [*SMALL, "strategy.names=random,margin"])
    experiment.run(config, out)
    return config, out


class Stop:
    """A listener that raises when a round has ended."""

    def __init__(self, strategy, round, error):
        self.at, self.error = (strategy, round), error

    def begin(self, strategy):
        pass

    def advance(self, strategy, round, accuracy, *, steps=1):
        if (strategy, round) == self.at:
            raise self.error


def said(out):
    return [records.figures(one) for one in experiment.read(out / "history.jsonl")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "number", "share"),
    [("random", 0, 0), ("margin", 1, 0), ("random", 1, math.inf), ("margin", 2, math.inf)],
)
def test_a_resumed_run_is_the_unbroken_one(
    small_run, tmp_path, monkeypatch, strategy, number, share
):
    config, unbroken = small_run
    monkeypatch.setattr(runner, "CHECKPOINT_SHARE", share)
    with pytest.raises(KeyboardInterrupt):
        experiment.run(config, tmp_path, Stop(strategy, number, KeyboardInterrupt()))
    history = tmp_path / "history.jsonl"
    broken = len(said(tmp_path))
    assert said(tmp_path) == said(unbroken)[:broken] and broken % 2 == 0
    assert (tmp_path / "checkpoints").exists() == (
        share > 0 and (strategy, number) != ("random", 0)
    )
    history.write_bytes(history.read_bytes()[:-9])  # the last line is torn as well
    heard = Heard()
    experiment.run(config, tmp_path, heard, resume=True)
    assert said(tmp_path) == said(unbroken)
    assert [one[:2] for one in heard.rounds] == [
        (name, number) for name in ("random", "margin") for number in range(3)
    ]
    assert not (tmp_path / "checkpoints").exists()
    before = history.read_bytes()
    experiment.run(config, tmp_path, resume=True)
    assert history.read_bytes() == before


@pytest.mark.slow
def test_a_finished_run_is_not_run_again_nor_merged(small_run):
    config, out = small_run
    before = (out / "history.jsonl").read_bytes()
    with pytest.raises(ValueError, match="holds a run already; to go on with it, resume it"):
        experiment.run(config, out)
    for setting, message in {
        "strategy.budget=4": "strategy.budget was 3 and is 4",
        "data.split_seed=1": "data.split_seed was 0 and is 1; data_sha256 was ",
    }.items():
        with pytest.raises(
            ValueError, match=f"cannot go on, as this is not the same run: {message}"
        ):
            experiment.run(experiment.override(config, setting), out, resume=True)
    assert (out / "history.jsonl").read_bytes() == before


@pytest.mark.slow
def test_checkpoints_without_records_are_of_no_use(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "CHECKPOINT_SHARE", math.inf)
    settings = [*SMALL, "strategy.names=random"]
    with pytest.raises(KeyboardInterrupt):
        config = experiment.load(DIGITS, settings)
        experiment.run(config, tmp_path, Stop("random", 1, KeyboardInterrupt()))
    before = said(tmp_path)
    (tmp_path / "history.jsonl").unlink()
    config = experiment.load(DIGITS, [*settings, "seed=5"])
    experiment.run(config, tmp_path, resume=True)
    after = said(tmp_path)
    assert len(after) == 6 and after[0]["initial"] != before[0]["initial"]


@pytest.mark.slow
def test_other_data_or_another_version_is_refused(small_run, tmp_path, monkeypatch):
    config, out = small_run
    shutil.copytree(out, tmp_path / "run")
    path = tmp_path / "run" / "config.toml"
    whole = path.read_text()
    path.write_text(re.sub('jaxal = ".*"', 'jaxal = "0.0.1"', whole))
    with pytest.raises(ValueError, match="not the same run: jaxal was '0.0.1' and is"):
        experiment.run(config, path.parent, resume=True)
    path.write_text(re.sub("seeds_per_device = .*", "seeds_per_device = 7", whole))
    with pytest.warns(UserWarning, match="seeds on a device was 7 and is 1: figures may differ"):
        experiment.run(config, path.parent, resume=True)
    path.write_text(whole[:-20])
    with pytest.raises(ValueError, match="config.toml: "):
        experiment.run(config, path.parent, resume=True)
    path.unlink()
    with pytest.raises(ValueError, match="it has records, but no config.toml"):
        experiment.run(config, path.parent, resume=True)


@pytest.mark.parametrize(
    ("before", "seeds_axis"),
    {4: 1, 2: 2, 1: 4, 3: 4, "none": 4}.items(),
    ids=["all on one", "two on one", "as now", "cannot be", "not said"],
)
def test_a_run_goes_on_with_as_many_seeds_on_a_device(tmp_path, before, seeds_axis):
    path = tmp_path / "config.toml"
    said = "" if before == "none" else f"seeds_per_device = {before}"
    path.write_text(f"[provenance]\n{said}\n")
    mesh = runner._mesh(4, path)  # on the eight devices of the tests
    assert mesh is not None and dict(mesh.shape) == {"seeds": seeds_axis, "data": 8 // seeds_axis}


@pytest.mark.parametrize(("name", "now"), [("devices", 1), ("device", "gpu")])
def test_a_run_that_may_round_otherwise_says_so(tmp_path, name, now):
    provenance = {"device": "cpu", "devices": 8, "seeds_per_device": 1}
    config = experiment.load(DIGITS)
    path = tmp_path / "config.toml"
    path.write_text(experiment.to_toml(config, provenance))
    check_same(path, experiment.to_toml(config, {**provenance, "devices": 2}))
    with pytest.warns(UserWarning, match="device.* was .* and is .*may differ in their last bits"):
        check_same(path, experiment.to_toml(config, {**provenance, name: now}))


@pytest.mark.slow
def test_a_folder_deleted_during_a_run_is_written_anew(small_run, tmp_path):
    class Delete(Stop):
        def advance(self, strategy, round, accuracy, *, steps=1):
            if (strategy, round) == self.at:
                shutil.rmtree(out)

    config, unbroken = small_run
    out = tmp_path / "run"
    with pytest.raises(OSError, match="deleted during the run; written anew"):
        experiment.run(config, out, Delete("random", 1, None))
    assert said(out) == said(unbroken)[:6]
    experiment.run(config, out, resume=True)
    assert said(out) == said(unbroken)


@pytest.mark.slow
def test_no_memory_on_the_device_is_one_line(tmp_path, monkeypatch):
    config = experiment.load(DIGITS, [*SMALL, "strategy.names=random"])
    error = jax.errors.JaxRuntimeError(
        "RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.\nmore"
    )
    with pytest.raises(MemoryError, match="9 bytes.; lower run.batch_size or seeds$"):
        experiment.run(config, tmp_path, Stop("random", 0, error))
    assert len(said(tmp_path)) == 2


@pytest.mark.slow
def test_killed_runs_are_resumed_bit_for_bit(monkeypatch):
    """Begun on eight devices, and gone on with on two."""
    cache = jax.config.values["jax_compilation_cache_dir"]
    if cache:
        monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", cache)
    assert sweep_resume.sweep(3, [8, 2], 2, random.Random(1), "random,margin") >= 1
