"""What makes two runs one: settings, data and versions, as `config.toml` has them."""

import tomllib
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from jaxal.base import Examples
from jaxal.loop.identity import VERSIONS, check_identity, digest
from jaxal.pools import Directory

DATA = "data_sha256"
"""The key of the data's digest in `[provenance]`."""


SEEDS_PER_DEVICE = "seeds_per_device"
"""The key of how many seeds a device computes at once: another number may round otherwise."""


def data_digest(
    pool: Examples, test: Examples, validation: Examples | None, *sets: Examples | str | None
) -> str:
    """The digest of all that a run computes on; for the rows of a pool on disk stands its manifest.

    Args:
      pool: whose inputs may be on disk.
      test: the examples that are tested on.
      validation: those held out, if there are.
      sets: the query and the private set; a name stands for rows of each round.
    """
    if isinstance(pool.inputs, Directory):
        pool = Examples(np.frombuffer(bytes.fromhex(pool.inputs.digest), np.uint8), pool.labels)
    return digest((pool, test, validation, *(one for one in sets if isinstance(one, Examples))))


def check_same(path: Path, settings: str) -> None:
    """Raises ValueError if a run's `config.toml` is that of another run; says what differs.

    Warns where the same run may round otherwise than it began.

    Args:
      path: the file, as the run that is to go on wrote it.
      settings: what would be written now.
    """
    before, now = _layout(provenance_of(path)), _layout(tomllib.loads(settings)["provenance"])
    check_identity(path.parent, identity(path.read_text(encoding="utf-8")), identity(settings))
    for name, value in before.items():
        if value != now[name]:
            warnings.warn(
                f"{path.parent}: {name} was {value!r} and is {now[name]!r}: figures may differ in "
                "their last bits from those of an unbroken run, and picks by them",
                stacklevel=2,
            )


def _layout(provenance: dict[str, Any]) -> dict[str, Any]:
    """What decides how a compiler rounds."""
    return {
        "the kind of device": provenance.get("device"),
        "the number of seeds on a device": provenance.get(SEEDS_PER_DEVICE),
        "the number of devices": "one" if provenance.get("devices") == 1 else "several",
    }


def provenance_of(path: Path) -> dict[str, Any]:
    """Where a run took place, from its `config.toml`.

    Raises:
      ValueError: there is no such file, or it is not TOML.
    """
    if not path.exists():
        raise ValueError(f"{path.parent}: cannot go on: it has records, but no {path.name}")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")).get("provenance", {})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def identity(settings: str) -> dict[str, Any]:
    """The settings by dotted key, the digest of the data, and the versions.

    Args:
      settings: the text of a `config.toml`.
    """
    table = tomllib.loads(settings)
    where = table.pop("provenance", {})
    return _flat(table) | {name: where[name] for name in (DATA, *VERSIONS) if name in where}


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in table.items():
        name = prefix + key
        flat |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat
