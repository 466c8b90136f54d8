"""Starts a worker a side, lets them answer turn by turn, and writes down what they say."""

import datetime
import json
import os
import pathlib
import platform
import select
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness.topic import Side, Topic

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

    def __init__(self, python: str, cores: tuple[int, ...], threads: int) -> None:
        environment = {
            **os.environ,
            "PYTHONWARNINGS": "ignore",
            "JAX_ENABLE_COMPILATION_CACHE": "0",
        }
        environment |= {f"{name}_NUM_THREADS": str(threads) for name in THREADS}
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

    def took(self, reply: dict[str, Any], out: str) -> None:
        """A turn that was had, and its answer."""
        self.runs.append(reply)
        self.answers.append(np.load(out))

    def spent(self) -> float:
        return sum(run["seconds"] * run["calls"] for run in self.runs)


def compare(name: str, size: str, settings: Settings) -> dict[str, Any]:
    """One topic at one size: the record."""
    topic: Topic = import_module(settings.module).TOPICS[name]
    given = topic.sizes[size]
    settings.say(f"{name}, {size}: {topic.shape(given)}")
    inputs: dict[str, Any] = dict(topic.make(np.random.default_rng(0), given))
    before, record = os.getloadavg(), {}
    players: dict[str, Player] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        np.savez(path / "inputs.npz", **inputs)
        try:
            for title, side in topic.sides.items():
                found = _warm(name, title, side, path, given, settings)
                if isinstance(found, Player):
                    players[title] = found
                else:
                    record[title] = found
                    settings.say(f"  {title}: {' '.join(found.values())}")
            _take_turns(players, path, settings)
        finally:
            for player in players.values():
                player.worker.close()
    reports = {title: _report(topic, inputs, given, player) for title, player in players.items()}
    for title, report in reports.items():
        report |= _beside(topic, players[title], players[next(iter(topic.sides))])
    return {
        "environment": environment(),
        "topic": name,
        "title": topic.title,
        "size": size,
        "parameters": dict(given),
        "shape": topic.shape(given),
        "quality": topic.quality.name,
        "higher_is_better": topic.quality.higher_is_better,
        "random": topic.random,
        "cores": list(settings.cores),
        "load_before": list(before),
        "load_after": list(os.getloadavg()),
        "work": topic.work(given)._asdict(),
        "sides": {title: (reports | record)[title] for title in topic.sides},
    }


def _warm(
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
    for threads in sorted({1, len(settings.cores)}):
        settings.say(f"  {title}: first call, {threads} thread{'s' * (threads > 1)}")
        worker = Worker(python, settings.cores, threads)
        try:
            player = _first(worker, name, title, folder, size, threads, settings)
        except Unfinished as error:
            worker.close()
            return {"unfinished": str(error)} if best is None else _chosen(best, tried)
        if isinstance(player, dict):
            worker.close()
            return player
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
    if first["seconds"] >= settings.spend:  # it has had its turn
        player.took(first, out)
        player.about["trial_seconds"] = first["seconds"]
    else:
        trial = worker.ask("run", settings.limit, out=out)
        player.about["trial_seconds"] = trial["seconds"]
    return player


def _take_turns(players: dict[str, Player], folder: pathlib.Path, settings: Settings) -> None:
    for turn in range(settings.repeats):
        for title, player in players.items():
            if not player.runs or player.spent() < settings.spend:
                player.run(folder, turn)
                taken = player.runs[-1]["seconds"]
                settings.say(f"  {title}: {turn + 1} of {settings.repeats}, {taken:.4g} s")


def ceilings(settings: Settings) -> dict[str, Any]:
    """The machine's own rates on these cores, by each package that is in either environment."""
    found = {}
    for python in (settings.python, sys.executable):
        if python is not None:
            worker = Worker(str(python), settings.cores, len(settings.cores))
            found |= worker.ask("ceilings", settings.limit)
            worker.close()
    return {name: rates for name, rates in found.items() if name != "error"}


def _spread(values: list[float]) -> dict[str, Any]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def _report(topic: Topic, inputs: Any, size: Any, player: Player) -> dict[str, Any]:
    """What one side did, by itself."""
    about, runs = player.about, player.runs
    qualities = [topic.quality.measure(inputs, size, answer) for answer in player.answers]
    return {
        "version": about["version"],
        "versions": about["versions"],
        "python": about["python"],
        "device": about["device"],
        "threads": player.threads,
        "seconds_by_threads": about["seconds_by_threads"],
        "import_seconds": about["import_seconds"],
        "prepare_seconds": about["prepare_seconds"],
        "first": about["first"],
        "runs": len(runs),
        "seconds": _spread([run["seconds"] for run in runs]),
        "cpu_seconds": _spread([run["cpu_seconds"] for run in runs]),
        "all_seconds": [run["seconds"] for run in runs],
        "resident_bytes_before": about["resident_bytes"],
        "peak_bytes": runs[-1]["peak_bytes"],
        "quality": _spread(qualities),
    }


def _beside(topic: Topic, player: Player, first: Player) -> dict[str, Any]:
    """How many times as long as the first it takes, round by round, and whether picks agree."""
    pairs = list(zip(player.runs, first.runs, strict=False))
    ratios = {
        f"times_{kind}": _spread([theirs[kind] / ours[kind] for theirs, ours in pairs])
        for kind in ("seconds", "cpu_seconds")
    }
    if not topic.picks_rows:
        return ratios
    theirs, ours = (each.answers[0].tolist() for each in (player, first))
    shared = len(set(theirs) & set(ours)) / len(set(ours))
    return ratios | {
        "distinct": len(set(theirs)) == len(theirs),
        "picks_shared": shared,
        "same_order": theirs == ours,
    }


def environment() -> dict[str, Any]:
    """The machine, the commit, and the time."""
    info = pathlib.Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "processor": next(named, platform.processor()),
        "cores": os.cpu_count(),
        "platform": platform.platform(),
        "git": commit,
        "variables": {
            name: os.environ[name]
            for name in ("OPENBLAS_CORETYPE", "XLA_FLAGS", "OMP_WAIT_POLICY")
            if name in os.environ
        },
    }
