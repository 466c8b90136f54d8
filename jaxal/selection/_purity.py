"""ProbCover's radius: the largest at which most balls hold rows of one cluster alone."""

import jax
import jax.numpy as jnp

from jaxal.points.distances import COLUMNS, fold_nearest
from jaxal.points.embedding import Dense
from jaxal.rows import largest
from jaxal.selection._seeds import random_numbers
from jaxal.selection._typiclust import make_clusters

HALVINGS = 30


def purity_radius(
    key: jax.Array, features: jax.Array, usable: jax.Array, num_clusters: int, purity: float
) -> jax.Array:
    """The largest radius at which the share of pure balls around the rows is at least `purity`.

    The ball of a row is pure up to its distance to the nearest row of another cluster of k-means:
    so the radius is a quantile of these. O(N^2 D) time as matrix products, O(N D) memory.

    Args:
      key: PRNG key, consumed.
      features: [N, D].
      usable: [N] bool, the rows that count.
      num_clusters: of k-means, at most N.
      purity: in (0, 1).

    Returns:
      [], above 0; 1 where there is one cluster alone.
    """
    points = Dense(features.astype(float))
    usable = usable & points.finite()
    points = points.masked(usable)
    frame, scale = points.frame(usable)
    placed = points.placed(frame).masked(usable)
    size = len(usable)
    most = min(num_clusters, size)
    uniform = random_numbers(key, (num_clusters,), placed.features.dtype)[:most]
    clusters = make_clusters(uniform, placed, usable, jnp.int32(most))

    def squared(slots: jax.Array) -> jax.Array:
        rows = jnp.minimum(slots, size - 1)
        apart = usable[rows][None, :] & (clusters[:, None] != clusters[rows][None, :])
        return jnp.where(apart, placed.squared_distance(placed.take(rows)), jnp.inf)

    far = jnp.full_like(placed.squared_norm(), jnp.inf)
    gaps = jnp.sqrt(fold_nearest(squared, 0, size, far, COLUMNS))
    finite = usable & (gaps < jnp.inf)
    wanted = purity * jnp.sum(usable, dtype=jnp.int32).astype(gaps.dtype)

    def halve(_, interval):
        low, high = interval
        middle = (low + high) / 2.0
        # Open balls: one of just that radius does not hold the nearest row.
        pure = jnp.sum(usable & (gaps >= middle), dtype=jnp.int32).astype(gaps.dtype)
        enough = pure >= wanted
        return jnp.where(enough, middle, low), jnp.where(enough, high, middle)

    top = largest(jnp.where(finite, gaps, 0.0))
    low, _ = jax.lax.fori_loop(0, HALVINGS, halve, (jnp.zeros_like(top), top))
    # Clusters may touch; a radius of 0 covers nothing, not even the row itself.
    return jnp.where(top > 0, jnp.maximum(low, top * 1e-6) * scale, 1.0)
