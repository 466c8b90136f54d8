"""k-means++ seeding from a compressed pool: the law of the rule on the features themselves."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import Selection
from jaxal.pools.compression import CompressedPool
from jaxal.selection.certified._d2 import sample
from jaxal.selection.certified._points import copy_of
from jaxal.selection.certified.checks import check_pool


@entry.checked(
    key=entry.key, available=entry.mask, budget=entry.budget, block_size=entry.integer(1)
)
def k_means_plus_plus(
    key: jax.Array,
    pool: CompressedPool,
    available: jax.Array,
    budget: int,
    *,
    block_size: int = 1024,
    advance: Callable[[int], None] | None = None,
) -> Selection:
    """`selection.k_means_plus_plus` of features that do not fit on the devices: exact D^2 sampling.

    The first row uniformly, the next in proportion to the squared distance to the nearest pick, of
    the features and not of their copies. The law is that of `selection.k_means_plus_plus`; the
    draws of a key are others.

    A pass proposes Q rows by upper bounds of their distances, reads them, and accepts each with
    probability (squared distance by now) / (its bound). O(N D B) time as products, and at most Q
    rows read a pass. How many passes there are depends on how near the bounds are, and not on N,
    unless what is left to draw from lies closer to the picks than the copies to their rows. Memory
    is the codes, a few numbers a row, and O(Q (Q + D) + B D).

    Args:
      key: PRNG key, consumed.
      pool: from `pools.compress`.
      available: [N] bool; the rows of the source, or of the pool with its padding.
      budget: how many rows, 1 to N.
      block_size: Q, rows proposed in a pass, and at most twice the budget.
      advance: is told after each pass how many rows are picked.

    Returns:
      `Selection` in the order drawn; a score is the squared distance to the nearest earlier pick,
      for the first to about the mean of the available rows. Copies of picks come after all others
      at score 0; to know that there is nothing else, every row is read.

    Raises:
      TypeError: no compressed pool, a mask that is not bool, a number that is not an integer.
      ValueError: shapes that disagree, a budget outside 1 to N, or a block_size below 1.

    References:
      Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    """
    check_pool(pool, available, budget)
    available = pool.by_row(available) & pool.valid
    copy = copy_of(pool, None, available, at_zero=False)
    middle = _middle(pool, available)
    options = {"block_size": block_size, "advance": advance}
    return sample(key, copy, None, middle, available, budget, **options)


@jax.jit
def _middle(pool: CompressedPool, available: jax.Array) -> jax.Array:
    """The mean of what the codes of the available rows say, [D]."""
    num = jnp.maximum(jnp.sum(available, dtype=jnp.int32), 1).astype(jnp.float32)
    codes = jnp.where(available[:, None], pool.codes.astype(jnp.float32) / num, 0.0)
    return jnp.sum(codes, axis=0) * pool.scale + pool.offset
