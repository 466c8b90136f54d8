"""Exact greedy selection with few passes over the pool, for any rule whose scores only shrink.

Plain greedy reads the whole pool once a pick. Here a pass takes the Q rows with the highest stale
scores, which are upper bounds, brings these up to date, and picks greedily among them for as long
as the best is at least the highest bound outside: nothing outside can beat it. Then the pool is
brought up to date with all that was picked. The picks, and their order, are those of plain greedy
(lowest row on ties); Minoux's lazy greedy (1978) is the case Q = 1.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxal.base import PyTree, Selection
from jaxal.greedy.take import priority
from jaxal.numerics import largest


class Rule(NamedTuple):
    """A greedy rule in incremental form; `State` and `Block` are pytrees of its own.

    Scores may only shrink as rows are picked. The scores of a block are exact, given all that was
    picked before: after `load_block` and `measure`, and after each `pick` and `measure`. `flush`
    takes what a block has learned into the state. A bound must not rise unless something was
    picked, not even by rounding, or passes could repeat without a pick.
    """

    bounds: Callable[[PyTree], jax.Array]  # State -> [N], no score is above its bound
    load_block: Callable[[PyTree, jax.Array], Any]  # (State, rows [Q]) -> Block
    scores: Callable[[Any], jax.Array]  # Block -> [Q]
    pick: Callable[[Any, jax.Array], Any]  # (Block, position []) -> Block
    # (State, Block, rows [Q], positions [Q] in the order picked, how many []) -> State
    flush: Callable[[PyTree, Any, jax.Array, jax.Array, jax.Array], PyTree]
    # (Block, position []) -> [] bool; False: that score is not exact enough to pick by, so the
    # pass ends before it and the next one makes it exact.
    is_exact: Callable[[Any, jax.Array], jax.Array | bool] = lambda block, position: True
    # State -> [N] bool, Block -> [Q] bool; an infeasible row is never picked any more.
    feasible: Callable[[Any], jax.Array | bool] = lambda state_or_block: True
    # Block -> Block; where scores cost more than a pick, they are computed here: compiled once.
    measure: Callable[[Any], Any] = lambda block: block
    # (State, rows [B] picked so far, how many []) -> State, at the start of a pass.
    refresh: Callable[[PyTree, jax.Array, jax.Array], PyTree] = lambda state, rows, num: state


class LazyState(NamedTuple):
    """What a pass over the pool hands the next."""

    state: PyTree
    available: jax.Array  # [N] bool, and not picked
    rows: jax.Array  # [B] int32
    scores: jax.Array  # [B]
    count: jax.Array  # [] rows picked so far
    passes: jax.Array  # [] passes over the pool so far
    idle: jax.Array  # [] passes since the last that picked a row


def highest_bounds(
    bounds: jax.Array, available: jax.Array, block_size: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The block of highest bounds in row order [Q], and the highest bound outside with its row."""
    if block_size == bounds.shape[0]:
        nothing = jnp.asarray(-jnp.inf, bounds.dtype)
        return jnp.arange(block_size, dtype=jnp.int32), nothing, jnp.int32(block_size)
    # `top_k` breaks ties by the lowest row, so no row outside ties with a block row below it.
    best, rows = jax.lax.top_k(priority(bounds, available), block_size + 1)
    return jnp.sort(rows[:-1]), best[-1], rows[-1]


