"""The environment of the other packages: made by one command, and what could not be had is told."""

import json
import pathlib
import subprocess
import sys
from collections.abc import Callable, Mapping

LIST = pathlib.Path(__file__).resolve().parents[1] / "peers.txt"
ALONE = "--no-deps "  # before a package whose pins are stale


def requirements(text: str) -> tuple[list[str], list[str]]:
    """Requirements to install with what they need, and those to install alone."""
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    alone = [line.removeprefix(ALONE).strip() for line in lines if line.startswith(ALONE)]
    return [line for line in lines if line and not line.startswith(ALONE)], alone


def distribution(requirement: str) -> str:
    """The name in `name==1.0`."""
    for mark in "=<>!~[ ":
        requirement = requirement.partition(mark)[0]
    return requirement


def python_of(folder: pathlib.Path) -> pathlib.Path:
    return folder / "bin" / "python"


def missing(folder: pathlib.Path) -> dict[str, str]:
    """{package: why it could not be installed} of an environment."""
    record = folder / "peers.json"
    return json.loads(record.read_text()) if record.exists() else {}


def make(
    folder: pathlib.Path,
    sources: Mapping[str, str],
    say: Callable[[str], None],
    text: str | None = None,
) -> dict[str, str]:
    """Makes the environment, each package by itself if they cannot be installed together.

    Args:
      folder: of the environment; what is there already stays.
      sources: {package: folder or address that pip takes in place of its registry's release}.
      say: is told what is being done.
      text: the list; `benchmarks/peers.txt` if None.

    Returns:
      {package: why it could not be installed}.
    """
    together, alone = requirements(LIST.read_text() if text is None else text)
    if not python_of(folder).exists():
        say(f"making {folder}")
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    failed: dict[str, str] = {}

    def install(*arguments: str) -> str:
        command = [str(python_of(folder)), "-m", "pip", "install", "-q", *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        return "" if done.returncode == 0 else (errors or ["pip failed"])[-1]

    say(f"installing {' '.join(together)}")
    if install(*together):
        for requirement in together:
            say(f"installing {requirement}")
            if reason := install(requirement):
                failed[distribution(requirement)] = reason
    for requirement in alone:
        name = distribution(requirement)
        given = [sources[name], "--force-reinstall"] if name in sources else [requirement]
        say(f"installing {given[0]}, without what it asks for")
        if reason := install(ALONE.strip(), *given):
            failed[name] = reason
    for name, reason in failed.items():
        say(f"not installed: {name}: {reason}")
    (folder / "peers.json").write_text(json.dumps(failed, indent=1) + "\n")
    return failed
