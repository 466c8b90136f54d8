"""Learning rates that change from epoch to epoch, however many steps an epoch has."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxal.checks import describe

SCHEDULES = {"constant": None, "cosine": optax.cosine_decay_schedule}
"""Schedules by name: (learning rate, epochs that it takes) -> epoch -> learning rate."""


def scale_by_epoch(
    schedule: Callable[[jax.Array], Any],
) -> optax.GradientTransformationExtraArgs:
    """Scales updates by a schedule of the epoch, as the last part of an `optax.chain`.

    A schedule that is an optimizer's own learning rate counts steps, and an epoch of active
    learning has more of them each round. `Learner` tells its optimizer the epoch.

    Args:
      schedule: the number of an epoch [] int32, from 0 in each fit, -> a factor [].

    Returns:
      A transformation whose `update` takes `epoch` by keyword.

    Raises:
      TypeError: a schedule that is no function.

    Example:
      >>> halved = optax.chain(optax.sgd(0.1), scale_by_epoch(lambda epoch: 0.5**epoch))
    """
    if not callable(schedule):
        raise TypeError(f"schedule: expected a function of the epoch, got {describe(schedule)}")

    def init(params):
        return optax.EmptyState()

    def update(updates, state, params=None, *, epoch=None, **others):
        if epoch is None:
            raise TypeError("epoch: expected the number of one, as Learner gives it, got None")
        factor = jnp.asarray(schedule(epoch))
        scaled = jax.tree.map(lambda leaf: leaf * factor.astype(leaf.dtype), updates)
        return scaled, state

    return optax.GradientTransformationExtraArgs(init, update)


def scheduled(
    optimizer: optax.GradientTransformation, name: str, epochs: int
) -> optax.GradientTransformation:
    """An optimizer whose learning rate falls by a schedule that is known by name.

    Args:
      optimizer: with its learning rate at the first epoch.
      name: "constant", or "cosine": half a cosine, to 0 after so many epochs.
      epochs: of the schedule.
    """
    make = SCHEDULES[name]
    return optimizer if make is None else optax.chain(optimizer, scale_by_epoch(make(1.0, epochs)))
