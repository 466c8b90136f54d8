"""A strategy's decision in part of a pool, which is laid out as a pool of its own."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.base import PyTree, Selection, Strategy, View
from jaxal.numerics import gather
from jaxal.rows import index_of
from jaxal.selection._partitions import Shape, rows_from, slots_of, some_of


class PoolRows(NamedTuple):
    """Rows of a pool, leaves [N, ...] or [blocks, slots, ...]."""

    observation: PyTree
    labels: jax.Array
    numbers: jax.Array  # int32, -1 where there is no row


def pool_rows(view: View) -> PoolRows:
    """All rows of the pool, leaves [N, ...]."""
    numbers = jnp.arange(len(view.available), dtype=jnp.int32)
    return PoolRows(view.observation, view.labels, numbers)


def only_real(rows: PoolRows, real: jax.Array) -> PoolRows:
    """The rows, without those that are none, by a mask of the same leading axes."""
    return rows._replace(numbers=jnp.where(real, rows.numbers, -1))


def some_labeled(words: jax.Array, pool: PoolRows, labeled: jax.Array, shape: Shape) -> PoolRows:
    """What a rule reads but may not pick: as many labelled rows as a part has slots, at random.

    Args:
      words: [N] uint32, random.
      pool: leaves [N, ...].
      labeled: [N] bool.
      shape: of the result.

    Returns:
      Leaves [blocks, slots, ...].
    """
    room = shape.blocks * shape.slots
    index = index_of(some_of(words, labeled, room))
    real = slots_of(shape) < jnp.sum(labeled, dtype=jnp.int32)
    return only_real(rows_from(pool, index, 0, shape), real)


def rows_numbered(pool: PoolRows, numbers: jax.Array, blocks: int) -> PoolRows:
    """The rows of these numbers [M], in so many blocks: leaves [blocks, M / blocks, ...]."""
    numbers = jnp.pad(numbers, (0, -len(numbers) % blocks), constant_values=-1)
    numbers = numbers.reshape(blocks, len(numbers) // blocks)
    return only_real(gather(pool, jnp.maximum(numbers, 0)), numbers >= 0)


def select_rows(
    key: jax.Array,
    strategy: Strategy,
    view: View,
    rows: jax.Array,
    labeled: jax.Array,
    budget: int,
) -> Selection:
    """The strategy's decision in a pool of these available and labelled rows.

    Args:
      key: PRNG key, consumed.
      strategy: the rule.
      view: of the pool, as it observed it.
      rows: [m] int32, -1 is none; every device gets them.
      labeled: [L] int32, likewise.
      budget: how many rows, at most m + L.
    """
    pool = pool_rows(view)
    known = rows_numbered(pool, labeled, 1) if len(labeled) else None
    return select_in_blocks(key, strategy, view, rows_numbered(pool, rows, 1), known, budget)


def select_in_blocks(
    key: jax.Array,
    strategy: Strategy,
    view: View,
    free: PoolRows,
    known: PoolRows | None,
    budget: int,
) -> Selection:
    """The strategy's decision in a pool of these available and these labelled rows.

    Both lie side by side in each block, so that devices which share the blocks send none.

    Args:
      key: PRNG key, consumed.
      strategy: the rule.
      view: of the pool, as it observed it.
      free: leaves [blocks, slots, ...], rows that it may pick.
      known: leaves [blocks, other slots, ...], labelled rows; None: it reads none.
      budget: how many rows.
    """
    groups = [free] if known is None else [free, known]
    masks = [jnp.full(group.numbers.shape, group is free) for group in groups]

    def flat(*leaves):
        return jax.lax.collapse(jnp.concatenate(leaves, axis=1), 0, 2)

    rows, may_pick = jax.tree.map(flat, *groups), flat(*masks)
    real = rows.numbers >= 0
    part = view._replace(
        observation=rows.observation,
        labels=jnp.where(real & ~may_pick, rows.labels, -1),
        labeled=real & ~may_pick,
        available=real & may_pick,
    )
    picked = strategy.select(key, part, budget)
    found = picked.rows >= 0
    return picked._replace(rows=jnp.where(found, rows.numbers[picked.rows], -1))
