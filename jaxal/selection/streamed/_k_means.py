"""k-means over a pool that is read: Lloyd's iteration by passes, and by mini-batches."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxal import entry
from jaxal.base import Selection
from jaxal.checks import check_budget, check_mask, check_rank
from jaxal.numerics import derive_keys
from jaxal.points.embedding import Dense
from jaxal.pools import devices
from jaxal.pools._read_ahead import read_ahead
from jaxal.pools.streaming import StreamedPool
from jaxal.selection._lloyd import mean_variance
from jaxal.selection._mini_batch import SEEDED, State, after_batch, first_state
from jaxal.selection._seeds import greedy_seeds, random_numbers
from jaxal.selection.streamed import _passes

SAMPLED = 4096
"""Rows of which the seeds are, and the origin, where steps take all rows."""


class StreamedClusters(NamedTuple):
    """Centers of clusters of rows that are not here."""

    centers: jax.Array  # [K, D]
    counts: jax.Array  # [K] int32, rows that were nearest to each when it was last moved
    steps: int  # how often the centers were moved


class _Begun(NamedTuple):
    """What a run begins with."""

    frame: Any  # the origin and the scale of `Dense.placed`
    scale: jax.Array  # [], a power of two
    centers: jax.Array  # [K, D] placed
    valid: jax.Array  # [K] bool, the centers that count
    variance: jax.Array  # [] of the features in the sample, in the mean of all


@entry.checked(
    key=entry.key,
    available=entry.mask,
    budget=entry.budget,
    init=entry.matrix("[B, D]"),
    max_steps=entry.integer(1),
    tolerance=entry.at_least(0),
    batch_size=entry.integer(1),
)
def k_means(
    key: jax.Array,
    pool: StreamedPool,
    available: jax.Array,
    budget: int,
    *,
    init: jax.Array | None = None,
    max_steps: int = 300,
    tolerance: float = 1e-4,
    batch_size: int | None = None,
    advance: Callable[[int], None] | None = None,
) -> Selection:
    """`selection.k_means` of features that stay on a disk: of each cluster the row at its center.

    The clusters are those of `k_means_centers`, once and without restarts; one more pass over the
    rows finds the nearest to each center, of several as near but for rounding the lowest, and the
    rows farthest from theirs, which fill the batch up where clusters are empty.

    Args:
      key: PRNG key, consumed.
      pool: of features [N, D], from `pools.stream`.
      available: [N] bool; the rows of the source, or of the pool with its padding.
      budget: how many rows, 1 to N, which is the number of clusters.
      init: [B, D] centers to begin with, as of `k_means_centers`.
      max_steps: moves of the centers at most.
      tolerance: when the centers rest, as of `k_means_centers`.
      batch_size: rows of a mini-batch, as of `k_means_centers`; None: every step takes all rows.
      advance: is told after each step how many were made.

    Returns:
      `Selection` in the order of the centers, the rows that fill up last; a score is minus the
      squared distance of the row to its center, -inf for rows that are not finite.

    Raises:
      TypeError: no streamed pool, or an argument of another kind.
      ValueError: features that are not [N, D], devices of several processes, shapes that disagree,
        or a number out of range.

    References:
      Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory, 1982.
      Sculley, "Web-scale k-means clustering", WWW 2010 (mini-batches).
    """
    available = _checked(pool, available, budget, init)
    options = {"max_steps": max_steps, "tolerance": tolerance, "batch_size": batch_size}
    begun, state = _clusters(key, pool, available, budget, init, options, advance)
    reader = _passes.Reader(pool, available, begun.frame)
    nothing = devices.replicate(_passes.no_picks(state.centers), pool.mesh)
    found = reader.fold(_passes.add_picks, nothing, state.centers, begun.valid)
    return _picked(found, float(begun.scale))


@entry.checked(
    key=entry.key,
    available=entry.mask,
    num_clusters=entry.integer(1),
    init=entry.matrix("[K, D]"),
    max_steps=entry.integer(1),
    tolerance=entry.at_least(0),
    batch_size=entry.integer(1),
)
def k_means_centers(
    key: jax.Array,
    pool: StreamedPool,
    available: jax.Array,
    num_clusters: int,
    *,
    init: jax.Array | None = None,
    max_steps: int = 300,
    tolerance: float = 1e-4,
    batch_size: int | None = None,
    advance: Callable[[int], None] | None = None,
) -> StreamedClusters:
    """k-means of features that stay on a disk: the centers of Lloyd's iteration, pass after pass.

    A step reads every row once, block by block and ahead of its use, and adds up on the devices
    what the rows of each center sum to: the centers are those that the same steps make of the same
    pool in memory, rounding aside. A center without rows moves to the row farthest from its own
    center. The seeds are those of greedy k-means++ in a sample of 4,096 rows, or 3 a cluster if
    these are more.

    With a `batch_size` it is mini-batch k-means, as of `selection.k_means`: a step reads the rows
    of its batch alone, and nothing ever reads all. The sample has 3 batches, or 3 rows a cluster.

    Time O(N K D) a step as a matrix product, and a pass over the disk; with batches of b rows
    O(b K D), and b rows read one by one. Memory is that of a few blocks, O(K D) and the sample: of
    the rows there are the masks alone, a byte or two each, and with batches a number that says
    where the available rows are.

    Args:
      key: PRNG key, consumed.
      pool: of features [N, D], from `pools.stream`, whose mesh may share the rows.
      available: [N] bool, the rows that count, those that are not finite aside; the rows of the
        source, or of the pool with its padding.
      num_clusters: K, 1 to N.
      init: [K, D] centers to begin with, in place of the seeds.
      max_steps: moves of the centers at most.
      tolerance: the centers rest once their squared shifts add up to at most this many times the
        mean variance of the features (of the sample, with batches); with 0, once nothing moves.
      batch_size: rows of a mini-batch, drawn with replacement; None: every step takes all rows.
      advance: is told after each step how many were made.

    Returns:
      `StreamedClusters`.

    Raises:
      TypeError: no streamed pool, or an argument of another kind.
      ValueError: features that are not [N, D], devices of several processes, shapes that disagree,
        centers that are not finite, or a number out of range.

    References:
      Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory, 1982.
      Sculley, "Web-scale k-means clustering", WWW 2010 (mini-batches).

    Example:

    >>> from jaxal import pools
    >>> features = np.array([[0.0], [1.0], [2.0], [7.0], [9.0], [8.0]], np.float32)
    >>> found = k_means_centers(jax.random.key(0), pools.stream(features), jnp.ones(6, bool), 2)
    >>> sorted(found.centers[:, 0].tolist())
    [1.0, 8.0]
    """
    available = _checked(pool, available, num_clusters, init, "num_clusters", "[K, D]")
    options = {"max_steps": max_steps, "tolerance": tolerance, "batch_size": batch_size}
    begun, state = _clusters(key, pool, available, num_clusters, init, options, advance)
    centers = (state.centers + begun.frame[0]) * begun.scale
    return StreamedClusters(centers, state.counts.astype(jnp.int32), int(state.steps))


def _checked(
    pool: Any, available: Any, number: Any, init: Any, name: str = "budget", shape: str = "[B, D]"
) -> jax.Array:
    """The mask of the pool's rows that count, once all is seen to be right."""
    if not isinstance(pool, StreamedPool):
        raise TypeError(f"pool: expected one of pools.stream, got {type(pool).__name__}")
    source = pool.inputs
    if len(getattr(source, "shape", ())) != 2:
        what = getattr(source, "shape", None) or type(source).__name__
        raise ValueError(f"pool: expected features [N, D], got {what}")
    if devices.is_shared(pool.mesh):
        raise ValueError("pool: expected devices of this process alone, got those of several")
    check_mask("available", available, len(pool) if len(available) == len(pool) else pool.rows)
    if name == "budget":
        check_budget(number, pool.rows)
    elif number > pool.rows:
        raise ValueError(f"{name}: expected 1 to {pool.rows} (the rows), got {number}")
    if init is not None:
        check_rank("init", init, 2, shape)
        if init.shape != (number, source.shape[1]):
            raise ValueError(
                f"init: expected {shape} of {(number, source.shape[1])}, got {tuple(init.shape)}"
            )
        if not np.isfinite(np.asarray(init, np.float32)).all():
            raise ValueError("init: expected finite centers, got NaN or inf")
    padded = np.zeros(len(pool), bool)
    padded[: len(available)] = available
    padded &= np.asarray(pool.valid)
    return devices.place_rows(padded, pool.mesh)


