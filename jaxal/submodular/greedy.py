"""Greedy maximisation of set functions: naive, block-lazy, stochastic, and lazier than lazy."""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.base import (
    PyTree,
    Selection,
    check_budget,
    check_positive,
    check_rank,
    nearest,
)
from jaxal.selection.lazy import Rule, lazy_greedy
from jaxal.selection.take import order_key
from jaxal.submodular.function import SetFunction, add_row, gains_of, rows_at_once

OPTIMIZERS = ("naive", "lazy", "stochastic", "lazier_than_lazy")
REFRESHED = 16  # gains brought up to date at a time in a sample
ROUNDING = 1e-6  # gains are zero within this share of the largest


@partial(
    jax.jit,
    static_argnames=(
        "budget",
        "optimizer",
        "epsilon",
        "block_size",
        "stop_if_zero_gain",
        "stop_if_negative_gain",
    ),
)
def maximize(
    function: SetFunction,
    available: jax.Array,
    budget: int,
    *,
    optimizer: str = "lazy",
    key: jax.Array | None = None,
    epsilon: float = 0.1,
    block_size: int = 256,
    stop_if_zero_gain: bool = False,
    stop_if_negative_gain: bool = False,
) -> Selection:
    """Picks, again and again, the available row that adds most to the function; ties to the lowest row.

        naive             all gains anew for every pick
        lazy              the same picks, rounding of equal gains aside; only gains whose stale value, an
                          upper bound, could still win
        stochastic        the best of N / B ln(1 / epsilon) random rows for every pick
        lazier_than_lazy  the same picks as stochastic, with stale gains as in lazy

    A function that is not submodular is maximised by naive greedy whatever was asked, as its stale gains
    bound nothing. Naive takes N B gains, lazy a small multiple of N, stochastic N ln(1 / epsilon).

    Args:
      function: over N rows.
      available: [N] bool, may be picked; the function's own sums run over all rows.
      budget: how many rows, 1 to N.
      optimizer: "naive", "lazy", "stochastic" or "lazier_than_lazy".
      key: random key, consumed, for the two that sample.
      epsilon: they reach (1 - 1/e - epsilon) of the best value in expectation, if f is monotone.
      block_size: rows whose gains are brought up to date at a time, in lazy.
      stop_if_zero_gain: end before the first pick that adds nothing; -1 from there on.
      stop_if_negative_gain: end before the first pick that takes away.

    Returns:
      `Selection`; a score is the gain when the row was picked; rows are -1 past the last one.

    Raises:
      ValueError: unknown optimizer, no key for one that samples, `available` not [N], or budget, epsilon
        or block_size out of range.

    References:
      Minoux, "Accelerated greedy algorithms for maximizing submodular set functions", 1978.
      Mirzasoleiman et al., "Lazier than lazy greedy", AAAI 2015.

    >>> from jaxal.submodular import facility_location
    >>> points = jnp.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    >>> maximize(facility_location(points), jnp.ones(3, bool), 2).rows.tolist()
    [1, 2]
    """
    if optimizer not in OPTIMIZERS:
        hint = nearest(optimizer, OPTIMIZERS)
        raise ValueError(f"optimizer: {optimizer!r} is unknown; {hint}")
    check_rank("available", available, 1, "[N]")
    if len(available) != function.size:
        raise ValueError(
            f"available: expected {function.size} rows, got {len(available)}"
        )
    check_budget(budget, function.size)
    check_positive(block_size=block_size)
    if not 0 < epsilon < 1:
        raise ValueError(f"epsilon: expected a number in (0, 1), got {epsilon!r}")
    if not function.submodular:
        optimizer = "naive"
    if optimizer == "lazy":
        selection = _lazy(function, available, budget, block_size)
    elif optimizer == "naive":
        selection = _one_by_one(function, available, budget, best_of_all)
    elif key is None:
        raise ValueError(f"key: {optimizer} samples and needs one")
    else:
        sample = math.ceil(function.size / budget * math.log(1 / epsilon))
        sample = min(sample, function.size)
        best = best_of_sample if optimizer == "stochastic" else best_of_sample_lazily
        best = partial(best, key=key, sample=sample)
        selection = _one_by_one(function, available, budget, best)
    scores = selection.scores.at[0].add(function.offset)
    return _stop(
        Selection(selection.rows, scores), stop_if_zero_gain, stop_if_negative_gain
    )


def _stop(selection: Selection, zero: bool, negative: bool) -> Selection:
    rows, scores = selection
    tolerance = ROUNDING * jnp.max(jnp.abs(jnp.where(rows >= 0, scores, 0.0)))
    ends = jnp.zeros(len(rows), bool)
    if zero:
        ends |= scores <= tolerance
    if negative:
        ends |= scores < -tolerance
    kept = jnp.cumsum(ends) == 0
    return Selection(jnp.where(kept, rows, -1), jnp.where(kept, scores, -jnp.inf))


