"""Learning rates that change from epoch to epoch, however many steps an epoch has."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxal.checks import (
    check_integer,
    check_like_default,
    check_name,
    check_options,
    describe,
)

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


def is_schedule(given: Any) -> bool:
    """Whether it names a schedule, or is a table that does."""
    if isinstance(given, Mapping):
        return isinstance(given.get("name"), str)
    return given in SCHEDULES


def scheduled(
    optimizer: optax.GradientTransformation, schedule: str | Mapping[str, Any], epochs: int
) -> optax.GradientTransformation:
    """An optimizer whose learning rate changes by a schedule that is known by name.

    Args:
      optimizer: with its learning rate at the height of the schedule.
      schedule: "constant", or "cosine": half a cosine, to 0 after so many epochs; or a table of the
        name and options of a schedule of optax, as {"name": "exponential_decay", "decay_rate":
        0.5}. Its steps are epochs, its values factors of the learning rate. Where they are not
        given, `decay_steps` and `transition_steps` are `epochs`, `value`, `init_value` and
        `peak_value` 1 (`init_value` of one that warms up 0), and `end_value` 0.
      epochs: of the schedule.

    Raises:
      ValueError: an unknown schedule or option, one that is missing, or a number out of range.
      TypeError: an option of another type.
    """
    if isinstance(schedule, Mapping):
        return optax.chain(optimizer, scale_by_epoch(_from_optax(epochs, **schedule)))
    make = SCHEDULES[schedule]
    return optimizer if make is None else optax.chain(optimizer, scale_by_epoch(make(1.0, epochs)))


def _from_optax(epochs: int, *, name: str, **options: Any) -> Callable[[jax.Array], Any]:
    known = {
        found.removesuffix("_schedule"): getattr(optax, found)
        for found in dir(optax)
        if found.endswith(("_schedule", "_decay")) and not found.startswith(("scale_by", "sgdr"))
    }
    name = name.removesuffix("_schedule")
    check_name("schedule", name, known)
    make = known[name]
    check_options("schedule", name, make, options)
    defaults: dict[str, Any] = dict.fromkeys(("value", "init_value", "peak_value"), 1.0)
    defaults |= dict.fromkeys(("decay_steps", "transition_steps"), epochs) | {"end_value": 0.0}
    if name.startswith("warmup"):
        defaults["init_value"] = 0.0
    takes = inspect.signature(make).parameters
    for option, parameter in takes.items():
        if option in options or parameter.default is not inspect.Parameter.empty:
            continue
        if option not in defaults:
            raise ValueError(f"schedule: {name} needs the option {option}")
        options[option] = defaults[option]
    for option, given in options.items():
        if isinstance(given, Mapping):  # TOML's keys are text; these are numbers of epochs
            options[option] = {_epoch(option, key): value for key, value in given.items()}
        elif option.endswith("_steps"):
            check_integer(0 if option == "warmup_steps" else 1, **{f"schedule.{option}": given})
        elif takes[option].default is inspect.Parameter.empty and option != "interpolate_type":
            check_like_default(f"schedule.{option}", given, 0.0)
        else:
            check_like_default(f"schedule.{option}", given, takes[option].default)
    return make(**options)


def _epoch(option: str, key: Any) -> int:
    if not str(key).isdecimal():
        raise ValueError(f"schedule: expected numbers of epochs as keys of {option}, got {key!r}")
    return int(key)
