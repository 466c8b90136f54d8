"""Checks of a function's arguments where it is entered, before anything is traced or compiled.

`jax.jit` refuses what is no array by its position, and a static argument that cannot be hashed by
its type, before the function's own checks could say what they expect. Each check here is a function
of an argument's name and value; most are those of `checks`.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, cast

import jax.numpy as jnp

from jaxal import checks
from jaxal.checks import check_rank, describe, is_array

Check = Callable[[str, Any], None]
"""(argument, value) -> None; raises ValueError or TypeError."""
Function = TypeVar("Function", bound=Callable[..., Any])


def checked(**rules: Check) -> Callable[[Function], Function]:
    """Decorates a function whose arguments are checked before it is called.

    Args:
      **rules: argument -> its check. None is not looked at where it is the default.

    Returns:
      A decorator; what it returns has the function as `__wrapped__`.

    Example:
      >>> @checked(budget=integer(1))
      ... def spend(budget):
      ...     return budget
      >>> spend(1.5)
      Traceback (most recent call last):
          ...
      TypeError: budget: expected an integer, got 1.5
    """

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            given = signature.bind(*args, **kwargs).arguments
            for name, check in rules.items():
                default = signature.parameters[name].default
                if name in given and not (given[name] is None and default is None):
                    check(name, given[name])
            return function(*args, **kwargs)

        return cast(Function, call)

    return decorate


def integer(minimum: int) -> Check:
    """An integer of at least `minimum`."""
    return lambda name, value: checks.check_integer(minimum, **{name: value})


def at_least(minimum: float) -> Check:
    """A finite number of at least `minimum`."""
    return lambda name, value: checks.check_at_least(minimum, **{name: value})


def positive(name: str, value: Any) -> None:
    """A finite number above 0."""
    checks.check_positive(**{name: value})


def finite(name: str, value: Any) -> None:
    """A finite number, of either sign."""
    checks.check_finite(**{name: value})


def fraction(name: str, value: Any) -> None:
    """A number in (0, 1)."""
    checks.check_fraction(**{name: value})


def flag(name: str, value: Any) -> None:
    """True or False."""
    checks.check_flag(**{name: value})


def text(name: str, value: Any) -> None:
    """A string."""
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected a string, got {value!r}")


def texts(name: str, value: Any) -> None:
    """A list of strings."""
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise TypeError(f"{name}: expected a list of strings, got {describe(value)}")


def numbers(name: str, value: Any) -> None:
    """A list or an array [F] of numbers."""
    checks.as_numbers(name, value, "[F]")


def budget(name: str, value: Any) -> None:
    """An integer; how large it may be depends on the rows."""
    checks.check_whole(**{name: value})


def one_of(known: Iterable[str]) -> Check:
    """One of the known names."""
    return lambda name, value: checks.check_name(name, value, known)


def key(name: str, value: Any) -> None:
    """One PRNG key."""
    checks.check_key(value)


def mask(name: str, value: Any) -> None:
    """[N] bool."""
    checks.check_mask(name, value)


def matrix(shape: str) -> Check:
    """An array of numbers with as many axes as `shape` names, as in "[N, D]"."""
    return lambda name, value: check_rank(name, value, shape.count(",") + 1, shape)


def integers(name: str, value: Any) -> None:
    """[N] integers."""
    integer_matrix("[N]")(name, value)


def integer_matrix(shape: str) -> Check:
    """An array of integers with as many axes as `shape` names, as in "[R, n]"."""

    def check(name: str, value: Any) -> None:
        if not is_array(value) or not jnp.issubdtype(value.dtype, jnp.integer):
            raise TypeError(f"{name}: expected an array {shape} of integers, got {describe(value)}")
        check_rank(name, value, shape.count(",") + 1, shape)

    return check


def parts(*names: str) -> Check:
    """A tuple of arrays, which are called so."""

    def check(name: str, value: Any) -> None:
        expected = f"{name}: expected ({', '.join(names)})"
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise TypeError(f"{expected}, got {describe(value)}")
        if len(value) != len(names):
            raise ValueError(f"{expected}, got {len(value)} values")
        for part, array in zip(names, value, strict=True):
            if not is_array(array):
                raise TypeError(f"{name} {part}: expected an array, got {describe(array)}")

    return check


def instance(kind: type) -> Check:
    """An instance of a class."""

    def check(name: str, value: Any) -> None:
        if not isinstance(value, kind):
            raise TypeError(f"{name}: expected {kind.__name__}, got {describe(value)}")

    return check


def function(name: str, value: Any) -> None:
    """A function."""
    if not callable(value):
        raise TypeError(f"{name}: expected a function, got {describe(value)}")
