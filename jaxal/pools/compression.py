"""Pools of features of which the devices hold a short copy, and how far it is from the features.

A rule that knows the copy x' of a row, and the distance e to the row itself, knows every distance
of the row to within e (triangle inequality). What these bounds leave open it decides on the rows
themselves, which are read from their source: few, and of a number that does not depend on N.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxal import entry, processes
from jaxal.checks import is_traced
from jaxal.numerics import matmul, row_norms
from jaxal.pools import devices
from jaxal.pools._unseen import Unseen, register
from jaxal.pools.streaming import stream

PRECISIONS = {"int8": jnp.int8, "bfloat16": jnp.bfloat16}
LEVELS = 127
"""The largest code of int8."""

SAMPLED = 2**16
"""Rows, about, whose range the codes cover; what lies outside is cut, and counts as an error."""


@register
@dataclass(frozen=True)
class CompressedPool:
    """N rows of features: codes on the devices, the features where they were."""

    codes: jax.Array  # [N, D] int8 or bfloat16
    error: jax.Array  # [N], no row is farther than that from what its codes say
    valid: jax.Array  # [N] bool, False in padding
    scale: jax.Array  # [D], of a code
    offset: jax.Array  # [D], what a code of 0 says
    sources: Unseen = field(metadata={"static": True})
    mesh: Mesh | None = field(default=None, metadata={"static": True})

    def __len__(self) -> int:
        return self.valid.shape[0]

    def read(self, rows: Any) -> jax.Array:
        """The features of rows [n] less the offset, float32 [n, D], read from the source."""
        return self.features(rows) - self.offset[None, :]

    def features(self, rows: Any) -> jax.Array:
        """The features of rows [n] themselves, float32 [n, D]: each is read from the source once.

        Of rows outside, those at the end.
        """
        source = self.sources.value
        rows = np.clip(np.asarray(rows), 0, len(source) - 1)
        unique, places = np.unique(rows, return_inverse=True)
        with processes.agreed(devices.is_shared(self.mesh)):
            found = np.asarray(source[unique])[places].astype(np.float32)
        return devices.replicate(found, self.mesh)

    def by_row(self, array: Any) -> jax.Array:
        """An array [N, ...] of the source's rows or of the pool's, as one of the latter."""
        is_whole = isinstance(array, jax.Array) and len(array) == len(self)
        if is_whole and not is_traced(array, self):
            if array.sharding.is_equivalent_to(self.valid.sharding, array.ndim):
                return array  # a second one would take as much memory again
        return _padded(len(self), self.mesh, array)


@partial(jax.jit, static_argnums=(0, 1))
def _padded(size: int, mesh: Mesh | None, array: jax.Array) -> jax.Array:
    """Zeros after the last row, and the rows shared over the devices."""
    widths = [(0, size - len(array))] + [(0, 0)] * (array.ndim - 1)
    return devices.share_rows(jnp.pad(array, widths), mesh)


def squared_to(codes: jax.Array, scale: jax.Array, centers: jax.Array) -> jax.Array:
    """Upper bounds of squared distances from what codes say to points, [n, M].

    Args:
      codes: [n, D].
      scale: [D].
      centers: [M, D], less the offset.
    """
    points = codes.astype(jnp.float32) * scale[None, :]
    norms = jnp.sum(points**2, axis=1)[:, None] + jnp.sum(centers**2, axis=1)[None, :]
    squared = norms - 2.0 * matmul(points, centers.T)
    # Each of three sums of D products errs by D eps / 2 of its size, at most, and so do the few
    # operations that follow.
    slack = 2.0 * (points.shape[1] + 4) * jnp.finfo(jnp.float32).eps
    return jnp.maximum(squared, 0.0) + slack * norms


@entry.checked(precision=entry.one_of(PRECISIONS), batch_size=entry.integer(1))
def compress(
    source: Any,
    mesh: Mesh | None = None,
    *,
    precision: str = "int8",
    batch_size: int = 1024,
) -> CompressedPool:
    """Puts a short copy of features on the devices, whose errors are known exactly.

    The features are read once, and some of them before for their ranges. Memory on the devices is
    N (D + 5) bytes for int8, N (2 D + 5) for bfloat16.

    Args:
      source: [N, D], a `Source` as `pools.stream` takes: a pool on disk, a memory map, an array.
      mesh: devices that share the rows; one if not given.
      precision: of the copy, "int8" or "bfloat16".
      batch_size: rows that are compressed at once on a device.

    Returns:
      `CompressedPool`, for `selection.certified`.

    Raises:
      TypeError: no source, or an unknown type of numbers.
      ValueError: features that are not [N, D], an unknown precision, or NaN or infinite features;
        names the first row that has some.
    """
    pool = stream(source, None, mesh, batch_size=batch_size)
    devices.check_same(mesh, precision=precision)
    if len(source.shape) != 2:
        raise ValueError(f"source: expected features [N, D], got {tuple(source.shape)}")
    with processes.agreed(devices.is_shared(mesh)):
        ranges = ranges_of(np.asarray(source[spread_rows(len(source), SAMPLED)]), precision)
    scale, offset = devices.replicate(ranges, mesh)
    codes, error = pool.map(ENCODERS[precision], (scale, offset))
    row = int(_first_not_finite(error, pool.valid))
    if row >= 0:
        raise ValueError(f"source: expected finite features, got NaN or inf at row {row}")
    return CompressedPool(codes, error, pool.valid, scale, offset, pool.sources, mesh)


def spread_rows(total: int, count: int) -> np.ndarray:
    """About so many of so many rows, spread over all."""
    return np.unique(np.linspace(0, total - 1, count).astype(int))


def ranges_of(some: np.ndarray, precision: str) -> tuple[np.ndarray, np.ndarray]:
    """The scale and the offset of every feature [D], by features of some rows [n, D]."""
    some = some.astype(np.float32)
    some = np.where(np.isfinite(some), some, 0.0)  # refused where all rows are looked at
    low, high = some.min(axis=0), some.max(axis=0)
    if precision == "int8":
        half = (high - low) / 2
        # What is below the normal numbers would be 0 on the devices; it all counts as an error.
        scale = half / np.float32(LEVELS)
        return np.where(scale >= np.finfo(np.float32).tiny, scale, np.float32(1)), low + half
    return np.ones_like(low), some.mean(axis=0)


def _encode(shared: Any, inputs: jax.Array, *, precision: str) -> tuple[jax.Array, jax.Array]:
    """Codes of rows [n, D], and how far off they are [n]: NaN or inf where a row is not finite."""
    scale, offset = (vector[None, :] for vector in shared)
    points = inputs.astype(jnp.float32) - offset
    if precision == "int8":
        codes = jnp.clip(jnp.round(points / scale), -LEVELS, LEVELS).astype(jnp.int8)
    else:
        codes = points.astype(jnp.bfloat16)
    apart = points - codes.astype(jnp.float32) * scale
    # Rounded up: by the sum, the root, and each difference, which errs by its operands' size.
    eps = jnp.finfo(jnp.float32).eps
    error = row_norms(apart) * (1.0 + (points.shape[1] + 4) * eps) + 2.0 * eps * row_norms(points)
    return codes, error


ENCODERS = {name: partial(_encode, precision=name) for name in PRECISIONS}
"""Equal functions share a program, and a partial of one is another each time."""


@jax.jit
def _first_not_finite(error: jax.Array, valid: jax.Array) -> jax.Array:
    """The first valid row whose error is no number; -1 if there is none."""
    wrong = valid & ~jnp.isfinite(error)
    return jnp.where(jnp.any(wrong), jnp.argmax(wrong), -1)
