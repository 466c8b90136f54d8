"""Several processes that run one program, on this machine: the same picks, and errors that all see.

What they do is in `process_tasks.py`. Each is started by itself, finds the others by a port of this
machine, and has one device or more. Starting one takes seconds: few are, and each does much.
"""

import json
import os
import pathlib
import pickle
import shutil
import socket
import subprocess
import sys
import time
import tomllib

import jax
import numpy as np
import process_tasks as tasks
import pytest
from helpers import SYMMETRIC, assert_same_picks

import jaxal
from jaxal import cli, experiment, pools, processes, strategies
from jaxal.pools import devices
from jaxal.records import figures

FOLDER = pathlib.Path(__file__).parent
CONFIG = """
name = "tiny"
seeds = 2
[data]
source = "npz:DATA"
[model]
name = "logistic"
[learner]
max_epochs = 3
[strategy]
names = ["random", "margin"]
initial = 10
budget = 5
rounds = 2
"""
ENGINES = ["margin", "badge", "partition"]
IS_READ = (
    "expected a pool in memory, as several processes share the mesh, got one that is read block by "
    "block"
)
REFUSED = {
    "values": "ValueError: pool inputs: expected finite numbers, got NaN or inf at row 202",
    "labels": "ValueError: pool labels: expected -1 to C - 1, got -2 at row 202",
    "own rows": "ValueError: process 1: pool inputs: expected finite numbers, got NaN or inf at "
    "row 8",
    "another's": "ValueError: mesh: expected devices of this process alone or of all, got of some",
    "seeds": "ValueError: mesh: expected all devices to share the rows, got some that share seeds",
    "file": "OSError: the disk is gone",
    "placed": "OSError: the disk is gone",
    "read": f"ValueError: inputs: {IS_READ}",
    "state of what is read": f"ValueError: pool: {IS_READ}",
    "rounds that read": f"ValueError: pool: {IS_READ}",
    "run that reads": f"ValueError: data.source: {IS_READ}",
    "cache": "ValueError: mesh: several processes on CPUs cannot use programs that JAX keeps on a "
    "disk, as XLA forgets in which order these exchange arrays; expected "
    'jax.config.update("jax_enable_compilation_cache", False) in all',
}
OTHERS = {  # what is not the same in every process
    "mesh": "mesh",
    "batch size": "batch_size",
    "blocks": "batch_size",
    "files embedded": "shard_rows",
    "precision": "precision",
    "labels placed": "labels",
    "strategy": "strategy",
    "counts": "initial",
    "checkpoint": "checkpoint",
    "answers on devices": "labels",
    "rows": "inputs",
    "types": "inputs",
    "test": "test",
    "pool labels": "pool labels",
    "key": "key",
    "simulated": "key",
    "available": "available",
    "answers": "labels",
    "fits": "learner.fit: variables",
    "config": "config",
}


