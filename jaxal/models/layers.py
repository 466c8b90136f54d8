"""Layers of a linen module from outside: their values as features, and dropout before them."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxal.base import Model, Outputs, PyTree
from jaxal.checks import check_flag, check_name, describe, is_number, nearest
from jaxal.factories import cached_factory
from jaxal.models.functions import as_outputs
from jaxal.models.linen import from_linen

SIDES = ("input", "output")

Watch = Callable[[Callable, tuple, dict], Any]
"""(the layer's call, its arguments, its keywords) -> what the call returns."""


def with_features(model: Model | nn.Module, layer: str, *, side: str = "output") -> Model:
    """A model whose features are what goes into a layer, or comes out of it.

    Strategies then compare examples by that layer, in place of the input of the last dense one.
    Gradient embeddings are then products of the residuals with these features. A layer that runs
    several times counts as it ran last. One inside `nn.remat`, `nn.scan` or another lifted
    transform cannot be seen from outside: jax raises `UnexpectedTracerError`.

    Args:
      model: a flax.linen module, or a `Model` of one, such as those of `jaxal.models`.
      layer: its path, as the names in the variables say it: "Dense_0", "block/conv2".
      side: "input" or "output".

    Returns:
      A `Model` with the same variables and logits, and features [n, D], flattened. Equal calls
      return the identical one.

    Raises:
      TypeError: no model or module, or a layer that is no string.
      ValueError: an unknown side, or an ensemble; from the model, a layer that did not run, with
        the nearest that did, or a value that is no floating-point array [n, ...].

    Example:
      >>> from jaxal import models
      >>> model = with_features(models.mlp(3, hidden=(16, 8)), "Dense_0")
      >>> variables = model.init(jax.random.key(0), jnp.ones((5, 4)))
      >>> model.apply(variables, jnp.ones((5, 4))).features.shape
      (5, 16)
    """
    _check_layer(layer)
    check_name("side", side, SIDES)
    return _with_features(_as_model(model), layer, side)


def with_dropout(
    model: Model | nn.Module, layer: str, rate: float = 0.5, *, training: bool = True
) -> Model:
    """A model with dropout on the input of a layer, for a module that has none.

    Each entry of the input is zero with probability `rate`, independently, and otherwise divided
    by 1 - rate: in `apply` with a key, as for MC dropout, and in `train`. Dropout that the module
    has of its own stays off in `apply`. Features of a module that returns logits alone are what its
    last dense layer saw, this dropout included; a module that returns features itself knows nothing
    of it.

    Args:
      model: a flax.linen module, or a `Model` of one, such as those of `jaxal.models`.
      layer: its path, as for `with_features`; its first argument is dropped.
      rate: the probability that an entry is dropped, in [0, 1).
      training: whether dropout is on in `train` too; False is DISTIL's `mod_inject`, which trains
        without.

    Returns:
      A `Model` with the same variables. Equal calls return the identical one.

    Raises:
      TypeError: no model or module, a layer that is no string, or another type of rate.
      ValueError: a rate out of range, or an ensemble; from the model, a layer that did not run,
        with the nearest that did.

    References:
      Gal and Ghahramani, "Dropout as a Bayesian approximation", ICML 2016.

    Example:
      >>> from jaxal import models
      >>> model = with_dropout(models.mlp(3), "Dense_1", 0.25)
    """
    _check_layer(layer)
    if not is_number(rate):
        raise TypeError(f"rate: expected a number in [0, 1), got {rate!r}")
    if not 0 <= rate < 1:
        raise ValueError(f"rate: expected a number in [0, 1), got {rate!r}")
    check_flag(training=training)
    return _with_dropout(_as_model(model), layer, float(rate), bool(training))


@cached_factory
def _with_features(model: Model, layer: str, side: str) -> Model:
    def seeing(run: Callable[[], Any]) -> tuple[Any, jax.Array]:
        seen = []

        def watch(call, args, kwargs):
            value = call(*args, **kwargs)
            seen[:] = [value if side == "output" else (*args, *kwargs.values())[0]]
            return value

        with _watched(layer, watch):
            result = run()
        return result, _flat(layer, seen[0])

    def apply(variables, inputs, *, key=None) -> Outputs:
        outputs, features = seeing(lambda: model.apply(variables, inputs, key=key))
        return as_outputs((outputs.logits, features), layer)

    def train(variables, inputs, *, key) -> tuple[Outputs, PyTree]:
        (outputs, after), features = seeing(lambda: model.train(variables, inputs, key=key))
        return as_outputs((outputs.logits, features), layer), after

    return model._replace(apply=apply, train=train)


@cached_factory
def _with_dropout(model: Model, layer: str, rate: float, training: bool) -> Model:
    def dropping(key: jax.Array) -> contextlib.AbstractContextManager[None]:
        calls = iter(range(1 << 30))

        def drop(call, args, kwargs):
            first, *rest = args
            # A layer that runs several times has masks of its own each time.
            keep = jax.random.bernoulli(jax.random.fold_in(key, next(calls)), 1 - rate, first.shape)
            return call(jnp.where(keep, first / (1 - rate), 0.0), *rest, **kwargs)

        return _watched(layer, drop)

    def apply(variables, inputs, *, key=None) -> Outputs:
        if key is None:
            return model.apply(variables, inputs)
        with dropping(key):
            return model.apply(variables, inputs)

    def train(variables, inputs, *, key) -> tuple[Outputs, PyTree]:
        if not training:
            return model.train(variables, inputs, key=key)
        with dropping(jax.random.fold_in(key, 0)):
            return model.train(variables, inputs, key=key)

    return model._replace(apply=apply, train=train)


@contextlib.contextmanager
def _watched(layer: str, watch: Watch) -> Iterator[None]:
    """Calls `watch` in place of a layer's call; raises ValueError if the layer did not run."""
    ran: list[str] = []

    def intercept(next_fun, args, kwargs, context):
        if context.method_name != "__call__":
            return next_fun(*args, **kwargs)
        path = "/".join(context.module.path)
        ran.append(path)
        return watch(next_fun, args, kwargs) if path == layer else next_fun(*args, **kwargs)

    with nn.intercept_methods(intercept):
        yield
    if layer not in ran:
        layers = sorted({path for path in ran if path})
        if not layers:
            raise ValueError(
                f"layer: expected a model of a linen module with layers, to find {layer!r} in"
            )
        raise ValueError(f"layer: {layer!r} is unknown; {nearest(layer, layers)}")


def _flat(layer: str, value: Any) -> jax.Array:
    """A layer's value as [n, D]."""
    if not isinstance(value, jax.Array) or value.ndim < 1:
        raise ValueError(f"layer: expected {layer!r} to hold an array, got {describe(value)}")
    return value.reshape(len(value), -1)


def _as_model(model: Any) -> Model:
    if isinstance(model, Model):
        if model.member is not None:
            raise ValueError(
                "model: expected no ensemble, whose members run side by side; change the model of "
                "its learner, and make the ensemble of that"
            )
        return model
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model: expected a flax.linen module or a Model of one, got {describe(model)}"
        )
    return from_linen(model)


def _check_layer(layer: Any) -> None:
    if not isinstance(layer, str):
        raise TypeError(f"layer: expected a path such as 'Dense_0', got {layer!r}")
