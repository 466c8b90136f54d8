"""Inputs that stay integers on the device, and are normalised in the compiled step."""

import math
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp

from jaxal.base import Model, PyTree
from jaxal.checks import check_finite, check_positive, describe, is_number
from jaxal.factories import cached_factory


def normalized(model: Model, mean: Any = 0.0, std: Any = 1.0, *, scale: float = 255.0) -> Model:
    """A model of raw integers: `(inputs / scale - mean) / std` goes into the model given.

    Images of uint8 take a quarter of the memory of float32, and the arithmetic is part of the
    program that reads them. Inputs that are floats already count as normalised, and are left as
    they are: so `prepare` of the model returned gives what its `apply` can be differentiated by,
    and integers and their normalised floats have the same outputs.

    Args:
      model: takes float32 inputs, one array or a pytree.
      mean: one number, or one for each entry of the last axis: the channels of images [n, H, W, C],
        the columns of inputs [n, D].
      std: the same, above 0; infinite where the inputs are constant, which gives 0.
      scale: what integers are divided by first.

    Returns:
      A `Model` with `prepare`; its variables are those of the model given. Equal calls return the
      identical one.

    Raises:
      TypeError: no model, or something else than numbers.
      ValueError: numbers out of range, several of them but not as many in both; or, from the model,
        inputs whose last axis is of another length.

    Example:
      >>> from jaxal import models
      >>> model = normalized(models.logistic(3), mean=0.5, std=0.25)
      >>> model.prepare(jnp.array([[0, 255]], jnp.uint8)).tolist()
      [[-2.0, 2.0]]
    """
    if not isinstance(model, Model):
        raise TypeError(f"model: expected a Model, as jaxal.models makes, got {describe(model)}")
    means, stds = _numbers("mean", mean), _numbers("std", std)
    for number in means:
        check_finite(mean=number)
    for number in stds:
        if number != math.inf:
            check_positive(std=number)
    check_positive(scale=scale)
    if len({len(means), len(stds)} - {1}) > 1:
        raise ValueError(
            f"std: expected as many numbers as the mean's {len(means)}, got {len(stds)}"
        )
    return _normalized(model, means, stds, float(scale))


@cached_factory
def _normalized(
    model: Model, means: tuple[float, ...], stds: tuple[float, ...], scale: float
) -> Model:
    def prepare(inputs: PyTree) -> PyTree:
        return jax.tree.map(one, inputs)

    def one(leaf: jax.Array) -> jax.Array:
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf
        for numbers in (means, stds):
            if len(numbers) not in (1, leaf.shape[-1]):
                raise ValueError(
                    f"inputs: expected a last axis of {len(numbers)}, as there are as many means "
                    f"or deviations, got shape {leaf.shape}"
                )
        axes = (1,) * (leaf.ndim - 1) + (-1,)
        mean = jnp.array(means, jnp.float32).reshape(axes)
        factor = jnp.array([1 / std for std in stds], jnp.float32).reshape(axes)
        return (leaf.astype(jnp.float32) / scale - mean) * factor

    def init(key, inputs):
        return model.init(key, prepare(inputs))

    def apply(variables, inputs, *, key=None):
        return model.apply(variables, prepare(inputs), key=key)

    def train(variables, inputs, *, key):
        return model.train(variables, prepare(inputs), key=key)

    member = None if model.member is None else _normalized(model.member, means, stds, scale)
    return Model(init, apply, train, member, prepare)


def _numbers(name: str, given: Any) -> tuple[float, ...]:
    """One number or several, as floats."""
    if is_number(given):
        return (float(given),)
    values = list(given) if isinstance(given, Iterable) else []
    if not values or not all(map(is_number, values)):
        raise TypeError(f"{name}: expected a number, or one for each channel, got {given!r}")
    return tuple(map(float, values))
