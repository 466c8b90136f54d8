"""Strategies by name, each with what a newcomer asks of it: what it does, its options, its paper."""

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from jaxal import posterior, submodular
from jaxal.base import Strategy
from jaxal.checks import check_options, nearest

Factory = TypeVar("Factory", bound=Callable[..., Strategy])
_REGISTRY: dict[str, Callable[..., Strategy]] = {}
_ALIASES = {  # DISTIL's names
    "bald_dropout": "bald",
    "batch_bald_dropout": "batch_bald",
    "coreset": "core_set",
    "entropy_sampling": "entropy",
    "entropy_sampling_dropout": "entropy_dropout",
    "gradmatch_active": "grad_match",
    "kmeans_sampling": "k_means",
    "least_confidence_sampling": "least_confidence",
    "least_confidence_sampling_dropout": "least_confidence_dropout",
    "margin_sampling": "margin",
    "margin_sampling_dropout": "margin_dropout",
    "partition_strategy": "partition",
    "random_sampling": "random",
    "submod_sampling": "submodular",
    "submodular_sampling": "submodular",
}


class Description(NamedTuple):
    """A strategy in words."""

    name: str
    summary: str
    options: dict[str, Any]  # option -> default
    paper: str


def register(factory: Factory) -> Factory:
    """Makes a strategy known by its function's name.

    Equal calls return the identical strategy, so that what was compiled for one serves the other. An
    option `function`, `posterior` or `strategy` may be given as a config would: by name, or as a table of the name and
    its options.
    """
    cached = functools.lru_cache(maxsize=None, typed=True)(factory)
    signature = inspect.signature(factory)
    parameters = signature.parameters

    @functools.wraps(factory)
    def build(*args: Any, **hyper: Any) -> Strategy:
        call = signature.bind(*args, **hyper)
        call.apply_defaults()
        for option, given in call.arguments.items():
            if parameters[option].kind is inspect.Parameter.VAR_KEYWORD:
                call.arguments[option] = {name: _value(name, given[name]) for name in sorted(given)}
            else:
                call.arguments[option] = _value(option, given)
        return cached(*call.args, **call.kwargs)

    _REGISTRY[factory.__name__] = build
    return build  # pyright: ignore[reportReturnType]  # it has the factory's signature


def _value(option: str, given: Any) -> Any:
    """The value of an option, made if a config named it."""
    if option not in _MAKERS:
        return tuple(given) if isinstance(given, list) else given
    kind, make_value = _MAKERS[option]
    table = {"name": given} if isinstance(given, str) else given
    if isinstance(table, Mapping) and "name" in table:
        return make_value(**table)
    if not isinstance(given, kind):
        raise TypeError(
            f"{option}: expected a {kind.__name__}, its name, or a table with its name, got {given!r}"
        )
    return given


def names() -> list[str]:
    """The names of all strategies, sorted."""
    return sorted(_REGISTRY)


def make(name: str, **hyper: Any) -> Strategy:
    """The strategy of that name, or of DISTIL's name for it, with the given hyper-parameters.

    Raises:
      ValueError: unknown name or option; suggests the nearest.

    >>> make("coreset") is make("core_set")
    True
    """
    name = _ALIASES.get(name, name)
    if name not in _REGISTRY:
        known = nearest(name, [*_REGISTRY, *_ALIASES])
        raise ValueError(f"strategy: {name!r} is unknown; {known}")
    check_options("strategy", name, _REGISTRY[name], hyper)
    return _REGISTRY[name](**hyper)


_MAKERS = {
    "function": (submodular.FunctionSpec, submodular.specify),
    "posterior": (posterior.Posterior, posterior.make),
    "strategy": (Strategy, make),
}


def describe() -> list[Description]:
    """All strategies in words, from their signatures and docstrings."""
    return [_describe(name, _REGISTRY[name]) for name in names()]


def _describe(name: str, factory: Callable[..., Strategy]) -> Description:
    text = inspect.cleandoc(factory.__doc__ or "")
    options = {
        parameter.name: parameter.default
        for parameter in inspect.signature(factory).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }
    found = re.search(r"^References:\n((?:[ ]+.*\n?)+)", text, re.MULTILINE)
    paper = " ".join(found.group(1).split()) if found else ""
    return Description(name, text.split("\n", 1)[0], options, paper)
