"""Mini-batch k-means: centers follow batches of rows drawn at random."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.numerics import derive_keys, group_means
from jaxal.rows import index_of, set_rows
from jaxal.selection._lloyd import Clusters, assign, mean_variance, settled

PATIENCE = 10  # batches without a lower smoothed inertia after which the centers rest
SEEDED = 3  # the seeds are drawn from so many batches, or so many rows a center if these are more


class State(NamedTuple):
    """Where the centers are, and what tells whether they rest."""

    centers: jax.Array  # [K, D]
    counts: jax.Array  # [K] rows that joined each so far
    smoothed: jax.Array  # [] the running mean of a row's squared distance
    least: jax.Array  # [] the lowest it was
    waited: jax.Array  # [] int32, batches since then
    steps: jax.Array  # [] int32
    rests: jax.Array  # [] bool


def drawn_rows(key: jax.Array, usable: jax.Array, number: int) -> jax.Array:
    """Usable rows drawn uniformly with replacement, [number] int32; any where none is usable."""
    return _drawn(key, index_of(usable), _count(usable), number)


def _drawn(key: jax.Array, index: jax.Array, count: jax.Array, number: int) -> jax.Array:
    return set_rows(index, jax.random.randint(key, (number,), 0, count))


def _count(usable: jax.Array) -> jax.Array:
    return jnp.maximum(jnp.sum(usable, dtype=jnp.int32), 1)


def mini_batches(
    key: jax.Array,
    points: jax.Array,
    usable: jax.Array,
    centers: jax.Array,
    valid: jax.Array,
    batch_size: int,
    *,
    max_steps: int | jax.Array,
    tolerance: float | jax.Array,
    taken: jax.Array | None = None,
) -> Clusters:
    """Moves centers by batches of rows: each is the mean of all rows that ever joined it.

    Time O(b K D) a batch of b rows, and O(N K D) once to assign all rows at the end. The batches
    are the same on any number of devices.

    Args:
      key: PRNG key, consumed.
      points: [N, D], best centred. Rows that are not usable are zero.
      usable: [N] bool, the rows that count, finite ones.
      centers: [K, D] to begin with.
      valid: [K] bool, the centers that count.
      batch_size: rows of a batch, drawn with replacement.
      max_steps: batches at most.
      tolerance: as `lloyd`, of the shifts that one batch makes.
      taken: as `lloyd`.

    Returns:
      `Clusters` of the last centers; steps are batches.

    References:
      Sculley, "Web-scale k-means clustering", WWW 2010.
    """
    index, count = index_of(usable), _count(usable)
    share = jnp.minimum(2.0 * batch_size / (count.astype(points.dtype) + 1.0), 1.0)
    rests_at = tolerance * mean_variance(points, usable)

    def step(state: State) -> State:
        rows = _drawn(derive_keys(key, state.steps + 1), index, count, batch_size)
        near = None if taken is None else taken[rows]
        stops = share, rests_at, max_steps
        return after_batch(state, points[rows], usable[rows], valid, *stops, near)

    end = jax.lax.while_loop(lambda state: ~state.rests, step, first_state(centers))
    _, assigned = assign(points, usable, end.centers, valid, taken)
    return settled(points, usable, end.centers, assigned, end.steps, taken)


def after_batch(
    state: State,
    points: jax.Array,
    usable: jax.Array,
    valid: jax.Array,
    share: jax.Array | float,
    rests_at: jax.Array,
    max_steps: int | jax.Array,
    near: jax.Array | None = None,
) -> State:
    """The state after a batch of rows.

    Args:
      state: before.
      points: [b, D], zeros where not usable.
      usable: [b] bool.
      valid: [K] bool, the centers that count.
      share: of the batch in the running mean.
      rests_at: [] the squared shifts of the centers, added up, at which they rest.
      max_steps: batches at most.
      near: [b], as `taken` of `assign`.
    """
    squared, assigned = assign(points, usable, state.centers, valid, near)
    moves, counts = _moves(state, points, assigned)
    now = jnp.mean(jnp.where(squared < jnp.inf, squared, 0.0))
    return _moved(state, moves, counts, now, share, rests_at, max_steps)


def first_state(centers: jax.Array) -> State:
    """Before the first batch, of centers [K, D]."""
    zero = jnp.zeros_like(centers, shape=())
    counts = jnp.zeros_like(centers, shape=(len(centers),))
    nothing = jnp.int32(0)
    return State(centers, counts, zero, zero + jnp.inf, nothing, nothing, jnp.bool_(False))


def _moves(state: State, some: jax.Array, assigned: jax.Array) -> tuple[jax.Array, jax.Array]:
    """How far the rows of a batch [b, D] move their centers, [K, D], and the counts with them."""
    means, joined = group_means(some, assigned, len(state.centers))
    counts = state.counts + joined
    rate = (joined / jnp.maximum(counts, 1.0))[:, None]
    return jnp.where(joined[:, None] > 0, (means - state.centers) * rate, 0.0), counts


def _moved(
    state: State,
    moves: jax.Array,
    counts: jax.Array,
    now: jax.Array,
    share: jax.Array | float,
    rests_at: jax.Array,
    max_steps: int | jax.Array,
) -> State:
    """The state after a batch whose rows have the mean squared distance `now`."""
    smoothed = jnp.where(state.steps > 0, state.smoothed, now)
    smoothed += share * (now - smoothed)
    waited = jnp.where(smoothed < state.least, 0, state.waited + 1)
    steps = state.steps + 1
    rests = (waited >= PATIENCE) | (jnp.sum(moves**2) <= rests_at) | (steps >= max_steps)
    least = jnp.minimum(smoothed, state.least)
    return State(state.centers + moves, counts, smoothed, least, waited, steps, rests)
