"""Greedy k-center from a compressed pool, pass by pass, with the radius covered."""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import Selection
from jaxal.pools.compression import CompressedPool
from jaxal.rows import largest
from jaxal.selection.anytime._k_center import Radius
from jaxal.selection.anytime.progress import Measured, Progress, passes
from jaxal.selection.certified._k_center import Bounds, begin, one_pass


class Covered(NamedTuple):
    """What a pass hands the next."""

    bounds: Bounds
    passes: int


@entry.checked(available=entry.mask, budget=entry.budget, block_size=entry.integer(1))
def certified_k_center(
    pool: CompressedPool,
    available: jax.Array,
    budget: int,
    *,
    centers: Any = None,
    block_size: int = 1024,
) -> Iterator[Progress]:
    """`selection.certified.k_center`, which can be left after any pass over the pool.

    Args:
      pool: from `pools.compress`.
      available: [N] bool; the rows of the source, or of the pool with its padding.
      budget: how many rows, 1 to N.
      centers: [M, D] features covered already.
      block_size: rows read in a pass.

    Returns:
      An iterator of `Progress`, whose `bound` is a `Radius`, by what is known of all rows.

    Raises:
      TypeError, ValueError: as `selection.certified.k_center`, at once.
    """
    bounds, picks = begin(pool, available, budget, centers)
    step = partial(_step, pool, picks, block_size)
    return passes(Covered(bounds, 0), step, Radius, pool.mesh)


def _step(
    pool: CompressedPool, picks: int, block_size: int, before: Covered
) -> tuple[Covered, Measured]:
    number = before.passes + 1
    bounds = one_pass(pool, before.bounds, block_size)
    # The next pass takes the bounds over, and what is in them with it.
    (rows, scores), count = jax.tree.map(jnp.copy, (bounds.selection()[:2], bounds.picks.count))
    found = Measured(
        Selection(rows, scores), count, jnp.int32(number), _radius(pool, bounds), count >= picks
    )
    return Covered(bounds, number), found


@jax.jit
def _radius(pool: CompressedPool, bounds: Bounds) -> tuple[jax.Array, jax.Array]:
    radius = largest(jnp.where(bounds.available, bounds.upper, 0.0))
    # A bound is a distance from the codes and their error: too high by twice that at most.
    lowest = jnp.where(bounds.available, bounds.upper - 2.0 * pool.error / bounds.unit, 0.0)
    return radius * bounds.unit, 0.5 * bounds.unit * jnp.maximum(largest(lowest), 0.0)