def config_text(folder):
    """An experiment on data that lie in the folder: scikit-learn would take a second to import."""
    inputs, labels = tasks.data(150)
    np.savez(folder / "data.npz", inputs=inputs, labels=labels)
    return CONFIG.replace("DATA", str(folder / "data.npz"))


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def start(commands, folder, devices, **more):
    """Starts a process a command; what each says goes to the file said.NUMBER."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(FOLDER.parent), str(FOLDER)]),
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(devices),
        "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
        **more,
    }
    begun = []
    for number, command in enumerate(commands):
        with open(folder / f"said.{number}", "wb") as said:
            options = {"stdout": said, "stderr": subprocess.STDOUT, "env": environment}
            begun.append(subprocess.Popen([sys.executable, *command], **options))
    return begun


def finish(begun, folder, timeout):
    """The exit codes and what was said, once all have ended; kills those that do not in time."""
    last = time.monotonic() + timeout
    try:
        for one in begun:
            one.wait(max(last - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        pass  # what was said tells where
    for one in begun:
        one.kill()
        one.wait()
    said = [(folder / f"said.{number}").read_text() for number in range(len(begun))]
    return [one.returncode for one in begun], said


def together(asked, count, folder, devices=1, codes=None, timeout=900):
    """What each of several processes of so many devices finds: a list of results for each task."""
    out, port = folder / "found", str(free_port())
    script = str(FOLDER / "process_tasks.py")
    commands = [
        [script, str(number), str(count), port, str(out), json.dumps(asked)]
        for number in range(count)
    ]
    begun = start(commands, folder, devices, JAX_ENABLE_COMPILATION_CACHE="0")
    ended, said = finish(begun, folder, timeout)
    assert ended == (codes or [0] * count), "\n".join(said)
    files = [pathlib.Path(f"{out}.{number}") for number in range(count)]
    found = [json.loads(file.read_text()) for file in files if file.exists()]
    return [*zip(*found, strict=True)]


@pytest.mark.slow
def test_two_processes_are_one(tmp_path):
    """Every loop and every pool on eight devices, every strategy on two; they are started once."""
    config, out = tomllib.loads(config_text(tmp_path)), str(tmp_path / "out")
    asked = [
        ["picks"],
        ["simulated"],
        ["asked"],
        ["own_rows", "core_set"],
        ["fitted_on_hosts", False],
        ["streamed"],
        ["run", out, config],
    ]
    (tmp_path / "file").write_text("no folder")
    inputs, labels = tasks.data(203)
    pools.create(tmp_path / "pool", inputs, labels=labels)
    picked, *found, reads, embedded, refused = together(
        [*asked, ["reads"], ["embedded", out, config], ["refused", str(tmp_path), config]],
        2,
        tmp_path,
        devices=4,
    )
    check_picks(picked, [*strategies.names()])
    for (name, *given), theirs in zip(asked[1:-1], found, strict=False):
        ours = getattr(tasks, name)(None, *given)
        assert theirs == (ours, ours), name
    assert found[-1] == (["config.toml", "history.jsonl", "predictions"],) * 2
    experiment.run(experiment.parse(config), tmp_path / "alone")
    assert figures_of(tmp_path / "out") == figures_of(tmp_path / "alone")  # of eight devices
    assert reads == ([*range(4)], [*range(4, 8)])
    check_embedded(embedded, pathlib.Path(out), config)
    assert refused[0] == refused[1]
    assert refused[0].pop("folder").startswith("NotADirectoryError: [Errno 20]")
    for name, error in refused[0].items():
        expected = f"ValueError: {OTHERS.get(name)}: expected the same in every process, got others"
        assert error == REFUSED.get(name, expected), name
    assert set(refused[0]) == {*REFUSED, *OTHERS}


@pytest.mark.slow
@pytest.mark.parametrize("name", strategies.names())
def test_eight_devices_are_one(name):
    check_as_one(name, *tasks.picks(devices.make_mesh(8), [name])[name])


def check_picks(found, names):
    """Every process picks what one device picks."""
    assert all(one == found[0] for one in found) and [*found[0]] == names
    for name, (rows, scores) in found[0].items():
        check_as_one(name, rows, scores)


def check_as_one(name, rows, scores):
    expected, expected_scores = tasks.picks(None, [name])[name]
    if name in SYMMETRIC:
        assert_same_picks(rows, expected, scores, expected_scores)
    else:
        assert rows == expected, name


def check_embedded(found, folder, config):
    """The pools of two processes are those of one, and each file was made once."""
    (first, second), (inputs, labels) = found, tasks.data(203)
    assert first[0] == second[0] == "the accelerator is gone"
    assert first[1:3] == [4, 4]  # of seven files, before and after the error of the other
    assert second[1:3] == [2, 4]  # one was finished, one failed, and two were left
    assert first[3] == second[3]
    pool = pools.open(folder / "twice")
    pool.check()
    np.testing.assert_array_equal(pool[:], 2 * inputs)
    np.testing.assert_array_equal(pool.labels, labels)
    names = {path.name for path in pool.path.iterdir()}
    assert names == {"manifest.json", "labels.npy"} | {f"features-{n:05d}.npy" for n in range(7)}
    alone = experiment.embed(experiment.parse(config), folder / "alone")
    np.testing.assert_allclose(pools.open(folder / "model")[:], alone[:], rtol=1e-6)


def figures_of(folder):
    return [*map(figures, experiment.read(folder / "history.jsonl"))]


@pytest.mark.slow
def test_four_processes_are_one(tmp_path):
    picked, found = together([["picks", ENGINES], ["own_rows", "core_set"]], 4, tmp_path)
    check_picks(picked, ENGINES)
    assert found == (tasks.own_rows(None, "core_set"),) * 4


@pytest.mark.slow
def test_a_loop_whose_process_was_killed_goes_on_with_fewer(tmp_path):
    expected, folder = [*tasks.loop(None)], tmp_path / "checkpoints"
    ((left,),) = together([["killed", str(folder)]], 2, tmp_path, codes=[0, -9], timeout=120)
    assert left["found"] == expected[: len(left["found"])] and len(left["found"]) in (1, 2)
    assert left["error"].startswith("another process of this run has ended: ")
    assert [*tasks.loop(None, folder)] == expected[1:]


def command(folder, *flags, count=2):
    """The command line of each process."""
    config, address = folder / "tiny.toml", f"127.0.0.1:{free_port()}"
    config.write_text(config_text(folder))
    cluster = ["--distributed", "--coordinator", address, "--processes", str(count)]
    run = ["-m", "jaxal", "run", str(config), "--out", str(folder / "out"), *cluster, *flags]
    return [[*run, "--process", str(number)] for number in range(count)]


@pytest.mark.slow
def test_a_command_whose_process_is_killed_goes_on(tmp_path):
    """With as many processes, and alone."""
    flags = ("--set", "strategy.rounds=12", "--set", "strategy.names=margin")
    begun = start(command(tmp_path, *flags), tmp_path, 2)
    history = tmp_path / "out" / "history.jsonl"
    last = time.monotonic() + 120
    while begun[1].poll() is None and time.monotonic() < last:
        time.sleep(0.01)
        if history.exists() and history.read_bytes().count(b"\n") >= 6:
            begun[1].kill()
    codes, said = finish(begun, tmp_path, 60)
    assert codes == [2, -9], "\n".join(said)
    assert "error: another process of this run has ended" in said[0]
    assert "to go on: jaxal run" in said[0] and "--distributed --out" in said[0]
    shutil.copytree(tmp_path / "out", tmp_path / "fewer")
    again = command(tmp_path, *flags, "--resume")
    codes, said = finish(start(again, tmp_path, 2), tmp_path, 200)
    assert codes == [0, 0], "\n".join(said)
    assert "round" in said[0] and "round" not in said[1]
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert files == sorted([*experiment.RUN_FILES, "predictions"])
    settings = tomllib.loads((tmp_path / "out" / "config.toml").read_text())
    assert settings["provenance"]["devices"] == 4
    assert not [*(tmp_path / "compiled").glob("*")]  # as programs that are read again may crash
    config = experiment.load(tmp_path / "tiny.toml", [*flags[1::2]])
    experiment.run(config, tmp_path / "fewer", resume=True)
    experiment.run(config, tmp_path / "alone")
    for folder in ("out", "fewer"):
        assert figures_of(tmp_path / folder) == figures_of(tmp_path / "alone")


def test_options_of_processes_are_checked(tmp_path, capsys, monkeypatch):
    config = tmp_path / "tiny.toml"
    config.write_text(CONFIG)

    def says(*flags):
        assert cli.main(["run", str(config), *flags]) == 2
        return capsys.readouterr().err

    def initialize(*given):
        raise ValueError(f"no cluster for {given}.")

    monkeypatch.setattr(jax.distributed, "initialize", initialize)
    assert "--processes: needs --distributed" in says("--processes", "2")
    told = "--distributed: no cluster for (None, 2, 1). Expected a cluster that JAX finds"
    assert told in says("--distributed", "--processes", "2", "--process", "1")
    monkeypatch.setenv("JAX_NUM_PROCESSES", "two")
    assert "JAX_NUM_PROCESSES: expected an integer, got 'two'" in says("--distributed")


def test_alone_a_process_has_all_rows_and_compares_nothing(monkeypatch):
    monkeypatch.setattr(processes, "_gathered", None)
    inputs, labels = tasks.data(11)
    pool = jaxal.place(inputs, labels, jaxal.devices.make_mesh(), local=True)
    np.testing.assert_array_equal(np.asarray(pool.labels)[:11], labels)


def test_on_the_host_keys_are_numbers():
    key = jax.random.key(3)
    found = processes.to_host({"key": key, "rows": jax.numpy.arange(2)})
    np.testing.assert_array_equal(found["key"], np.asarray(jax.random.key_data(key)))
    assert all(type(one) is np.ndarray for one in found.values())


def test_errors_that_are_sent_are_of_pythons_types():
    """Others may not have the type, or it may take more than a message."""
    broken = UnicodeDecodeError("utf-8", b"a", 0, 1, "why")
    gone = FileNotFoundError(2, "gone", "here")
    for error in (KeyError("name"), gone, broken, TooMany(1, 2)):
        sent = pickle.loads(pickle.dumps(processes.plain(error)))
        assert isinstance(error, type(sent)) and str(error) in str(sent)


class TooMany(ValueError):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")
