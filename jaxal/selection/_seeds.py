"""Seeds of k-means by greedy k-means++."""

import math

import jax
import jax.numpy as jnp

from jaxal.greedy.d2 import sample_rows
from jaxal.numerics import rows_from, with_rows
from jaxal.points.embedding import Dense
from jaxal.threefry import short_key


def random_numbers(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype) -> jax.Array:
    """Uniform numbers in [0, 1) for all draws of all seeds: [*shape, T], shape ending in B.

    All at once: draws in loops are most of a small program. Each of B seeds is the best of T = 2 +
    log B draws, as in scikit-learn.
    """
    return jax.random.uniform(short_key(key), (*shape, 2 + int(math.log(shape[-1]))), dtype)


def greedy_seeds(
    uniform: jax.Array,
    points: jax.Array,
    usable: jax.Array,
    taken: jax.Array | None = None,
    count: jax.Array | None = None,
) -> jax.Array:
    """Greedy k-means++: of a few D^2 draws the one that lowers the inertia most is kept.

    A pass over the pool a seed, where plain k-means++ needs few in all; but Lloyd's iteration does
    not make up for worse seeds. Once every row lies on a seed, draws are of any row: they stay
    empty.

    Args:
      uniform: [B, T] from `random_numbers`, of T draws for each seed.
      points: [N, D], scaled.
      usable: [N] bool.
      taken: [N] squared distances to centers that are there already, infinite where none is; None
        if there are none.
      count: [] int32, how many seeds; B if None. The rest are row 0.

    Returns:
      [B] int32 rows.

    References:
      Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007,
      section 5: several draws, of which the best is kept.
    """
    dense = Dense(points)
    norms = dense.squared_norm()  # not in the loop, where they would read all points once more
    if taken is None:
        # The first seed is uniform: all of its draws are the same.
        uniform = uniform.at[0].set(uniform[0, 0])

    def draw(i, carry):
        squared, rows = carry
        some = sample_rows(rows_from(uniform, i, 1)[0], squared)
        chosen = dense.take(some)
        sums = norms[:, None] + chosen.squared_norm()[None, :]
        fresh = jnp.minimum(squared[:, None], jnp.maximum(sums - 2.0 * dense.inner(chosen), 0.0))
        best = jnp.argmin(jnp.sum(fresh, axis=0))
        # By its number: to scatter a zero, a TPU gathers the distances of all devices.
        here = jnp.arange(len(points), dtype=some.dtype) == some[best]
        squared = jnp.where(here, 0.0, fresh[:, best])
        return squared, with_rows(rows, i, some[best][None])

    # Before the first seed all rows are equally far, and so far that any distance is less.
    far = jnp.finfo(points.dtype).max / (4 * len(points))
    squared = far if taken is None else jnp.minimum(taken, far)
    start = (
        jnp.where(usable, squared, jnp.zeros_like(points[:, 0])),
        jnp.zeros(len(uniform), jnp.int32),
    )
    return jax.lax.fori_loop(0, len(uniform) if count is None else count, draw, start)[1]
