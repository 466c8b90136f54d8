"""Greedy k-center (core-set selection), exact, on the block-lazy engine."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import PyTree, Selection
from jaxal.checks import check_budget, check_integer, check_rank, check_rows
from jaxal.greedy.farthest_first import farthest_first
from jaxal.greedy.inside import Rule
from jaxal.greedy.lazy import LazyState, lazy_greedy
from jaxal.greedy.take import priority
from jaxal.numerics import rarely
from jaxal.points.distances import DIFFERENCES, fold_nearest, rounding_slack
from jaxal.points.embedding import Embedding, Points, as_embedding, check_alike, check_points
from jaxal.points.placed import Placed
from jaxal.rows import best_row, index_of, row_at, set_rows

TRUSTED = 1e3  # times the rounding slack: squared distances above that have three right digits
SLOTS = 256  # centers that are looked up at a time


class Covering(NamedTuple):
    """The centers given, in use first, and after them the picks: one list of slots."""

    points: Embedding  # N
    centers: Embedding  # M
    usable: jax.Array  # [N] bool
    index: jax.Array  # [M], of the centers in use
    num_centers: jax.Array  # [], how many of these
    picked: jax.Array  # [B] rows

    def take(self, slots: jax.Array) -> tuple[Embedding, jax.Array]:
        """The points at some slots, and which of these count, [columns] bool."""
        given = slots < self.num_centers
        centers = self.centers.take(set_rows(self.index, slots))
        rows = self.picked.at[slots - self.num_centers].get(mode="clip")
        picks = self.points.take(rows).masked(self.usable[rows])

        def choose(center, pick):
            mask = given.reshape(-1, *[1] * (center.ndim - 1))
            return jnp.where(mask, center, pick)

        return jax.tree.map(choose, centers, picks), given | self.usable[rows]


class KCenterState(NamedTuple):
    """Squared distances of the pool to the nearest center, and what is needed to check them."""

    covering: Covering  # as given, for differences
    frame: PyTree  # where products are made
    scale: jax.Array  # []
    squared: jax.Array  # [N], or an upper bound of it once `precise`; -inf where not usable
    slack: jax.Array  # [N], how much more than by product a squared distance may be
    available: jax.Array  # [N] bool, before any pick
    folded: jax.Array  # [] slots of the covering that the distances know of
    precise: jax.Array  # [] bool, set once rounding could change a pick, never reset

    @property
    def placed(self) -> Placed:
        """The points for products."""
        return Placed(self.covering.points, self.covering.usable, self.frame)


class KCenterBlock(NamedTuple):
    """The same of the rows of a block."""

    squared: jax.Array  # [Q]
    between: jax.Array  # [Q, Q]
    floor: jax.Array  # [Q], squared distances below that are doubtful


def _refresh(state: KCenterState, rows: jax.Array, count: jax.Array) -> KCenterState:
    """Folds in the centers, or the picks of the last pass."""
    covering = state.covering._replace(picked=rows)
    end = covering.num_centers + count
    # A bound must not be too low where distances are measured again.
    added = jnp.where(state.precise, state.slack, 0.0)

    def fold(carry):
        slot, squared = carry
        some, counts = covering.take(slot + jnp.arange(SLOTS, dtype=jnp.int32))
        squared = state.placed.fold_centers(
            squared,
            some.placed(state.frame),
            counts,
            end=jnp.minimum(end - slot, SLOTS),
            added=added,
        )
        return slot + SLOTS, squared

    start = state.folded, state.squared
    _, squared = jax.lax.while_loop(lambda carry: carry[0] < end, fold, start)
    # If the largest distance left is so small that the product may have its digits wrong, all
    # distances become bounds, and those of blocks are measured by differences from here on.
    row = best_row(priority(squared, state.available))
    farthest, slack = row_at((squared, state.slack), row)
    doubtful = farthest < TRUSTED * slack
    squared += jnp.where(doubtful & ~state.precise, state.slack, 0.0)
    return state._replace(
        covering=covering,
        squared=squared,
        folded=end,
        precise=state.precise | doubtful,
    )


def _load_block(state: KCenterState, rows: jax.Array) -> KCenterBlock:
    def plain(state: KCenterState, rows: jax.Array):
        placed = state.placed.take(rows)
        return state.squared[rows], placed.squared_distance(placed)

    def refined(state: KCenterState, rows: jax.Array):
        exact = state.covering
        block = exact.points.take(rows).masked(exact.usable[rows])

        def by_difference(slots):
            some, counts = exact.take(slots)
            return jnp.where(counts[None, :], block.difference(some, state.scale), jnp.inf)

        # Measured again, a row may only fall.
        nearest = fold_nearest(by_difference, 0, state.folded, state.squared[rows], DIFFERENCES)
        return nearest, block.difference(block, state.scale)

    if state.placed.take(rows).product_error is None:
        nearest, between = plain(state, rows)
        return KCenterBlock(nearest, between, jnp.zeros_like(nearest))
    nearest, between = rarely(state.precise, refined, plain, state, rows)
    floor = jnp.where(state.precise, 0.0, TRUSTED * state.slack[rows])
    return KCenterBlock(nearest, between, floor)


def _pick(block: KCenterBlock, position: jax.Array) -> KCenterBlock:
    return block._replace(squared=jnp.minimum(block.squared, block.between[position]))


def _is_exact(block: KCenterBlock, position: jax.Array) -> jax.Array:
    # Of rows below 0, which hold no numbers, nothing is doubtful.
    squared = block.squared[position]
    return (squared >= block.floor[position]) | (squared < 0)


def _by_kernel(block: KCenterBlock, *given):
    nearest, *rest = farthest_first(block.squared, block.between, block.floor, *given)
    return block._replace(squared=nearest), *rest


def _flush(state: KCenterState, block: KCenterBlock, rows: jax.Array) -> KCenterState:
    # By product the next fold finds the same; by differences it could only find worse bounds.
    measured = jnp.where(state.precise, block.squared, jnp.inf)
    return state._replace(squared=state.squared.at[rows].min(measured))


RULE = Rule(
    bounds=lambda state: state.squared,
    load_block=_load_block,
    scores=lambda block: block.squared,
    pick=_pick,
    flush=_flush,
    is_exact=_is_exact,
    refresh=_refresh,
    by_kernel=_by_kernel,
)


@entry.checked(
    features=check_points,
    available=entry.mask,
    budget=entry.budget,
    centers=check_points,
    center_mask=entry.mask,
    block_size=entry.integer(1),
)
@partial(jax.jit, static_argnames=("budget", "block_size"))
def k_center(
    features: Points,
    available: jax.Array,
    budget: int,
    *,
    centers: Points | None = None,
    center_mask: jax.Array | None = None,
    block_size: int = 256,
) -> Selection:
    """Greedy k-center: repeatedly selects the row farthest from all centers and earlier picks.

    Greedy 2-approximation of the k-center problem, ties to the lowest row; the first pick without
    any center is the lowest row. Time O(N D (M + B)) as matrix products, with about B / block_size
    to 3 B / block_size passes over the pool in place of B; memory O(N + block_size^2) above the
    points, which no pass copies: floats of 16 bits are taken as float32 a tile at a time. Where
    points are so close together that the products round away their differences (below about a tenth
    of their distance from the mean), the candidates of a block are measured again by differences,
    if the points have coordinates.

    Args:
      features: [N, D], or any `Embedding` of N rows.
      available: [N] bool.
      budget: how many rows, 1 to N.
      centers: [M, D], or an `Embedding` of the points' kind, covered already (the labelled
        examples).
      center_mask: [M] bool, which of them count; all if not given. Only these cost time.
      block_size: rows examined in a pass.

    Returns:
      `Selection`; a score is the distance to the nearest center when the row was picked. Rows with
      a NaN or an infinity come last, with scores -inf, and such centers do not count.

    Raises:
      TypeError: if an array or a mask is none, or the budget or block_size is not an integer.
      ValueError: if shapes disagree, the budget is outside 1 to N or block_size below 1.

    References:
      Sener and Savarese, "Active learning for convolutional neural networks: a core-set approach",
      ICLR 2018, algorithm 1. Gonzalez, "Clustering to minimize the maximum intercluster distance",
      1985.

    Example:

    >>> points = jnp.array([[0.0], [1.0], [5.0], [9.0]])
    >>> k_center(points, jnp.ones(4, bool), 2, centers=points[:1]).rows.tolist()
    [3, 2]
    """
    return _k_center(features, available, budget, centers, center_mask, block_size)[0]


def _k_center(
    points, available, budget, centers, center_mask, block_size
) -> tuple[Selection, LazyState]:
    state = uncovered(points, available, budget, centers, center_mask)
    selection, lazy = lazy_greedy(
        RULE, state, available, budget, block_size=block_rows(block_size, budget)
    )
    return as_distances(selection, state.scale), lazy


def block_rows(block_size: int, budget: int) -> int:
    """How many rows a pass examines."""
    check_integer(1, block_size=block_size)
    return min(block_size, max(16, 2 * budget))


def as_distances(selection: Selection, scale: jax.Array) -> Selection:
    """The picks with distances as their scores, from squared ones in the frame."""
    scores = jnp.sqrt(jnp.maximum(selection.scores, 0.0)).astype(scale.dtype) * scale
    scores = jnp.where(selection.scores < 0, -jnp.inf, scores)
    return selection._replace(scores=scores.astype(jnp.float32))


def as_embeddings(points: Points, centers: Points | None) -> tuple[Embedding, Embedding | None]:
    """Both as points; floats of fewer bits stay as they are where both are of one type."""
    alike = centers is None or getattr(centers, "dtype", None) == getattr(points, "dtype", None)
    points = as_embedding("features", points, narrow=alike)
    return points, None if centers is None else as_embedding("centers", centers, narrow=alike)


def no_center(points: Embedding) -> Embedding:
    """A point that stands where centers would, and does not count."""
    return points.take(jnp.zeros(1, jnp.int32))


def uncovered(
    points: Points,
    available: jax.Array,
    budget: int,
    centers: Points | None,
    center_mask: jax.Array | None,
) -> KCenterState:
    """The state before any pass, of the arguments of `k_center`, which it checks."""
    points, centers = as_embeddings(points, centers)
    check_rank("available", available, 1, "[N]")
    check_rows(features=points.squared_norm(), available=available)
    check_budget(budget, points.size)
    if centers is None:
        centers, center_mask = no_center(points), jnp.zeros(1, bool)
    check_alike("centers", points, centers)
    if center_mask is None:
        center_mask = jnp.ones(centers.size, bool)
    check_rows(centers=centers.squared_norm(), center_mask=center_mask)
    return _start(points, available, budget, centers, center_mask)


def _start(
    points: Embedding,
    available: jax.Array,
    budget: int,
    centers: Embedding,
    center_mask: jax.Array,
) -> KCenterState:
    usable = points.finite()
    frame, scale = points.frame(available & usable)
    center_mask &= centers.finite()
    covering = Covering(
        points,
        centers,
        usable,
        index=index_of(center_mask),
        num_centers=jnp.sum(center_mask, dtype=jnp.int32),
        picked=jnp.zeros(budget, jnp.int32),
    )
    slack = rounding_slack(Placed(points, usable, frame).everything())
    return KCenterState(
        covering=covering,
        frame=frame,
        scale=scale,
        squared=jnp.where(usable, jnp.inf, -jnp.inf).astype(slack.dtype),
        slack=slack,
        available=available,
        folded=jnp.int32(0),
        precise=jnp.bool_(False),
    )
