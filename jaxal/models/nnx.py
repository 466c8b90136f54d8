"""Modules of flax.nnx as a `Model`."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxal.base import Model, Outputs, PyTree
from jaxal.checks import describe
from jaxal.models.functions import as_outputs

_STATE = nnx.Not(nnx.Any(nnx.Param, nnx.RngState, nnx.Intermediate))


def from_nnx(make: Callable[[nnx.Rngs], nnx.Module]) -> Model:
    """Makes a model of a flax.nnx module, by split and merge around each call.

    Modes are set with `nnx.view`: `deterministic` for dropout, `use_running_average` for running
    statistics. The module is called as `module(inputs, rngs=...)` if its signature names `rngs`,
    else as `module(inputs)`. Random streams held inside it (`nnx.Dropout(0.5, rngs=rngs)`) are
    seeded afresh from the key of each call and are no part of the variables. It returns `Outputs`
    or a pair (logits, features).

    Args:
      make: builds the module from an `nnx.Rngs`, as in `lambda rngs: CNN(num_classes=10,
        rngs=rngs)`. Called once here, abstractly, and once per `init`.

    Returns:
      A `Model` whose variables are "params" (every `nnx.Param`) and "state" (every other variable).

    Raises:
      TypeError: `make` is not a function that returns an nnx module; and as `as_outputs`.
      ValueError: as `as_outputs`.

    Example:
      >>> class Linear(nnx.Linear):
      ...     def __call__(self, inputs):
      ...         return super().__call__(inputs), inputs
      >>> model = from_nnx(lambda rngs: Linear(4, 3, rngs=rngs))
      >>> variables = model.init(jax.random.key(0), jnp.ones((5, 4)))
      >>> model.apply(variables, jnp.ones((5, 4))).logits.shape
      (5, 3)
    """
    if isinstance(make, nnx.Module) or not callable(make):
        raise TypeError(
            "make: expected a function of nnx.Rngs that returns an nnx.Module, "
            f"got {describe(make)}"
        )
    blank = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    if not isinstance(blank, nnx.Module):
        raise TypeError(f"make: expected it to return an nnx.Module, got {describe(blank)}")
    graph, blank_streams = nnx.graphdef(blank), nnx.state(blank, nnx.RngState)
    name = f"{type(blank).__name__}.__call__"
    takes_rngs = "rngs" in inspect.signature(blank).parameters

    def init(key: jax.Array, inputs: PyTree) -> dict[str, PyTree]:
        module = make(nnx.Rngs(key))
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
        value = module(inputs, **given) if takes_rngs else module(inputs)
        return as_outputs(value, name), module

    def apply(variables, inputs, *, key=None) -> Outputs:
        return run(variables, inputs, key, train=False)[0]

    def train(variables, inputs, *, key) -> tuple[Outputs, PyTree]:
        outputs, module = run(variables, inputs, key, train=True)
        return outputs, {**variables, "state": nnx.state(module, _STATE)}

    return Model(init, apply, train)


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
