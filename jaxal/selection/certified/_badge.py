"""BADGE from a compressed pool: the law of the rule on the features themselves."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import Selection
from jaxal.greedy.lazy import highest_bounds
from jaxal.greedy.take import priority
from jaxal.numerics import as_floats
from jaxal.pools.compression import CompressedPool
from jaxal.rows import rows_over
from jaxal.selection.certified._d2 import sample
from jaxal.selection.certified._points import Copy, Points, copy_of
from jaxal.selection.certified.checks import check_pool, check_residuals

FIRST_BLOCK = 64
"""Rows read at once in search of the largest gradient."""


@entry.checked(
    key=entry.key,
    available=entry.mask,
    budget=entry.budget,
    block_size=entry.integer(1),
)
def badge(
    key: jax.Array,
    residuals: jax.Array | CompressedPool,
    pool: CompressedPool,
    available: jax.Array,
    budget: int,
    *,
    block_size: int = 1024,
    advance: Callable[[int], None] | None = None,
) -> Selection:
    """`selection.badge` of features that do not fit on the devices: D^2 sampling, exact.

    The first pick is the largest gradient, residual (x) features; each further one is drawn with
    probability proportional to the squared distance of its gradient to the nearest gradient picked
    before. The law is that of `selection.badge`; the draws of a key are others. The gradient of a
    row is known to within the error of its features times the size of its residual, and that of its
    residual, if it is a copy too, times the size of its features: rows are proposed by these bounds
    and accepted once they are read, as of `k_means_plus_plus`.

    O(N (C + D) B) time as products, Q rows read a pass, and some more for the first. Memory is the
    codes and the residuals, a few numbers a row, and O(Q (Q + D) + B (C + D)).

    Args:
      key: PRNG key, consumed.
      residuals: [N, C], softmax minus the one-hot predicted class (`gradient_embedding`), of the
        rows of the source, or of the pool with its padding, as `pools.stream(source).map` gives
        them. Floats of 16 bits stay such. Or a compressed pool of as many rows on the same devices,
        of a source that gives the residuals of rows when they are asked for.
      pool: of the features, the input of the last layer, from `pools.compress`.
      available: [N] bool; the rows of the source, or of the pool with its padding.
      budget: how many rows, 1 to N.
      block_size: Q, rows proposed in a pass, and at most twice the budget.
      advance: is told after each pass how many rows are picked.

    Returns:
      `Selection` in the order drawn; a score is the squared distance of the gradient to that of the
      nearest earlier pick, for the first its squared norm (inf if it exceeds float32). Rows whose
      gradients repeat those of picks come after all others at score 0, for which every row is
      read; rows whose residuals have a NaN or an infinity come last.

    Raises:
      TypeError: no compressed pool, residuals that are no array either, a mask that is not bool, a
        number that is not an integer.
      ValueError: shapes that disagree, a budget outside 1 to N, or a block_size below 1.

    References:
      Ash et al., "Deep batch active learning by diverse, uncertain gradient lower bounds", ICLR
      2020, algorithm 1.
    """
    check_pool(pool, available, budget)
    check_residuals(residuals, pool)
    if not isinstance(residuals, CompressedPool):
        residuals = pool.by_row(as_floats(residuals))
    available = pool.by_row(available) & pool.valid
    copy = copy_of(pool, residuals, available, at_zero=True)
    first = _largest(copy, available)
    options = {"block_size": block_size, "advance": advance}
    middle = jnp.zeros_like(pool.offset)
    return sample(key, copy, first, middle, available, budget, **options)


def _largest(copy: Copy, available: jax.Array) -> jax.Array:
    """The row of the largest gradient [], the lowest of several.

    Rows of the highest bounds are read, and known exactly from then on, so that no pass is like the
    one before.
    """
    block_size = min(FIRST_BLOCK, len(copy.pool.sources.value) - 1) or 1
    bounds, sure = _norm_bounds(copy), False
    row = jnp.int32(0)
    while not sure:
        rows = _highest(copy, bounds, available, num=block_size)
        read = copy.read(rows[0])
        bounds, row, sure = _best_of(copy, bounds, available, rows, read)
    return row


@jax.jit
def _norm_bounds(copy: Copy) -> jax.Array:
    """No squared norm is above, [N]; -1 of rows that have none."""
    with rows_over(copy.pool.mesh):
        return jnp.where(copy.usable, copy.norm_bounds(), -1.0)


@partial(jax.jit, static_argnames="num")
def _highest(copy: Copy, bounds, available, *, num) -> tuple[jax.Array, jax.Array, jax.Array]:
    """As `highest_bounds`."""
    with rows_over(copy.pool.mesh):
        return highest_bounds(bounds, available, num)


@partial(jax.jit, donate_argnums=1)
def _best_of(copy: Copy, bounds, available, block, read: Points) -> tuple[jax.Array, ...]:
    """The bounds once rows are read, the best of these [], and whether no other can be better."""
    rows, limit, limit_row = block
    norms = copy.exact(rows, read).squared_norms()
    norms = jnp.where(copy.usable[rows], norms, -1.0)
    ranked = priority(norms, available[rows])
    place = jnp.argmax(ranked)  # the rows are in order, so that a tie goes to the lowest
    best, row = ranked[place], rows[place]
    sure = (best > limit) | ((best == limit) & (row < limit_row))
    return bounds.at[rows].min(norms), row, sure
