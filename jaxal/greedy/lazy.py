"""Exact greedy selection with few passes over the pool, for any rule whose scores only shrink.

Plain greedy reads the whole pool once a pick. Here a pass takes the Q rows with the highest stale
scores, which are upper bounds, brings these up to date, and picks greedily among them for as long
as the best is at least the highest bound outside: nothing outside can beat it. Then the pool is
brought up to date with all that was picked. The picks, and their order, are those of plain greedy
(lowest row on ties); Minoux's lazy greedy (1978) is the case Q = 1.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxal.base import PyTree, Selection
from jaxal.greedy.inside import Picks, Rule, pick_inside
from jaxal.greedy.take import priority
from jaxal.rows import top_rows


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