def _clusters(key, pool, available, number, init, options, advance) -> tuple[_Begun, State]:
    """Where it began, and the centers that rest."""
    batch_size = options["batch_size"]
    sampling, seeding, drawing = jax.random.split(key, 3)
    draws = _Draws(pool, available)
    size = SAMPLED if batch_size is None else SEEDED * batch_size
    sample = draws.at(sampling, max(size, SEEDED * number))
    begun = _begin(seeding, pool, draws, sample, number, init)
    if batch_size is None:
        return begun, _lloyd(pool, available, begun, options, advance)
    return begun, _mini_batches(drawing, pool, draws, begun, options, advance)


class _Draws:
    """Rows drawn uniformly with replacement of those that are available."""

    def __init__(self, pool: StreamedPool, available: jax.Array):
        mask = np.asarray(available)
        self.count = int(mask.sum())
        # If the available rows are the first ones, a place among them is a row.
        self.index = None if mask[: self.count].all() else np.flatnonzero(mask)

    def at(self, key: jax.Array, number: int) -> np.ndarray:
        places = np.asarray(jax.random.randint(key, (number,), 0, max(self.count, 1)))
        return places if self.index is None else self.index[places]


def _begin(key, pool, draws, sample, number, init) -> _Begun:
    points = pool.take(sample).astype(float)
    usable = jnp.full(len(sample), draws.count > 0)
    valid = jnp.full(number, init is not None) | (jnp.arange(number, dtype=jnp.int32) < draws.count)
    uniform = random_numbers(key, (number,), points.dtype)
    if init is not None:
        init = devices.replicate(jnp.asarray(init).astype(points.dtype), pool.mesh)
    return _begun(points, usable, devices.replicate(valid, pool.mesh), uniform, init)


