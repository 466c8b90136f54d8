"""Several processes that run one program, on this machine: the same picks, and errors that all see.

What they do is in `process_tasks.py`. Each is started by itself, finds the others by a port of this
machine, and has one device or two.
"""

import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import tomllib

import jax
import numpy as np
import process_tasks as tasks
import pytest

import jaxal
from jaxal import cli, experiment, strategies
from jaxal.records import figures

CACHE = "jax_compilation_cache_dir"
FOLDER = pathlib.Path(__file__).parent
CONFIG = """
name = "tiny"
seeds = 2
[data]
source = "sklearn:iris"
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


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def start(commands, tmp_path, devices):
    """Starts a process a command; returns them, what they say goes to files SAID.NUMBER."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(FOLDER.parent), str(FOLDER)]),
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(devices),
        "JAX_COMPILATION_CACHE_DIR": str(getattr(jax.config, CACHE) or tmp_path / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    begun = []
    for number, command in enumerate(commands):
        with open(tmp_path / f"said.{number}", "wb") as said:
            begun.append(
                subprocess.Popen(
                    [sys.executable, *command],
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    env=environment,
                )
            )
    return begun


def finish(begun, tmp_path, timeout=240):
    """The exit codes and what was said, once all have ended; kills those that do not."""
    try:
        for one in begun:
            one.wait(timeout)
    finally:
        for one in begun:
            one.kill()
            one.wait()
    said = [(tmp_path / f"said.{number}").read_text() for number in range(len(begun))]
    return [one.returncode for one in begun], said


def together(task, count, tmp_path, *given, devices=1, codes=None):
    """What each of several processes finds."""
    out, port = tmp_path / task, str(free_port())
    given = [json.dumps(one) for one in given]
    script = str(FOLDER / "process_tasks.py")
    commands = [
        [script, task, str(number), str(count), port, str(out), *given] for number in range(count)
    ]
    ended, said = finish(start(commands, tmp_path, devices), tmp_path)
    assert ended == (codes or [0] * count), "\n".join(said)
    files = [pathlib.Path(f"{out}.{number}") for number in range(count)]
    return [json.loads(file.read_text()) for file in files if file.exists()]


def test_two_processes_are_one(tmp_path):
    expected = tasks.smoke(None)
    assert together("smoke", 2, tmp_path) == [expected] * 2


@pytest.fixture(scope="module")
def picks():
    """Of one process and one device."""
    return tasks.picks(None)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_every_strategy_picks_the_same_in_several_processes(tmp_path, picks, count):
    assert set(picks) == set(strategies.names())
    assert together("picks", count, tmp_path) == [picks] * count


@pytest.mark.slow
def test_the_loop_is_the_same_in_several_processes(tmp_path):
    expected = tasks.experiment(None)
    assert together("experiment", 2, tmp_path, devices=2) == [expected] * 2


@pytest.mark.slow
def test_each_process_has_rows_of_its_own(tmp_path):
    expected = tasks.own_rows(None)
    assert together("own_rows", 2, tmp_path, devices=2) == [expected] * 2


@pytest.mark.slow
def test_what_one_process_finds_wrong_all_raise(tmp_path):
    messages = {
        "values": "pool inputs: expected finite numbers, got NaN or inf at row 202",
        "labels": "pool labels: expected -1 to C - 1, got -2 at row 202",
        "own rows": "process 1: pool inputs: expected finite numbers, got NaN or inf at row 8",
        "types": "types and shapes of rows: expected the same in every process, got others",
        "another's": "mesh: expected devices of this process alone or of all, got of some",
        "seeds": "mesh: expected all devices to share the rows, got some that share seeds",
        "test": "test inputs: expected finite numbers, got NaN or inf at row 40",
        "key": "key: expected the same in every process, got others",
        "then": tasks.picks(None, ["entropy"]),
    }
    assert together("bad_inputs", 2, tmp_path) == [messages] * 2


@pytest.mark.slow
def test_each_process_reads_the_rows_of_its_devices(tmp_path):
    assert together("reads", 2, tmp_path, devices=2) == [[*range(8)], [*range(8, 16)]]


@pytest.mark.slow
def test_a_loop_whose_process_was_killed_goes_on_with_fewer(tmp_path):
    expected, folder = tasks.rounds(None), tmp_path / "checkpoints"
    (left,) = together("killed", 2, tmp_path, str(folder), codes=[0, -9])
    assert left["found"] == expected[: len(left["found"])] and len(left["found"]) in (1, 2)
    assert left["error"].startswith("another process of this run has ended: ")
    assert together("rounds", 1, tmp_path, str(folder)) == [expected[1:]]


def command(tmp_path, *flags, count=2):
    """The command line of each process."""
    config, address = tmp_path / "tiny.toml", f"127.0.0.1:{free_port()}"
    config.write_text(CONFIG)
    cluster = ["--distributed", "--coordinator", address, "--processes", str(count)]
    run = ["-m", "jaxal", "run", str(config), "--out", str(tmp_path / "out"), *cluster]
    return [[*run, "--process", str(number), *flags] for number in range(count)]


def figures_of(folder):
    return [*map(figures, experiment.read(folder / "history.jsonl"))]


@pytest.mark.slow
def test_a_command_of_two_processes(tmp_path):
    codes, said = finish(start(command(tmp_path), tmp_path, 4), tmp_path)
    assert codes == [0, 0], "\n".join(said)
    experiment.run(experiment.load(tmp_path / "tiny.toml"), tmp_path / "alone")
    assert figures_of(tmp_path / "out") == figures_of(tmp_path / "alone")  # of eight devices
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        experiment.RUN_FILES
    )
    settings = tomllib.loads((tmp_path / "out" / "config.toml").read_text())
    assert settings["provenance"]["devices"] == 8
    assert "round" in said[0] and "round" not in said[1]
    codes, said = finish(start(command(tmp_path, "--set", "seeds=0"), tmp_path, 4), tmp_path)
    assert codes == [2, 2] and all("seeds: expected" in one for one in said)


@pytest.mark.slow
def test_a_command_whose_process_is_killed_goes_on_alone(tmp_path):
    flags = ("--set", "strategy.rounds=20")
    begun = start(command(tmp_path, *flags), tmp_path, 4)
    history = tmp_path / "out" / "history.jsonl"
    try:
        while begun[0].poll() is None:
            time.sleep(0.01)
            if history.exists() and history.read_bytes().count(b"\n") >= 6:
                begun[1].kill()
                break
    finally:
        codes, said = finish(begun, tmp_path)
    assert codes == [2, -9]
    assert "error: another process of this run has ended" in said[0]
    assert "to go on: jaxal run" in said[0] and "--resume" in said[0]
    config = experiment.load(tmp_path / "tiny.toml", ["strategy.rounds=20"])
    experiment.run(config, tmp_path / "out", resume=True)
    experiment.run(config, tmp_path / "alone")
    assert figures_of(tmp_path / "out") == figures_of(tmp_path / "alone")


def test_flags_of_processes_go_together(tmp_path, capsys):
    config = tmp_path / "tiny.toml"
    config.write_text(CONFIG)
    assert cli.main(["run", str(config), "--processes", "2"]) == 2
    assert "--processes: needs --distributed" in capsys.readouterr().err


def test_alone_a_process_has_all_rows():
    inputs, labels = tasks.data(11)
    pool = jaxal.place(inputs, labels, jaxal.devices.make_mesh(), local=True)
    np.testing.assert_array_equal(np.asarray(pool.labels)[:11], labels)
