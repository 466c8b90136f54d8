"""Checks of what strategies, models and fits return: types where they are traced, values after."""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxal.base import PyTree, Selection, Strategy
from jaxal.checks import describe, is_array
from jaxal.loop.answers import check_distinct, check_each, check_weights

HOST_CODE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)
"""What JAX raises where NumPy, `float`, `int` or `if` meet a value that is traced."""


@contextlib.contextmanager
def explained(what: str, hint: str = "use jax.numpy", *, wrap: bool = False) -> Iterator[None]:
    """Says in an error where it comes from: a function that was given, by its name.

    Args:
      what: ran inside, for the message.
      hint: how to mend code of the host among what is traced.
      wrap: make a ValueError of errors of other types as well.
    """
    try:
        yield
    except HOST_CODE as error:
        raise TypeError(
            f"{what}: this code runs on the host (NumPy, float(), int(), if), but its values are "
            f"traced by jit; {hint}"
        ) from error
    except Exception as error:
        if type(error) in (ValueError, TypeError):
            raise type(error)(f"{what}: {error}") from error
        if wrap:
            raise ValueError(f"{what}: {type(error).__name__}: {error}") from error
        raise


def strategy_name(strategy: Strategy) -> str:
    """The strategy in words, for messages: by its name, or by those of its functions."""
    if getattr(strategy, "name", None):
        return f"strategy {strategy.name}"
    return f"strategy ({describe(strategy.observe)}, {describe(strategy.select)})"


def check_strategy(strategy: Any) -> None:
    """Raises TypeError unless the strategy has its two functions."""
    if callable(getattr(strategy, "observe", None)) and callable(getattr(strategy, "select", None)):
        return
    hint = ""
    if isinstance(strategy, str):
        hint = f"; jaxal.strategies.make({strategy!r}) makes it"
    elif callable(strategy):
        hint = f"; call it: {describe(strategy)}()"
    raise TypeError(f"strategy: expected a Strategy, got {describe_given(strategy)}{hint}")


def describe_given(value: Any) -> str:
    """A string as it is, and anything else as `describe` says."""
    return repr(value) if isinstance(value, str) else describe(value)


def check_selection_type(selection: Any, budget: int) -> None:
    """Raises TypeError unless a strategy returned a `Selection` of `budget` rows; looks at types.

    Args:
      selection: what `Strategy.select` returned, traced or not.
      budget: B.
    """
    if not isinstance(selection, Selection):
        raise TypeError(f"select: expected a Selection of {budget} rows, got {describe(selection)}")
    for name, array in selection._asdict().items():
        if name == "weights" and array is None:
            continue
        if not is_array(array) or array.shape != (budget,):
            raise TypeError(
                f"select: expected a Selection of {budget} rows, got {name} {describe(array)}"
            )
        kind = jnp.integer if name == "rows" else jnp.floating
        if not jnp.issubdtype(array.dtype, kind):
            raise TypeError(f"select: expected {name} to be {kind.__name__}, got {array.dtype}")


def check_selection(
    where: str, rows: np.ndarray, free: np.ndarray, left: int, weights: Any = None
) -> None:
    """Raises ValueError unless a strategy picked rows that it may pick, each once, or none is left.

    Args:
      where: the strategy and the round, for the message.
      rows: [B] integers, -1 where it found none.
      free: [B] bool, whether each row is there and available; anything where the row is -1.
      left: how many rows were available.
      weights: [B], or None.
    """
    what = f"{where}, rows"
    check_each(what, rows, free | (rows == -1), "rows of the pool that are available")
    check_distinct(what, rows)
    if left and not (rows >= 0).any():
        raise ValueError(f"{what}: expected some of the {left} available rows, got only -1")
    if weights is not None:
        check_weights(f"{where}, weights", weights, len(rows))


@jax.jit
def are_free(rows: jax.Array, available: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Whether rows [B] are among those available [N], and how many of these there are."""
    inside = (rows >= 0) & (rows < len(available))
    return inside & available[jnp.where(inside, rows, 0)], jnp.sum(available)


def is_finite(tree: PyTree) -> jax.Array:
    """[] bool, whether every number of every leaf is finite."""
    leaves = [jnp.all(jnp.isfinite(leaf)) for leaf in _inexact(tree)]
    return jnp.all(jnp.array(leaves)) if leaves else jnp.array(True)


def flawed_row(observation: PyTree, valid: jax.Array) -> jax.Array:
    """[] int32, the first valid row of an observation with NaN or +inf in it, -1 if there is none.

    An observation may be -inf: a score that comes last, or the logit of what cannot be.
    """
    flawed = jnp.zeros_like(valid)
    for leaf in _inexact(observation):
        flaws = jnp.isnan(leaf) | (leaf == jnp.inf)
        flawed |= jnp.any(flaws, axis=tuple(range(1, leaf.ndim)))
    flawed &= valid
    return jnp.where(jnp.any(flawed), jnp.argmax(flawed), -1).astype(jnp.int32)


def check_observation(where: str, row: Any) -> None:
    """Raises FloatingPointError if `flawed_row` found one."""
    if int(row) >= 0:
        raise FloatingPointError(f"{where}: observe returned NaN or inf for row {int(row)}")


def _inexact(tree: PyTree) -> list[jax.Array]:
    return [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
