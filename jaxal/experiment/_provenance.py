"""Where a run took place: versions, device, revision and time."""

import platform
import subprocess
from datetime import UTC, datetime
from typing import Any

import jax

from jaxal.loop.identity import VERSIONS, versions

_PACKAGES = (*VERSIONS, "numpy")


def provenance() -> dict[str, Any]:
    """Returns what decides the numbers of a run beside its settings, as TOML can hold it.

    Returns:
        `started` (UTC), `python`, the version of each package, `platform`, `device` (its kind),
        `devices` (how many) and `git` (the revision of the working directory, if it has one).
    """
    devices = jax.devices()
    facts = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        **versions(_PACKAGES),
        "platform": platform.platform(),
        "device": devices[0].device_kind,
        "devices": len(devices),
    }
    revision = git_revision()
    return facts | ({"git": revision} if revision else {})


def git_revision() -> str | None:
    """The commit of the working directory, with "-dirty" after it if tracked files differ."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        git = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return git.stdout.strip() or None
