"""Plain functions as a `Model`, and the check of what any model function returns."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxal.base import Model, Outputs, PyTree
from jaxal.checks import adapter_hint, check_flag, check_rank, describe, is_array


def from_functions(
    init: Callable[[jax.Array, PyTree], PyTree],
    apply: Callable[..., Any],
    *,
    stateful: bool = False,
) -> Model:
    """Makes a model of two plain functions (Haiku, NumPyro, a library of your own).

    Args:
      init: (key, inputs) -> params, a pytree of arrays; with `stateful` the pair (params, state).
      apply: (params, inputs) -> `Outputs` or a pair (logits, features); or (params, inputs, *,
        key), where dropout is on if the key is not None. With `stateful` (params, state, inputs, *,
        train), and `key` if it names it, -> the pair (outputs, state): `train` says that running
        statistics move, and what `apply` returns as state otherwise is not looked at.
      stateful: whether there are running statistics.

    Returns:
      A `Model` whose variables are {"params": params}, with `stateful` {"params", "state"}.

    Raises:
      TypeError: an argument that is no function, or a flag that is none.
      TypeError, ValueError: from the model, as `as_outputs`.

    Example:
      >>> def init(key, inputs):
      ...     return jax.random.normal(key, (inputs.shape[1], 3))
      >>> model = from_functions(init, lambda params, inputs: (inputs @ params, inputs))
      >>> variables = model.init(jax.random.key(0), jnp.ones((5, 4)))
      >>> model.apply(variables, jnp.ones((5, 4))).logits.shape
      (5, 3)
    """
    for argument, function in (("init", init), ("apply", apply)):
        if not callable(function):
            raise TypeError(f"{argument}: expected a function, got {describe(function)}")
    check_flag(stateful=stateful)
    name = getattr(apply, "__qualname__", type(apply).__name__)
    takes_key = "key" in inspect.signature(apply).parameters

    def start(key: jax.Array, inputs: PyTree) -> dict[str, PyTree]:
        made = init(key, inputs)
        _check_arrays(made)
        if not stateful:
            return {"params": made}
        return dict(zip(("params", "state"), _pair("init", made, "(params, state)"), strict=True))

    def run(variables, inputs, key, *, train: bool) -> tuple[Outputs, PyTree]:
        given = {"key": key} if takes_key else {}
        if not stateful:
            return as_outputs(apply(variables["params"], inputs, **given), name), variables
        value = apply(variables["params"], variables["state"], inputs, train=train, **given)
        outputs, state = _pair(name, value, "(outputs, state)")
        return as_outputs(outputs, name), {**variables, "state": state}

    def evaluate(variables, inputs, *, key=None) -> Outputs:
        return run(variables, inputs, key, train=False)[0]

    def train(variables, inputs, *, key) -> tuple[Outputs, PyTree]:
        return run(variables, inputs, key, train=True)

    return Model(start, evaluate, train)


def _check_arrays(made: PyTree) -> None:
    """Raises TypeError if there is something else than arrays and numbers among parameters."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(made):
        if not is_array(leaf) and not isinstance(leaf, int | float | np.generic):
            where = jax.tree_util.keystr(path)
            raise TypeError(
                f"init: expected a pytree of arrays, got {describe(leaf)} at {where or 'its root'}"
                f"{adapter_hint(made)}"
            )


def _pair(name: str, value: Any, what: str) -> tuple[Any, Any]:
    if not (isinstance(value, tuple) and len(value) == 2):
        raise TypeError(f"{name}: expected a pair {what}, got {describe(value)}")
    return value


def as_outputs(value: Any, name: str = "model") -> Outputs:
    """Checks what a model function returned, at trace time.

    Args:
      value: `Outputs` or a pair (logits [n, C], features [n, D]), floating point; of a regression
        the logits are [n, 1], what is predicted.
      name: the function, for the messages.

    Returns:
      The same two arrays, as `Outputs` of jax arrays.

    Raises:
      TypeError: not a pair, or not of floating-point arrays.
      ValueError: other ranks, leading axes that differ, or no output.
    """
    if not (isinstance(value, tuple) and len(value) == 2):
        raise TypeError(
            f"{name}: expected Outputs or a pair (logits [n, C], features [n, D]), "
            f"got {describe(value)}"
        )
    shapes = ("[n, C]", "[n, D]")
    for field, array, shape in zip(Outputs._fields, value, shapes, strict=True):
        if not (is_array(array) and jnp.issubdtype(array.dtype, jnp.floating)):
            raise TypeError(
                f"{name}: expected {field} to be a floating-point array {shape}, "
                f"got {describe(array)}"
            )
        check_rank(f"{name}: {field}", array, 2, shape)
    logits, features = outputs = Outputs(*map(jnp.asarray, value))
    if logits.shape[0] != features.shape[0]:
        raise ValueError(
            f"{name}: expected logits [n, C] and features [n, D] with the same n, "
            f"got {logits.shape} and {features.shape}"
        )
    if logits.shape[1] < 1:
        raise ValueError(
            f"{name}: expected logits [n, C] with at least 2 classes, or [n, 1] of a regression, "
            f"got {logits.shape}"
        )
    return outputs
