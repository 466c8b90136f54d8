"""Exact greedy selection with few passes over the pool, for any rule whose scores only shrink.

Plain greedy reads the whole pool once a pick. Here a pass takes the Q rows with the highest stale
scores, which are upper bounds, brings these up to date, and picks greedily among them for as long
as the best is at least the highest bound outside: nothing outside can beat it. Then the pool is
brought up to date with all that was picked. The picks, and their order, are those of plain greedy
(lowest row on ties); Minoux's lazy greedy (1978) is the case Q = 1.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxal.base import PyTree, Selection
from jaxal.greedy.farthest_first import WIDEST
from jaxal.greedy.take import priority
from jaxal.rows import top_rows
from jaxal.targets import is_gpu


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
    flush: Callable[[PyTree, Any, jax.Array], PyTree]  # (State, Block, rows [Q]) -> State
    # (Block, position []) -> [] bool; False: that score is not exact enough to pick by, so the
    # pass ends before it and the next one makes it exact.
    is_exact: Callable[[Any, jax.Array], jax.Array | bool] = lambda block, position: True
    # State -> [N] bool, Block -> [Q] bool; an infeasible row is never picked any more.
    feasible: Callable[[Any], jax.Array | bool] = lambda state_or_block: True
    # Block -> Block; where scores cost more than a pick, they are computed here: compiled once.
    measure: Callable[[Any], Any] = lambda block: block
    # (Block, rows [Q], available [Q], outside, room []) -> Block, available, positions [Q] of the
    # picks, -1 after the last, their scores [Q], left []: all picks inside a block by one kernel,
    # for NVIDIA cards, where `measure` and `feasible` are not needed. None: a loop, as elsewhere.
    by_kernel: Callable[..., tuple] | None = None
    # (State, rows [B] picked so far, how many []) -> State, at the start of a pass.
    refresh: Callable[[PyTree, jax.Array, jax.Array], PyTree] = lambda state, rows, num: state


class Picks(NamedTuple):
    """What has been picked so far."""

    rows: jax.Array  # [B] int32, -1 from `count` on
    scores: jax.Array  # [B]
    count: jax.Array  # []


class LazyState(NamedTuple):
    """What a pass over the pool hands the next."""

    state: PyTree
    available: jax.Array  # [N] bool, and not picked
    picks: Picks
    left: jax.Array  # [] bool, whether the last pass left a row that could be picked
    passes: jax.Array  # [] passes over the pool so far
    idle: jax.Array  # [] passes since the last that picked a row


def highest_bounds(
    bounds: jax.Array, available: jax.Array, block_size: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The block of highest bounds in row order [Q], and the highest bound outside with its row."""
    if block_size == bounds.shape[0]:
        nothing = jnp.asarray(-jnp.inf, bounds.dtype)
        return jnp.arange(block_size, dtype=jnp.int32), nothing, jnp.int32(block_size)
    # `top_rows` breaks ties by the lowest row, so no row outside ties with a block row below it.
    best, rows = top_rows(priority(bounds, available), block_size + 1)
    return jnp.sort(rows[:-1]), best[-1], rows[-1]


def pick_inside(
    rule: Rule,
    block: Any,
    rows: jax.Array,
    available: jax.Array,
    outside: tuple[jax.Array, jax.Array],
    picks: Picks,
) -> tuple[Any, jax.Array, Picks, jax.Array]:
    """Greedy inside a block until a row outside could be better.

    Args:
      rule: the scores in incremental form.
      block: what the rule loaded of the rows.
      rows: [Q] int32 pool rows of the block, ascending.
      available: [Q] bool.
      outside: the highest bound outside the block [] and its row [].
      picks: before.

    Returns:
      The block; which rows are still available [Q] bool; the picks; and whether a row was left, in
      the block or outside [] bool.
    """
    # Elsewhere the kernel would be traced, and Pallas imported, for nothing.
    if rule.by_kernel is not None and is_gpu() and len(rows) <= WIDEST:
        one_kernel, loop = partial(_by_kernel, rule), partial(_by_loop, rule)
        arguments = block, rows, available, outside, picks
        return jax.lax.platform_dependent(*arguments, cuda=one_kernel, default=loop)
    return _by_loop(rule, block, rows, available, outside, picks)


