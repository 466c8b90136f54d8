"""Declares set functions by name, with the checks of their hyper-parameters beside them."""

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar, cast

import jax
import numpy as np

from jaxal import entry
from jaxal.checks import as_numbers, is_traced, nearest
from jaxal.entry import Check
from jaxal.points.embedding import check_points
from jaxal.points.similarity import METRICS
from jaxal.submodular.function import SetFunction

Factory = TypeVar("Factory", bound=Callable[..., SetFunction])

COMMON = frozenset(
    {"features", "query", "private", "usable", "private_usable", "metric", "shifted", "key"}
)


class Declaration(NamedTuple):
    """A set function's factory, and what its signature says of it."""

    factory: Callable[..., SetFunction]
    checks: dict[str, Check]
    examples: frozenset[str]  # which of "query" and "private" it needs
    hyper: frozenset[str]  # its own options
    similar: bool  # compares rows by a metric, so that any `Embedding` will do
    samples: bool  # may draw the rows that it sums over, by a key

    def check(self, name: str, hyper: Mapping[str, Any], *, known: tuple[str, ...] = ()) -> None:
        """Raises ValueError for an option that it does not take, or a value out of range.

        Args:
          name: what the function is called in the message.
          hyper: options and values; those that are traced are not looked at.
          known: further options to name in the message.
        """
        for option, value in hyper.items():
            if option not in self.hyper:
                tail = nearest(option, [*self.hyper, *known])
                raise ValueError(f"{option}: {name} does not take it; {tail}")
            if option in self.checks and value is not None and not is_traced(value):
                self.checks[option](option, value)


DECLARED: dict[str, Declaration] = {}  # by short name and by the factory's own
SHORT_NAMES: list[str] = []


def set_function(name: str, **checks: Check) -> Callable[[Factory], Factory]:
    """Makes a factory known by a short name beside its own, checks its options, and compiles it.

    Args:
      name: of `submodular.make`.
      **checks: of the factory's hyper-parameters, made before anything is computed.

    Returns:
      A decorator of factories (features, *, hyper-parameters) -> `SetFunction`.
    """

    def declare(factory: Factory) -> Factory:
        parameters = inspect.signature(factory).parameters
        choices = [one.name for one in parameters.values() if isinstance(one.default, str | int)]
        similar = "metric" in parameters
        rules = {name: check for name, check in _rules(similar).items() if name in parameters}
        compiled = entry.checked(**rules)(jax.jit(factory, static_argnames=choices))

        @functools.wraps(factory)
        def checked(features, **options) -> SetFunction:
            hyper = {option: value for option, value in options.items() if option not in COMMON}
            declaration.check(name, hyper)
            return compiled(features, **options)

        declaration = Declaration(
            checked,
            checks,
            frozenset({"query", "private"} & set(parameters)),
            frozenset(parameters) - COMMON,
            similar,
            "key" in parameters,
        )
        DECLARED[name] = DECLARED[factory.__name__] = declaration
        SHORT_NAMES.append(name)
        return cast(Factory, checked)

    return declare


def _rules(similar: bool) -> dict[str, Check]:
    """The checks of what all set functions are given, and of what those of similarities are."""
    points = check_points if similar else entry.matrix("[N, F]")
    return {
        "features": points,
        "query": points,
        "private": points,
        "usable": entry.mask,
        "private_usable": entry.mask,
        "metric": entry.one_of(METRICS),
        "shifted": entry.flag,
        "key": entry.key,
    }


def weights_of_columns(option: str, value: Any) -> None:
    """Finite numbers of at least 0, one a column; lists as well."""
    as_numbers(option, value, "[F]")
    numbers = np.asarray(value, float)
    if not np.all((numbers >= 0) & (numbers < math.inf)):
        raise ValueError(f"{option}: expected finite numbers >= 0, got {value!r}")
