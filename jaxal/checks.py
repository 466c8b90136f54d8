"""Checks made where a public function is entered, in one wording: what was expected, what came."""

import difflib
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.core

from jaxal.base import PyTree


def nearest(name: str, known: Iterable[str]) -> str:
    """The tail of an error message about an unknown name: a suggestion and the valid names."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}valid names: {', '.join(known)}"


def check_name(option: str, name: str, known: Iterable[str]) -> None:
    """Raises ValueError, with the nearest of the known names, unless the option has one of them."""
    if name not in known:
        raise ValueError(f"{option}: {name!r} is unknown; {nearest(name, known)}")


def check_options(kind: str, name: str, factory: Callable[..., Any], hyper: Mapping) -> None:
    """Raises ValueError, with the nearest option, unless a named factory takes all of `hyper`.

    Args:
      kind: what the factory makes, for the message, as in "strategy".
      name: the factory's.
      factory: whose parameters are the options.
      hyper: option -> value.
    """
    options = inspect.signature(factory).parameters
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in options.values()):
        return  # the factory hands them on to what knows them
    for option in hyper:
        if option not in options:
            known = nearest(option, options) if options else "it has none"
            raise ValueError(f"{kind} {name}: option {option!r} is unknown; {known}")


def check_rank(name: str, array: jax.Array, rank: int, shape: str) -> None:
    """Raises ValueError unless `array` has `rank` axes; `shape` says them, as in "[N, C]"."""
    if array.ndim != rank:
        raise ValueError(f"{name}: expected shape {shape}, got {tuple(array.shape)}")


def check_rows(**arrays: jax.Array) -> None:
    """Raises ValueError unless all arrays agree in their leading axis."""
    rows = {name: array.shape[0] for name, array in arrays.items()}
    if len(set(rows.values())) > 1:
        counts = ", ".join(f"{name} has {count}" for name, count in rows.items())
        raise ValueError(f"leading axes must agree: {counts}")


def check_budget(budget: int, rows: int) -> None:
    """Raises unless `budget` is an integer from 1 to the number of pool rows."""
    _check_is_integer("budget", budget)
    if not 1 <= budget <= rows:
        raise ValueError(f"budget: expected 1 to {rows} (the rows of the pool), got {budget}")


def check_positive(**numbers: float) -> None:
    """Raises ValueError unless each number is above zero."""
    for name, number in numbers.items():
        if not number > 0:
            raise ValueError(f"{name}: expected a number above 0, got {number!r}")


def check_at_least(minimum: float, **numbers: float) -> None:
    """Raises ValueError unless each number is finite and at least `minimum`."""
    for name, number in numbers.items():
        if not minimum <= number < math.inf:
            raise ValueError(f"{name}: expected a finite number >= {minimum}, got {number!r}")


def check_integer(minimum: int, **numbers: int) -> None:
    """Raises unless each number is an integer, NumPy's included, of at least `minimum`."""
    for name, number in numbers.items():
        _check_is_integer(name, number)
        if not number >= minimum:
            raise ValueError(f"{name}: expected an integer >= {minimum}, got {number!r}")


def _check_is_integer(name: str, number: Any) -> None:
    if isinstance(number, bool) or not hasattr(number, "__index__"):
        raise TypeError(f"{name}: expected an integer, got {number!r}")


def is_traced(*trees: PyTree) -> bool:
    """Whether any leaf is a tracer, so that its values cannot be looked at."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree_util.tree_leaves(trees))
