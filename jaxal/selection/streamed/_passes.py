"""Passes of k-means over a pool that is read: what a block adds to sums, and to the best rows."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxal.points.distances import rounding_slack
from jaxal.points.embedding import Dense
from jaxal.pools import streaming
from jaxal.pools._blocks import Blocks, Place
from jaxal.pools.streaming import StreamedPool
from jaxal.rows import rows_over, top_rows
from jaxal.selection._k_means import closest
from jaxal.selection._lloyd import assign, settled

NONE = jnp.iinfo(jnp.int32).max
"""The number of a row that is none."""


class Sum(NamedTuple):
    """A sum of many blocks, with what rounding has left out of it so far (Kahan)."""

    total: jax.Array
    excess: jax.Array

    def plus(self, some: jax.Array) -> "Sum":
        some = some - self.excess
        total = self.total + some
        return Sum(total, (total - self.total) - some)


class Farthest(NamedTuple):
    """The rows farthest from their centers, the farthest first, the lowest of several."""

    squared: jax.Array  # [K]; -1 for rows that are not finite, -2 where there is none
    rows: jax.Array  # [K] int32

    def with_more(self, squared: jax.Array, rows: jax.Array) -> "Farthest":
        size = len(self.rows)
        squared, places = top_rows(squared, min(size, len(rows)))
        rows = jnp.concatenate([self.rows, rows[places]])
        squared = jnp.concatenate([self.squared, squared])
        ordered = jax.lax.sort((-squared, rows), num_keys=2)
        return Farthest(-ordered[0][:size], ordered[1][:size])


class Moments(NamedTuple):
    """What a step of Lloyd's iteration needs of all rows."""

    sums: Sum  # [K, D]
    squares: Sum  # [] of all rows
    counts: jax.Array  # [K] int32
    farthest: Farthest  # of rows that do not lie on their center


class Picks(NamedTuple):
    """What is said of centers that rest."""

    inertia: Sum  # []
    counts: jax.Array  # [K] int32
    distance: jax.Array  # [K] of the nearest row
    rows: jax.Array  # [K] int32 the nearest row of each; NONE where there is none
    farthest: Farthest  # of all rows


class Part(NamedTuple):
    """A block of rows as it is worked on."""

    points: jax.Array  # [n, D] placed, zeros where not usable
    usable: jax.Array  # [n] bool, rows that count and are finite
    counted: jax.Array  # [n] bool, rows that count
    rows: jax.Array  # [n] int32, their numbers


class Reader:
    """Passes over the rows of a pool that are available: each is read once, ahead of its use."""

    def __init__(self, pool: StreamedPool, available: jax.Array, frame: Any):
        self.pool, self.frame = pool, frame
        self.blocks = Blocks(pool.inputs, len(pool), pool.batch_size, pool.mesh, streaming.BLOCK)
        self.mask = self._by_device(available)

    def _by_device(self, available: jax.Array) -> jax.Array:
        """[devices, rows of each + a block] bool."""
        with rows_over(self.pool.mesh):
            mask = available.reshape(self.blocks.shards, self.blocks.own)
            return jnp.pad(mask, ((0, 0), (0, self.blocks.size)))

    def fold(self, add: Callable[..., Any], found: Any, *shared: Any) -> Any:
        """What a pass finds: `add(mesh, found, block, here, mask, frame, *shared)` for each."""
        end = 0  # of the rows that a block before had

        def step(found: Any, place: Place, block: jax.Array) -> tuple[Any, jax.Array]:
            nonlocal end
            here = jnp.int32(place.start), jnp.int32(end)
            end = place.start + place.batches * self.blocks.batch
            found = add(self.pool.mesh, found, block, here, self.mask, self.frame, *shared)
            return found, found.counts + 0  # as the next block takes the counts over

        return self.blocks.fold(step, found)