@jax.jit
def _begun(points, usable, valid, uniform, init) -> _Begun:
    dense = Dense(points)
    usable &= dense.finite()
    frame, scale = dense.frame(usable)
    placed = dense.placed(frame).masked(usable).features
    if init is None:
        centers = placed[greedy_seeds(uniform, placed, usable)]
    else:
        centers = Dense(init).placed(frame).features
    return _Begun(frame, scale, centers, valid, mean_variance(placed, usable))


def _lloyd(pool, available, begun, options, advance) -> State:
    reader = _passes.Reader(pool, available, begun.frame)
    centers, steps, counts, rests = begun.centers, 0, None, False

    def read(rows: np.ndarray) -> jax.Array:
        return Dense(pool.take(rows)).placed(begun.frame).features

    while not rests:
        nothing = devices.replicate(_passes.no_moments(centers), pool.mesh)
        found = reader.fold(_passes.add_moments, nothing, centers, begun.valid)
        means, variance = _passes.moved(found, centers)
        means = _passes.reseeded(found, means, begun.valid, read)
        shift = float(jnp.sum((means - centers) ** 2))
        centers, counts, steps = means, found.counts, steps + 1
        rests = shift <= options["tolerance"] * float(variance) or steps >= options["max_steps"]
        if advance is not None:
            advance(steps)
    return first_state(centers)._replace(counts=counts, steps=jnp.int32(steps))


def _mini_batches(key, pool, draws, begun, options, advance) -> State:
    size, max_steps = options["batch_size"], options["max_steps"]
    share = min(2.0 * size / (draws.count + 1.0), 1.0)
    rests_at = options["tolerance"] * begun.variance
    state = devices.replicate(first_state(begun.centers), pool.mesh)

    def keys() -> Iterator[jax.Array]:
        for step in range(max_steps):
            yield derive_keys(key, jnp.int32(step + 1))

    def read(own: jax.Array) -> jax.Array:
        return pool.take(draws.at(own, size))

    for batch in read_ahead(read, keys()):
        state = _batch(state, batch, begun, share, rests_at, max_steps, draws.count > 0)
        if advance is not None:
            advance(int(state.steps))
        if bool(state.rests):
            break
    return state


@jax.jit
def _batch(state, batch, begun, share, rests_at, max_steps, is_any) -> State:
    """Centers moved by a batch [b, D] of rows as they were read."""
    points = Dense(batch.astype(float))
    usable = points.finite() & is_any
    placed = points.placed(begun.frame).masked(usable).features
    return after_batch(state, placed, usable, begun.valid, share, rests_at, max_steps)


def _picked(found: _passes.Picks, scale: float) -> Selection:
    """The rows nearest to the centers, in their order, then the farthest rows."""
    rows, distance = np.asarray(found.rows), np.asarray(found.distance)
    is_some = rows != _passes.NONE
    picks, scores = rows[is_some], -(distance[is_some] ** 2)
    squared, others = (np.asarray(leaf) for leaf in found.farthest)
    left = (squared >= -1) & ~np.isin(others, picks)
    lacking = len(rows) - len(picks)
    others, squared = others[left][:lacking], squared[left][:lacking]
    picks = np.concatenate([picks, others])
    scores = np.concatenate([scores, np.where(squared < 0, -np.inf, -squared)])
    missing = len(rows) - len(picks)
    picks = np.concatenate([picks, np.full(missing, -1)]).astype(np.int32)
    scores = np.concatenate([scores * scale * scale, np.full(missing, -np.inf)])
    return Selection(jnp.asarray(picks), jnp.asarray(scores, jnp.float32))
