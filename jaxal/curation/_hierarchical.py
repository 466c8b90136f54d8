"""Hierarchical k-means, and samples balanced over its tree."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import Selection
from jaxal.checks import check_budget, check_integer, check_rows, describe
from jaxal.curation._clusters import fit_clusters
from jaxal.greedy.take import places_in_groups, take_top
from jaxal.points.distances import nearest_center
from jaxal.points.embedding import Dense
from jaxal.points.placed import rewritten
from jaxal.rows import index_of, set_rows


class ClusterTree(NamedTuple):
    """Clusters of clusters, level by level, the finest first."""

    centers: tuple[jax.Array, ...]  # [K_l, D] of each level
    assigned: tuple[jax.Array, ...]  # [N], then [K_(l-1)], int32: the cluster on the level; K: none


def _sizes(name: str, value: Any) -> None:
    """Integers that fall."""
    if not isinstance(value, tuple | list) or not value:
        raise TypeError(f"{name}: expected a tuple of integers, got {describe(value)}")
    for number in value:
        check_integer(1, **{name: number})
    if any(number >= before for before, number in zip(value[:-1], value[1:], strict=True)):
        raise ValueError(f"{name}: expected numbers that fall, got {value!r}")


@entry.checked(
    key=entry.key,
    features=entry.matrix("[N, D]"),
    available=entry.mask,
    num_clusters=_sizes,
    resamples=entry.integer(0),
    nearest=entry.integer(1),
    max_steps=entry.integer(1),
)
def hierarchical_k_means(
    key: jax.Array,
    features: jax.Array,
    available: jax.Array,
    num_clusters: tuple[int, ...],
    *,
    resamples: int = 10,
    nearest: int = 5,
    max_steps: int = 25,
) -> ClusterTree:
    """Hierarchical k-means: clusters of the rows, clusters of their centers, and so on.

    k-means puts most centers where most rows are, so that what is common in a crawl has most
    clusters. Two things spread them out: a level clusters the centers of the one below, in which a
    common concept counts for less; and from the second level on each is clustered anew some times,
    from the few members nearest to each center alone, in which all clusters count the same. (On
    the first level, of the rows, this would cost as much again each time.)

    Time and memory are those of `k_means_clusters` on the first level, and less on the others.
    Under `jaxal.rows.rows_over` devices share the rows on the first level.

    Args:
      key: PRNG key, consumed.
      features: [N, D].
      available: [N] bool, the rows that count.
      num_clusters: of each level, falling, at most N: (10_000, 500, 10).
      resamples: how often levels above the first are clustered anew.
      nearest: members of a cluster that take part in that.
      max_steps: moves of the centers at most, each time.

    Returns:
      `ClusterTree`.

    Raises:
      TypeError: if an array or the mask is none, or a number is not an integer.
      ValueError: if shapes disagree, the numbers of clusters do not fall, or are above N.

    References:
      Vo et al., "Automatic data curation for self-supervised learning: a clustering-based
      approach", TMLR 2024.
    """
    check_rows(features=features, available=available)
    if num_clusters[0] > len(available):
        raise ValueError(
            f"num_clusters: expected at most {len(available)} (the rows), got {num_clusters[0]}"
        )
    sizes = tuple(int(number) for number in num_clusters)
    return _tree(key, features, available, sizes, resamples, nearest, max_steps)


@partial(jax.jit, static_argnames=("num_clusters", "resamples", "nearest"))
def _tree(key, features, available, num_clusters, resamples, nearest, max_steps) -> ClusterTree:
    members, counts = jnp.asarray(features).astype(float), jnp.asarray(available)
    centers, assigned = [], []
    for level, (own, number) in enumerate(
        zip(jax.random.split(key, len(num_clusters)), num_clusters, strict=True)
    ):
        again, own = jax.random.split(own)
        found = fit_clusters(own, members, counts, number, max_steps)
        place, groups, squared = found.centers, found.assigned, found.squared
        if level and resamples:
            anew = partial(_anew, members, counts, nearest, max_steps)
            keys = jax.random.split(again, resamples)
            (place, groups, _), _ = jax.lax.scan(anew, (place, groups, squared), keys)
        centers.append(place)
        assigned.append(groups)
        sizes = jax.ops.segment_sum(counts.astype(jnp.int32), groups, number)
        members, counts = place, sizes > 0
    return ClusterTree(tuple(centers), tuple(assigned))


def _anew(members, counts, nearest, max_steps, carry, key):
    """Clusters of the members nearest to each center alone; then all are assigned."""
    centers, groups, squared = carry
    number = len(centers)
    close = counts & (groups < number) & (places_in_groups(squared, groups, counts) < nearest)
    size = min(len(members), number * nearest)
    rows = set_rows(index_of(close), jnp.arange(size, dtype=jnp.int32))
    there = jnp.arange(size, dtype=jnp.int32) < jnp.sum(close, dtype=jnp.int32)
    some = fit_clusters(key, members[rows], there, min(number, size), max_steps)
    centers = some.centers
    points = Dense(members)
    counts = counts & points.finite()
    frame, scale = points.frame(counts)
    placed = rewritten(Dense.placed, points, counts, frame)
    filled = jax.ops.segment_sum(there.astype(jnp.int32), some.assigned, number) > 0
    squared, groups = nearest_center(placed, Dense(centers).placed(frame), filled)
    groups = jnp.where(counts & (groups >= 0), groups, number)
    squared = jnp.where(groups < number, squared * scale * scale, jnp.inf)
    return (centers, groups, squared), None


@entry.checked(
    key=entry.key,
    tree=entry.instance(ClusterTree),
    available=entry.mask,
    budget=entry.budget,
)
@partial(jax.jit, static_argnames="budget")
def hierarchical_sampling(
    key: jax.Array, tree: ClusterTree, available: jax.Array, budget: int
) -> Selection:
    """A balanced sample of a tree of clusters: the budget is shared equally, from the top down.

    Each cluster shares what it has among those inside it, in equal parts; what one has too few rows
    for goes to the others, in equal parts again. Where parts cannot be equal, who has one more is
    drawn. Inside the finest clusters rows are drawn uniformly.

    Time O(N log N), in sorts, for which devices gather N numbers.

    Args:
      key: PRNG key, consumed.
      tree: of `hierarchical_k_means`, or made of other clusters.
      available: [N] bool, rows that may be drawn.
      budget: how many rows, 1 to N.

    Returns:
      `Selection` in random order, with scores 0. Rows of no cluster are drawn once all others are.

    Raises:
      TypeError: if the tree or the mask is none, or the budget is not an integer.
      ValueError: if the tree is of another number of rows, or the budget is outside 1 to N.

    References:
      Vo et al., "Automatic data curation for self-supervised learning: a clustering-based
      approach", TMLR 2024.

    Example:

    >>> tree = ClusterTree((jnp.zeros((3, 1)),), (jnp.array([0, 0, 0, 0, 1, 2]),))
    >>> rows = hierarchical_sampling(jax.random.key(0), tree, jnp.ones(6, bool), 4).rows
    >>> jnp.bincount(tree.assigned[0][rows]).tolist()
    [2, 1, 1]
    """
    leaf = tree.assigned[0]
    check_rows(tree=leaf, available=available)
    check_budget(budget, len(available))
    capacity = [_sums(available.astype(jnp.int32), leaf, len(tree.centers[0]))]
    for groups, centers in zip(tree.assigned[1:], tree.centers[1:], strict=True):
        capacity.append(_sums(capacity[-1], groups, len(centers)))
    inside, order, *keys = jax.random.split(key, 2 + len(capacity))
    # All clusters of the top level have one parent.
    share, parents = jnp.full(1, budget, jnp.int32), jnp.zeros(len(capacity[-1]), jnp.int32)
    for level in reversed(range(len(capacity))):
        noise = jax.random.uniform(keys[level], capacity[level].shape)
        share = _shares(share, parents, capacity[level], noise)
        parents = tree.assigned[level]
    noise = jax.random.uniform(inside, leaf.shape)
    has_leaf = available & (leaf < len(share))
    place = places_in_groups(noise, jnp.minimum(leaf, len(share)), has_leaf)
    drawn = has_leaf & (place < share.at[leaf].get(mode="fill", fill_value=0))
    turn = jax.random.uniform(order, leaf.shape) + drawn  # drawn ones before those of no cluster
    rows = take_top(turn, drawn | (available & ~has_leaf), budget).rows
    return Selection(rows, jnp.where(rows >= 0, 0.0, -jnp.inf).astype(jnp.float32))


def _sums(values: jax.Array, groups: jax.Array, number: int) -> jax.Array:
    """Sums [G] of integers by group; what is of none is left out."""
    return jax.ops.segment_sum(values, groups, number)


def _shares(
    total: jax.Array, parents: jax.Array, capacity: jax.Array, noise: jax.Array
) -> jax.Array:
    """Equal shares of what each parent has, none above its capacity, [K] int32.

    Args:
      total: [P] int32.
      parents: [K] int32; P for none.
      capacity: [K] int32, 0 where there is no parent.
      noise: [K], who gets one more where shares cannot be equal.
    """
    number = len(total)

    def of_parent(values: jax.Array) -> jax.Array:
        return values.at[parents].get(mode="fill", fill_value=0)

    def halve(_, ends):
        # The most that every child can have, if there is enough in it: between low and high.
        low, high = ends
        middle = low + (high - low + 1) // 2
        fits = _sums(jnp.minimum(capacity, of_parent(middle)), parents, number) <= total
        return jnp.where(fits, middle, low), jnp.where(fits, high, middle - 1)

    low, _ = jax.lax.fori_loop(0, 32, halve, (jnp.zeros_like(total), total))
    equal = jnp.minimum(capacity, of_parent(low))
    left = total - _sums(equal, parents, number)
    wants = capacity > equal
    place = places_in_groups(noise, jnp.minimum(parents, number), wants)
    return equal + (wants & (place < of_parent(left)))