def _part(block: jax.Array, here: Any, mask: jax.Array, frame: Any) -> Part:
    """The rows of a block that no block before had."""
    start, done = here
    devices, size = len(mask), len(block) // len(mask)
    own = mask.shape[1] - size
    slots = start + jnp.arange(size, dtype=jnp.int32)
    counted = jax.lax.dynamic_slice_in_dim(mask, start, size, axis=1) & (slots >= done)[None]
    rows = own * jnp.arange(devices, dtype=jnp.int32)[:, None] + slots[None]
    counted, rows = counted.reshape(-1), rows.reshape(-1)
    points = Dense(block)
    usable = counted & points.finite()
    return Part(points.placed(frame).masked(usable).features, usable, counted, rows)


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def add_moments(mesh, found, block, here, mask, frame, centers, valid) -> Moments:
    """A block's part of what moves the centers [K, D]."""
    with rows_over(mesh):
        points, usable, _, rows = _part(block, here, mask, frame)
        squared, assigned = assign(points, usable, centers, valid)
        size = len(centers)
        away = usable & (squared > rounding_slack(Dense(points)))
        farthest = jnp.where(away, squared, -2.0)
        return Moments(
            found.sums.plus(jax.ops.segment_sum(points, assigned, size)),
            found.squares.plus(jnp.sum(points**2)),
            found.counts + jax.ops.segment_sum(usable.astype(jnp.int32), assigned, size),
            found.farthest.with_more(farthest, rows),
        )


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def add_picks(mesh, found, block, here, mask, frame, centers, valid) -> Picks:
    """A block's part of what is said of centers [K, D] that rest."""
    with rows_over(mesh):
        points, usable, counted, rows = _part(block, here, mask, frame)
        _, assigned = assign(points, usable, centers, valid)
        clusters = settled(points, usable, centers, assigned, jnp.int32(0), None)
        nearest = closest(clusters)
        is_some = nearest >= 0
        squared = jnp.where(is_some, clusters.squared[nearest], jnp.inf)
        here_rows = jnp.where(is_some, rows[nearest], NONE)
        distance, picked = _nearer(found, jnp.sqrt(squared), here_rows)
        last = jnp.where(counted, -1.0, -2.0)
        farthest = jnp.where(usable, clusters.squared, last)
        added = jax.ops.segment_sum(usable.astype(jnp.int32), assigned, len(centers))
        return Picks(
            found.inertia.plus(clusters.inertia),
            found.counts + added,
            distance,
            picked,
            found.farthest.with_more(farthest, rows),
        )


def _nearer(found: Picks, distance: jax.Array, rows: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The nearest rows, of several as near but for rounding the lowest, as of `closest`."""
    slack = 8.0 * jnp.finfo(distance.dtype).eps
    is_nearer = distance < found.distance - slack
    is_as_near = distance <= found.distance + slack
    lowest = jnp.where(is_as_near, jnp.minimum(rows, found.rows), found.rows)
    least = jnp.minimum(distance, found.distance)
    return least, jnp.where(is_nearer, rows, lowest)


def no_moments(centers: jax.Array) -> Moments:
    """Before the first block."""
    zero, counts, farthest = _nothing(centers)
    none = jnp.zeros_like(centers)
    return Moments(Sum(none, none + 0), zero, counts, farthest)


def no_picks(centers: jax.Array) -> Picks:
    """Before the first block."""
    zero, counts, farthest = _nothing(centers)
    distance = jnp.full(len(centers), jnp.inf, centers.dtype)
    return Picks(zero, counts, distance, jnp.full(len(centers), NONE, jnp.int32), farthest)


def _nothing(centers: jax.Array) -> tuple[Sum, jax.Array, Farthest]:
    size = len(centers)
    # Arrays of their own, as blocks take them over.
    zero = Sum(*(jnp.zeros((), centers.dtype) for _ in range(2)))
    farthest = Farthest(jnp.full(size, -2.0, centers.dtype), jnp.full(size, NONE, jnp.int32))
    return zero, jnp.zeros(size, jnp.int32), farthest


@jax.jit
def moved(found: Moments, centers: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The centers at the means of their rows, and the mean variance of the features."""
    counts = found.counts.astype(centers.dtype)
    total = jnp.maximum(jnp.sum(counts), 1.0)
    means = found.sums.total / jnp.maximum(counts, 1.0)[:, None]
    mean = jnp.sum(found.sums.total, axis=0) / total
    variance = found.squares.total / total - jnp.sum(mean**2)
    return jnp.where(counts[:, None] > 0, means, centers), variance / centers.shape[1]


def reseeded(
    found: Moments, centers: jax.Array, valid: jax.Array, read: Callable[[np.ndarray], jax.Array]
) -> jax.Array:
    """The centers of empty clusters moved to the rows farthest from their centers, one each.

    Args:
      found: of the last pass.
      centers: [K, D], those with rows at their means.
      valid: [K] bool, the centers that count.
      read: rows [K] -> their points [K, D].
    """
    empty = np.asarray(valid) & (np.asarray(found.counts) == 0)
    if not empty.any():
        return centers
    squared, rows = (np.asarray(leaf) for leaf in found.farthest)
    place = np.cumsum(empty) - 1
    moves = empty & (squared[place] > 0)
    if not moves.any():
        return centers
    points = read(np.where(squared > 0, rows, 0))
    return jnp.where(jnp.asarray(moves)[:, None], points[place], centers)
