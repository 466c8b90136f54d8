"""SemDeDup: of rows that mean nearly the same, the first."""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.checks import check_integer, check_rows, is_traced
from jaxal.curation._clusters import k_means_clusters
from jaxal.numerics import inner_products, unit_rows
from jaxal.rows import in_blocks
from jaxal.selection import _rows

BLOCK = 256  # rows that are compared with as many at once


class Deduplicated(NamedTuple):
    """Which rows are kept, and which kept row stands for each."""

    keep: jax.Array  # [N] bool
    kept_as: jax.Array  # [N] int32, the row itself where kept; -1 where not available


def _threshold(name: str, value: Any) -> None:
    """A cosine: a number from -1 to 1."""
    entry.finite(name, value)
    if not is_traced(value) and not -1 <= value <= 1:
        raise ValueError(f"{name}: expected a cosine from -1 to 1, got {value!r}")


@entry.checked(
    key=entry.key,
    features=entry.matrix("[N, D]"),
    available=entry.mask,
    threshold=_threshold,
    num_clusters=entry.integer(1),
    clusters=_rows.clusters,
)
def semdedup(
    key: jax.Array,
    features: jax.Array,
    available: jax.Array,
    *,
    threshold: float | jax.Array = 0.95,
    num_clusters: int | None = None,
    clusters: jax.Array | None = None,
) -> Deduplicated:
    """SemDeDup: drops rows that are nearly copies of an earlier one in their cluster.

    Inside each cluster, in the order of rows, a row is dropped if its cosine to a kept earlier row
    is above the threshold. So kept rows of a cluster are at most that alike, and the result does
    not depend on anything random but the clusters. Copies that lie in different clusters stay.

    Time O(N S D) for clusters of S rows as products of blocks of 256 rows, and that of
    `k_means_clusters`; memory three copies of the features, and no [N, N] array. Clusters may
    differ in size. Under `jaxal.rows.rows_over`, devices share the rows in k-means; each of them
    then compares the rows of all clusters.

    Args:
      key: PRNG key, consumed by k-means.
      features: [N, D]; lengths do not matter.
      available: [N] bool. Other rows are neither kept nor compared.
      threshold: a cosine, from -1 to 1; the paper's 1 - epsilon.
      num_clusters: of k-means on features of unit length; the root of N, if not given.
      clusters: [N] integers from 0 to N - 1, in place of k-means: all 0 compares all rows, and
        finds every copy.

    Returns:
      `Deduplicated`: `keep`, and `kept_as`, for a dropped row the kept earlier row of its cluster
      that is most like it. Rows of zeros, and those that hold a NaN or an infinity, are like no
      other, and kept.

    Raises:
      TypeError: if an array or the mask is none, or a number has the wrong type.
      ValueError: if shapes disagree, a number or a cluster is out of range, or both clusters and
        their number are given.

    References:
      Abbas et al., "SemDeDup: data-efficient learning at web-scale through semantic
      deduplication", 2023, section 3.

    Example:

    >>> features = jnp.array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.1], [0.1, 3.0]])
    >>> found = semdedup(jax.random.key(0), features, jnp.ones(4, bool), num_clusters=1)
    >>> found.keep.tolist(), found.kept_as.tolist()
    ([True, True, False, False], [0, 1, 0, 1])
    """
    check_rows(features=features, available=available)
    total = len(available)
    if clusters is not None:
        if num_clusters is not None:
            raise ValueError("num_clusters: expected none where clusters are given")
        check_rows(features=features, clusters=clusters)
    elif num_clusters is None:
        num_clusters = max(1, math.isqrt(total))
    else:
        check_integer(1, num_clusters=num_clusters)
        if num_clusters > total:
            raise ValueError(f"num_clusters: expected 1 to {total} (the rows), got {num_clusters}")
    return _semdedup(key, features, available, threshold, num_clusters, clusters)


