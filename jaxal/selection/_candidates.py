"""From candidates to a batch: one of each cluster, and the rest at random."""

import jax
import jax.numpy as jnp

from jaxal.base import Selection
from jaxal.greedy.take import fill
from jaxal.numerics import unit_rows
from jaxal.selection._k_means import _k_means, _pick
from jaxal.selection._lloyd import Clusters

MAX_STEPS, TOLERANCE = 300, 1e-4
SLACK = 1e-6  # distances of unit vectors that differ by less are equal but for rounding


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
      random, with scores 0.
    """
    key_clusters, key_others = jax.random.split(key)
    candidates = candidates & available
    units = unit_rows(jnp.where(candidates[:, None], features, 0.0))
    _, clusters = _k_means(key_clusters, units, candidates, budget, MAX_STEPS, TOLERANCE, restarts)
    rows = _pick(_with_ties(clusters), candidates)
    squared = jnp.where(rows >= 0, clusters.squared[rows], jnp.inf)
    picked = Selection(rows, -squared.astype(jnp.float32))
    noise = jax.random.uniform(key_others, available.shape)
    return fill(picked, jnp.sum(candidates, dtype=jnp.int32), noise, available)


def _with_ties(clusters: Clusters) -> Clusters:
    """The clusters, where rows that are as near to the center but for rounding are so exactly.

    The two rows of a cluster of two always are, and rounding depends on the number of devices.
    """
    size = len(clusters.centers)
    least = jax.ops.segment_min(clusters.squared, clusters.assigned, size)
    least = least.at[clusters.assigned].get(mode="clip")
    near = jnp.sqrt(clusters.squared) <= jnp.sqrt(least) + SLACK
    near &= clusters.assigned < size
    return clusters._replace(squared=jnp.where(near, least, clusters.squared))
