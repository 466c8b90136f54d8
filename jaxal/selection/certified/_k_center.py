"""Greedy k-center from a compressed pool: the picks of the rule on the features themselves."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxal import entry
from jaxal.base import Selection
from jaxal.greedy.inside import Picks, Rule, pick_inside
from jaxal.greedy.lazy import highest_bounds
from jaxal.numerics import power_of_two
from jaxal.points.distances import COLUMNS, DIFFERENCES, TILE, fold_nearest
from jaxal.points.embedding import Dense
from jaxal.pools import devices
from jaxal.pools.compression import CompressedPool, squared_to
from jaxal.rows import in_tiles, largest, rows_over
from jaxal.selection.certified.checks import check_pool


class Bounds(NamedTuple):
    """What is known of the pool between two passes."""

    upper: jax.Array  # [N] no row is farther from its nearest center, in units
    available: jax.Array  # [N] bool, and not picked
    centers: jax.Array  # [M + B, D] the centers given, then the picks, less the offset, in units
    picks: Picks
    unit: jax.Array  # [] a power of two, by which squares neither overflow nor underflow

    def selection(self) -> Selection:
        """The picks so far, with distances as they are."""
        return Selection(self.picks.rows, self.picks.scores * self.unit)


class Block(NamedTuple):
    """Exact distances of the rows that were read."""

    nearest: jax.Array  # [Q] squared, to the nearest center
    between: jax.Array  # [Q, Q] squared


RULE = Rule(
    bounds=lambda bounds: bounds.upper,
    load_block=lambda bounds, rows: rows,
    scores=lambda block: jnp.sqrt(block.nearest),
    pick=lambda block, place: block._replace(
        nearest=jnp.minimum(block.nearest, block.between[place])
    ),
    flush=lambda bounds, block, rows: bounds,
)


@entry.checked(available=entry.mask, budget=entry.budget, block_size=entry.integer(1))
def k_center(
    pool: CompressedPool,
    available: jax.Array,
    budget: int,
    *,
    centers: Any = None,
    block_size: int = 1024,
    advance: Callable[[int], None] | None = None,
) -> Selection:
    """`selection.k_center` of features that do not fit on the devices: exact greedy k-center.

    The picks are the same but where two rows are equally far to within rounding: distances here
    are by differences, there by products for as long as these are exact to some digits.

    A pass takes the Q rows of the highest bounds, reads them, and picks among them by their exact
    distances for as long as the farthest is at least as far as any row outside can be. Then the
    bounds are brought up to date by matrix products of the codes with what was picked. O(N D (M +
    B)) time as products, and Q rows read a pass; how many passes there are depends on how close the
    highest bounds lie (18 for 1,000 of 10^6 rows of 64 features in clusters, at Q = 1,024). Memory
    is the codes, a few numbers a row, and O(Q (Q + D)).

    Args:
      pool: from `pools.compress`.
      available: [N] bool; the rows of the source, or of the pool with its padding.
      budget: how many rows, 1 to N.
      centers: [M, D] features covered already, of the labelled rows.
      block_size: Q, rows read in a pass.
      advance: is told after each pass how many rows are picked.

    Returns:
      `Selection`; a score is the distance to the nearest center when the row was picked.

    Raises:
      TypeError: no compressed pool, a mask that is not bool, a number that is not an integer.
      ValueError: shapes that disagree, a budget outside 1 to N, a block_size below 1, or centers
        with a NaN or an infinity.
    """
    bounds, picks = begin(pool, available, budget, centers)
    while int(bounds.picks.count) < picks:
        bounds = one_pass(pool, bounds, block_size)
        if advance is not None:
            advance(int(bounds.picks.count))
    return bounds.selection()


def begin(pool: Any, available: Any, budget: int, centers: Any) -> tuple[Bounds, int]:
    """The bounds before any pick, of the centers given, and how many picks there will be.

    Arguments are those of `k_center`, and checked.
    """
    check_pool(pool, available, budget)
    bounds = _start(pool, available, budget, centers)
    return bounds, min(budget, int(jnp.sum(bounds.available)))


def one_pass(pool: CompressedPool, bounds: Bounds, block_size: int) -> Bounds:
    """Reads the rows of the highest bounds, and picks among them."""
    block_size = min(block_size, len(pool.sources.value) - 1) or 1
    block, limit, limit_row = _farthest(pool, bounds, block_size)
    return _one_pass(pool, bounds, block, pool.read(block), limit, limit_row)


def _start(pool: CompressedPool, available: Any, budget: int, centers: Any) -> Bounds:
    """The bounds before any pick, of the centers given."""
    width = len(pool.scale)
    given = np.zeros((0, width)) if centers is None else np.asarray(centers)
    if given.shape[1:] != (width,):
        raise ValueError(f"centers: expected [M, {width}], got {given.shape}")
    if not np.isfinite(given).all():
        raise ValueError("centers: expected finite numbers, got NaN or inf")
    whole = devices.replicate(given.astype(np.float32), pool.mesh) - pool.offset[None, :]
    return _empty(pool, available, whole, budget)


@partial(jax.jit, static_argnames="budget")
def _empty(pool: CompressedPool, available, given, budget) -> Bounds:
    room = jnp.zeros((budget, given.shape[1]), given.dtype)
    sizes = jnp.max(jnp.abs(pool.codes.astype(jnp.float32) * pool.scale[None, :]), axis=1)
    unit = power_of_two(largest(jnp.where(pool.valid, sizes + pool.error, 0.0)))
    given = given / unit
    picks = Picks(
        jnp.full(budget, -1, jnp.int32), jnp.full(budget, -jnp.inf, jnp.float32), jnp.int32(0)
    )
    bounds = Bounds(
        devices.share_rows(jnp.full(len(pool), jnp.inf, jnp.float32), pool.mesh),
        pool.by_row(available) & pool.valid,
        jnp.concatenate([given, room]),
        picks,
        unit,
    )
    if not len(given):
        return bounds
    return bounds._replace(upper=_lowered(pool, bounds.upper, given, len(given), unit))


@partial(jax.jit, static_argnames="block_size")
def _farthest(
    pool: CompressedPool, bounds: Bounds, block_size: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    with rows_over(pool.mesh):
        return highest_bounds(bounds.upper, bounds.available, block_size)


@partial(jax.jit, donate_argnums=1)
def _one_pass(pool: CompressedPool, bounds: Bounds, rows, exact, limit, limit_row) -> Bounds:
    """Picks among the rows that were read, and lowers the bounds of all by what was picked."""
    before, budget = bounds.picks, len(bounds.picks.rows)
    given = len(bounds.centers) - budget

    exact = exact / bounds.unit
    points, unit = Dense(exact), jnp.float32(1)

    def to_centers(slots):
        return points.difference(Dense(bounds.centers[slots]), unit)

    def to_block(one):
        return points.difference(Dense(one[None]), unit)[:, 0]

    start = jnp.full(len(rows), jnp.inf, jnp.float32)
    nearest = fold_nearest(to_centers, 0, given + before.count, start, DIFFERENCES)
    block = Block(nearest, jax.lax.map(to_block, exact, batch_size=DIFFERENCES))
    free = bounds.available[rows]
    _, still_free, picks, _ = pick_inside(RULE, block, rows, free, (limit, limit_row), before)
    # The rows that were picked, among those that were read, in the order picked.
    slots = before.count + jnp.arange(len(rows), dtype=jnp.int32)
    new = picks.rows.at[slots].get(mode="fill", fill_value=-1)
    used = new >= 0
    places = jnp.searchsorted(rows, new)  # those that were read are in order
    chosen = jnp.where(used[:, None], exact[places], 0.0)
    # A row that was read is known exactly, so that a pass never ends as it began.
    upper = bounds.upper.at[rows].min(jnp.sqrt(nearest))
    return Bounds(
        _lowered(pool, upper, chosen, picks.count - before.count, bounds.unit),
        bounds.available.at[rows].set(still_free),
        bounds.centers.at[jnp.where(used, given + slots, len(bounds.centers))].set(chosen),
        picks,
        bounds.unit,
    )


def _lowered(pool: CompressedPool, upper, centers, num, unit) -> jax.Array:
    """The bounds [N] once the first `num` [] of these centers [M, D] count; others cost nothing."""
    columns = min(COLUMNS, len(centers))
    places, in_units = jnp.arange(columns, dtype=jnp.int32), pool.scale / unit

    def lower(rows, scale, some, used):
        codes, error, upper = rows
        squared = jnp.where(used[None, :], squared_to(codes, scale, some), jnp.inf)
        return jnp.minimum(upper, jnp.sqrt(jnp.min(squared, axis=1)) + error)

    def body(carry):
        start, upper = carry
        slots = start + places
        some = centers.at[slots].get(mode="fill", fill_value=0.0)
        rows = (pool.codes, pool.error / unit, upper)
        upper = in_tiles(lower, rows, TILE // COLUMNS, in_units, some, slots < num)
        return start + columns, upper

    with rows_over(pool.mesh):
        start = (jnp.int32(0), upper)
        return jax.lax.while_loop(lambda carry: carry[0] < num, body, start)[1]
