"""k-means for its clusters: of all rows, or of unit vectors, once."""

from functools import partial

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.checks import check_rows
from jaxal.greedy.d2 import d2_sampling
from jaxal.points.embedding import Dense
from jaxal.points.placed import Placed, rewritten
from jaxal.selection._lloyd import Clusters, lloyd
from jaxal.selection._seeds import greedy_seeds, random_numbers

GREEDY = 1_000
"""Clusters up to which seeds are greedy, with a pass over the pool each; of more, few passes do."""
SEEDS_AT_ONCE = 256  # candidates of a pass of plain k-means++


@entry.checked(
    key=entry.key,
    features=entry.matrix("[N, D]"),
    available=entry.mask,
    num_clusters=entry.integer(1),
    max_steps=entry.integer(1),
    tolerance=entry.at_least(0),
)
def k_means_clusters(
    key: jax.Array,
    features: jax.Array,
    available: jax.Array,
    num_clusters: int,
    *,
    max_steps: int = 25,
    tolerance: float = 1e-4,
) -> Clusters:
    """Clusters of the rows by k-means: the centers, and the nearest one of each row.

    Lloyd's iteration, once. Up to 1,000 clusters the seeds are those of greedy k-means++ (each the
    best of 2 + log K draws), as in `selection.k_means`, which selects rows; they find better
    clusters than plain ones, and are a pass over the rows each. More clusters start from plain
    k-means++, of few passes. Time O(N K D) a step as matrix products, and the seeds O(N K D log K),
    or about as much as two steps; memory a copy of the features. Under `jaxal.rows.rows_over` the
    rows may be shared by devices; centers are on all of them.

    Args:
      key: PRNG key, consumed.
      features: [N, D]; of unit length for clusters by cosine.
      available: [N] bool, the rows that count.
      num_clusters: K, 1 to N.
      max_steps: moves of the centers at most.
      tolerance: the centers rest once their squared shifts add up to at most this many times the
        mean variance of the features.

    Returns:
      `Clusters`: `centers` [K, D], `assigned` [N] int32 from 0 to K - 1, and K for rows that are
      not available or not finite, `squared` distances [N] to the center, `inertia` and `steps`.

    Raises:
      TypeError: if an array or the mask is none, or a number is not an integer.
      ValueError: if shapes disagree, or there are more clusters than rows.

    References:
      Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory, 1982.
      Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    """
    check_rows(features=features, available=available)
    if num_clusters > len(available):
        raise ValueError(
            f"num_clusters: expected 1 to {len(available)} (the rows), got {num_clusters}"
        )
    return fit_clusters(key, features, available, num_clusters, max_steps, tolerance)


@partial(jax.jit, static_argnames="num_clusters")
def fit_clusters(
    key: jax.Array,
    features: jax.Array,
    available: jax.Array,
    num_clusters: int,
    max_steps: int | jax.Array,
    tolerance: float | jax.Array = 1e-4,
) -> Clusters:
    """As `k_means_clusters`, whose checks are made."""
    points = Dense(jnp.asarray(features).astype(float))
    usable = jnp.asarray(available) & points.finite()
    frame, scale = points.frame(usable)
    scaled = rewritten(Dense.placed, points, usable, frame)
    seeds, valid = _seeds(key, scaled.features, usable, num_clusters)
    clusters = lloyd(
        scaled.features,
        usable,
        scaled.features[seeds],
        valid,
        max_steps=max_steps,
        tolerance=tolerance,
    )
    return clusters._replace(
        centers=(clusters.centers + frame[0]) * scale,
        squared=clusters.squared * scale * scale,
        inertia=clusters.inertia * scale * scale,
    )


def _seeds(
    key: jax.Array, points: jax.Array, usable: jax.Array, number: int
) -> tuple[jax.Array, jax.Array]:
    """Rows [K] int32 of k-means++, and which of them count, [K] bool."""
    if number <= GREEDY:
        uniform = random_numbers(key, (number,), points.dtype)
        valid = jnp.arange(number, dtype=jnp.int32) < jnp.sum(usable, dtype=jnp.int32)
        return greedy_seeds(uniform, points, usable), valid
    placed = Placed(Dense(points), usable, None)
    at_once = min(SEEDS_AT_ONCE, number)
    rows = d2_sampling(key, placed, None, usable, number, block_size=at_once)[0].rows
    return jnp.maximum(rows, 0), rows >= 0
