"""Modules of Equinox as a `Model`."""

import inspect
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from jaxal.base import Model, Outputs, PyTree
from jaxal.checks import adapter_hint, check_flag, describe, is_of_other_library
from jaxal.models.functions import as_outputs
from jaxal.numerics import num_rows

PARAMS, BUFFERS, STATE = "params", "buffers", "state"


def from_equinox(make: Any, *, batched: bool = False, axis_name: str = "batch") -> Model:
    """Makes a model of an Equinox module, or of a function that builds one.

    The module is called example by example under `jax.vmap`, as Equinox's are: `module(x)`, with
    `key=` if its signature names it, and `module(x, state)` if it has state, which returns the pair
    (value, state). Its value is `Outputs`, a pair (logits, features), or logits alone; in the last
    case the features are the input of the `eqx.nn.Linear` that ran last. If that layer runs inside
    `jax.jit`, `jax.checkpoint`, `jax.vmap` or `lax.scan` of the module's own, its input cannot
    leave it (jax raises `UnexpectedTracerError`): return the pair.

    Dropout is on where there is a key; running statistics and spectral norms move in training
    alone. The flag `inference` of a layer is set accordingly, whatever it was.

    Args:
      make: key -> an `eqx.Module`, or the pair (module, state) of `eqx.nn.make_with_state`; called
        once here, abstractly, and once per `init`. Or a module or such a pair as it is: one that is
        trained already, and every fit begins at it.
      batched: whether the module takes whole batches, [n, ...] in and [n, C] out; it then returns
        the features too.
      axis_name: of the batch, by which `eqx.nn.BatchNorm` finds it.

    Returns:
      A `Model` whose variables are "params", every array of floats by its path; and, where there
      are some, "buffers", other arrays, and "state".

    Raises:
      ImportError: from `jaxal.models`, if Equinox is not installed.
      TypeError: `make` is, or returns, something else; and as `as_outputs`.
      ValueError: logits alone, of a module that ran no `eqx.nn.Linear`; and as `as_outputs`.

    Example:
      >>> model = from_equinox(lambda key: eqx.nn.MLP(4, 3, width_size=8, depth=1, key=key))
      >>> variables = model.init(jax.random.key(0), jnp.ones((5, 4)))
      >>> logits, features = model.apply(variables, jnp.ones((5, 4)))
      >>> logits.shape, features.shape
      ((5, 3), (5, 8))
    """
    check_flag(batched=batched)
    if not isinstance(axis_name, str):
        raise TypeError(f"axis_name: expected text, got {describe(axis_name)}")
    build = _builder(make)
    parts = _parts(eqx.filter_eval_shape(build, jax.random.key(0)))

    def init(key: jax.Array, inputs: PyTree) -> dict[str, PyTree]:
        return parts.variables(build(key))

    def run(variables, inputs, key, *, train: bool) -> tuple[Outputs, PyTree]:
        module, state = parts.assembled(variables)
        module = _in_mode(module, dropout=key is not None, train=train)
        value, state = _called(module, state, inputs, key, None if batched else axis_name)
        return as_outputs(value, _name(module)), state

    def apply(variables, inputs, *, key=None) -> Outputs:
        return run(variables, inputs, key, train=False)[0]

    def train(variables, inputs, *, key) -> tuple[Outputs, PyTree]:
        outputs, state = run(variables, inputs, key, train=True)
        if state is None:
            return outputs, variables
        leaves = dict(zip(parts.named(STATE), jax.tree.leaves(state), strict=True))
        return outputs, {**variables, STATE: leaves}

    return Model(init, apply, train)


class _Parts(NamedTuple):
    """A pair (module, state) without its arrays: where each belongs, and all that is no array."""

    treedef: Any
    places: tuple[tuple[str, str], ...]  # a leaf each: its collection, "" of no array, and path
    fixed: tuple[Any, ...]  # leaves that are no arrays; None in place of arrays

    def variables(self, pair: PyTree) -> dict[str, PyTree]:
        collections: dict[str, dict[str, jax.Array]] = {PARAMS: {}}
        for (collection, path), leaf in zip(self.places, jax.tree.leaves(pair), strict=True):
            if collection:
                collections.setdefault(collection, {})[path] = jnp.asarray(leaf)
        return collections

    def assembled(self, variables: PyTree) -> tuple[Any, Any]:
        leaves = [
            variables[collection][path] if collection else fixed
            for (collection, path), fixed in zip(self.places, self.fixed, strict=True)
        ]
        return jax.tree.unflatten(self.treedef, leaves)

    def named(self, collection: str) -> list[str]:
        return [path for other, path in self.places if other == collection]


