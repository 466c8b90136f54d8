"""What the machine is, and what it reaches on the cores that are used."""

import datetime
import os
import pathlib
import platform
import subprocess
import sys
from typing import Any

from benchmarks.harness.players import ROOT, Settings, Worker


def ceilings(settings: Settings) -> dict[str, Any]:
    """The machine's own rates on these cores, by each package that is in either environment."""
    found = {}
    for python in (settings.python, sys.executable):
        if python is not None:
            worker = Worker(str(python), settings.cores, len(settings.cores))
            found |= worker.ask("ceilings", settings.limit)
            worker.close()
    return {name: rates for name, rates in found.items() if name != "error"}


def environment() -> dict[str, Any]:
    """The machine, the commit, and the time."""
    info = pathlib.Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    commit = _git("describe", "--always", "--abbrev=12")
    changed = _git("status", "--porcelain", "--", ".", ":!benchmarks/results")  # that it writes
    return {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "processor": next(named, platform.processor()),
        "cores": os.cpu_count(),
        "platform": platform.platform(),
        "git": f"{commit}-dirty" if changed else commit,
        "variables": {
            name: os.environ[name]
            for name in ("OPENBLAS_CORETYPE", "XLA_FLAGS", "OMP_WAIT_POLICY")
            if name in os.environ
        },
    }


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip()
