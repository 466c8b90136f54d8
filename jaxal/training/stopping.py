"""When a fit has learned all it will: its accuracy is saturated, or its validation loss rises."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.base import PyTree


def is_saturated(accuracies: jax.Array, filled: jax.Array, min_gain: float) -> jax.Array:
    """Whether a full window of accuracies holds no rise: no i < j with acc_j - acc_i >= min_gain.

    Args:
      accuracies: [window], the oldest first.
      filled: [] how many accuracies there have been so far.
      min_gain: the rise that counts.

    References:
      DISTIL, `data_train.check_saturation`; a falling accuracy counts as saturated, as there.
    """
    lowest_before = jax.lax.cummin(accuracies)[:-1]
    gain = jnp.max(accuracies[1:] - lowest_before, initial=-jnp.inf)
    return (filled >= len(accuracies)) & (gain < min_gain)


class Best(NamedTuple):
    """The epoch of the lowest validation loss, the first of them if there are several."""

    variables: PyTree  # after that epoch
    loss: jax.Array  # [] infinite before the first
    epoch: jax.Array  # [] int32, counted from 1; 0 before the first


def first_best(variables: PyTree) -> Best:
    """What is best before the first epoch: the variables a fit starts from."""
    return Best(variables, jnp.float32(jnp.inf), jnp.int32(0))


def better(best: Best, variables: PyTree, loss: jax.Array, epoch: jax.Array) -> Best:
    """The best of what was best and a new epoch; a loss that is NaN is not better."""
    new = Best(variables, loss, epoch)
    return jax.tree.map(lambda new, old: jnp.where(loss < best.loss, new, old), new, best)
