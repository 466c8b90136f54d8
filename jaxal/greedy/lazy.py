"""Exact greedy selection with few passes over the pool, for any rule whose scores only shrink.

Plain greedy reads the whole pool once a pick. Here a pass takes the Q rows with the highest stale scores,
which are upper bounds, brings these up to date, and picks greedily among them for as long as the best is
at least the highest bound outside: nothing outside can beat it. Then one matrix product brings the pool
up to date with all that was picked. The picks, and their order, are those of plain greedy (lowest row on
ties); Minoux's lazy greedy (1978) is the case Q = 1.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxal.base import PyTree, Selection
from jaxal.greedy.take import priority


class Rule(NamedTuple):
    """A greedy rule in incremental form; `State` and `Block` are pytrees of its own.

    Scores may only shrink as rows are picked. `load_block` returns the scores of its rows exactly,
    given all that was picked before; `pick` keeps them exact inside the block; `flush` takes the
    picks of a block into the state. A bound that `flush` stores must not rise unless something was
    picked, not even by rounding, or passes could repeat for ever.
    """

    bounds: Callable[[PyTree], jax.Array]  # State -> [N], no score is above its bound
    load_block: Callable[[PyTree, jax.Array], Any]  # (State, rows [Q]) -> Block
    scores: Callable[[Any], jax.Array]  # Block -> [Q]
    pick: Callable[[Any, jax.Array], Any]  # (Block, position []) -> Block
    # (State, Block, rows [Q], positions [Q] in the order picked, how many []) -> State
    flush: Callable[[PyTree, Any, jax.Array, jax.Array, jax.Array], PyTree]
    # (Block, position []) -> [] bool; False: that score is not exact enough to pick by, so the
    # pass ends before it and `flush` makes it exact.
    is_exact: Callable[[Any, jax.Array], jax.Array | bool] = lambda block, position: True
    # State -> [N] bool, Block -> [Q] bool; an infeasible row is never picked any more.
    feasible: Callable[[Any], jax.Array | bool] = lambda state_or_block: True


class LazyState(NamedTuple):
    """What a pass over the pool hands the next."""

    state: PyTree
    available: jax.Array  # [N] bool
    rows: jax.Array  # [B] int32
    scores: jax.Array  # [B]
    count: jax.Array  # [] rows picked so far
    passes: jax.Array  # [] passes over the pool so far


def candidates(
    bounds: jax.Array, available: jax.Array, block_size: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The block of highest bounds, in row order, and the highest bound outside with its row."""
    if block_size == bounds.shape[0]:
        return jnp.arange(block_size), jnp.float32(-jnp.inf), jnp.int32(block_size)
    key, rows = jax.lax.top_k(priority(bounds, available), block_size + 1)
    return jnp.sort(rows[:-1]), key[-1], rows[-1]


def pick_inside(
    rule: Rule,
    block: Any,
    rows: jax.Array,
    available: jax.Array,
    outside: tuple[jax.Array, jax.Array],
    most: jax.Array,
) -> tuple[Any, jax.Array, jax.Array, jax.Array]:
    """Greedy inside a block until a row outside could be better.

    Returns the block, the positions picked [Q], their scores [Q] and how many there are.
    """
    limit, limit_row = outside

    def best(block, free):
        key = priority(rule.scores(block), free & rule.feasible(block))
        position = jnp.argmax(key)  # the rows are in order, so ties go to the lowest
        wins = (key[position] > limit) | ((key[position] == limit) & (rows[position] < limit_row))
        wins &= (key[position] > -jnp.inf) & rule.is_exact(block, position)
        return position, wins

    def goes_on(carry):
        _, _, _, _, count, (_, wins) = carry
        return wins & (count < most)

    def body(carry):
        block, free, positions, scores, count, (position, _) = carry
        positions = positions.at[count].set(position)
        scores = scores.at[count].set(rule.scores(block)[position])
        block, free = rule.pick(block, position), free.at[position].set(False)
        return block, free, positions, scores, count + 1, best(block, free)

    free = available[rows]
    empty = jnp.zeros(rows.shape, jnp.int32), jnp.zeros(rows.shape)
    start = (block, free, *empty, jnp.int32(0), best(block, free))
    block, _, positions, scores, count, _ = jax.lax.while_loop(goes_on, body, start)
    return block, positions, scores, count


def lazy_greedy(
    rule: Rule, state: PyTree, available: jax.Array, budget: int, *, block_size: int
) -> tuple[Selection, LazyState]:
    """Picks `budget` rows greedily by `rule`, exactly, in as few passes as the bounds allow.

    Args:
      rule: the scores in incremental form.
      state: the rule's state before any pick.
      available: [N] bool.
      budget: how many rows; -1 past the last available one that fits.
      block_size: Q, rows brought up to date in a pass. A larger block means fewer passes and more work
        in each: Q scores are refreshed and up to Q picks made a pass.

    Returns:
      `Selection`, whose scores are those at the time of the pick, and the last `LazyState`.
    """
    block_size = min(block_size, available.shape[0])
    slots = jnp.arange(block_size)

    def one_pass(now: LazyState) -> LazyState:
        open_rows = now.available & rule.feasible(now.state)
        rows, *outside = candidates(rule.bounds(now.state), open_rows, block_size)
        block, positions, scores, count = pick_inside(
            rule,
            rule.load_block(now.state, rows),
            rows,
            open_rows,
            (outside[0], outside[1]),
            budget - now.count,
        )
        picked = rows[positions]
        # Slots past the count point beyond the end, where updates are dropped.
        target = jnp.where(slots < count, now.count + slots, budget)
        return LazyState(
            rule.flush(now.state, block, rows, positions, count),
            open_rows.at[jnp.where(slots < count, picked, len(available))].set(False),
            now.rows.at[target].set(picked.astype(jnp.int32)),
            now.scores.at[target].set(scores),
            now.count + count,
            now.passes + 1,
        )

    start = LazyState(
        state,
        available,
        jnp.full(budget, -1, jnp.int32),
        jnp.full(budget, -jnp.inf),
        jnp.int32(0),
        jnp.int32(0),
    )

    def goes_on(now: LazyState):
        return (now.count < budget) & jnp.any(now.available & rule.feasible(now.state))

    end = jax.lax.while_loop(goes_on, one_pass, start)
    return Selection(end.rows, end.scores), end
