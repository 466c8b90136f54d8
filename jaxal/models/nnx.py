"""Modules of flax.nnx as a `Model`."""

import contextlib
import contextvars
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxal.base import Model, Outputs, PyTree
from jaxal.checks import adapter_hint, describe, is_of_other_library
from jaxal.models.functions import as_outputs

_STATE = nnx.Not(nnx.Any(nnx.Param, nnx.RngState, nnx.Intermediate))


def from_nnx(make: Callable[[nnx.Rngs], nnx.Module] | nnx.Module) -> Model:
    """Makes a model of a flax.nnx module, or of a function that builds one, by split and merge.

    Modes are set with `nnx.view`: `deterministic` for dropout, `use_running_average` for running
    statistics. The module is called as `module(inputs, rngs=...)` if its signature names `rngs`,
    else as `module(inputs)`. Random streams held inside it (`nnx.Dropout(0.5, rngs=rngs)`) are
    seeded afresh from the key of each call and are no part of the variables. It returns `Outputs`,
    a pair (logits, features), or logits alone; in the last case the features are the input of the
    `nnx.Linear` that ran last. If that layer runs inside `nnx.jit`, `nnx.remat`, `nnx.scan` or
    another transform of the module's own, its input cannot leave it (jax raises
    `UnexpectedTracerError`): return the pair.

    Args:
      make: builds the module from an `nnx.Rngs`, as in `lambda rngs: CNN(num_classes=10,
        rngs=rngs)`; called once here, abstractly, and once per `init`. Or a module as it is: one
        that is trained already, and every fit begins at it. It is copied, and stays as it was.

    Returns:
      A `Model` whose variables are "params" (every `nnx.Param`) and "state" (every other variable).

    Raises:
      TypeError: `make` is neither a module nor a function that returns one; and as `as_outputs`.
      ValueError: logits alone, of a module that ran no `nnx.Linear`; and as `as_outputs`.

    Example:
      >>> class Net(nnx.Module):
      ...     def __init__(self, rngs):
      ...         self.hidden = nnx.Linear(4, 8, rngs=rngs)
      ...         self.out = nnx.Linear(8, 3, rngs=rngs)
      ...     def __call__(self, inputs):
      ...         return self.out(nnx.relu(self.hidden(inputs)))
      >>> model = from_nnx(Net)
      >>> variables = model.init(jax.random.key(0), jnp.ones((5, 4)))
      >>> logits, features = model.apply(variables, jnp.ones((5, 4)))
      >>> logits.shape, features.shape
      ((5, 3), (5, 8))
    """
    build = _builder(make)
    blank = nnx.eval_shape(lambda: build(nnx.Rngs(0)))
    if not isinstance(blank, nnx.Module):
        raise TypeError(f"make: expected it to return an nnx.Module, got {describe(blank)}")
    graph, blank_streams = nnx.graphdef(blank), nnx.state(blank, nnx.RngState)
    name = f"{type(blank).__name__}.__call__"
    takes_rngs = "rngs" in inspect.signature(blank).parameters

    def init(key: jax.Array, inputs: PyTree) -> dict[str, PyTree]:
        module = build(nnx.Rngs(key))
        return {
            "params": nnx.state(module, nnx.Param),
            "state": nnx.state(module, _STATE),
        }

    def run(variables, inputs, key, *, train: bool) -> tuple[Outputs, nnx.Module]:
        outer, inner = (None, None) if key is None else jax.random.split(key)
        module = nnx.merge(
            graph,
            variables["params"],
            variables["state"],
            _seed_streams(blank_streams, inner),
            copy=True,  # without it, variables of an outer trace (grad, scan) are refused
        )
        module: Any = nnx.view(
            module,
            raise_if_not_found=False,
            deterministic=key is None,
            use_running_average=not train,
        )
        given = {"rngs": None if outer is None else nnx.Rngs(outer)}
        with _last_linear_inputs(module) as seen:
            value = module(inputs, **given) if takes_rngs else module(inputs)
        if isinstance(value, jax.Array):
            if not seen:
                raise ValueError(
                    f"{name}: returned logits alone and called no nnx.Linear whose input could be "
                    "the features: return (logits, features)"
                )
            value = (value, seen[0])
        return as_outputs(value, name), module

    def apply(variables, inputs, *, key=None) -> Outputs:
        return run(variables, inputs, key, train=False)[0]

    def train(variables, inputs, *, key) -> tuple[Outputs, PyTree]:
        outputs, module = run(variables, inputs, key, train=True)
        return outputs, {**variables, "state": nnx.state(module, _STATE)}

    return Model(init, apply, train)


def _builder(make: Any) -> Callable[[nnx.Rngs], Any]:
    if isinstance(make, nnx.Module):
        graph, state = nnx.split(nnx.clone(make))
        return lambda rngs: nnx.merge(graph, state, copy=True)
    if not callable(make) or is_of_other_library(make, "flax.nnx"):
        raise TypeError(
            "make: expected an nnx.Module, or a function of nnx.Rngs that returns one, "
            f"got {describe(make)}{adapter_hint(make)}"
        )
    return make


_SEEN: contextvars.ContextVar[list[jax.Array]] = contextvars.ContextVar("inputs of nnx.Linear")


class _Watched(nnx.Linear):
    """A layer that keeps what it was called with; its class alone is another."""

    def __call__(self, inputs: jax.Array, *args: Any, **kwargs: Any) -> jax.Array:
        _SEEN.get()[:] = [inputs]
        return super().__call__(inputs, *args, **kwargs)


@contextlib.contextmanager
def _last_linear_inputs(module: nnx.Module) -> Iterator[list[jax.Array]]:
    """A list that holds the input of the nnx.Linear of the module that ran last in the context."""
    layers = [layer for _, layer in nnx.iter_modules(module) if type(layer) is nnx.Linear]
    seen: list[jax.Array] = []
    token = _SEEN.set(seen)
    try:
        for layer in layers:
            layer.__class__ = _Watched
        yield seen
    finally:
        for layer in layers:
            layer.__class__ = nnx.Linear
        _SEEN.reset(token)


def _seed_streams(streams: nnx.State, key: jax.Array | None) -> nnx.State:
    """Concrete random streams: a key of its own for each, and counts of 0."""
    # Without a key everything is deterministic; merge needs the streams all the same.
    key = jax.random.key(0) if key is None else key
    leaves, treedef = jax.tree.flatten(streams)
    seeded = [
        jax.random.split(jax.random.fold_in(key, i), leaf.shape)
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        else jnp.zeros(leaf.shape, leaf.dtype)
        for i, leaf in enumerate(leaves)
    ]
    return jax.tree.unflatten(treedef, seeded)
