"""Parts of a pool: how its rows, and a budget with them, are cut."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def split(
    noise: jax.Array | None, available: jax.Array, num_partitions: int, budget: int
) -> tuple[jax.Array, jax.Array]:
    """Cuts the available rows into parts of equal size but for one row, and the budget with them.

    Args:
      noise: [N] in [0, 1), which shuffles the rows before they are dealt out; None: cut in order.
      available: [N] bool.
      num_partitions: P.
      budget: B.

    Returns:
      [P, ceil(N / P)] int32 rows of each part, in order, then -1; and [P] how many rows to pick of
      each: B in all, or all that are available.
    """
    rows, num = len(available), jnp.sum(available, dtype=jnp.int32)
    budget_left = jnp.minimum(budget, num)
    slot = np.arange(-(-rows // num_partitions), dtype=np.int32)[None, :]
    if noise is None:
        order = jnp.argsort(~available)
        ends, picked = ends_in_order(num, num_partitions, budget_left)
        sizes, budgets = jnp.diff(ends, prepend=0), jnp.diff(picked, prepend=0)
        at, real = (ends - sizes)[:, None] + slot, slot < sizes[:, None]
    else:
        order = jnp.argsort(jnp.where(available, noise, 1.0))
        # Dealt out like cards: the first parts get one more where the number does not divide.
        part = np.arange(num_partitions, dtype=np.int32)
        at = slot * num_partitions + part[:, None]
        real = at < num
        more = (part < budget_left % num_partitions).astype(jnp.int32)
        budgets = budget_left // num_partitions + more
    parts = jnp.where(real, order.at[at].get(mode="clip"), rows)
    # In order, so that ties go to the lowest row; places past the last one are at the end.
    parts = jnp.sort(parts, axis=1)
    return jnp.where(parts < rows, parts, -1).astype(jnp.int32), budgets


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
    part = np.arange(1, num_partitions + 1)
    each, rest = num_rows // num_partitions, num_rows % num_partitions
    ends = each * part - (-rest * part // num_partitions)
    # B end_p / N = (B (p + 1) + B above / N) / P, where end_p P = N (p + 1) + above.
    above = -rest * part % num_partitions
    above = -(-budget * above // jnp.maximum(num_rows, 1))
    return ends, -(-(budget * part + above) // num_partitions)
