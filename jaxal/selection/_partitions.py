"""Parts of a pool: how its rows, and a budget with them, are cut, and a part as a pool of its own.

Devices that share the rows of the pool share those of each part. Rows in random parts stay on the
device that has them: they are dealt out within blocks of the pool, so that every part has as many
slots in each block. Parts cut in order are on few devices, and are sent to the others.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxal.base import PyTree
from jaxal.rows import LINE, in_blocks, in_tiles, index_of, rows_at_places, shards


class Shape(NamedTuple):
    """How the slots of a part lie: the same for any number of devices that pad the pool."""

    blocks: int  # of the pool
    size: int  # rows of a block
    slots: int  # of a part in each block


def shape_of(rows: int, num_partitions: int) -> Shape:
    """Blocks of one line, or of more where a part would have few slots in each.

    A quarter of a part's slots stay empty at most, and none if the number of parts divides LINE.
    """
    size = LINE
    while size < 4 * num_partitions:
        size *= 2
    return Shape(-(-rows // size), size, -(-min(size, rows) // num_partitions))


def budgets_of(
    available: jax.Array, num_partitions: int, budget: int, *, shuffle: bool
) -> tuple[jax.Array, jax.Array]:
    """How many available rows each part has, and how many to pick of them, [P] int32 each.

    Args:
      available: [N] bool.
      num_partitions: P.
      budget: B, shared out to the parts; all that are available, if these are fewer.
      shuffle: both differ by one at most; if False, parts are cut in order, and the budget is
        rounded up along them.
    """
    num = jnp.sum(available, dtype=jnp.int32)
    budget_left = jnp.minimum(budget, num)
    if not shuffle:
        ends, picked = ends_in_order(num, num_partitions, budget_left)
        return jnp.diff(ends, prepend=0), jnp.diff(picked, prepend=0)
    # Dealt out like cards: the first parts get one more where the number does not divide.
    part = np.arange(num_partitions, dtype=np.int32)

    def dealt(number: jax.Array) -> jax.Array:
        more = part < number % num_partitions
        return number // num_partitions + more.astype(jnp.int32)

    return dealt(num), dealt(budget_left)


def ends_in_order(
    num_rows: jax.Array | int, num_partitions: int, budget: jax.Array | int
) -> tuple[Any, Any]:
    """Where parts of N rows cut in order end, and how many of B rows to pick up to there.

    end_p = ceil(N (p + 1) / P) and ceil(B end_p / N), exactly, in integers no larger than B P.

    Args:
      num_rows: N.
      num_partitions: P.
      budget: B.

    Returns:
      [P] ends, and [P] how many rows are picked before each.
    """
    part = np.arange(1, num_partitions + 1, dtype=np.int32)
    each, rest = num_rows // num_partitions, num_rows % num_partitions
    ends = each * part - (-rest * part // num_partitions)
    # B end_p / N = (B (p + 1) + B above / N) / P, where end_p P = N (p + 1) + above.
    above = -rest * part % num_partitions
    above = -(-budget * above // jnp.maximum(num_rows, 1))
    return ends, -(-(budget * part + above) // num_partitions)


class Cut(NamedTuple):
    """Where the rows of each part are."""

    parts: PyTree  # leaves [P, ...], one of which `rows_of` takes
    rows_of: Callable[[PyTree, PyTree], tuple[PyTree, jax.Array]]
    """(leaves [N, ...], a part) -> leaves [blocks, slots, ...], in order, and which are rows of it.
    """


def at_random(words: jax.Array, available: jax.Array, num_partitions: int) -> Cut:
    """Parts that the available rows are dealt out to like cards, shuffled within each block.

    Args:
      words: [N] uint32, random, which shuffle them.
      available: [N] bool.
      num_partitions: P.
    """
    shape = shape_of(len(available), num_partitions)

    # Where devices have whole blocks, each looks its own rows up.
    local = shards(shape.blocks) > 1 and len(available) % shape.size == 0

    def look_up(tree: PyTree, rows: jax.Array) -> PyTree:
        return jax.tree.map(lambda leaf: leaf.at[rows].get(mode="clip"), tree)

    def rows_of(tree: PyTree, places: jax.Array) -> tuple[PyTree, jax.Array]:
        if local:
            blocks = in_blocks(tree, shape.size), places
            found = in_tiles(lambda given: jax.vmap(look_up)(*given), blocks, shape.blocks)
        else:
            block = jnp.arange(shape.blocks, dtype=jnp.int32)[:, None]
            found = look_up(tree, block * shape.size + places)
        return found, places < shape.size

    return Cut(_deal(words, available, num_partitions, shape), rows_of)


def _deal(words: jax.Array, available: jax.Array, num_partitions: int, shape: Shape) -> jax.Array:
    """The places in their block of each part's rows, ascending, [P, blocks, slots] int32.

    Slots without a row have the size of a block.
    """
    words, available = in_blocks((words, available), shape.size)
    counts = jnp.sum(available, axis=1, dtype=jnp.int32)
    before = jnp.cumsum(counts) - counts
    part = np.arange(num_partitions, dtype=np.int32)[None, :, None]
    slot = np.arange(shape.slots, dtype=np.int32)[None, None, :]
    last = np.uint32(2**32 - 1)

    def deal_blocks(blocks: tuple[jax.Array, ...]) -> jax.Array:
        words, available, before, counts = blocks
        order = jnp.argsort(jnp.where(available, words >> 1, last), axis=1).astype(jnp.int32)
        # Which card of a block a part gets first depends on how many were dealt before.
        card = (part - before[:, None, None]) % num_partitions + num_partitions * slot
        place = jax.vmap(lambda order, card: order.at[card].get(mode="clip"))(order, card)
        return jnp.sort(jnp.where(card < counts[:, None, None], place, shape.size), axis=2)

    dealt = in_tiles(deal_blocks, (words, available, before, counts), shape.blocks)
    return jnp.moveaxis(dealt, 1, 0)


def in_order(sizes: jax.Array, available: jax.Array) -> Cut:
    """Parts of so many available rows, [P] int32, one after another."""
    shape = shape_of(len(available), len(sizes))
    index = index_of(available)

    def rows_of(tree: PyTree, part: tuple[jax.Array, jax.Array]) -> tuple[PyTree, jax.Array]:
        start, size = part
        return rows_from(tree, index, start, shape), slots_of(shape) < size

    return Cut((jnp.cumsum(sizes) - sizes, sizes), rows_of)


def slots_of(shape: Shape) -> jax.Array:
    """The numbers of a part's slots, [blocks, slots] int32."""
    return jnp.arange(shape.blocks * shape.slots, dtype=jnp.int32).reshape(-1, shape.slots)


