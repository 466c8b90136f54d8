"""LCMD: the farthest row of the cluster with the largest sum of squared distances."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import Selection
from jaxal.greedy.take import priority
from jaxal.points.distances import DIFFERENCES
from jaxal.points.embedding import Embedding, Points, as_embedding, check_points
from jaxal.points.placed import TILE, cleared
from jaxal.rows import best_row, in_tiles, index_of, row_at, set_rows, without
from jaxal.selection import _rows

GROUPS = 1024  # clusters whose sums are made at a time


class Clusters(NamedTuple):
    """The pool around its centers: the labelled rows in their order, then the picks."""

    squared: jax.Array  # [N] squared distance to the nearest center
    center: jax.Array  # [N] int32, which center that is; -1 while there is none
    count: jax.Array  # [] int32, how many centers there are


def _squared(points: Embedding, others: Embedding, scale: jax.Array) -> jax.Array:
    """Squared distances [N, M] divided by scale^2; by differences, if points have coordinates."""
    if points.product_error is None:
        return points.squared_distance(others) / scale / scale
    return points.difference(others, scale)


def _nearest(
    points: Embedding, centers: Embedding, scale: jax.Array, counts: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Of the centers that count the squared distance to the nearest, and which it is, [n]."""
    squared = jnp.where(counts[None, :], _squared(points, centers, scale), jnp.inf)
    return jnp.min(squared, axis=1), jnp.argmin(squared, axis=1).astype(jnp.int32)


def _around_labeled(points: Embedding, scale: jax.Array, labeled: jax.Array) -> Clusters:
    """The clusters of the labelled rows, some centers at a time."""
    index, count = index_of(labeled), jnp.sum(labeled, dtype=jnp.int32)
    tile = max(TILE // max(points.width, DIFFERENCES), 128)

    def body(carry):
        start, squared, center = carry
        slots = start + jnp.arange(DIFFERENCES, dtype=jnp.int32)
        centers = points.take(set_rows(index, slots))
        least, nearest = in_tiles(_nearest, points, tile, centers, scale, slots < count)
        # Of centers as near as each other the first keeps the row.
        closer = least < squared
        return (
            start + DIFFERENCES,
            jnp.where(closer, least, squared),
            jnp.where(closer, start + nearest, center),
        )

    far = jnp.full_like(points.squared_norm(), jnp.inf)
    start = jnp.int32(0), far, jnp.full(far.shape, -1, jnp.int32)
    _, squared, center = jax.lax.while_loop(lambda carry: carry[0] < count, body, start)
    return Clusters(squared, center, count)


def _heaviest(clusters: Clusters, members: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The largest sum [] of squared distances in a cluster, and its center [], ties to the first.

    Some clusters at a time, so that devices exchange as many sums as there are centers.
    """

    def body(carry):
        start, weight, heaviest = carry
        group = clusters.center - start
        inside = members & (group >= 0) & (group < GROUPS)
        # Rows of other clusters are added beyond the end.
        sums = jax.ops.segment_sum(
            jnp.where(inside, clusters.squared, 0.0), jnp.where(inside, group, GROUPS), GROUPS
        )
        best = jnp.argmax(sums).astype(jnp.int32)
        heavier = sums[best] > weight
        return (
            start + GROUPS,
            jnp.where(heavier, sums[best], weight),
            jnp.where(heavier, start + best, heaviest),
        )

    start = jnp.int32(0), jnp.zeros_like(clusters.squared, shape=()), jnp.int32(-1)
    _, weight, heaviest = jax.lax.while_loop(lambda carry: carry[0] < clusters.count, body, start)
    return weight, heaviest


@entry.checked(features=check_points, available=entry.mask, budget=entry.budget, labeled=entry.mask)
def lcmd(
    features: Points,
    available: jax.Array,
    budget: int,
    *,
    labeled: jax.Array | None = None,
) -> Selection:
    """LCMD: largest cluster, maximum distance.

    Labelled rows and picks are centers, and each available row belongs to the nearest. A pick is
    the farthest row of the cluster whose squared distances to the center add up to the most: where
    there is much to represent, not where rows lie apart, as core-set has it. Ties go to the
    earliest center and the lowest row. Without any center the row of largest norm is first.

    Time O(N D (M + B)) for M labelled rows, as differences, and O(N (M + B) / 1024) a pick for the
    sums; memory O(N D).

    Args:
      features: [N, D], or any `Embedding` of N rows, as last-layer gradients.
      available: [N] bool; a labelled row is never picked.
      budget: how many rows, 1 to N.
      labeled: [N] bool, the rows that are labelled already; none if not given.

    Returns:
      `Selection`; a score is the distance to the nearest center when the row was picked, the norm
      where there was none. Rows with a NaN or an infinity come last, with scores -inf.

    Raises:
      TypeError: if an array or a mask is none, or the budget is not an integer.
      ValueError: if shapes disagree, or the budget is above the rows that may be picked.

    References:
      Holzmüller et al., "A framework and benchmark for deep batch active learning for regression",
      JMLR 2023, section 4.3.

    Example:

    >>> points = jnp.array([[0.0], [1.0], [-1.0], [0.9], [9.0]])
    >>> lcmd(points, jnp.ones(5, bool), 3).rows.tolist()
    [4, 2, 1]
    """
    rows = features.squared_norm() if isinstance(features, Embedding) else features
    _rows.check_free(budget, available, labeled, features=rows)
    return _lcmd(features, available, budget, labeled)


@partial(jax.jit, static_argnames=("budget",))
def _lcmd(features, available, budget, labeled) -> Selection:
    points = as_embedding("features", features)
    free, labeled, counted = _rows.free_and_counted(available, labeled)
    finite = points.finite()
    points = cleared(points, finite & counted)
    norms = points.squared_norm()
    _, scale = points.frame(finite & counted)
    members = free & finite
    clusters = _around_labeled(points, scale, labeled & finite)

    def pick(i, carry):
        clusters, free, rows, scores = carry
        weight, heaviest = _heaviest(clusters, members)
        # With nothing left to represent, or no center yet, any row may be next.
        among = (clusters.center == heaviest) | (weight <= 0)
        worth = jnp.where(clusters.count > 0, clusters.squared, norms)
        ranked = jnp.where(finite, worth, -jnp.inf)
        row = best_row(priority(jnp.where(among, ranked, -jnp.inf), free)).astype(jnp.int32)
        found, score = row_at((free, ranked), row)
        squared = _squared(points, points.take(row[None]), scale)[:, 0]
        closer = (squared < clusters.squared) & found & (score > -jnp.inf)
        squared = jnp.where(closer, squared, clusters.squared)
        center = jnp.where(closer, clusters.count, clusters.center)
        # Norms are of the points as they are, distances of scaled ones.
        unit = jnp.where(clusters.count > 0, scale, 1.0)
        score = jnp.where(score >= 0, jnp.sqrt(jnp.maximum(score, 0.0)) * unit, -jnp.inf)
        clusters = Clusters(squared, center, clusters.count + found.astype(jnp.int32))
        slot = jnp.where(found, i, budget)
        return clusters, without(free, row), rows.at[slot].set(row), scores.at[slot].set(score)

    rows = jnp.full(budget, -1, jnp.int32)
    scores = jnp.full_like(norms, -jnp.inf, shape=(budget,))
    _, _, rows, scores = jax.lax.fori_loop(0, budget, pick, (clusters, free, rows, scores))
    return Selection(rows, scores.astype(jnp.float32))