def _builder(make: Any):
    """A function of a key that returns a pair (module, state), state None where there is none."""
    given = make if _is_module(make) else None
    if given is None and (not callable(make) or is_of_other_library(make, "equinox")):
        raise TypeError(
            "make: expected an eqx.Module, a pair (module, state), or a function of a key that "
            f"returns one, got {describe(make)}{adapter_hint(make)}"
        )

    def build(key: jax.Array) -> tuple[Any, Any]:
        made = make(key) if given is None else given
        if not _is_module(made):
            raise TypeError(
                "make: expected it to return an eqx.Module or a pair (module, state), got "
                f"{describe(made)}"
            )
        return made if isinstance(made, tuple) else (made, None)

    return build


def _is_module(made: Any) -> bool:
    if isinstance(made, tuple) and len(made) == 2:
        return isinstance(made[0], eqx.Module) and isinstance(made[1], eqx.nn.State)
    return isinstance(made, eqx.Module)


def _parts(abstract: tuple[Any, Any]) -> _Parts:
    leaves, treedef = jax.tree_util.tree_flatten_with_path(abstract)
    places = []
    for (part, *path), leaf in leaves:
        where = jax.tree_util.keystr(tuple(path), simple=True, separator="/")
        if not isinstance(leaf, jax.ShapeDtypeStruct):
            collection = ""
        elif part.idx == 1:
            collection = STATE
        else:
            collection = PARAMS if jnp.issubdtype(leaf.dtype, jnp.inexact) else BUFFERS
        places.append((collection, where))
    fixed = tuple(
        None if place[0] else leaf for place, (_, leaf) in zip(places, leaves, strict=True)
    )
    return _Parts(treedef, tuple(places), fixed)


def _in_mode(module: eqx.Module, *, dropout: bool, train: bool) -> eqx.Module:
    """The module with every flag `inference` as the call needs it."""

    def flagged(tree: Any) -> list[Any]:
        nodes = jax.tree.leaves(tree, is_leaf=lambda node: hasattr(node, "inference"))
        return [node for node in nodes if hasattr(node, "inference")]

    flags = [
        not (train if isinstance(node, eqx.nn.StatefulLayer) else dropout)
        for node in flagged(module)
    ]
    if not flags:
        return module
    return eqx.tree_at(
        lambda tree: [node.inference for node in flagged(tree)],
        module,
        flags,
        is_leaf=lambda leaf: leaf is None,
    )


class _Watched:
    """A layer that keeps what it was called with; otherwise as it was."""

    def __init__(self, layer: Any, seen: list[jax.Array]):
        self._layer, self._seen = layer, seen

    def __call__(self, inputs: jax.Array, *args: Any, **kwargs: Any) -> Any:
        if jnp.ndim(inputs) == 1:  # a convolution under a norm of its weights has more axes
            self._seen[:] = [inputs]
        return self._layer(inputs, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layer, name)


# Norms of weights rebuild the layer inside: it is they that are watched.
_DENSE = (eqx.nn.Linear, eqx.nn.SpectralNorm, eqx.nn.WeightNorm)


def _called(
    module: Any, state: Any, inputs: PyTree, key: jax.Array | None, axis_name: str | None
) -> tuple[Any, Any]:
    """What the module returns for a batch, mapped over the axis if it has a name; and its state."""
    takes_key = "key" in inspect.signature(module).parameters

    def call(inputs: PyTree, key: jax.Array | None) -> tuple[Any, Any]:
        seen: list[jax.Array] = []
        watched: Any = jax.tree.map(
            lambda node: _Watched(node, seen) if isinstance(node, _DENSE) else node,
            module,
            is_leaf=lambda node: isinstance(node, _DENSE),
        )
        given = {"key": key} if takes_key else {}
        value, after = watched(inputs, *() if state is None else (state,), **given), None
        if state is not None:
            if not (isinstance(value, tuple) and len(value) == 2):
                raise TypeError(
                    f"{_name(module)}: expected the pair (value, state), as it has state, got "
                    f"{describe(value)}"
                )
            value, after = value
        if isinstance(value, jax.Array):
            if axis_name is None or not seen:
                raise ValueError(
                    f"{_name(module)}: returned logits alone, and there is no eqx.nn.Linear whose "
                    "input could be the features: return (logits, features)"
                )
            value = (value, seen[0])
        return value, after

    if axis_name is None:
        return call(inputs, key)
    keys = None if key is None else jax.random.split(key, num_rows(inputs))
    axes = (0, None if keys is None else 0)
    return jax.vmap(call, in_axes=axes, out_axes=(0, None), axis_name=axis_name)(inputs, keys)


def _name(module: Any) -> str:
    return f"{type(module).__name__}.__call__"
