"""TypiClust: the most typical row of each cluster, clusters without labels first."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import Selection
from jaxal.greedy.take import fill
from jaxal.points.embedding import Dense
from jaxal.rows import index_of, set_rows, without
from jaxal.selection import _rows
from jaxal.selection._lloyd import lloyd
from jaxal.selection._seeds import greedy_seeds, random_numbers

CLUSTERS = 500  # at most, where k-means makes them
SIDE = 64  # members compared with as many others at a time
SMOOTHING = 1e-5


class Turns(NamedTuple):
    """Whose turn it is to give a row."""

    rank: jax.Array  # [G] int32, the place of each cluster in the order
    small: jax.Array  # [G] bool, after all others
    free: jax.Array  # [G] int32, rows that may be picked
    taken: jax.Array  # [G] int32, of these, by now


def _turns(
    clusters: jax.Array,
    free: jax.Array,
    labeled: jax.Array,
    counted: jax.Array,
    num_clusters: int,
    min_cluster_size: int,
) -> Turns:
    """The order of the clusters: few labelled rows first, then many rows, then the number."""

    def count(mask: jax.Array) -> jax.Array:
        return jax.ops.segment_sum(mask.astype(jnp.int32), clusters, num_clusters)

    sizes = count(counted)
    places = jnp.arange(num_clusters, dtype=jnp.int32)
    order = jnp.lexsort((places, -sizes, count(labeled)))
    rank = jnp.zeros_like(places).at[order].set(places)
    return Turns(rank, sizes < min_cluster_size, count(free), jnp.zeros_like(places))


def _next(turns: Turns, budget: int) -> jax.Array:
    """The cluster [] that gives the next row."""
    never = jnp.iinfo(jnp.int32).max
    rounds = jnp.where(turns.small, budget, 0) + turns.taken
    rounds = jnp.where(turns.taken < turns.free, rounds, never)
    return jnp.argmin(jnp.where(rounds == jnp.min(rounds), turns.rank, never))


def _most_typical(
    points: Dense, scale: jax.Array, members: jax.Array, num_neighbors: int
) -> tuple[jax.Array, jax.Array]:
    """Of the members [N] bool the one nearest to its nearest neighbours among them, and how near.

    O(n^2 D) for n members.

    Returns:
      The row [] int32 and its typicality [].
    """
    index, count = index_of(members), jnp.sum(members, dtype=jnp.int32)
    kept = jnp.clip(count // 2, 1, num_neighbors)

    def some(start):
        slots = start + jnp.arange(SIDE, dtype=jnp.int32)
        rows = set_rows(index, slots)
        return slots, rows, points.take(rows)

    def neighbours(start, chosen, slots, nearest):
        others, _, there = some(start)
        squared = chosen.difference(there, scale)
        counts = (others < count)[None, :] & (others[None, :] != slots[:, None])
        both = jnp.concatenate([nearest, jnp.where(counts, squared, jnp.inf)], axis=1)
        return start + SIDE, -jax.lax.top_k(-both, num_neighbors)[0]

    def body(carry):
        start, best, least = carry
        slots, rows, chosen = some(start)
        none = jnp.full_like(least, jnp.inf, shape=(SIDE, num_neighbors))
        _, nearest = jax.lax.while_loop(
            lambda inner: inner[0] < count,
            lambda inner: neighbours(inner[0], chosen, slots, inner[1]),
            (jnp.int32(0), none),
        )
        counts = jnp.arange(num_neighbors, dtype=jnp.int32)[None, :] < kept
        # A row by itself has no neighbour, and a distance of 0.
        counts &= nearest < jnp.inf
        mean = jnp.sum(jnp.where(counts, jnp.sqrt(nearest), 0.0), axis=1) / kept.astype(least.dtype)
        mean = jnp.where(slots < count, mean, jnp.inf)
        place = jnp.argmin(mean)
        nearer = mean[place] < least
        return (
            start + SIDE,
            jnp.where(nearer, rows[place], best),
            jnp.where(nearer, mean[place], least),
        )

    start = jnp.int32(0), jnp.int32(-1), jnp.full_like(scale, jnp.inf)
    _, row, mean = jax.lax.while_loop(lambda carry: carry[0] < count, body, start)
    return row, 1.0 / (mean * scale + SMOOTHING)


def make_clusters(
    uniform: jax.Array, placed: Dense, usable: jax.Array, number: jax.Array
) -> jax.Array:
    """k-means with a number of clusters [] that need not be known when it is compiled.

    Time O(N D most) a step, and O(N D log most) for each of the seeds (`greedy_seeds`).

    Args:
      uniform: [most, T] from `random_numbers`, for as many clusters at most.
      placed: N points in a frame of the usable ones, zeros where not usable.
      usable: [N] bool.
      number: [] int32, how many clusters.

    Returns:
      [N] int32, from 0; `most` where not usable.
    """
    # The first of many seeds are the seeds of few clusters.
    points, most = placed.features, len(uniform)
    seeds = greedy_seeds(uniform, points, usable, count=number)
    valid = jnp.arange(most, dtype=jnp.int32) < jnp.minimum(
        number, jnp.sum(usable, dtype=jnp.int32)
    )
    return lloyd(points, usable, points[seeds], valid, max_steps=100, tolerance=1e-4).assigned


@entry.checked(
    key=entry.key,
    features=entry.matrix("[N, D]"),
    available=entry.mask,
    budget=entry.budget,
    labeled=entry.mask,
    clusters=_rows.clusters,
    num_neighbors=entry.integer(1),
    min_cluster_size=entry.integer(1),
)
def typiclust(
    key: jax.Array,
    features: jax.Array,
    available: jax.Array,
    budget: int,
    *,
    labeled: jax.Array | None = None,
    clusters: jax.Array | None = None,
    num_neighbors: int = 20,
    min_cluster_size: int = 6,
) -> Selection:
    """TypiClust: the most typical row of each cluster in turn, for the first labels of a task.

    Clusters with fewer labelled rows come first, then larger ones, then those of lower number; in
    that order each gives a row, and again, until the batch is full. Those of fewer rows than
    `min_cluster_size` wait until all others are used up. The row is the one with the largest

        typicality = 1 / (mean distance to its k nearest neighbours + 1e-5)

    among the n rows of the cluster that may still be picked, k the smaller of `num_neighbors` and
    half of n. It gains over random selection with few labels, and loses once there are many.

    Time O(n^2 D) a pick as differences, n the rows of its cluster, and k-means; memory O(N D).

    Args:
      key: PRNG key, consumed; without effect where the clusters are given.
      features: [N, D]; the paper divides those of a self-supervised model by their lengths.
      available: [N] bool; a labelled row is never picked.
      budget: how many rows, 1 to N.
      labeled: [N] bool, the rows that are labelled already; none if not given.
      clusters: [N] integers from 0 to N - 1, the cluster of each row. None: k-means of the rows
        that are available or labelled, into as many clusters as there are labelled rows and picks,
        at most 500.
      num_neighbors: k at most.
      min_cluster_size: clusters of fewer rows come last.

    Returns:
      `Selection`; a score is the typicality when the row was picked. Rows with a NaN or an infinity
      come last, with scores -inf.

    Raises:
      TypeError: if an array, a mask or the key is none, or a number is not an integer.
      ValueError: if shapes disagree, the budget is above the rows that may be picked, a cluster
        outside 0 to N - 1, or a number below 1.

    References:
      Hacohen et al., "Active learning on a budget: opposite strategies suit high and low budgets",
      ICML 2022, section 4.

    Example:

    >>> points = jnp.array([[0.0], [1.0], [2.0], [9.0], [9.1], [9.3]])
    >>> groups = jnp.array([0, 0, 0, 1, 1, 1])
    >>> typiclust(
    ...     jax.random.key(0), points, jnp.ones(6, bool), 2, clusters=groups, min_cluster_size=1
    ... ).rows.tolist()
    [0, 3]
    """
    given = {} if clusters is None else {"clusters": clusters}
    _rows.check_free(budget, available, labeled, features=features, **given)
    return _typiclust(
        key, features, available, budget, labeled, clusters, num_neighbors, min_cluster_size
    )


@partial(jax.jit, static_argnames=("budget", "num_neighbors", "min_cluster_size"))
def _typiclust(
    key, features, available, budget, labeled, clusters, num_neighbors, min_cluster_size
) -> Selection:
    points = Dense(jnp.asarray(features).astype(float))
    free, labeled, counted = _rows.free_and_counted(available, labeled)
    finite = points.finite()
    usable = finite & counted
    points = points.masked(usable)
    frame, scale = points.frame(usable)
    number = len(free)
    if clusters is None:
        number = min(len(free), CLUSTERS)
        wanted = jnp.sum(labeled & finite, dtype=jnp.int32) + budget
        placed = points.placed(frame).masked(usable)
        # As many draws of a seed whatever there is of rows: what fills up a pool changes nothing.
        uniform = random_numbers(key, (CLUSTERS,), placed.features.dtype)[:number]
        clusters = make_clusters(uniform, placed, usable, jnp.minimum(wanted, number))
    turns = _turns(clusters, free & finite, labeled & finite, usable, number, min_cluster_size)

    def pick(i, carry):
        turns, left, rows, scores = carry
        cluster = _next(turns, budget)
        members = left & (clusters == cluster.astype(clusters.dtype))
        row, score = _most_typical(points, scale, members, num_neighbors)
        turns = turns._replace(taken=turns.taken.at[cluster].add(1))
        return turns, without(left, row), rows.at[i].set(row), scores.at[i].set(score)

    count = jnp.minimum(budget, jnp.sum(free & finite, dtype=jnp.int32))
    rows = jnp.full(budget, -1, jnp.int32)
    scores = jnp.full_like(scale, -jnp.inf, shape=(budget,))
    start = turns, free & finite, rows, scores
    _, _, rows, scores = jax.lax.fori_loop(0, count, pick, start)
    selection = Selection(rows, scores.astype(jnp.float32))
    filled = fill(selection, count, jnp.zeros_like(points.features[:, 0]), free)
    return filled._replace(scores=selection.scores)