def pick_inside(
    rule: Rule,
    block: Any,
    rows: jax.Array,
    available: jax.Array,
    outside: tuple[jax.Array, jax.Array],
    count: jax.Array,
    budget: int,
) -> tuple[Any, jax.Array, jax.Array, jax.Array]:
    """Greedy inside a block until a row outside could be better.

    Args:
      rule: the scores in incremental form.
      block: what the rule loaded of the rows.
      rows: [Q] int32 pool rows of the block, ascending.
      available: [Q] bool.
      outside: the highest bound outside the block [] and its row [].
      count: [] rows picked before.
      budget: how many in all, at most.

    Returns:
      The block; which pick took each row, `budget` for rows not picked [Q] int32; the scores at the
      pick [Q]; and how many are picked now [].
    """
    limit, limit_row = outside

    def best(block, order):
        free = available & (order == budget)
        ranked = priority(rule.scores(block), free & rule.feasible(block))
        # The rows are in order, so that `argmax` gives ties inside the block to the lowest row.
        position = jnp.argmax(ranked)
        # A tie with the bound outside goes to the lowest row too: the row outside may have that
        # score, and only a later pass can tell.
        ahead = ranked[position] > limit
        ahead |= (ranked[position] == limit) & (rows[position] < limit_row)
        # -inf: no row of the block is left.
        return position, ahead & (ranked[position] > -jnp.inf) & rule.is_exact(block, position)

    def goes_on(carry):
        _, _, _, count, wins = carry
        return wins & (count < budget)

    def body(carry):
        block, order, scores, count, _ = carry
        block = rule.measure(block)
        position, wins = best(block, order)
        # If nothing wins, the pass ends here, and its updates point past the end.
        slot = jnp.where(wins, position, len(rows))
        scores = scores.at[slot].set(rule.scores(block)[position])
        order = order.at[slot].set(count)
        block = jax.lax.cond(wins, lambda: rule.pick(block, position), lambda: block)
        return block, order, scores, count + wins.astype(count.dtype), wins

    order = jnp.full(rows.shape, budget, jnp.int32)
    start = (block, order, rule.scores(block), count, jnp.bool_(True))
    block, order, scores, count, _ = jax.lax.while_loop(goes_on, body, start)
    return block, order, scores, count


def lazy_greedy(
    rule: Rule, state: PyTree, available: jax.Array, budget: int, *, block_size: int
) -> tuple[Selection, LazyState]:
    """Selects `budget` rows greedily by `rule`, exactly, in as few passes as the bounds allow.

    A pass costs what the rule's functions cost, and O(N) to find the highest bounds. A rule that
    breaks its promise ends after N passes without a pick, with rows of -1.

    Args:
      rule: the scores in incremental form.
      state: the rule's state before any pick.
      available: [N] bool.
      budget: how many rows; -1 past the last available one that is feasible.
      block_size: Q, rows brought up to date in a pass. A larger block means fewer passes and more
        work in each: Q scores are refreshed and up to Q picks made a pass.

    Returns:
      `Selection`, whose scores are those at the time of the pick, and the last `LazyState`.
    """
    size = available.shape[0]
    block_size = min(block_size, size)

    def one_pass(lazy: LazyState) -> LazyState:
        state = rule.refresh(lazy.state, lazy.rows, lazy.count)
        free = lazy.available & rule.feasible(state)
        rows, *outside = highest_bounds(rule.bounds(state), free, block_size)
        block, order, scores, count = pick_inside(
            rule,
            rule.load_block(state, rows),
            rows,
            free[rows],
            (outside[0], outside[1]),
            lazy.count,
            budget,
        )
        # The order of rows that were not picked is past the end, where updates are dropped.
        return LazyState(
            rule.flush(state, block, rows, jnp.argsort(order), count - lazy.count),
            free.at[jnp.where(order < budget, rows, size)].set(False),
            lazy.rows.at[order].set(rows),
            lazy.scores.at[order].set(scores),
            count,
            lazy.passes + 1,
            jnp.where(count > lazy.count, 0, lazy.idle + 1),
        )

    def goes_on(lazy: LazyState):
        # Of the passes between two picks each brings a row up to date that was not, or else its
        # highest bound is exact and wins: there are at most N, and the limit is never met.
        left = largest(lazy.available & rule.feasible(lazy.state))
        return (lazy.count < budget) & left & (lazy.idle <= size)

    start = LazyState(
        state,
        available,
        jnp.full(budget, -1, jnp.int32),
        jnp.full(budget, -jnp.inf, rule.bounds(state).dtype),
        jnp.int32(0),
        jnp.int32(0),
        jnp.int32(0),
    )
    end = jax.lax.while_loop(goes_on, one_pass, start)
    return Selection(end.rows, end.scores.astype(jnp.float32)), end
