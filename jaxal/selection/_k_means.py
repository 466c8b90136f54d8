"""k-means: the row nearest to the center of each cluster; and plain k-means++ as a rule of its own."""

import math
from functools import partial

import jax
import jax.numpy as jnp

from jaxal.base import Selection
from jaxal.checks import check_budget, check_integer, check_positive, check_rank, check_rows
from jaxal.greedy.d2 import d2_sampling, sample_rows
from jaxal.greedy.take import fill
from jaxal.points.distances import centred
from jaxal.points.embedding import Dense, Points, as_embedding
from jaxal.selection._lloyd import Clusters, lloyd


@partial(jax.jit, static_argnames=("budget", "block_size"))
def k_means_plus_plus(
    key: jax.Array,
    points: Points,
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
      points: [N, D], or any `Embedding` of N rows.
      available: [N] bool.
      budget: how many rows, 1 to N.
      block_size: candidates drawn in a pass.

    Returns:
      `Selection` in the order drawn; a score is the squared distance to the nearest earlier pick,
      for the first to about the mean of the available rows (its squared norm where an embedding has
      no coordinates to take a mean of). Copies of picks come after all others at score 0, rows
      with a NaN or an infinity last.

    Raises:
      TypeError: if the budget or block_size is not an integer.
      ValueError: if shapes disagree, the budget is outside 1 to N or block_size below 1.

    References:
      Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    """
    points = as_embedding("points", points)
    check_rank("available", available, 1, "[N]")
    check_rows(points=points.squared_norm(), available=available)
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


def _seed(key: jax.Array, points: jax.Array, usable: jax.Array, budget: int) -> jax.Array:
    """Greedy k-means++: of a few D^2 draws the one that lowers the inertia most is kept, [B] rows.

    A pass over the pool a seed, where plain k-means++ needs few in all; but Lloyd's iteration does not
    make up for worse seeds. Once every row lies on a seed, draws are of any row: they stay empty.
    """
    trials = 2 + int(math.log(budget))
    dense = Dense(points)
    key_first, key_rest = jax.random.split(key)
    first = sample_rows(
        jax.random.uniform(key_first, (1,), points.dtype), usable.astype(points.dtype)
    )

    def draw(turn, carry):
        squared, rows = carry
        key = jax.random.fold_in(key_rest, turn)
        some = sample_rows(jax.random.uniform(key, (trials,), points.dtype), squared)
        fresh = dense.squared_distance(dense.take(some))
        fresh = jnp.minimum(squared[:, None], fresh)
        best = jnp.argmin(jnp.sum(fresh, axis=0))
        squared = fresh[:, best].at[some[best]].set(0.0)
        return squared, rows.at[turn].set(some[best])

    squared = dense.squared_distance(dense.take(first))[:, 0].at[first].set(0.0)
    start = (jnp.where(usable, squared, 0.0), jnp.repeat(first, budget))
    return jax.lax.fori_loop(1, budget, draw, start)[1]


@partial(jax.jit, static_argnames=("budget", "max_steps", "tolerance", "restarts"))
def k_means(
    key: jax.Array,
    features: jax.Array,
    available: jax.Array,
    budget: int,
    *,
    max_steps: int = 300,
    tolerance: float = 1e-4,
    restarts: int = 10,
) -> Selection:
    """Picks the row nearest to the center of each of `budget` clusters of the available rows.

    Lloyd's iteration from the seeds of greedy k-means++ (each the best of 2 + log B draws); of all restarts,
    the clusters of least inertia (the sum of squared distances to the nearest center) are kept. A center
    without rows moves to the row farthest from its own center. Of each cluster the row nearest to the
    center is picked, so that no row can be picked twice; where there are fewer distinct points than
    clusters, or too few finite rows, the rows farthest from their centers fill the batch up, those with a
    NaN or an infinity last.

    Time O(N B D) a step as a matrix product and O(N B D log B) to seed, `restarts` times: they run one
    after the other, so that memory is that of one, a few copies of the features and never [N, B] distances.
    Distances decide an assignment by products of centred features: two centers whose squared distances to
    a row differ by less than about 1e-6 of the row's squared distance from the mean of all may be mistaken
    for each other. The picks and the inertia are by differences.

    Args:
      key: random key, consumed.
      features: [N, D].
      available: [N] bool.
      budget: how many rows, 1 to N, which is the number of clusters.
      max_steps: moves of the centers at most, in a restart.
      tolerance: a restart ends once the squared shifts of all centers add up to at most this many times
        the mean variance of the features (scikit-learn's rule); with 0, once nothing moves.
      restarts: how many times to begin anew.

    Returns:
      `Selection` in the order of the seeds, the rows that fill up last; a score is minus the squared
      distance of the row to its center, -inf for rows that are not finite.

    Raises:
      ValueError: if shapes disagree or the budget, max_steps, tolerance or restarts are out of range.

    References:
      Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory, 1982. Arthur
      and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.

    >>> points = jnp.array([[0.0], [1.0], [2.0], [7.0], [9.0], [8.0]])
    >>> sorted(k_means(jax.random.key(0), points, jnp.ones(6, bool), 2).rows.tolist())
    [1, 5]
    """
    selection, _ = _k_means(key, features, available, budget, max_steps, tolerance, restarts)
    return selection


def _k_means(
    key, features, available, budget, max_steps, tolerance, restarts
) -> tuple[Selection, Clusters]:
    check_rank("features", features, 2, "[N, D]")
    check_rank("available", available, 1, "[N]")
    check_rows(features=features, available=available)
    check_budget(budget, features.shape[0])
    check_positive(max_steps=max_steps, restarts=restarts)
    if not tolerance >= 0:
        raise ValueError(f"tolerance: expected a number >= 0, got {tolerance!r}")
    features = features.astype(float)
    origin, scale = centred(features, available)
    usable = available & jnp.all(jnp.isfinite(features), axis=-1)
    points = jnp.where(usable[:, None], (features - origin) / scale, 0.0)
    live = jnp.arange(budget) < jnp.sum(usable)

    def restart(turn: jax.Array, best: Clusters) -> Clusters:
        rows = _seed(jax.random.fold_in(key, turn), points, usable, budget)
        clusters = lloyd(
            points,
            usable,
            points[rows],
            live,
            max_steps=max_steps,
            tolerance=tolerance,
        )
        better = clusters.inertia < best.inertia
        return jax.tree.map(partial(jnp.where, better), clusters, best)

    none = Clusters(
        centers=jnp.zeros((budget, points.shape[1])),
        assigned=jnp.full(len(points), budget),
        squared=jnp.full(len(points), jnp.inf),
        inertia=jnp.full((), jnp.inf),
        steps=jnp.int32(0),
    )
    clusters = jax.lax.fori_loop(0, restarts, restart, none)
    rows = closest(clusters)
    picked = Selection(rows[jnp.argsort(rows < 0)], jnp.zeros(budget))
    # Rows that are not finite have no distance, and come last.
    away = jnp.where(clusters.squared < jnp.inf, clusters.squared, jnp.nan)
    rows = fill(picked, jnp.sum(rows >= 0), away, available).rows
    scores = jnp.where(rows >= 0, -clusters.squared[rows], -jnp.inf)
    found = clusters._replace(
        centers=clusters.centers * scale + origin,
        squared=clusters.squared * scale**2,
        inertia=clusters.inertia * scale**2,
    )
    return Selection(rows, scores * scale**2), found


def closest(clusters: Clusters) -> jax.Array:
    """Of the rows of each cluster the one nearest to the center, [K] int32, the lowest of several; -1 for none."""
    size, total = len(clusters.centers), len(clusters.assigned)
    least = jax.ops.segment_min(clusters.squared, clusters.assigned, size)
    nearest = clusters.squared == least.at[clusters.assigned].get(mode="clip")
    candidates = jnp.where(nearest, jnp.arange(total), total)
    rows = jax.ops.segment_min(candidates, clusters.assigned, size)
    return jnp.where(rows < total, rows, -1)