def rows_from(tree: PyTree, index: jax.Array, start: jax.Array | int, shape: Shape) -> PyTree:
    """The rows that a mask has set from the place `start` [] on, leaves [blocks, slots, ...].

    Args:
      tree: leaves [N, ...].
      index: of the mask, from `rows.index_of`.
      start: [] int32.
      shape: of the result, which has anything past the last row that is set.
    """
    found = rows_at_places(tree, index, start + slots_of(shape).reshape(-1))
    return jax.tree.map(lambda leaf: leaf.reshape(-1, shape.slots, *leaf.shape[1:]), found)


def some_of(words: jax.Array, mask: jax.Array, number: int) -> jax.Array:
    """A mask [N] of `number` of the set rows at random, or a few more if words are equal; or all.

    Args:
      words: [N] uint32, random.
      mask: [N] bool.
      number: how many.
    """

    # The number that so many words reach, bit by bit from the highest: only counts are exchanged.
    def step(i, least):
        higher = least | (jnp.uint32(1) << (jnp.uint32(31) - i))
        enough = jnp.sum(mask & (words >= higher), dtype=jnp.int32) >= number
        return jnp.where(enough, higher, least)

    return mask & (words >= jax.lax.fori_loop(jnp.uint32(0), jnp.uint32(32), step, jnp.uint32(0)))
