"""Kills runs at any instant, resumes them, and compares them with one that was never broken off.

    python tests/sweep_resume.py --kills 100

Every run is a process of its own that is ended by SIGKILL, at a random instant or at a named place
of the code, and is resumed, perhaps to be killed again, until it ends. After every kill its records
have to be the first ones of the unbroken run, and at the end all of them, bit for bit but for the
times. `--devices 8,2` begins runs on 8 virtual devices of the CPU, and goes on with 8 or 2 in turn.
Nothing in jaxal knows of this: the process that is to be killed replaces functions of its own.
"""

import argparse
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import types
from typing import NamedTuple

import numpy as np

ROOT = pathlib.Path(__file__).parent.parent
SETTINGS = [
    "strategy.rounds=4",
    "strategy.budget=10",
    "learner.max_epochs=15",
    "model.hidden=[32]",
    "data.limit=400",
]
DATA = "digits.npz"
NAMES = "random,margin,badge"
PLACES = ("instant", "before", "during", "before commit", "after commit", "record")


class Kill(NamedTuple):
    """Where a process is to be killed."""

    place: str  # of PLACES, or "never"
    count: int = 1  # when it comes there for the so manieth time
    seconds: float = 0.0  # for "instant": after its start
    devices: int = 1
    every_round: bool = True  # checkpoints after every round, whatever they cost
    seeds: int = 2
    names: str = NAMES


def child(folder: str, kill: Kill) -> None:
    """Runs or resumes the experiment in `folder`, and kills itself at the place."""
    import jax

    jax.config.update("jax_num_cpu_devices", kill.devices)
    from jaxal import _cache, experiment
    from jaxal.experiment import _run

    _cache.set_up_cache()
    if kill.every_round:
        _run.CHECKPOINT_SHARE = float("inf")
    if kill.place not in ("never", "instant"):
        set_trap(folder, kill)
    settings = [*SETTINGS, f"seeds={kill.seeds}", f"strategy.names={kill.names}"]
    settings.append(f"data.source=npz:{pathlib.Path(folder).parent / DATA}")
    config = experiment.load(ROOT / "configs" / "digits.toml", settings)
    experiment.run(config, pathlib.Path(folder), resume=True)


def set_trap(folder: str, kill: Kill) -> None:
    """Replaces the function at the place by one that kills this process."""
    import orbax.checkpoint.experimental.v1 as orbax

    from jaxal import files
    from jaxal.loop import checkpoint

    left = kill.count

    def arrive() -> bool:
        nonlocal left
        left -= 1
        return left == 0

    save, append, rename = orbax.save, files._append, os.rename

    def trapped_save(*args, **kwargs):
        here = arrive()
        if here and kill.place == "before":
            die()
        if here and kill.place == "during":
            threading.Thread(target=die_while_writing, args=[folder], daemon=True).start()
        save(*args, **kwargs)

    def trapped_rename(old, new):
        here = arrive()
        if here and kill.place == "before commit":
            die()
        rename(old, new)
        if here:
            die()

    def trapped_append(file, text):
        if arrive():
            file.write(text[: len(text) * 2 // 3])
            die()
        append(file, text)

    if kill.place == "record":
        files._append = trapped_append
    elif kill.place.endswith("commit"):
        checkpoint.os = types.SimpleNamespace(**{**vars(os), "rename": trapped_rename})
    else:
        orbax.save = trapped_save


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_while_writing(folder: str) -> None:
    """Kills when a part of the checkpoint's files is there."""
    while not [*pathlib.Path(folder).glob("checkpoints/part/**/d/*")]:
        pass
    die()


def start(folder: pathlib.Path, kill: Kill) -> int:
    """Runs a child; returns its exit status, -9 if it was killed."""
    words = [sys.executable, __file__, "--child", str(folder), *map(str, kill)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait = kill.seconds if kill.place == "instant" else None
            _, errors = process.communicate(timeout=wait)
        except subprocess.TimeoutExpired:
            process.kill()
            _, errors = process.communicate()
    if process.returncode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"{kill}: {errors}")
    return process.returncode


def history(folder: pathlib.Path) -> list[dict]:
    """What the records in a folder say beside times."""
    from jaxal import records

    path = folder / records.HISTORY
    return [records.figures(one) for one in records.read(path)] if path.exists() else []


def write_digits(folder: str) -> None:
    """Writes the data of all runs: each process would take a second to import scikit-learn."""
    from sklearn.datasets import load_digits

    inputs, labels = load_digits(return_X_y=True)
    np.savez(pathlib.Path(folder, DATA), inputs=inputs.astype(np.float32), labels=labels)


def sweep(
    kills: int, devices: list[int], seeds: int, draws: random.Random, names: str = NAMES
) -> int:
    """Kills so many processes of runs of these strategies; returns how many runs were compared.

    Raises:
      AssertionError: a run that is not the unbroken one.
    """
    with tempfile.TemporaryDirectory() as scratch:
        write_digits(scratch)
        unbroken = pathlib.Path(scratch, "unbroken")
        begun = time.monotonic()
        start(unbroken, Kill("never", devices=devices[0], seeds=seeds, names=names))
        length = time.monotonic() - begun  # with what it compiles; later runs are shorter
        expected = history(unbroken)
        done = runs = turn = 0
        while done < kills:
            folder = pathlib.Path(scratch, f"run{runs}")
            last, found = False, []
            while True:
                place = PLACES[turn % len(PLACES)]
                kill = Kill(
                    "never" if last else place,
                    draws.randint(1, 6),
                    draws.uniform(0.1, 1.0) * length,
                    devices[(turn + turn // len(PLACES)) % len(devices) if found else 0],
                    place != "instant" or draws.random() < 0.5,
                    seeds,
                    names,
                )
                turn += 1
                begun = time.monotonic()
                status = start(folder, kill)
                length = min(length, time.monotonic() - begun) if status == 0 else length
                found = history(folder)
                assert found == expected[: len(found)], f"{kill}: other records"
                if status == 0:
                    break
                done += 1
                last = done >= kills or draws.random() < 0.4
                print(
                    f"{done}/{kills}: {kill.place}, {kill.devices} devices, "
                    f"{len(found)}/{len(expected)} records",
                    flush=True,
                )
            assert found == expected, f"{folder}: not all records"
            runs += 1
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description="Kills runs, and resumes them.")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--devices", default="1", help="as in 8,2: in turn")
    parser.add_argument("--seeds", type=int, default=2, help="of the experiment")
    parser.add_argument("--draw", type=int, default=0, help="seed of the instants and places")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        folder, place, count, seconds, devices, every_round, seeds, names = given.child
        kill = Kill(
            place,
            int(count),
            float(seconds),
            int(devices),
            every_round == "True",
            int(seeds),
            names,
        )
        child(folder, kill)
        return
    devices = [int(count) for count in given.devices.split(",")]
    begun = time.monotonic()
    runs = sweep(given.kills, devices, given.seeds, random.Random(given.draw))
    print(
        f"{given.kills} of {given.kills} kills, {runs} runs on {given.devices} devices: records "
        f"and picks as unbroken, {time.monotonic() - begun:.0f} s"
    )


if __name__ == "__main__":
    main()
