"""Greedy k-center (core-set selection), exact, on the block-lazy engine."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.base import Selection
from jaxal.checks import check_budget, check_positive, check_rank, check_rows
from jaxal.greedy.lazy import LazyState, Rule, lazy_greedy
from jaxal.greedy.take import priority
from jaxal.points import distances
from jaxal.points.embedding import Dense

TRUSTED = 1e3  # times the rounding slack: squared distances above that have three right digits


class KCenterState(NamedTuple):
    """Squared distances of the pool to the nearest center, and what is needed to check them."""

    features: jax.Array  # [N, D], scaled, for differences
    points: jax.Array  # [N, D], centred too, for products
    squared: jax.Array  # [N], as computed
    slack: jax.Array  # [N], how much larger the true one may be
    available: jax.Array  # [N] bool, before any pick
    centers: jax.Array  # [M, D], as the features
    center_order: jax.Array  # [M], the usable ones first
    num_centers: jax.Array  # []
    picked: jax.Array  # [B] rows
    count: jax.Array  # []
    precise: jax.Array  # [] bool, whether rounding could decide: never switched off again


class KCenterBlock(NamedTuple):
    """The same of the rows of a block."""

    squared: jax.Array  # [Q]
    between: jax.Array  # [Q, Q]
    floor: jax.Array  # [Q], squared distances below that are doubtful


def _is_doubtful(state: KCenterState) -> jax.Array:
    """Whether the largest distance left is so small that the product may have its digits wrong."""
    row = jnp.argmax(priority(state.squared, state.available))
    return state.squared[row] < TRUSTED * distances.rounding_slack(state.points[row][None])[0]


def _load_block(state: KCenterState, rows: jax.Array) -> KCenterBlock:
    points = state.points[rows]

    def refined(_):
        exact = state.features[rows]
        to_centers = distances.fold_difference(
            exact, state.centers, state.center_order, state.num_centers
        )
        to_picked = distances.fold_difference(exact, state.features, state.picked, state.count)
        nearest = jnp.minimum(to_centers, to_picked)
        return KCenterBlock(nearest, distances.pairwise_difference(exact), jnp.zeros_like(nearest))

    def plain(_):
        dense = Dense(points)
        floor = TRUSTED * distances.rounding_slack(points)
        return KCenterBlock(state.squared[rows], dense.squared_distance(dense), floor)

    return jax.lax.cond(state.precise, refined, plain, None)


def _pick(block: KCenterBlock, position: jax.Array) -> KCenterBlock:
    squared = jnp.minimum(block.squared, block.between[position])
    return block._replace(squared=squared.at[position].set(0.0))


def _flush(
    state: KCenterState,
    block: KCenterBlock,
    rows: jax.Array,
    positions: jax.Array,
    count: jax.Array,
) -> KCenterState:
    picked = rows[positions]
    slots = jnp.arange(len(rows))
    fresh = distances.fold_product(state.points, state.points, picked, count)
    slack = distances.rounding_slack(state.points)
    nearer = fresh + slack < state.squared + state.slack
    squared = jnp.where(nearer, fresh, state.squared)
    slack = jnp.where(nearer, slack, state.slack)
    # Measured again, a row may round otherwise in another place of a block: it may only fall, or two
    # rows could send each other out of the block for ever.
    again = jnp.where(slack[rows] > 0, block.squared, jnp.minimum(squared[rows], block.squared))
    # Updates that do not apply point past the end, where they are dropped.
    known = jnp.where(state.precise, rows, len(squared))
    done = jnp.where(slots < count, picked, len(squared))
    target = jnp.where(slots < count, state.count + slots, len(state.picked))
    state = state._replace(
        squared=squared.at[known].set(again).at[done].set(0.0),
        slack=slack.at[known].set(0.0),
        picked=state.picked.at[target].set(picked),
        count=state.count + count,
    )
    return state._replace(precise=state.precise | _is_doubtful(state))


RULE = Rule(
    bounds=lambda state: state.squared + jnp.where(state.precise, state.slack, 0.0),
    load_block=_load_block,
    scores=lambda block: block.squared,
    pick=_pick,
    flush=_flush,
    is_exact=lambda block, at: ~(block.squared[at] < block.floor[at]),
)


@partial(jax.jit, static_argnames=("budget", "block_size"))
def k_center(
    features: jax.Array,
    available: jax.Array,
    budget: int,
    *,
    centers: jax.Array | None = None,
    center_mask: jax.Array | None = None,
    block_size: int = 256,
) -> Selection:
    """Picks, again and again, the available row farthest from all centers and earlier picks.

    Greedy 2-approximation of the k-center problem, ties to the lowest row; the first pick without any
    center is the lowest row. Time O(N D (M + B)) as matrix products, with about B / block_size to
    3 B / block_size passes over the pool in place of B; memory O(block_size^2) and two copies of the features.
    Where points are so close together that the products round away their differences (below about a
    tenth of their distance from the mean), the candidates of a block are measured again by differences.

    Args:
      features: [N, D].
      available: [N] bool.
      budget: how many rows, 1 to N.
      centers: [M, D], covered already (the labelled examples).
      center_mask: [M] bool, which of them count; all if not given. Only these cost time.
      block_size: candidates examined in a pass.

    Returns:
      `Selection`; a score is the distance to the nearest center when the row was picked.

    Raises:
      ValueError: if shapes disagree or the budget is outside 1 to N.

    References:
      Sener and Savarese, "Active learning for convolutional neural networks: a core-set approach",
      ICLR 2018, algorithm 1. Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985.

    >>> points = jnp.array([[0.0], [1.0], [5.0], [9.0]])
    >>> k_center(points, jnp.ones(4, bool), 2, centers=points[:1]).rows.tolist()
    [3, 2]
    """
    return _k_center(features, available, budget, centers, center_mask, block_size)[0]


def _k_center(
    features, available, budget, centers, center_mask, block_size
) -> tuple[Selection, LazyState]:
    check_rank("features", features, 2, "[N, D]")
    check_rank("available", available, 1, "[N]")
    check_rows(features=features, available=available)
    check_budget(budget, features.shape[0])
    check_positive(block_size=block_size)
    if centers is None:
        centers, center_mask = features[:1], jnp.zeros(1, bool)
    check_rank("centers", centers, 2, "[M, D]")
    if centers.shape[1] != features.shape[1]:
        raise ValueError(f"centers: expected {features.shape[1]} features, got {centers.shape[1]}")
    if center_mask is None:
        center_mask = jnp.ones(len(centers), bool)
    check_rows(centers=centers, center_mask=center_mask)
    features, centers = features.astype(float), centers.astype(float)
    usable = jnp.all(jnp.isfinite(features), axis=-1, keepdims=True)
    features = jnp.where(usable, features, jnp.nan)
    origin, scale = distances.centred(features, available)
    features, centers, origin = features / scale, centers / scale, origin / scale
    points, order, num_centers = (
        features - origin,
        jnp.argsort(~center_mask),
        jnp.sum(center_mask),
    )
    state = KCenterState(
        features=features,
        points=points,
        squared=distances.fold_product(points, centers - origin, order, num_centers),
        slack=distances.rounding_slack(points),
        available=available,
        centers=centers,
        center_order=order,
        num_centers=num_centers,
        picked=jnp.zeros(budget, jnp.int32),
        count=jnp.int32(0),
        precise=jnp.bool_(False),
    )
    state = state._replace(precise=_is_doubtful(state))
    selection, progress = lazy_greedy(
        RULE, state, available, budget, block_size=min(block_size, max(16, 2 * budget))
    )
    return selection._replace(scores=jnp.sqrt(selection.scores) * scale), progress
