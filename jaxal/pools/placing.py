"""Arrays put on devices: each process sees to its own devices, and reads what is theirs alone."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Sharding

from jaxal import processes
from jaxal.base import PyTree
from jaxal.checks import is_key, is_traced
from jaxal.numerics import key_data


def pad_rows(tree: PyTree, size: int, fill: int | float | bool = 0) -> PyTree:
    """Pads the leading axis of every leaf with `fill` up to `size` rows."""

    def pad(leaf):
        missing = size - leaf.shape[0]
        if missing == 0:
            return leaf
        widths = [(0, missing)] + [(0, 0)] * (leaf.ndim - 1)
        xp = np if isinstance(leaf, np.ndarray) else jnp
        return xp.pad(leaf, widths, constant_values=fill)

    return jax.tree.map(pad, tree)


class Padding(NamedTuple):
    """How the rows of arrays become those of a placed one."""

    size: int | None = None  # rows that there are to be; as many as there are, if None
    fill: int | float = 0
    first: int = 0  # number of the first row that is there

    def padded(self, leaf: Any) -> Any:
        return leaf if self.size is None else pad_rows(leaf, self.size, self.fill)


NO_PADDING = Padding()


def put(tree: PyTree, sharding: Sharding, padding: Padding = NO_PADDING) -> PyTree:
    """Puts arrays on devices; of those that other processes have, this one sees to its own.

    Args:
      tree: leaves [n, ...], of NumPy's or JAX's, random keys too.
      sharding: where the leaves are to be.
      padding: of rows, for leaves that have some.

    Returns:
      The same leaves, [size, ...] with padding.
    """

    def one(leaf: Any) -> jax.Array:
        if not isinstance(leaf, jax.Array):
            return _put_parts(np.asanyarray(leaf), sharding, padding)
        if processes.is_shared(leaf):
            return _moved(sharding, padding)(leaf)
        if sharding.is_fully_addressable or is_traced(leaf):
            return jax.device_put(padding.padded(leaf), sharding)
        if is_key(leaf):
            return jax.random.wrap_key_data(one(key_data(leaf)), impl=jax.random.key_impl(leaf))
        # Not `device_put`, which sends everything around to see that all processes have the same.
        return _put_parts(np.asarray(leaf), sharding, padding)

    return jax.tree.map(one, tree)


def _put_parts(leaf: np.ndarray, sharding: Sharding, padding: Padding) -> jax.Array:
    """Puts an array of the host on devices: of each, what is to be there is looked at, no more."""
    dtype, (size, fill, first) = jax.dtypes.canonicalize_dtype(leaf.dtype), padding

    def part(index: Any) -> np.ndarray:
        if size is None:
            return np.asarray(leaf[index], dtype, order="C")
        start, stop, _ = index[0].indices(size)
        own = np.asarray(leaf[start - first : stop - first], dtype, order="C")
        return pad_rows(own, stop - start, fill)

    shape = leaf.shape if size is None else (size, *leaf.shape[1:])
    return jax.make_array_from_callback(shape, sharding, part, dtype=dtype)


@functools.lru_cache(maxsize=64)
def _moved(sharding: Sharding, padding: Padding) -> Callable[..., Any]:
    """What moves an array that processes share to where it is to be, padded."""
    return jax.jit(padding.padded, out_shardings=sharding)
