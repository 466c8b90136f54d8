"""Factories of strategies, posteriors and models, whose equal calls return the identical object."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np

from jaxal.checks import check_like_default
from jaxal.sameness import Structure

Options = ParamSpec("Options")
Made = TypeVar("Made")


def cached_factory(factory: Callable[Options, Made]) -> Callable[Options, Made]:
    """Decorates a factory so that equal calls return the identical object.

    `jax.jit` compares what it is given as static by equality, which for functions is identity:
    so a program compiled for one object serves an equal call's too.

    Calls are equal if all arguments are, however given: by position, by keyword or by default,
    lists for tuples, NumPy's numbers for Python's, an integer for a float where the default is one.
    Otherwise types count: an option whose default is a flag or a number has to be one, and the
    factory, which checks the rest, sees `True` although it equals 1.

    Args:
      factory: whose arguments are hashable, once lists are tuples.

    Returns:
      The factory with the same signature and docstring.

    Raises:
      TypeError: from the factory returned, an option that is no flag or number like its default.
      ValueError: from it, NaN.

    Example:
      >>> @cached_factory
      ... def halves(numbers=(2,), scale=1.0):
      ...     return {"scale": scale, "halves": [number / 2 for number in numbers]}
      >>> halves([2]) is halves((2,), scale=1) is halves()
      True
    """
    made: dict[Structure, Made] = {}
    signature = inspect.signature(factory)

    @functools.wraps(factory)
    def build(*args: Options.args, **kwargs: Options.kwargs) -> Made:
        call = signature.bind(*args, **kwargs)
        call.apply_defaults()
        for name, given in call.arguments.items():
            parameter = signature.parameters[name]
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                given = {option: _canonical(given[option], None) for option in sorted(given)}
            given = _canonical(given, parameter.default)
            check_like_default(name, given, parameter.default)
            call.arguments[name] = given
        try:
            hash(call.args + tuple(call.kwargs.values()))
        except TypeError:
            return factory(*args, **kwargs)  # which says what it expected
        # By structure, which tells 8 from 8.0 in a list too, as the factory's checks do.
        choice = Structure((call.args, call.kwargs))
        if choice not in made:
            made[choice] = factory(*call.args, **call.kwargs)
        return made[choice]

    return build


def _canonical(given: Any, default: Any) -> Any:
    """The form in which equal arguments of a factory are one."""
    if isinstance(given, np.generic):
        given = given.item()
    if isinstance(given, list):
        return tuple(given)
    if isinstance(default, float) and type(given) is int:
        return float(given)
    return given
