"""LURE: the mean loss of a pool from the losses of a few rows, drawn where they tell most."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.checks import check_rows
from jaxal.evaluation._values import check_drawn
from jaxal.greedy.take import take_top
from jaxal.numerics import as_floats


class Drawn(NamedTuple):
    """Rows that were drawn one after the other, none twice."""

    rows: jax.Array  # [B] int32 in the order drawn; -1 past the last available one
    probabilities: jax.Array  # [B], of each row among those left when it was drawn; 1 past the last


@entry.checked(
    key=entry.key, weights=entry.matrix("[N]"), available=entry.mask, budget=entry.budget
)
@partial(jax.jit, static_argnames="budget")
def draw_rows(key: jax.Array, weights: jax.Array, available: jax.Array, budget: int) -> Drawn:
    """Draws rows without replacement, each in proportion to its weight among those left.

    For `lure`, the weights that give the least variance are the losses themselves; the expected
    loss under the model's own probabilities, or another model's, stands in for them. Add something
    to each, a tenth of their mean: a row that cannot be drawn makes the estimate wrong. Gumbel's
    trick draws all rows in one pass of O(N).

    Args:
      key: PRNG key.
      weights: [N], above 0; rows of weight 0, or NaN, are drawn last.
      available: [N] bool.
      budget: B, from 1 to N.

    Returns:
      The `Drawn` rows and the probabilities with which they were.

    Raises:
      TypeError: if an array or the mask is none, or the budget is no integer.
      ValueError: if shapes disagree, or the budget is not from 1 to N.

    Example:

    >>> drawn = draw_rows(jax.random.key(0), jnp.array([1.0, 0.0, 3.0]), jnp.ones(3, bool), 2)
    >>> sorted(drawn.rows.tolist()), float(drawn.probabilities[1])
    ([0, 2], 1.0)
    """
    check_rows(weights=weights, available=available)
    weights = jnp.where(available & (weights > 0), as_floats(weights), 0.0)
    picked = take_top(
        jnp.log(weights) + jax.random.gumbel(key, weights.shape, weights.dtype), available, budget
    )
    there = picked.rows >= 0
    own = jnp.where(there, weights[jnp.maximum(picked.rows, 0)], 0.0)
    # What is left is added up from the end: nothing is subtracted from a large sum.
    rest = jnp.sum(weights.at[jnp.where(there, picked.rows, len(weights))].set(0.0, mode="drop"))
    left = rest + jnp.cumsum(own[::-1])[::-1]
    counts = jnp.maximum(jnp.sum(available) - jnp.arange(budget), 1).astype(own.dtype)
    return Drawn(picked.rows, jnp.where(left > 0, own / jnp.where(left > 0, left, 1), 1 / counts))


@entry.checked(probabilities=entry.matrix("[M]"), pool_size=entry.integer(1))
def lure_weights(probabilities: jax.Array, *, pool_size: int) -> jax.Array:
    """The weights of the rows that were drawn in `lure`.

    `v_m = 1 + (N - M) / (N - m) (1 / ((N - m + 1) q_m) - 1)`. A row that was likely to be drawn
    counts for less, and all weights are 1 if every row was drawn.

    Args:
      probabilities: [M], q: of the row drawn m-th among the N - m + 1 that were left.
      pool_size: N.

    Returns:
      [M] weights, 1 in the mean over draws.

    Raises:
      ValueError: if more rows were drawn than there are, or a probability is not in (0, 1].

    References:
      Farquhar et al., "On statistical bias in active learning: how and when to fix it", ICLR 2021,
      equation 11.
    """
    probabilities, number = as_floats(probabilities), probabilities.shape[0]
    if not 1 <= number <= pool_size:
        raise ValueError(
            f"pool_size: expected at least the {number} rows drawn, 1 or more, got {pool_size}"
        )
    check_drawn(probabilities)
    before = jnp.arange(number, dtype=probabilities.dtype)  # m - 1
    share = (pool_size - number) / jnp.maximum(pool_size - 1 - before, 1)
    return 1 + share * (1 / ((pool_size - before) * probabilities) - 1)


@entry.checked(
    losses=entry.matrix("[M]"), probabilities=entry.matrix("[M]"), pool_size=entry.integer(1)
)
def lure(losses: jax.Array, probabilities: jax.Array, *, pool_size: int) -> jax.Array:
    """The mean loss of a pool from the losses of rows drawn without replacement; unbiased.

    Args:
      losses: [M], of the rows in the order drawn; with 0 and 1 for right and wrong, the error rate.
      probabilities: [M], of each row among those left when it was drawn, as `draw_rows` gives.
      pool_size: N, the rows drawn from.

    Returns:
      [] the estimate, in the unit of the losses.

    Raises:
      ValueError: if shapes disagree, more rows were drawn than there are, or a probability is not
        in (0, 1].

    References:
      Kossen et al., "Active testing: sample-efficient model evaluation", ICML 2021, equation 3.

    Example:

    >>> float(lure(jnp.array([0.0, 1.0]), jnp.array([0.25, 1 / 3]), pool_size=4))
    0.5
    """
    check_rows(losses=losses, probabilities=probabilities)
    return jnp.mean(lure_weights(probabilities, pool_size=pool_size) * losses)
