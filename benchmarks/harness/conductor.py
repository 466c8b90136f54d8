"""Starts a worker a side, lets them answer turn by turn, and writes down what they say."""

import os
import pathlib
import statistics
import tempfile
import time
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.harness.machine import environment
from benchmarks.harness.players import Player, Settings, warm
from benchmarks.harness.topic import Topic

DRAWS = 25  # answers of a random rule that its quality is the mean of


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
                found = warm(name, title, side, path, given, settings)
                if isinstance(found, Player):
                    players[title] = found
                else:
                    record[title] = found
                    settings.say(f"  {title}: {' '.join(found.values())}")
            _take_turns(players, path, settings)
            if topic.random:
                _draw_more(players, path, settings)
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
        "whole": topic.whole,
        "work": None if topic.work is None else topic.work(given)._asdict(),
        "sides": {title: (reports | record)[title] for title in topic.sides},
    }


def _take_turns(players: dict[str, Player], folder: pathlib.Path, settings: Settings) -> None:
    for turn in range(settings.repeats):
        for title, player in players.items():
            if not player.runs or player.spent() < settings.spend:
                player.run(folder, turn)
                taken = player.runs[-1]["seconds"]
                settings.say(f"  {title}: {turn + 1} of {settings.repeats}, {taken:.4g} s")


def _draw_more(players: dict[str, Player], folder: pathlib.Path, settings: Settings) -> None:
    """Further answers of random rules, not timed, while a side has time left."""
    for title, player in players.items():
        settings.say(f"  {title}: further answers, for their quality")
        end = time.monotonic() + settings.spend / 2
        while len(player.answers) < DRAWS and time.monotonic() < end:
            player.draw(folder, len(player.answers))


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
        "quality": _spread(qualities)
        | {
            "mean": statistics.fmean(qualities),
            "answers": len(qualities),
            "standard_error": statistics.stdev(qualities) / len(qualities) ** 0.5
            if len(qualities) > 1
            else None,
        },
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
