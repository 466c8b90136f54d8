"""k-means: the row nearest to the center of each cluster; and k-means++ as a rule of its own."""

import math
from functools import partial

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import Selection
from jaxal.checks import (
    check_at_least,
    check_budget,
    check_integer,
    check_rank,
    check_rows,
    is_traced,
)
from jaxal.greedy.d2 import d2_sampling, sample_rows
from jaxal.greedy.take import take_top
from jaxal.points.embedding import Dense, Points, as_embedding, centred, check_points
from jaxal.selection._lloyd import Clusters, lloyd


@entry.checked(
    key=entry.key,
    features=check_points,
    available=entry.mask,
    budget=entry.budget,
    block_size=entry.integer(1),
)
@partial(jax.jit, static_argnames=("budget", "block_size"))
def k_means_plus_plus(
    key: jax.Array,
    features: Points,
    available: jax.Array,
    budget: int,
    *,
    block_size: int = 64,
) -> Selection:
    """k-means++ seeding: the first row uniformly, the next in proportion to squared distance.

    Time O(N D B) as matrix products, in about B / block_size passes over the pool and a few more;
    memory O(N block_size) and a copy of the points.

    Args:
      key: PRNG key, consumed.
      features: [N, D], or any `Embedding` of N rows.
      available: [N] bool.
      budget: how many rows, 1 to N.
      block_size: candidates drawn in a pass.

    Returns:
      `Selection` in the order drawn; a score is the squared distance to the nearest earlier pick,
      for the first to about the mean of the available rows (its squared norm where an embedding has
      no coordinates to take a mean of). Copies of picks come after all others at score 0, rows
      with a NaN or an infinity last.

    Raises:
      TypeError: if an array or a mask is none, or the budget or block_size is not an integer.
      ValueError: if shapes disagree, the budget is outside 1 to N or block_size below 1.

    References:
      Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    """
    points = as_embedding("features", features)
    check_rank("available", available, 1, "[N]")
    check_rows(features=points.squared_norm(), available=available)
    check_budget(budget, points.size)
    check_integer(1, block_size=block_size)
    usable = points.finite()
    (points,), scale = points.conditioned(available & usable)
    selection, _ = d2_sampling(
        key,
        points.masked(usable),
        None,
        available,
        budget,
        usable=usable,
        block_size=block_size,
    )
    scores = selection.scores * scale * scale
    return selection._replace(scores=scores.astype(jnp.float32))


def _seed(uniform: jax.Array, points: jax.Array, usable: jax.Array) -> jax.Array:
    """Greedy k-means++: of a few D^2 draws the one that lowers the inertia most is kept.

    A pass over the pool a seed, where plain k-means++ needs few in all; but Lloyd's iteration does
    not make up for worse seeds. Once every row lies on a seed, draws are of any row: they stay
    empty.

    Args:
      uniform: [B, T] random numbers in [0, 1), of T draws for each seed.
      points: [N, D], scaled.
      usable: [N] bool.

    Returns:
      [B] int32 rows.
    """
    dense = Dense(points)
    # The first seed is uniform: all of its draws are the same.
    uniform = uniform.at[0].set(uniform[0, 0])

    def draw(i, carry):
        squared, rows = carry
        some = sample_rows(uniform[i], squared)
        fresh = jnp.minimum(squared[:, None], dense.squared_distance(dense.take(some)))
        best = jnp.argmin(jnp.sum(fresh, axis=0))
        squared = fresh[:, best].at[some[best]].set(0.0)
        return squared, rows.at[i].set(some[best])

    # Before the first seed all rows are equally far, and so far that any distance is less.
    far = jnp.finfo(points.dtype).max / (4 * len(points))
    start = (
        jnp.where(usable, far, jnp.zeros_like(points[:, 0])),
        jnp.zeros(len(uniform), jnp.int32),
    )
    return jax.lax.fori_loop(0, len(uniform), draw, start)[1]