class Lazy(NamedTuple):
    """What a pass of block-lazy greedy hands the next."""

    state: PyTree
    bounds: jax.Array  # [N], no gain is above its bound


class Block(NamedTuple):
    """The rows of a block, with their gains up to date."""

    state: PyTree
    columns: PyTree  # leaves [Q, ...]
    gains: jax.Array  # [Q]


def _lazy(
    function: SetFunction, available: jax.Array, budget: int, block_size: int
) -> Selection:
    def gains(state, columns, bounds):
        # Computed again in a block of another shape, a gain may come out larger by rounding.
        return jnp.minimum(function.gains(state, columns).astype(float), bounds)

    def open_block(lazy: Lazy, rows):
        columns = function.columns(rows)
        return Block(lazy.state, columns, gains(lazy.state, columns, lazy.bounds[rows]))

    def pick(block: Block, position):
        column = jax.tree.map(lambda leaf: leaf[position], block.columns)
        state = function.add(block.state, column)
        return Block(state, block.columns, gains(state, block.columns, block.gains))

    def close(lazy: Lazy, block: Block, rows, positions, count):
        return Lazy(block.state, lazy.bounds.at[rows].set(block.gains))

    rule = Rule(
        bounds=lambda lazy: lazy.bounds,
        open=open_block,
        scores=lambda block: block.gains,
        pick=pick,
        close=close,
    )
    state = function.init(budget)
    start = Lazy(state, gains_of(function, state, jnp.arange(function.size)))
    block_size = min(block_size, rows_at_once(function))
    return lazy_greedy(rule, start, available, budget, block_size=block_size)[0]


class Progress(NamedTuple):
    """What a pick hands the next, where each is made by itself."""

    state: PyTree
    available: jax.Array  # [N] bool
    rows: jax.Array  # [B] int32
    scores: jax.Array  # [B]
    bounds: jax.Array  # [N], no gain is above its bound
    count: jax.Array  # [] rows picked so far


Best = tuple[jax.Array, jax.Array, jax.Array]
"""A row [], its gain [] and the bounds [N]."""


def _one_by_one(
    function: SetFunction,
    available: jax.Array,
    budget: int,
    best: Callable[[SetFunction, Progress], Best],
) -> Selection:
    most = jnp.minimum(budget, jnp.sum(available))

    def body(now: Progress) -> Progress:
        row, gain, bounds = best(function, now)
        return Progress(
            add_row(function, now.state, row),
            now.available.at[row].set(False),
            now.rows.at[now.count].set(row.astype(jnp.int32)),
            now.scores.at[now.count].set(gain),
            bounds,
            now.count + 1,
        )

    start = Progress(
        function.init(budget),
        available,
        jnp.full(budget, -1, jnp.int32),
        jnp.full(budget, -jnp.inf),
        jnp.full(len(available), jnp.inf),
        jnp.int32(0),
    )
    end = jax.lax.while_loop(lambda now: now.count < most, body, start)
    return Selection(end.rows, end.scores)


def best_of_all(function: SetFunction, now: Progress) -> Best:
    """The available row with the highest gain, all N gains computed anew."""
    gains = gains_of(function, now.state, jnp.arange(function.size))
    row = jnp.argmax(order_key(gains, now.available))
    return row, gains[row], now.bounds


def _draw(now: Progress, key: jax.Array, sample: int) -> jax.Array:
    """Random rows [sample] in order, available ones as long as there are any."""
    uniform = jax.random.uniform(
        jax.random.fold_in(key, now.count), now.available.shape
    )
    return jnp.sort(jax.lax.top_k(jnp.where(now.available, uniform, -1.0), sample)[1])


def best_of_sample(
    function: SetFunction, now: Progress, *, key: jax.Array, sample: int
) -> Best:
    """The best of `sample` random available rows."""
    rows = _draw(now, key, sample)
    gains = gains_of(function, now.state, rows)
    at = jnp.argmax(order_key(gains, now.available[rows]))
    return rows[at], gains[at], now.bounds


def best_of_sample_lazily(
    function: SetFunction, now: Progress, *, key: jax.Array, sample: int
) -> Best:
    """The same row, computing only gains whose stale bound could still win."""
    rows = _draw(now, key, sample)
    free = now.available[rows]

    def best_is_stale(carry):
        bounds, fresh = carry
        return ~fresh[jnp.argmax(order_key(bounds, free))]

    def refresh(carry):
        bounds, fresh = carry
        _, at = jax.lax.top_k(order_key(bounds, free & ~fresh), min(REFRESHED, sample))
        gains = jnp.minimum(gains_of(function, now.state, rows[at]), bounds[at])
        return bounds.at[at].set(gains), fresh.at[at].set(True)

    start = now.bounds[rows], jnp.zeros(sample, bool)
    bounds, _ = jax.lax.while_loop(best_is_stale, refresh, start)
    at = jnp.argmax(order_key(bounds, free))
    return rows[at], bounds[at], now.bounds.at[rows].set(bounds)
