"""Strategies by name, each with what a newcomer asks of it: what it does, its options, its paper."""

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from jaxal.base import Strategy, nearest

Factory = TypeVar("Factory", bound=Callable[..., Strategy])
_REGISTRY: dict[str, Callable[..., Strategy]] = {}


class Description(NamedTuple):
    """A strategy in words."""

    name: str
    summary: str
    options: dict[str, Any]  # option -> default
    paper: str


def register(factory: Factory) -> Factory:
    """Makes a strategy known by its function's name.

    Equal calls return the identical strategy, so that what was compiled for one serves the other.
    """
    cached = functools.lru_cache(maxsize=None, typed=True)(factory)
    _REGISTRY[factory.__name__] = cached
    return cached  # pyright: ignore[reportReturnType]  # a cached function keeps its signature


def names() -> list[str]:
    """The names of all strategies, sorted."""
    return sorted(_REGISTRY)


def make(name: str, **hyper: Any) -> Strategy:
    """The strategy of that name with the given hyper-parameters.

    Raises:
      ValueError: unknown name or option; suggests the nearest.

    >>> make("badge") is make("badge")
    True
    """
    if name not in _REGISTRY:
        raise ValueError(f"strategy: {name!r} is unknown; {nearest(name, _REGISTRY)}")
    options = inspect.signature(_REGISTRY[name]).parameters
    for option in hyper:
        if option not in options:
            known = nearest(option, options) if options else "it has none"
            raise ValueError(f"strategy {name}: option {option!r} is unknown; {known}")
    return _REGISTRY[name](**hyper)


def describe() -> list[Description]:
    """All strategies in words, from their signatures and docstrings."""
    return [_describe(name, _REGISTRY[name]) for name in names()]


def _describe(name: str, factory: Callable[..., Strategy]) -> Description:
    text = inspect.cleandoc(factory.__doc__ or "")
    options = {
        parameter.name: parameter.default
        for parameter in inspect.signature(factory).parameters.values()
    }
    found = re.search(r"^References:\n((?:[ ]+.*\n?)+)", text, re.MULTILINE)
    paper = " ".join(found.group(1).split()) if found else ""
    return Description(name, text.split("\n", 1)[0], options, paper)