@entry.checked(
    key=entry.key,
    features=check_points,
    available=entry.mask,
    budget=entry.budget,
)
def k_means(
    key: jax.Array,
    features: Points,
    available: jax.Array,
    budget: int,
    *,
    max_steps: int = 300,
    tolerance: float = 1e-4,
    restarts: int = 10,
) -> Selection:
    """k-means: selects the row nearest to the center of each of `budget` clusters.

    Lloyd's iteration from the seeds of greedy k-means++ (each the best of 2 + log B draws); of all
    restarts, the clusters of least inertia (the sum of squared distances to the nearest center) are
    kept. A center without rows moves to the row farthest from its own center. Of each cluster the
    row nearest to the center is picked, so that no row can be picked twice; where there are fewer
    distinct points than clusters, or too few finite rows, the rows farthest from their centers fill
    the batch up, those with a NaN or an infinity last.

    Time O(N B D) a step as a matrix product and O(N B D log B) to seed, `restarts` times: they run
    one after the other, so that memory is that of one, a few copies of the features and never
    [N, B] distances. Distances decide an assignment by products of centred features: two centers
    whose squared distances to a row differ by less than about 1e-6 of the row's squared distance
    from the mean of all may be mistaken for each other. The picks and the inertia are by
    differences.

    Args:
      key: PRNG key, consumed.
      features: [N, D], or a `Dense` embedding of N rows.
      available: [N] bool.
      budget: how many rows, 1 to N, which is the number of clusters.
      max_steps: moves of the centers at most, in a restart.
      tolerance: a restart ends once the squared shifts of all centers add up to at most this many
        times the mean variance of the features (scikit-learn's rule); with 0, once nothing moves.
      restarts: how many times to begin anew.

    Returns:
      `Selection` in the order of the seeds, the rows that fill up last; a score is minus the
      squared distance of the row to its center, -inf for rows that are not finite.

    Raises:
      TypeError: if the points are an embedding without coordinates: a center is a mean of points.
      ValueError: if shapes disagree or the budget, max_steps, tolerance or restarts are out of
        range.

    References:
      Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory, 1982.
      Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.

    Example:

    >>> points = jnp.array([[0.0], [1.0], [2.0], [7.0], [9.0], [8.0]])
    >>> sorted(k_means(jax.random.key(0), points, jnp.ones(6, bool), 2).rows.tolist())
    [1, 5]
    """
    check_integer(1, restarts=restarts)
    if not is_traced(max_steps, tolerance):
        check_integer(1, max_steps=max_steps)
        check_at_least(0, tolerance=tolerance)
    # Their numbers may change without a new compilation.
    return _select(key, features, available, budget, max_steps, tolerance, restarts)


@partial(jax.jit, static_argnames=("budget", "restarts"))
def _select(key, points, available, budget, max_steps, tolerance, restarts) -> Selection:
    return _k_means(key, points, available, budget, max_steps, tolerance, restarts)[0]


def _k_means(
    key, points, available, budget, max_steps, tolerance, restarts
) -> tuple[Selection, Clusters]:
    points = as_embedding("features", points)
    if not isinstance(points, Dense):
        raise TypeError(
            "features: expected an array [N, D] or a Dense embedding, as the centers of k-means "
            f"are means of points, got {type(points).__name__}"
        )
    features = points.features
    check_rank("available", available, 1, "[N]")
    check_rows(features=features, available=available)
    check_budget(budget, features.shape[0])
    usable = available & points.finite()
    origin, scale = centred(features, usable)
    scaled = jnp.where(usable[:, None], (features - origin) / scale, 0.0)
    valid = jnp.arange(budget) < jnp.sum(usable, dtype=jnp.int32)
    # All random numbers at once: draws in loops are most of a small program.
    trials = 2 + int(math.log(budget))
    uniform = jax.random.uniform(key, (restarts, budget, trials), scaled.dtype)

    def restart(i: jax.Array, best: Clusters) -> Clusters:
        centers = scaled[_seed(uniform[i], scaled, usable)]
        clusters = lloyd(scaled, usable, centers, valid, max_steps=max_steps, tolerance=tolerance)
        better = clusters.inertia < best.inertia
        return jax.tree.map(partial(jnp.where, better), clusters, best)

    none = Clusters(
        centers=jnp.zeros_like(scaled, shape=(budget, scaled.shape[1])),
        assigned=jnp.full(len(scaled), budget, jnp.int32),
        squared=jnp.full_like(scaled[:, 0], jnp.inf),
        inertia=jnp.asarray(jnp.inf, scaled.dtype),
        steps=jnp.int32(0),
    )
    clusters = jax.lax.fori_loop(0, restarts, restart, none)
    rows = _pick(clusters, available)
    scores = jnp.where(rows >= 0, -clusters.squared[rows], -jnp.inf) * scale * scale
    found = clusters._replace(
        centers=clusters.centers * scale + origin,
        squared=clusters.squared * scale * scale,
        inertia=clusters.inertia * scale * scale,
    )
    return Selection(rows, scores.astype(jnp.float32)), found


def _pick(clusters: Clusters, available: jax.Array) -> jax.Array:
    """The row nearest to each center in the order of centers, then the farthest rows, [K] int32."""
    size = len(clusters.centers)
    nearest = closest(clusters)
    # Above all distances, which are of scaled points; rows without a distance come last.
    places = 2.0**100 * jnp.arange(2 * size, size, -1).astype(clusters.squared.dtype)
    away = jnp.where(clusters.squared < jnp.inf, clusters.squared, -1.0)
    worth = away.at[jnp.where(nearest >= 0, nearest, len(away))].set(places)
    return take_top(worth, available, size).rows


def closest(clusters: Clusters) -> jax.Array:
    """Of the rows of each cluster the nearest to the center, [K] int32, the lowest of several.

    -1 for a cluster without rows.
    """
    size, total = len(clusters.centers), len(clusters.assigned)
    least = jax.ops.segment_min(clusters.squared, clusters.assigned, size)
    nearest = clusters.squared == least.at[clusters.assigned].get(mode="clip")
    rows = jnp.where(nearest, jnp.arange(total, dtype=jnp.int32), total)
    rows = jax.ops.segment_min(rows, clusters.assigned, size)
    return jnp.where(rows < total, rows, -1)
