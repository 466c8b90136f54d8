"""Strategies by name, each with what a newcomer asks of it: what it does, its options, its paper."""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar, get_args

from jaxal import posterior
from jaxal.base import Strategy
from jaxal.checks import check_name, check_options
from jaxal.factories import cached

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
    """Registers a strategy factory under its function name.

    Equal calls return the identical strategy, so that what was compiled for one serves the other. A
    parameter whose type is `Posterior` or `Strategy` may be given as a config would: by name, or as
    a table of the name and its options.
    """
    parameters = inspect.signature(factory).parameters
    makers = {name: _maker(parameter.annotation) for name, parameter in parameters.items()}

    def prepare(name: str, given: Any) -> Any:
        maker = makers.get(name)
        if maker is None:
            return given
        kind, make_value = maker
        table = {"name": given} if isinstance(given, str) else given
        if isinstance(table, Mapping) and "name" in table:
            return make_value(**table)
        if not isinstance(given, kind):
            raise TypeError(
                f"{name}: expected a {kind.__name__}, its name, or a table with its name, got {given!r}"
            )
        return given

    _REGISTRY[factory.__name__] = build = cached(factory, prepare)
    return build  # pyright: ignore[reportReturnType]  # it has the factory's signature


def _maker(annotation: Any) -> tuple[type, Callable[..., Any]] | None:
    """The type of a parameter that a config names, and what makes one from a table."""
    kinds = {annotation, *get_args(annotation)}
    if posterior.Posterior in kinds:
        return posterior.Posterior, posterior.make
    return (Strategy, make) if Strategy in kinds else None


def names() -> tuple[str, ...]:
    """The names of all strategies, sorted."""
    return tuple(sorted(_REGISTRY))


def make(name: str, **hyper: Any) -> Strategy:
    """The strategy of that name, or of DISTIL's name for it, with the given hyper-parameters.

    Raises:
      ValueError: unknown name or option; suggests the nearest.

    >>> make("coreset") is make("core_set")
    True
    """
    name = _ALIASES.get(name, name)
    check_name("strategy", name, [*_REGISTRY, *_ALIASES])
    check_options("strategy", name, _REGISTRY[name], hyper)
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
