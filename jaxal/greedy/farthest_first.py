"""All farthest-first picks inside a block by one kernel, for NVIDIA cards.

A loop in XLA launches some kernels a pick, one after the other: for ten thousand picks that takes
longer than all the products over the pool. Here the distances of the block stay in registers, and a
pick reads one row of those between its rows.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

WIDEST = 1024  # rows of a block; more were not tried on a card
_NARROWEST = 16


def farthest_first(
    squared: jax.Array,
    between: jax.Array,
    floor: jax.Array,
    rows: jax.Array,
    available: jax.Array,
    outside: tuple[jax.Array, jax.Array],
    room: jax.Array,
    *,
    interpret: bool = False,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array]:
    """Picks the row of a block farthest from all picks, for as long as none outside is farther.

    Args:
      squared: [Q] squared distances to the nearest center; below 0 of rows without numbers.
      between: [Q, Q] those between the rows.
      floor: [Q] a row that is nearer is not picked, as its distance is not exact enough.
      rows: [Q] int32 pool rows, ascending: ties go to the lowest.
      available: [Q] bool.
      outside: the highest bound outside the block [] and its row [].
      room: [] int32, how many may be picked.
      interpret: run as JAX operations, on any device.

    Returns:
      The squared distances after all picks [Q]; which rows are still available [Q] bool; positions
      of the picks in their order, -1 after the last [Q] int32; their squared distances [Q]; and
      whether a row was left, in the block or outside [] bool.
    """
    from jax.experimental import pallas
    from jax.experimental.pallas import triton

    size, dtype = len(rows), squared.dtype
    padded = max(_NARROWEST, 1 << (size - 1).bit_length())  # Triton's arrays are powers of two
    more = padded - size
    integers = jax.ShapeDtypeStruct((padded,), jnp.int32)
    floats, flag = jax.ShapeDtypeStruct((padded,), dtype), jax.ShapeDtypeStruct((1,), jnp.int32)
    call = pallas.pallas_call(
        partial(_kernel, size=padded),
        out_shape=(floats, integers, integers, floats, flag),
        interpret=interpret,
        compiler_params=None if interpret else triton.CompilerParams(num_warps=8, num_stages=1),
    )
    nearest, free, order, scores, left = call(
        jnp.pad(squared, (0, more)),
        jnp.pad(between, ((0, more), (0, more))),
        jnp.pad(floor, (0, more)),
        jnp.pad(rows, (0, more)),
        jnp.pad(available, (0, more)).astype(jnp.int32),
        outside[0].astype(dtype)[None],
        jnp.stack([outside[1], room]).astype(jnp.int32),
    )
    return nearest[:size], free[:size] > 0, order[:size], scores[:size], left[0] > 0


def _kernel(*references: Any, size: int) -> None:
    """What `farthest_first` says, of `size` slots; the arguments in its order, and the results."""
    squared, between, floor, rows, available, limit, numbers = references[:7]
    nearest_out, free_out, order_out, scores_out, left_out = references[7:]
    slots = jax.lax.iota(jnp.int32, size)
    rows, floor, limit = rows[...], floor[...], limit[0]
    limit_row, room = numbers[0], numbers[1]
    # As `priority` ranks: -inf is taken, and what holds no number is above that.
    least = np.finfo(limit.dtype).min
    above = np.nextafter(least, np.zeros_like(least))

    def goes_on(carry):
        *_, count, _, wins = carry
        return wins & (count < room)

    def pick(carry):
        nearest, free, order, scores, count, _, _ = carry
        ranked = jnp.where(jnp.isnan(nearest), least, jnp.maximum(nearest, above))
        ranked = jnp.where(free > 0, ranked, -jnp.inf)
        best = jnp.max(ranked)
        position = jnp.min(jnp.where(ranked == best, slots, size - 1))
        chosen = slots == position

        def at_position(values):
            return jnp.max(jnp.where(chosen, values, -jnp.inf))

        row, score = jnp.sum(jnp.where(chosen, rows, 0)), at_position(nearest)
        ahead = (best > limit) | ((best == limit) & (row < limit_row))
        left = jnp.maximum(best, limit) > -jnp.inf
        wins = left & ahead & ((score >= at_position(floor)) | (score < 0))
        # If nothing wins, nothing changes.
        falls = jnp.minimum(nearest, between[position, :])
        nearest = jnp.where(wins, falls, nearest)
        free = jnp.where(chosen & wins, 0, free)
        here = (slots == count) & wins
        order, scores = jnp.where(here, position, order), jnp.where(here, score, scores)
        return nearest, free, order, scores, count + wins.astype(jnp.int32), left, wins

    none, lowest = jnp.full((size,), -1, jnp.int32), jnp.full((size,), -jnp.inf, limit.dtype)
    start = squared[...], available[...], none, lowest, jnp.int32(0), jnp.bool_(True)
    end = jax.lax.while_loop(goes_on, pick, (*start, jnp.bool_(True)))
    nearest_out[...], free_out[...], order_out[...], scores_out[...] = end[:4]
    left_out[0] = end[5].astype(jnp.int32)
