"""What makes two loops one, so that one may go on where the other stopped: compared by value."""

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr

from jaxal import processes
from jaxal.base import PyTree

VERSIONS = ("jaxal", "jax", "jaxlib", "flax", "optax")
"""Packages that decide the figures of a run: with another version it is another run."""


def versions(packages: Iterable[str] = VERSIONS) -> dict[str, str]:
    """The versions of packages, of those that are installed."""
    found = {}
    for name in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def digest(tree: PyTree) -> str:
    """The SHA-256 of arrays, NumPy's or JAX's: their places in the tree, dtypes, shapes and bytes.

    Args:
      tree: of arrays and random keys; the layout on devices does not matter.
    """
    total = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.asarray(processes.to_host(leaf))
        total.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}\n".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def digest_program(function: Callable[..., Any], *args: Any) -> str:
    """The SHA-256 of what a function computes of such arguments, traced and not run.

    A learner or a strategy with another number in it, or other arrays, is another program.
    """
    program = jax.make_jaxpr(function)(*args)
    text = re.sub(r" at 0x[0-9a-f]+", "", str(program))
    constants = digest([*_constants(program)])
    return hashlib.sha256(f"{text}\n{constants}".encode()).hexdigest()


def _constants(value: Any) -> Iterator[Any]:
    """The arrays that a program and those inside it hold."""
    if isinstance(value, ClosedJaxpr):
        yield from value.consts
        value = value.jaxpr
    if isinstance(value, Jaxpr):
        value = [parameter for equation in value.eqns for parameter in equation.params.values()]
    if isinstance(value, list | tuple):
        for inner in value:
            yield from _constants(inner)


def check_identity(folder: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raises ValueError if any value differs; says which, as it was and as it is.

    Args:
      folder: where the loop left its files, for the message.
      old: of the loop that is to go on.
      new: of this one.
    """
    differ = [
        f"{name} was {old.get(name)!r} and is {new.get(name)!r}"
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    ]
    if differ:
        raise ValueError(
            f"{folder}: cannot go on, as this is not the same run: {'; '.join(differ)}"
        )
