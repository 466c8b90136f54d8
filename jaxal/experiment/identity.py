"""What makes two runs one: settings, data and versions. A run goes on only where all are equal."""

import hashlib
import tomllib
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxal.base import PyTree

DATA = "data_sha256"
"""The key of the data's hash in `[provenance]`."""

_VERSIONS = ("jaxal", "jax", "jaxlib", "flax", "optax")


def digest(tree: PyTree) -> str:
    """The SHA-256 of arrays, NumPy's or JAX's: their names in the tree, types, shapes and bytes."""
    total = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.asarray(leaf)
        total.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}\n".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def check_same(path: Path, text: str) -> None:
    """Raises ValueError if a run's `config.toml` says other than `text`; says what differs.

    Args:
      path: the file, as the run that is to go on wrote it.
      text: what it would be now.
    """
    if not path.exists():
        raise ValueError(f"{path.parent}: cannot go on: it has records, but no {path.name}")
    try:
        old, new = _facts(path.read_text(encoding="utf-8")), _facts(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    differ = [
        f"{key} was {old.get(key)!r} and is {new.get(key)!r}"
        for key in {**old, **new}
        if old.get(key) != new.get(key)
    ]
    if differ:
        raise ValueError(
            f"{path.parent}: cannot go on, as this is another run: {'; '.join(differ)}"
        )


def _facts(text: str) -> dict[str, Any]:
    table = tomllib.loads(text)
    where = table.pop("provenance", {})
    kept = {name: where[name] for name in (DATA, *_VERSIONS) if name in where}
    return _flat(table) | kept


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in table.items():
        name = prefix + key
        flat |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat
