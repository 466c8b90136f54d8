"""When a fit ends or begins anew: by its epochs, its accuracy, or the validation loss."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.base import PyTree
from jaxal.training.base import FitInfo


class Best(NamedTuple):
    """The epoch of the lowest validation loss, the first of them if there are several."""

    variables: PyTree  # after that epoch
    loss: jax.Array  # [] float32, infinite before the first epoch
    epoch: jax.Array  # [] int32, counted from 1; 0 before the first


def first_best(variables: PyTree) -> Best:
    """The best before the first epoch: the variables that a fit starts from."""
    return Best(variables, jnp.float32(jnp.inf), jnp.int32(0))


def better(best: Best, variables: PyTree, loss: jax.Array, epoch: jax.Array) -> Best:
    """The best of the epochs so far and a new one; a loss that is NaN is not better.

    Args:
      best: of the epochs so far.
      variables: after the new epoch.
      loss: [] its validation loss.
      epoch: [] int32, its number.
    """
    new = Best(variables, loss.astype(best.loss.dtype), epoch)
    is_better = new.loss < best.loss
    return jax.tree.map(lambda new, old: jnp.where(is_better, new, old), new, best)


def may_train(info: FitInfo, best: Best | None, *, max_epochs: int, patience: int) -> jax.Array:
    """Whether the epoch, validation and finite-loss rules allow another epoch.

    Args:
      info: of the epochs so far.
      best: the best of them, None if there is no patience to lose.
      max_epochs: most epochs.
      patience: epochs without a new lowest validation loss that end the fit.

    Returns:
      [] bool.
    """
    stop = (info.epochs >= max_epochs) | ~jnp.isfinite(info.loss)
    if best is not None:
        stop |= info.epochs - best.epoch >= patience
    return ~stop


def has_failed(info: FitInfo, before: jax.Array, *, every: int, below: float) -> jax.Array:
    """Whether a multiple of `every` epochs was just reached with too low an accuracy.

    Args:
      info: of the epochs so far.
      before: [] int32, how many there were when this was last asked.
      every: epochs from one look at the accuracy to the next.
      below: the accuracy of a fit that has not failed is at least that.

    Returns:
      [] bool.
    """
    return (info.epochs // every > before // every) & (info.accuracy < below)


def is_saturated(accuracies: jax.Array, filled: jax.Array, min_gain: float) -> jax.Array:
    """Whether a full window of accuracies holds no rise: no i < j with acc_j - acc_i >= min_gain.

    Args:
      accuracies: [window], the oldest first.
      filled: [] how many accuracies there have been so far.
      min_gain: the rise that counts.

    Returns:
      [] bool.

    References:
      DISTIL, `data_train.check_saturation`; a falling accuracy counts as saturated, as there.
    """
    lowest_before = jax.lax.cummin(accuracies)[:-1]
    gain = jnp.max(accuracies[1:] - lowest_before, initial=-jnp.inf)
    return (filled >= len(accuracies)) & (gain < min_gain)
