"""Modules of flax.linen as a `Model`."""

import contextlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax

from jaxal.base import Model, Outputs, PyTree
from jaxal.checks import adapter_hint, describe
from jaxal.models.functions import as_outputs

_FOREIGN_FLAGS = ("deterministic", "training", "is_training", "use_running_average")


def from_linen(module: nn.Module) -> Model:
    """Makes a model of a flax.linen module.

    The module is called as `module(inputs, train=..., dropout=...)`, with those of the two flags
    that its signature names. `dropout` turns dropout on; `train` means that running statistics are
    updated.

    | flags | `apply(..., key=...)` |
    |---|---|
    | both, or `dropout` alone | `dropout=True`, `train=False` |
    | `train` alone | `train=True`, refused if there are collections other than "params" |
    | none | the same as without a key |

    It returns `Outputs`, a pair (logits, features), or logits alone. In the last case the features
    are the input of the last `nn.Dense` that ran, seen through `flax.linen.intercept_methods`. If
    that layer is inside `nn.remat`, `nn.scan` or another lifted transform, its input cannot leave
    it (jax raises `UnexpectedTracerError`): return the pair.
    Every random stream of the module is fed from the one key.

    Args:
      module: the module, unbound.

    Returns:
      A `Model` whose variables are the module's collections.

    Raises:
      TypeError: not a linen module, or one that cannot be called as above.
      ValueError: from `apply` with a key, as in the table; and as `as_outputs`.

    Example:
      >>> model = from_linen(nn.Sequential([nn.Dense(16), nn.relu, nn.Dense(3)]))
      >>> inputs = jax.numpy.ones((5, 4))
      >>> variables = model.init(jax.random.key(0), inputs)
      >>> logits, features = model.apply(variables, inputs)
      >>> logits.shape, features.shape
      ((5, 3), (5, 16))
    """
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"module: expected a flax.linen module, got {describe(module)}{adapter_hint(module)}"
        )
    flags = _mode_flags(module)

    def init(key: jax.Array, inputs: PyTree) -> dict[str, PyTree]:
        off: dict[str, Any] = dict.fromkeys(flags, False)
        return {"params": {}, **module.init(key, inputs, **off)}

    def apply(variables, inputs, *, key=None) -> Outputs:
        return _forward(module, flags, variables, inputs, key, train=False)[0]

    def train(variables, inputs, *, key) -> tuple[Outputs, PyTree]:
        outputs, updates = _forward(module, flags, variables, inputs, key, train=True)
        return outputs, {**variables, **updates}

    return Model(init, apply, train)


def _forward(
    module: nn.Module,
    flags: tuple[str, ...],
    variables: PyTree,
    inputs: PyTree,
    key: jax.Array | None,
    *,
    train: bool,
) -> tuple[Outputs, Mapping[str, PyTree]]:
    """The outputs, and the collections that a training pass changed."""
    others = [collection for collection in variables if collection != "params"]
    modes: dict[str, Any] = {"train": train, "dropout": key is not None}
    if flags == ("train",) and key is not None and not train:
        if others:
            raise ValueError(
                f"{_name(module)}: add a flag `dropout=False` beside `train`, so that dropout "
                f"can be on while running statistics ({', '.join(others)}) are fixed"
            )
        modes["train"] = True
    with _last_dense_inputs() as seen:
        value, updates = module.apply(
            variables,
            inputs,
            rngs=key,
            mutable=others if train else [],
            **{flag: modes[flag] for flag in flags},
        )
    if isinstance(value, jax.Array):
        if not seen:
            raise ValueError(
                f"{_name(module)}: returned logits alone and called no nn.Dense whose input "
                "could be the features: return (logits, features)"
            )
        value = (value, seen[0])
    return as_outputs(value, _name(module)), updates


def _mode_flags(module: nn.Module) -> tuple[str, ...]:
    """Which of the two mode flags the module's call names."""
    signature = inspect.signature(module)
    flags = tuple(flag for flag in ("train", "dropout") if flag in signature.parameters)
    expected = f"{_name(module)}: expected (inputs, *, train=False, dropout=False), or fewer flags"
    for flag in _FOREIGN_FLAGS:
        if flag in signature.parameters:
            raise TypeError(f"{expected}; {flag!r} would never be set")
    try:
        signature.bind(None, **dict.fromkeys(flags, False))
    except TypeError as error:
        raise TypeError(f"{expected}; got {signature}: {error}") from error
    return flags


@contextlib.contextmanager
def _last_dense_inputs() -> Iterator[list[jax.Array]]:
    """A list that holds the input of the nn.Dense called last inside the context."""
    seen = []

    def watch(next_fun, args, kwargs, context):
        if isinstance(context.module, nn.Dense) and context.method_name == "__call__":
            seen[:] = (*args, *kwargs.values())
        return next_fun(*args, **kwargs)

    with nn.intercept_methods(watch):
        yield seen


def _name(module: nn.Module) -> str:
    return f"{type(module).__name__}.__call__"
