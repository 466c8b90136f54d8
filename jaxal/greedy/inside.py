"""A greedy rule in incremental form, and its picks inside a block of rows.

A pick is a step of a loop. On a GPU each step costs its launches and what it asks of the host, so
that there the loop has few of both, or is a kernel where the rule has one.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxal.base import PyTree
from jaxal.greedy.farthest_first import WIDEST
from jaxal.greedy.take import priority
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
    loop = partial(_by_loop, rule)
    # Elsewhere kernels would be traced, and Pallas imported, for nothing.
    if not is_gpu():
        return loop(block, rows, available, outside, picks)
    few = partial(_with_picks, partial(_by_few_kernels, rule))
    if rule.by_kernel is None or len(rows) > WIDEST:
        return few(block, rows, available, outside, picks)
    one = partial(_with_picks, rule.by_kernel)
    arguments = block, rows, available, outside, picks
    return jax.lax.platform_dependent(*arguments, cuda=one, default=few)


def _with_picks(inside, block, rows, available, outside, picks):
    """`pick_inside` by a function that says the positions of the picks, as `Rule.by_kernel`."""
    budget = len(picks.rows)
    room = budget - picks.count
    block, free, positions, scores, left = inside(block, rows, available, outside, room)
    picked = positions >= 0
    slots = jnp.arange(len(rows), dtype=jnp.int32) + picks.count
    slots = jnp.where(picked, slots, budget)  # past the end, which is dropped
    picks = Picks(
        picks.rows.at[slots].set(rows[positions]),
        picks.scores.at[slots].set(scores),
        picks.count + jnp.sum(picked, dtype=picks.count.dtype),
    )
    return block, free, picks, left


def _best(rule, block, rows, available, outside):
    """The position of the best row [], whether any is left [], and whether it is picked []."""
    limit, limit_row = outside
    ranked = priority(rule.scores(block), available & rule.feasible(block))
    # The rows are in order, so that `argmax` gives ties inside the block to the lowest row.
    position = jnp.argmax(ranked)
    best, row = ranked[position], rows[position]
    # A tie with the bound outside goes to the lowest row too: the row outside may have that
    # score, and only a later pass can tell.
    ahead = (best > limit) | ((best == limit) & (row < limit_row))
    left = jnp.maximum(best, limit) > -jnp.inf  # -inf: no row is left
    return position, left, left & ahead & rule.is_exact(block, position)


def _by_loop(rule, block, rows, available, outside, picks):
    """`pick_inside`, a pick a step."""
    budget = len(picks.rows)

    def goes_on(carry):
        _, _, picks, _, wins = carry
        return wins & (picks.count < budget)

    def body(carry):
        block, available, picks, _, _ = carry
        block = rule.measure(block)
        position, left, wins = _best(rule, block, rows, available, outside)
        # If nothing wins, the pass ends here, and its updates point past the end.
        slot = jnp.where(wins, picks.count, budget)
        picks = Picks(
            picks.rows.at[slot].set(rows[position]),
            picks.scores.at[slot].set(rule.scores(block)[position]),
            picks.count + wins.astype(picks.count.dtype),
        )
        available = available.at[jnp.where(wins, position, len(rows))].set(False)
        block = jax.lax.cond(wins, lambda: rule.pick(block, position), lambda: block)
        return block, available, picks, left, wins

    start = (block, available, picks, jnp.bool_(True), jnp.bool_(True))
    block, available, picks, left, _ = jax.lax.while_loop(goes_on, body, start)
    return block, available, picks, left


def _by_few_kernels(rule, block, rows, available, outside, room):
    """The same with few launches a step, as `Rule.by_kernel`.

    What is written of a pick are arrays of one length, which one kernel writes; there is no branch,
    whose way the host would ask for; and whether to go on is no kernel of its own.
    """
    places = jnp.arange(len(rows), dtype=jnp.int32)

    def body(carry):
        block, available, positions, scores, count, _, _ = carry
        block = rule.measure(block)
        position, left, wins = _best(rule, block, rows, available, outside)
        here, score = (places == count) & wins, rule.scores(block)[position]
        positions = jnp.where(here, position, positions)
        scores = jnp.where(here, score, scores)
        available &= (places != position) | ~wins
        count += wins.astype(count.dtype)
        # What would have been picked is thrown away where nothing wins, once a pass.
        picked = rule.pick(block, position)
        block = jax.tree.map(partial(jnp.where, wins), picked, block)
        return block, available, positions, scores, count, left, wins & (count < room)

    scores = rule.scores(block)
    none = jnp.full_like(places, -1), jnp.full_like(scores, -jnp.inf), jnp.zeros_like(room)
    start = (block, available, *none, jnp.bool_(True), room > 0)
    block, available, positions, scores, _, left, _ = jax.lax.while_loop(
        lambda carry: carry[-1], body, start
    )
    return block, available, positions, scores, left
