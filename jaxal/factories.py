"""Factories whose equal calls return the identical object, so that compiled programs are found again."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Made = TypeVar("Made")


def cached(
    factory: Callable[Parameters, Made], prepare: Callable[[str, Any], Any] | None = None
) -> Callable[Parameters, Made]:
    """The factory, run once for each choice of arguments, defaults filled in.

    An error is not kept. Lists are taken as tuples, as a config gives them.

    Args:
      factory: of hashable arguments.
      prepare: (name of the parameter, what was given) -> the argument; as given if None.

    Returns:
      A function with the factory's signature.
    """
    made = functools.lru_cache(maxsize=None, typed=True)(factory)
    signature = inspect.signature(factory)

    def argument(name: str, given: Any) -> Any:
        given = tuple(given) if isinstance(given, list) else given
        return given if prepare is None else prepare(name, given)

    @functools.wraps(factory)
    def build(*args: Parameters.args, **hyper: Parameters.kwargs) -> Made:
        call = signature.bind(*args, **hyper)
        call.apply_defaults()
        for name, given in call.arguments.items():
            call.arguments[name] = argument(name, given)
        return made(*call.args, **call.kwargs)

    return build
