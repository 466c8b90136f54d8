"""The rows of a pool that may be picked, and those that count, where some are labelled already."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxal.checks import check_budget, check_mask, check_rank, check_rows, is_traced
from jaxal.entry import integers


def check_free(budget: int, available: jax.Array, labeled: jax.Array | None, **rows: Any) -> None:
    """Raises unless the masks agree with the arrays, and enough rows may be picked.

    Args:
      budget: how many rows, 1 to N.
      available: [N] bool.
      labeled: [N] bool; None: no row is.
      **rows: arrays [N, ...], by their names.

    Raises:
      TypeError: a mask that is none, or a budget that is no integer.
      ValueError: leading axes that disagree, or a budget above the rows that may be picked; values
        are not looked at inside jit, where missing picks are -1.
    """
    masks = {"available": available}
    if labeled is not None:
        masks["labeled"] = labeled
    for name, mask in masks.items():
        check_mask(name, mask)
    check_rows(**rows, **masks)
    check_budget(budget, len(available))
    if is_traced(available, labeled):
        return
    free = np.asarray(available)
    if labeled is not None:
        free = free & ~np.asarray(labeled)
    if budget > free.sum():
        raise ValueError(
            f"budget: expected 1 to {free.sum()} (the rows that may be picked), got {budget}"
        )


def free_and_counted(
    available: jax.Array, labeled: jax.Array | None
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The rows that may be picked, those that are labelled, and those that are one of both, [N]."""
    available = jnp.asarray(available)
    labeled = jnp.zeros_like(available) if labeled is None else jnp.asarray(labeled)
    return available & ~labeled, labeled, available | labeled


def weights(name: str, value: Any) -> None:
    """[N] finite numbers of at least 0."""
    check_rank(name, value, 1, "[N]")
    if is_traced(value):
        return
    array = np.asarray(value)
    bad = np.flatnonzero(~((array >= 0) & (array < np.inf)))
    if len(bad):
        raise ValueError(f"{name}: expected numbers >= 0, got {array[bad[0]]} in row {bad[0]}")


def clusters(name: str, value: Any) -> None:
    """[N] integers, each from 0 to N - 1."""
    integers(name, value)
    if is_traced(value):
        return
    array = np.asarray(value)
    bad = np.flatnonzero((array < 0) | (array >= len(array)))
    if len(bad):
        raise ValueError(
            f"{name}: expected numbers of clusters from 0 to {len(array) - 1}, "
            f"got {array[bad[0]]} in row {bad[0]}"
        )
