"""From candidates to a batch: one of each cluster, and the rest at random."""

import jax
import jax.numpy as jnp

from jaxal.base import Selection
from jaxal.greedy.take import fill
from jaxal.points.embedding import Dense
from jaxal.points.placed import rewritten
from jaxal.selection._k_means import k_means


def one_a_cluster(
    key: jax.Array,
    features: jax.Array,
    candidates: jax.Array,
    available: jax.Array,
    budget: int,
    *,
    restarts: int = 10,
) -> Selection:
    """The candidate nearest to each center of k-means on the features divided by their lengths.

    Args:
      key: PRNG key, consumed.
      features: [N, D].
      candidates: [N] bool.
      available: [N] bool.
      budget: how many rows, which is the number of clusters.
      restarts: of k-means.

    Returns:
      `Selection`; where there are fewer candidates, all of them, and then other available rows at
      random, with scores 0, those that are not finite last.
    """
    key_clusters, key_others = jax.random.split(key)
    candidates = candidates & available
    points = Dense(features)
    # Looked at later, the features would have to be kept beside what is made of them.
    points, finite = jax.lax.optimization_barrier((points, points.finite()))
    noise = jax.random.uniform(key_others, available.shape)
    order = jnp.where(finite, noise, jnp.nan)
    units = rewritten(Dense.normalised, points, candidates)
    picked = k_means(key_clusters, units, candidates, budget, restarts=restarts)
    return fill(picked, jnp.sum(candidates, dtype=jnp.int32), order, available)
