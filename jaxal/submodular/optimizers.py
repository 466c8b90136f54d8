"""The ways in which greedy finds its next row: among all, among stale gains, in a random sample."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.base import PyTree, Selection
from jaxal.greedy.inside import Rule
from jaxal.greedy.lazy import lazy_greedy
from jaxal.greedy.take import priority
from jaxal.rows import best_row, row_at, top_rows
from jaxal.submodular.costs import Knapsack
from jaxal.submodular.function import SetFunction, add_row, all_gains, gains_of, rows_at_once
from jaxal.threefry import short_key

REFRESHED = 16  # gains brought up to date at a time in a sample


class BoundsState(NamedTuple):
    """What a pass of block-lazy greedy hands the next."""

    state: PyTree  # of the function
    bounds: jax.Array  # [N], no gain is above its bound
    knapsack: Knapsack | None


class BlockState(NamedTuple):
    """The rows of a block, with their gains up to date."""

    state: PyTree  # of the function
    columns: PyTree  # leaves [Q, ...]
    gains: jax.Array  # [Q]
    knapsack: Knapsack | None  # of the block


def lazy_rule(function: SetFunction) -> Rule:
    """The gains of a function for `greedy.lazy`: stale ones are bounds, if it is submodular."""

    def gains(state, columns, bounds):
        # Computed again in a block of another shape, a gain may come out larger by rounding. The
        # bound of a row that is not usable is -inf.
        return jnp.minimum(function.gains(state, columns).astype(float), bounds)

    def load_block(lazy: BoundsState, rows):
        columns = function.columns(rows)
        fresh = gains(lazy.state, columns, lazy.bounds[rows])
        costs = None if lazy.knapsack is None else lazy.knapsack.take(rows)
        return BlockState(lazy.state, columns, fresh, costs)

    def pick(block: BlockState, position):
        column = jax.tree.map(lambda leaf: leaf[position], block.columns)
        state = function.add(block.state, column)
        fresh = gains(state, block.columns, block.gains)
        costs = None if block.knapsack is None else block.knapsack.spend(position)
        return BlockState(state, block.columns, fresh, costs)

    def flush(lazy: BoundsState, block: BlockState, rows):
        costs = lazy.knapsack
        if costs is not None and block.knapsack is not None:
            costs = costs._replace(left=block.knapsack.left)
        return BoundsState(block.state, lazy.bounds.at[rows].set(block.gains), costs)

    return Rule(
        bounds=lambda lazy: worth(lazy.bounds, lazy.knapsack),
        load_block=load_block,
        scores=lambda block: worth(block.gains, block.knapsack),
        pick=pick,
        flush=flush,
        feasible=lambda part: True if part.knapsack is None else part.knapsack.fits(),
    )


def lazy_start(function: SetFunction, budget: int, knapsack: Knapsack | None = None) -> BoundsState:
    """The state before any pick, with bounds of all gains."""
    state = function.init(budget)
    bounds = function.bounds()
    if bounds is None:
        bounds = all_gains(function, state)
    elif function.usable is not None:
        bounds = jnp.where(function.usable, bounds, -jnp.inf)
    return BoundsState(state, bounds, knapsack)


def block_lazy(
    function: SetFunction,
    available: jax.Array,
    budget: int,
    knapsack: Knapsack | None,
    block_size: int,
) -> tuple[Selection, jax.Array]:
    """Greedy by `greedy.lazy`: only gains whose stale value could still win are computed.

    Args:
      function: over N rows, submodular.
      available: [N] bool.
      budget: how many rows at most.
      knapsack: of N rows, if they have costs.
      block_size: rows whose gains are brought up to date at a time.

    Returns:
      `Selection`, and how many gains were computed by blocks, [].
    """
    block_size = min(block_size, rows_at_once(function))
    start = lazy_start(function, budget, knapsack)
    selection, end = lazy_greedy(
        lazy_rule(function), start, available, budget, block_size=block_size
    )
    if knapsack is not None:
        gained = selection.scores * jnp.where(
            selection.rows >= 0, knapsack.prices[selection.rows], 1.0
        )
        selection = selection._replace(scores=gained.astype(jnp.float32))
    return selection, end.passes * block_size


def worth(gains: jax.Array, knapsack: Knapsack | None) -> jax.Array:
    """What rows are compared by [N]: gains, or gains per cost."""
    return gains if knapsack is None else knapsack.per_price(gains)


class GreedyState(NamedTuple):
    """What a pick hands the next, where each is made by itself."""

    state: PyTree  # of the function
    available: jax.Array  # [N] bool, and fits
    knapsack: Knapsack | None
    rows: jax.Array  # [B] int32
    scores: jax.Array  # [B]
    bounds: jax.Array  # [N], no gain is above its bound
    count: jax.Array  # [] rows picked so far


Best = tuple[jax.Array, jax.Array, jax.Array]
"""A row [], its gain [] and the bounds [N]."""


def one_by_one(
    function: SetFunction,
    available: jax.Array,
    budget: int,
    knapsack: Knapsack | None,
    best: Callable[[SetFunction, GreedyState], Best],
) -> Selection:
    """Greedy with a search by `best` for every pick.

    Args:
      function: over N rows.
      available: [N] bool.
      budget: how many rows at most.
      knapsack: of N rows, if they have costs.
      best: finds the next row.

    Returns:
      `Selection`; rows are -1 past the last available one that fits.
    """

    def body(greedy: GreedyState) -> GreedyState:
        row, gain, bounds = best(function, greedy)
        available, costs = greedy.available.at[row].set(False), greedy.knapsack
        if costs is not None:
            costs = costs.spend(row)
            available &= costs.fits()
        return GreedyState(
            add_row(function, greedy.state, row),
            available,
            costs,
            greedy.rows.at[greedy.count].set(row),
            greedy.scores.at[greedy.count].set(gain),
            bounds,
            greedy.count + 1,
        )

    start = GreedyState(
        function.init(budget),
        available if knapsack is None else available & knapsack.fits(),
        knapsack,
        jnp.full(budget, -1, jnp.int32),
        jnp.full(budget, -jnp.inf),
        jnp.full(len(available), jnp.inf),
        jnp.int32(0),
    )
    end = jax.lax.while_loop(
        lambda greedy: (greedy.count < budget) & jnp.any(greedy.available), body, start
    )
    return Selection(end.rows, end.scores.astype(jnp.float32))


def best_of_all(function: SetFunction, greedy: GreedyState) -> Best:
    """The best available row, all N gains computed anew."""
    gains = all_gains(function, greedy.state)
    row = best_row(priority(worth(gains, greedy.knapsack), greedy.available))
    return row.astype(jnp.int32), row_at(gains, row), greedy.bounds


def _draw(greedy: GreedyState, key: jax.Array, sample: int) -> jax.Array:
    """Random rows [sample] in order, available ones as long as there are any."""
    uniform = jax.random.uniform(
        jax.random.fold_in(short_key(key), greedy.count), greedy.available.shape
    )
    ranked = jnp.where(greedy.available, uniform, -1.0)
    return jnp.sort(top_rows(ranked, sample)[1].astype(jnp.int32))


def best_of_sample(
    function: SetFunction, greedy: GreedyState, *, key: jax.Array, sample: int
) -> Best:
    """The best of `sample` random available rows."""
    rows = _draw(greedy, key, sample)
    gains = gains_of(function, greedy.state, rows)
    costs = None if greedy.knapsack is None else greedy.knapsack.take(rows)
    at = jnp.argmax(priority(worth(gains, costs), greedy.available[rows]))
    return rows[at], gains[at], greedy.bounds


def best_of_sample_lazily(
    function: SetFunction, greedy: GreedyState, *, key: jax.Array, sample: int
) -> Best:
    """The same row, computing only gains whose stale bound could still win."""
    rows = _draw(greedy, key, sample)
    free = greedy.available[rows]
    costs = None if greedy.knapsack is None else greedy.knapsack.take(rows)

    def best_is_stale(carry):
        bounds, fresh = carry
        return ~fresh[jnp.argmax(priority(worth(bounds, costs), free))]

    def refresh(carry):
        bounds, fresh = carry
        # The highest bounds that are stale: the best row is among them, or fresh already.
        ranked = priority(worth(bounds, costs), free & ~fresh)
        _, at = jax.lax.top_k(ranked, min(REFRESHED, sample))
        gains = jnp.minimum(gains_of(function, greedy.state, rows[at]), bounds[at])
        return bounds.at[at].set(gains), fresh.at[at].set(True)

    start = greedy.bounds[rows], jnp.zeros(sample, bool)
    bounds, _ = jax.lax.while_loop(best_is_stale, refresh, start)
    at = jnp.argmax(priority(worth(bounds, costs), free))
    return rows[at], bounds[at], greedy.bounds.at[rows].set(bounds)
