"""Mini-batch k-means: centers follow batches of rows drawn at random."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.numerics import derive_keys, group_means
from jaxal.rows import index_of, set_rows
from jaxal.selection._lloyd import Clusters, assign, mean_variance, settled

PATIENCE = 10  # batches without a lower smoothed inertia after which the centers rest
SEEDED = 3  # the seeds are drawn from so many batches, or so many rows a center if these are more


class _State(NamedTuple):
    centers: jax.Array  # [K, D]
    counts: jax.Array  # [K] rows that joined each so far
    smoothed: jax.Array  # [] the running mean of a row's squared distance
    least: jax.Array  # [] the lowest it was
    waited: jax.Array  # [] int32, batches since then
    steps: jax.Array  # [] int32
    rests: jax.Array  # [] bool


def drawn_rows(key: jax.Array, usable: jax.Array, number: int) -> jax.Array:
    """Usable rows drawn uniformly with replacement, [number] int32; any where none is usable."""
    count = jnp.maximum(jnp.sum(usable, dtype=jnp.int32), 1)
    return set_rows(index_of(usable), jax.random.randint(key, (number,), 0, count))


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
    number, index = len(centers), index_of(usable)
    count = jnp.maximum(jnp.sum(usable, dtype=jnp.int32), 1)
    variance = mean_variance(points, usable)
    share = jnp.minimum(2.0 * batch_size / (count.astype(points.dtype) + 1.0), 1.0)

    def step(state: _State) -> _State:
        draw = derive_keys(key, state.steps + 1)
        rows = set_rows(index, jax.random.randint(draw, (batch_size,), 0, count))
        some = points[rows]
        squared, assigned = assign(some, usable[rows], state.centers, valid)
        if taken is not None:
            kept = taken[rows]
            assigned = jnp.where(kept <= squared, number, assigned)
            squared = jnp.minimum(squared, kept)
        means, joined = group_means(some, assigned, number)
        counts = state.counts + joined
        rate = (joined / jnp.maximum(counts, 1.0))[:, None]
        moves = jnp.where(joined[:, None] > 0, (means - state.centers) * rate, 0.0)
        now = jnp.mean(jnp.where(squared < jnp.inf, squared, 0.0))
        smoothed = jnp.where(state.steps > 0, state.smoothed, now)
        smoothed += share * (now - smoothed)
        better = smoothed < state.least
        waited = jnp.where(better, 0, state.waited + 1)
        rests = (waited >= PATIENCE) | (jnp.sum(moves**2) <= tolerance * variance)
        return _State(
            state.centers + moves,
            counts,
            smoothed,
            jnp.minimum(smoothed, state.least),
            waited,
            state.steps + 1,
            rests | (state.steps + 1 >= max_steps),
        )

    zero = jnp.zeros_like(points, shape=())
    start = _State(
        centers,
        jnp.zeros_like(points, shape=(number,)),
        zero,
        jnp.full_like(zero, jnp.inf),
        jnp.int32(0),
        jnp.int32(0),
        jnp.bool_(False),
    )
    end = jax.lax.while_loop(lambda state: ~state.rests, step, start)
    squared, assigned = assign(points, usable, end.centers, valid)
    if taken is not None:
        assigned = jnp.where(taken <= squared, number, assigned)
    return settled(points, usable, end.centers, assigned, end.steps, taken)
