"""Workers that are asked: processes, pinned, each with the side that it plays."""

import json
import os
import pathlib
import select
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness.topic import Side

ROOT = pathlib.Path(__file__).resolve().parents[2]
THREADS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA")


class Settings(NamedTuple):
    """How a topic is run."""

    python: pathlib.Path | None  # of the peers' environment; None if there is none
    why_none: str = "no environment of peers: python -m benchmarks peers"
    missing: dict[str, str] = {}  # packages that could not be installed, and why
    cores: tuple[int, ...] = (0,)
    repeats: int = 5
    limit: float = 120.0  # seconds that a side may take until its first answer is there
    spend: float = 30.0  # seconds of warm runs after which a side gets no more turns
    module: str = "benchmarks.topics"
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True)


class Unfinished(Exception):
    """A worker did not answer in time."""


class Worker:
    """A pinned process that is asked, and answers."""

    def __init__(
        self,
        python: str,
        cores: tuple[int, ...],
        threads: int,
        folder: pathlib.Path | None = None,  # of what it leaves
    ) -> None:
        environment = {
            **os.environ,
            "PYTHONWARNINGS": "ignore",
            "JAX_ENABLE_COMPILATION_CACHE": "0",
        }
        environment |= {f"{name}_NUM_THREADS": str(threads) for name in THREADS}
        environment |= {} if folder is None else {"TMPDIR": str(folder)}
        path = [str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, path))
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.harness.worker", ",".join(map(str, cores))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )

    def ask(self, do: str, timeout: float | None = None, **arguments: Any) -> dict[str, Any]:
        """A request and its reply; raises `Unfinished` after `timeout` seconds."""
        process = self._process
        assert process.stdin and process.stdout
        try:
            process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            return {"error": f"ended with status {process.wait()}"}
        if not select.select([process.stdout], [], [], timeout)[0]:
            raise Unfinished(f"no answer in {timeout:.0f} s")
        line = process.stdout.readline()
        return json.loads(line) if line else {"error": f"ended with status {process.wait()}"}

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class Player:
    """A side that is warm, and what it has done so far."""

    def __init__(self, worker: Worker, threads: int, about: dict[str, Any]) -> None:
        self.worker, self.threads, self.about = worker, threads, about
        self.runs: list[dict[str, Any]] = []
        self.answers: list[np.ndarray] = []

    def run(self, folder: pathlib.Path, seed: int) -> None:
        out = folder / f"{id(self)}-{seed}.npy"
        reply = self.worker.ask("run", out=str(out), seed=seed)
        if "error" in reply:
            raise RuntimeError(reply["error"])
        self.took(reply, str(out))

    def draw(self, folder: pathlib.Path, seed: int) -> None:
        """An answer that is not timed."""
        out = folder / f"{id(self)}-{seed}.npy"
        reply = self.worker.ask("answer", out=str(out), seed=seed)
        if "error" in reply:
            raise RuntimeError(reply["error"])
        self.answers.append(np.load(out))

    def took(self, reply: dict[str, Any], out: str) -> None:
        """A turn that was had, and its answer."""
        self.runs.append(reply)
        self.answers.append(np.load(out))

    def spent(self) -> float:
        return sum(run["seconds"] * run["calls"] for run in self.runs)


def warm(
    name: str, title: str, side: Side, folder: pathlib.Path, size: Any, settings: Settings
) -> Player | dict[str, str]:
    """The side with the threads that suit it best, after its first call; or why there is none."""
    python = str(settings.python) if side.peer else sys.executable
    if side.peer and settings.python is None:
        return {"unavailable": settings.why_none}
    if side.peer and side.package in settings.missing:
        return {"unavailable": settings.missing[side.package]}
    best: Player | None = None
    tried: dict[str, float] = {}
    # JAX takes the cores that it is given, whatever the variables say.
    least = len(settings.cores) if "jax" in side.imports else 1
    for threads in sorted({least, len(settings.cores)}):
        settings.say(f"  {title}: first call, {threads} thread{'s' * (threads > 1)}")
        worker = Worker(python, settings.cores, threads, folder)
        try:
            player = _first(worker, name, title, folder, size, threads, settings)
        except Unfinished as error:
            worker.close()
            return {"unfinished": str(error)} if best is None else _chosen(best, tried)
        if isinstance(player, dict):
            worker.close()
            return player if best is None else _chosen(best, tried)
        tried[str(threads)] = player.about["trial_seconds"]
        if best is None or tried[str(threads)] < tried[str(best.threads)]:
            best, player = player, best
        if player is not None:
            player.worker.close()
    assert best is not None
    return _chosen(best, tried)


def _chosen(best: Player, tried: dict[str, float]) -> Player:
    best.about["seconds_by_threads"] = tried
    return best


def _first(
    worker: Worker,
    name: str,
    title: str,
    folder: pathlib.Path,
    size: Any,
    threads: int,
    settings: Settings,
) -> Player | dict[str, str]:
    given = {"module": settings.module, "topic": name, "side": title, "size": dict(size)}
    inputs, out = str(folder / "inputs.npz"), str(folder / "first.npy")
    loaded = worker.ask("load", settings.limit, inputs=inputs, **given)
    if "error" in loaded:
        return {"unavailable": loaded["error"]}
    first = worker.ask("first", settings.limit, out=out)
    if "error" in first:
        return {"failed": first["error"]}
    player = Player(worker, threads, loaded | {"first": first})
    if "compile_seconds" not in first and first["seconds"] >= settings.spend:
        # Nothing was compiled: this was its turn.
        player.took(first, out)
        player.about["trial_seconds"] = first["seconds"]
    else:
        trial = worker.ask("run", settings.limit, out=out)
        player.about["trial_seconds"] = trial["seconds"]
    return player
