"""The examples whose predictions stopping rules look at, and no strategy."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxal import processes
from jaxal.base import PyTree
from jaxal.checks import check_integer, describe, is_array, is_integer, is_traced
from jaxal.pools import Pool, devices
from jaxal.stopping.rules import Rule
from jaxal.stopping.watch import needs

STOP_ROWS = 2_000
"""Rows of a stop set: fewer seem to agree too soon (Bloodgood and Vijay-Shanker 2009)."""


def stop_set_of(rules: tuple[Rule, ...], stop_set: Any, validation: Any) -> Any:
    """The stop set that `prepare` is given, None if no rule looks at it; checks what rules need.

    Args:
      rules: of the loop.
      stop_set: as the user gave it: inputs, how many rows of the pool, or None.
      validation: the validation examples, or None.
    """
    if stop_set is not None and not needs(rules, "stop_set"):
        raise ValueError("stop_set: expected a rule in stop that looks at it, got none")
    if needs(rules, "validation") and validation is None:
        raise ValueError("stop: expected validation examples, as a rule looks at these, got none")
    if not needs(rules, "stop_set"):
        return None
    return STOP_ROWS if stop_set is None else stop_set


def check_stop_set(stop_set: Any) -> None:
    """Raises unless it is a number of rows, inputs, leaves [n, ...] of some rows, or None."""
    if stop_set is None:
        return
    if is_integer(stop_set):
        check_integer(1, stop_set=stop_set)
        return
    leaves = jax.tree.leaves(stop_set)
    if not leaves or not all(map(is_array, leaves)):
        raise TypeError(f"stop_set: expected inputs or how many rows, got {describe(stop_set)}")
    rows = {leaf.shape[0] if leaf.ndim else 0 for leaf in leaves}
    if len(rows) > 1 or not min(rows):
        raise ValueError(f"stop_set inputs: expected as many rows in each, some, got {rows}")


def stop_inputs(pool: Pool, rows: int, stop_set: Any, mesh: Mesh | None) -> PyTree:
    """The inputs of the stop set, whole on each device; of the pool, the same rows each time.

    Args:
      pool: N rows and padding.
      rows: N.
      stop_set: inputs, leaves [n, ...], or how many rows of the pool, or None.
      mesh: of the pool.
    """
    if stop_set is None or not is_integer(stop_set):
        return devices.replicate(stop_set, mesh)
    inputs = pool.take(jnp.asarray(drawn_rows(rows, stop_set), jnp.int32))
    return inputs if is_traced(inputs) else devices.replicate(processes.whole(inputs), mesh)


def drawn_rows(rows: int, size: int) -> np.ndarray:
    """So many of N rows, or all, increasing; the same each time."""
    drawn = np.random.default_rng(0).choice(rows, min(size, rows), replace=False)
    return np.sort(drawn)