def _by_kernel(rule, block, rows, available, outside, picks):
    """`pick_inside` where the rule has a kernel for it."""
    budget = len(picks.rows)
    room = budget - picks.count
    block, free, positions, scores, left = rule.by_kernel(block, rows, available, outside, room)
    picked = positions >= 0
    slots = jnp.arange(len(rows), dtype=jnp.int32) + picks.count
    slots = jnp.where(picked, slots, budget)  # past the end, which is dropped
    picks = Picks(
        picks.rows.at[slots].set(rows[positions]),
        picks.scores.at[slots].set(scores),
        picks.count + jnp.sum(picked, dtype=picks.count.dtype),
    )
    return block, free, picks, left


def _by_loop(rule, block, rows, available, outside, picks):
    """`pick_inside`, a pick a step."""
    limit, limit_row = outside
    budget = len(picks.rows)

    def goes_on(carry):
        _, _, picks, _, wins = carry
        return wins & (picks.count < budget)

    def body(carry):
        block, available, picks, _, _ = carry
        block = rule.measure(block)
        ranked = priority(rule.scores(block), available & rule.feasible(block))
        # The rows are in order, so that `argmax` gives ties inside the block to the lowest row.
        position = jnp.argmax(ranked)
        best, row = ranked[position], rows[position]
        # A tie with the bound outside goes to the lowest row too: the row outside may have that
        # score, and only a later pass can tell.
        ahead = (best > limit) | ((best == limit) & (row < limit_row))
        left = jnp.maximum(best, limit) > -jnp.inf  # -inf: no row is left
        wins = left & ahead & rule.is_exact(block, position)
        # If nothing wins, the pass ends here, and its updates point past the end.
        slot = jnp.where(wins, picks.count, budget)
        picks = Picks(
            picks.rows.at[slot].set(row),
            picks.scores.at[slot].set(rule.scores(block)[position]),
            picks.count + wins.astype(picks.count.dtype),
        )
        available = available.at[jnp.where(wins, position, len(rows))].set(False)
        block = jax.lax.cond(wins, lambda: rule.pick(block, position), lambda: block)
        return block, available, picks, left, wins

    start = (block, available, picks, jnp.bool_(True), jnp.bool_(True))
    block, available, picks, left, _ = jax.lax.while_loop(goes_on, body, start)
    return block, available, picks, left


def before_any_pick(
    state: PyTree, available: jax.Array, budget: int, dtype: DTypeLike
) -> LazyState:
    """What the first pass begins with.

    Args:
      state: the rule's.
      available: [N] bool.
      budget: how many rows.
      dtype: of the rule's bounds, and so of the picks' scores.
    """
    return LazyState(
        state,
        available,
        Picks(
            jnp.full(budget, -1, jnp.int32),
            jnp.full(budget, -jnp.inf, dtype),
            jnp.int32(0),
        ),
        jnp.bool_(True),
        jnp.int32(0),
        jnp.int32(0),
    )


def refreshed(rule: Rule, lazy: LazyState) -> LazyState:
    """Brings the rule's state up to date with the picks of the last pass."""
    return lazy._replace(state=rule.refresh(lazy.state, lazy.picks.rows, lazy.picks.count))


def pick_by_bounds(rule: Rule, lazy: LazyState, block_size: int) -> LazyState:
    """A pass from a state that is up to date: picks among the rows of the highest bounds."""
    before, state = lazy.picks, lazy.state
    free = lazy.available & rule.feasible(state)
    rows, limit, limit_row = highest_bounds(rule.bounds(state), free, min(block_size, len(free)))
    block = rule.load_block(state, rows)
    block, still_free, picks, left = pick_inside(
        rule, block, rows, free[rows], (limit, limit_row), before
    )
    return LazyState(
        rule.flush(state, block, rows),
        free.at[rows].set(still_free),
        picks,
        left,
        lazy.passes + 1,
        jnp.where(picks.count > before.count, 0, lazy.idle + 1),
    )


def unfinished(lazy: LazyState) -> jax.Array:
    """Whether a further pass could pick a row, [] bool."""
    # Of the passes between two picks each brings a row up to date that was not, or else its
    # highest bound is exact and wins: there are at most N, and the limit is never met.
    missing = lazy.picks.count < len(lazy.picks.rows)
    return missing & lazy.left & (lazy.idle <= len(lazy.available))


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

    def one_pass(lazy: LazyState) -> LazyState:
        return pick_by_bounds(rule, refreshed(rule, lazy), block_size)

    start = before_any_pick(state, available, budget, rule.bounds(state).dtype)
    end = jax.lax.while_loop(unfinished, one_pass, start)
    return Selection(end.picks.rows, end.picks.scores.astype(jnp.float32)), end
