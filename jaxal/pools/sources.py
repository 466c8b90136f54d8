"""Sources of rows, which give them when they are asked for."""

import hashlib
from typing import Any, Protocol

import jax
import numpy as np

from jaxal.base import PyTree
from jaxal.checks import describe, is_array
from jaxal.numerics import num_rows
from jaxal.pools.directory.checks import digest_array

LOOKED_AT = 1000
"""Rows by which sources without a digest of their own are told apart."""


class Source(Protocol):
    """Rows that are read when they are asked for: memory maps, pools on disk, what one writes.

    One that has a `digest`, a text that stands for all its rows, is told from others by it.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> Any: ...
    def __len__(self) -> int: ...
    def __getitem__(self, rows: Any) -> np.ndarray:
        """NumPy's arrays, by a slice with step 1 or integers [n]."""
        ...


SOURCE = ("shape", "dtype", "__len__", "__getitem__")


def are_sources(inputs: PyTree, *, maps: bool = True) -> bool:
    """Whether inputs are to be read block by block: some are no arrays but give rows.

    Args:
      inputs: a pytree of anything.
      maps: whether memory maps are to be read too, which are arrays as well.
    """

    def is_source(leaf: Any) -> bool:
        if is_array(leaf):
            return maps and isinstance(leaf, np.memmap)
        return all(hasattr(leaf, name) for name in SOURCE)

    return any(map(is_source, jax.tree.leaves(inputs)))


def check_sources(inputs: PyTree) -> int:
    """How many rows sources have; raises unless they are some, of as many rows each."""
    for source in jax.tree.leaves(inputs):
        if not (all(hasattr(source, name) for name in SOURCE) and source.shape):
            raise TypeError(f"pool inputs: expected sources of rows, got {describe(source)}")
    counts = [len(source) for source in jax.tree.leaves(inputs)]
    if len(set(counts)) != 1:
        many = " and ".join(map(str, counts)) or "none"
        raise ValueError(f"pool inputs: expected sources of as many rows, got {many}")
    return counts[0]


def digest_sources(inputs: PyTree, labels: np.ndarray) -> str:
    """A SHA-256 of rows and their labels [N]: of each source its own digest, if it has one.

    Of others it is that of their type, their shape and a thousand rows: no pass is made.
    """
    total = hashlib.sha256(digest_array(labels).encode())
    some = np.unique(np.linspace(0, num_rows(inputs) - 1, LOOKED_AT).astype(int))
    for path, source in jax.tree_util.tree_leaves_with_path(inputs):
        own = getattr(source, "digest", None)
        if not isinstance(own, str):
            own = f"{source.shape} {digest_array(np.asarray(source[some]))}"
        total.update(f"{jax.tree_util.keystr(path)} {own}\n".encode())
    return total.hexdigest()
