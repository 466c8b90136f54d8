"""The ways in which greedy finds its next row: among all, among stale gains, in a random sample."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.base import PyTree, Selection
from jaxal.greedy.lazy import Rule, lazy_greedy
from jaxal.greedy.take import priority
from jaxal.submodular.costs import Knapsack
from jaxal.submodular.function import SetFunction, add_row, gains_of, rows_at_once

REFRESHED = 16  # gains brought up to date at a time in a sample


class Lazy(NamedTuple):
    """What a pass of block-lazy greedy hands the next."""

    state: PyTree
    bounds: jax.Array  # [N], no gain is above its bound
    knapsack: Knapsack


class Block(NamedTuple):
    """The rows of a block, with their gains up to date."""

    state: PyTree
    columns: PyTree  # leaves [Q, ...]
    gains: jax.Array  # [Q]
    knapsack: Knapsack  # of the block


def block_lazy(
    function: SetFunction,
    available: jax.Array,
    budget: int,
    knapsack: Knapsack,
    block_size: int,
) -> tuple[Selection, jax.Array]:
    """Greedy by `selection.lazy`: only gains whose stale value could still win are computed.

    Returns:
      `Selection`, and how many gains were computed by blocks, [].
    """

    def gains(state, columns, bounds):
        # Computed again in a block of another shape, a gain may come out larger by rounding.
        return jnp.minimum(function.gains(state, columns).astype(float), bounds)

    def open_block(lazy: Lazy, rows):
        columns = function.columns(rows)
        fresh = gains(lazy.state, columns, lazy.bounds[rows])
        return Block(lazy.state, columns, fresh, lazy.knapsack.take(rows))

    def pick(block: Block, position):
        column = jax.tree.map(lambda leaf: leaf[position], block.columns)
        state = function.add(block.state, column)
        fresh = gains(state, block.columns, block.gains)
        return Block(state, block.columns, fresh, block.knapsack.spend(position))

    def close(lazy: Lazy, block: Block, rows, positions, count):
        left = block.knapsack.left
        bounds = lazy.bounds.at[rows].set(block.gains)
        return Lazy(block.state, bounds, lazy.knapsack._replace(left=left))

    rule = Rule(
        bounds=lambda lazy: lazy.bounds / lazy.knapsack.prices,
        load_block=open_block,
        scores=lambda block: block.gains / block.knapsack.prices,
        pick=pick,
        flush=close,
        feasible=lambda part: part.knapsack.fits(),
    )
    state = function.init(budget)
    bounds = function.bounds()
    if bounds is None:
        bounds = gains_of(function, state, jnp.arange(function.size))
    block_size = min(block_size, rows_at_once(function))
    start = Lazy(state, bounds, knapsack)
    (rows, scores, _), end = lazy_greedy(rule, start, available, budget, block_size=block_size)
    gained = scores * jnp.where(rows >= 0, knapsack.prices[rows], 1.0)
    return Selection(rows, gained), end.passes * block_size


class Progress(NamedTuple):
    """What a pick hands the next, where each is made by itself."""

    state: PyTree
    available: jax.Array  # [N] bool, and fits
    knapsack: Knapsack
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
    knapsack: Knapsack,
    best: Callable[[SetFunction, Progress], Best],
) -> Selection:
    """Greedy with a search by `best` for every pick."""

    def body(now: Progress) -> Progress:
        row, gain, bounds = best(function, now)
        knapsack = now.knapsack.spend(row)
        return Progress(
            add_row(function, now.state, row),
            now.available.at[row].set(False) & knapsack.fits(),
            knapsack,
            now.rows.at[now.count].set(row.astype(jnp.int32)),
            now.scores.at[now.count].set(gain),
            bounds,
            now.count + 1,
        )

    start = Progress(
        function.init(budget),
        available & knapsack.fits(),
        knapsack,
        jnp.full(budget, -1, jnp.int32),
        jnp.full(budget, -jnp.inf),
        jnp.full(len(available), jnp.inf),
        jnp.int32(0),
    )
    end = jax.lax.while_loop(lambda now: (now.count < budget) & jnp.any(now.available), body, start)
    return Selection(end.rows, end.scores)


def best_of_all(function: SetFunction, now: Progress) -> Best:
    """The best available row, all N gains computed anew."""
    gains = gains_of(function, now.state, jnp.arange(function.size))
    row = jnp.argmax(priority(gains / now.knapsack.prices, now.available))
    return row, gains[row], now.bounds


def _draw(now: Progress, key: jax.Array, sample: int) -> jax.Array:
    """Random rows [sample] in order, available ones as long as there are any."""
    uniform = jax.random.uniform(jax.random.fold_in(key, now.count), now.available.shape)
    return jnp.sort(jax.lax.top_k(jnp.where(now.available, uniform, -1.0), sample)[1])


def best_of_sample(function: SetFunction, now: Progress, *, key: jax.Array, sample: int) -> Best:
    """The best of `sample` random available rows."""
    rows = _draw(now, key, sample)
    gains = gains_of(function, now.state, rows)
    worth = gains / now.knapsack.prices[rows]
    at = jnp.argmax(priority(worth, now.available[rows]))
    return rows[at], gains[at], now.bounds


def best_of_sample_lazily(
    function: SetFunction, now: Progress, *, key: jax.Array, sample: int
) -> Best:
    """The same row, computing only gains whose stale bound could still win."""
    rows = _draw(now, key, sample)
    free, prices = now.available[rows], now.knapsack.prices[rows]

    def best_is_stale(carry):
        bounds, fresh = carry
        return ~fresh[jnp.argmax(priority(bounds / prices, free))]

    def refresh(carry):
        bounds, fresh = carry
        worth = priority(bounds / prices, free & ~fresh)
        _, at = jax.lax.top_k(worth, min(REFRESHED, sample))
        gains = jnp.minimum(gains_of(function, now.state, rows[at]), bounds[at])
        return bounds.at[at].set(gains), fresh.at[at].set(True)

    start = now.bounds[rows], jnp.zeros(sample, bool)
    bounds, _ = jax.lax.while_loop(best_is_stale, refresh, start)
    at = jnp.argmax(priority(bounds / prices, free))
    return rows[at], bounds[at], now.bounds.at[rows].set(bounds)