@partial(jax.jit, static_argnames="num_clusters")
def _semdedup(key, features, available, threshold, num_clusters, clusters) -> Deduplicated:
    features, available = jnp.asarray(features).astype(float), jnp.asarray(available)
    lengths = jnp.max(jnp.abs(features), axis=1)
    counts = available & (lengths > 0) & jnp.all(jnp.isfinite(features), axis=1)
    unit = unit_rows(jnp.where(counts[:, None], features, 0.0))
    if clusters is None:
        clusters = k_means_clusters(key, unit, counts, num_clusters).assigned
    rows = jnp.arange(len(unit), dtype=jnp.int32)
    group = jnp.where(counts, jnp.asarray(clusters).astype(jnp.int32), len(unit))
    order = jnp.argsort(group).astype(jnp.int32)  # stable: a cluster's rows in their order
    compared = group[order] < len(unit)
    keep, like = _first_of_alike(unit[order], group[order], compared, threshold)
    like = rows.at[order].set(order[like])
    keep = jnp.zeros_like(available).at[order].set(keep) & available
    return Deduplicated(keep, jnp.where(available, like, -1))


def _first_of_alike(
    unit: jax.Array, group: jax.Array, compared: jax.Array, threshold: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Which of rows sorted by cluster are kept [N], and the place of the one most like each [N].

    Args:
      unit: [N, D] of length 1, sorted by cluster.
      group: [N] int32, ascending.
      compared: [N] bool; other rows are kept.
      threshold: [] a cosine.
    """
    total = len(unit)
    size = min(BLOCK, total)
    points, groups, counts = in_blocks((unit, group, compared), size)
    places = jnp.arange(len(points) * size, dtype=jnp.int32).reshape(-1, size)
    # The block in which the cluster of a block's first row begins.
    begins = jnp.searchsorted(group, groups[:, 0]).astype(jnp.int32) // size
    earlier = jnp.arange(size)[None, :] < jnp.arange(size)[:, None]

    def alike(this: jax.Array, other: jax.Array, keep: jax.Array) -> jax.Array:
        """Cosines of the rows of two blocks, -inf where they are not above the threshold."""
        found = inner_products(points[this], points[other])
        same = groups[this][:, None] == groups[other][None, :]
        pair = same & counts[this][:, None] & (counts[other] & keep)[None, :]
        return jnp.where(pair & (found > threshold), found, -jnp.inf)

    def block(this: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        keep, like = carry

        def compare(other: jax.Array, best: tuple[jax.Array, jax.Array]):
            return _better(best, alike(this, other, keep[other]), places[other])

        none = jnp.full_like(points, -jnp.inf, shape=size), places[this]
        best = jax.lax.fori_loop(begins[this], this, compare, none)
        inside = jnp.where(earlier, alike(this, this, jnp.ones(size, bool)), -jnp.inf)
        own = _kept(best[0] == -jnp.inf, inside > -jnp.inf)
        best = _better(best, jnp.where(own[None, :], inside, -jnp.inf), places[this])
        return keep.at[this].set(own), like.at[this].set(jnp.where(own, places[this], best[1]))

    start = jnp.ones_like(counts), places
    keep, like = jax.lax.fori_loop(0, len(points), block, start)
    return keep.reshape(-1)[:total], like.reshape(-1)[:total]


def _better(
    best: tuple[jax.Array, jax.Array], found: jax.Array, places: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The largest cosine of each row so far, and the place that has it; ties to the earlier."""
    slot = jnp.argmax(found, axis=1)
    most = jnp.max(found, axis=1)
    above = most > best[0]
    return jnp.where(above, most, best[0]), jnp.where(above, places[slot], best[1])


def _kept(free: jax.Array, close: jax.Array) -> jax.Array:
    """Goes through the rows in order: one is kept if it is free and close to none that is.

    Args:
      free: [Q] bool.
      close: [Q, Q] bool, whether a row is close to an earlier one.
    """

    def step(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        kept, _ = carry
        again = free & ~jnp.any(close & kept[None, :], axis=1)
        return again, jnp.any(again != kept)

    # Each step is right of one row more at least, and of all once nothing changes.
    return jax.lax.while_loop(lambda carry: carry[1], step, (free, jnp.bool_(True)))[0]
