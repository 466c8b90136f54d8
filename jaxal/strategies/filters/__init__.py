"""Filters: what reduces a pool to the candidates that a strategy selects among."""

from collections.abc import Callable
from typing import Any

from jaxal.checks import check_name, check_options
from jaxal.strategies.filters.base import Filter, Request, draw, in_order, select_among
from jaxal.strategies.filters.near import neighbours
from jaxal.strategies.filters.parts import greedi
from jaxal.strategies.filters.progressive import progressive
from jaxal.strategies.filters.scored import top, uniform

__all__ = [
    "Filter",
    "Request",
    "draw",
    "greedi",
    "in_order",
    "make",
    "neighbours",
    "progressive",
    "select_among",
    "top",
    "uniform",
]

KINDS: dict[str, Callable[..., Filter]] = {
    "greedi": greedi,
    "neighbours": neighbours,
    "progressive": progressive,
    "top": top,
    "uniform": uniform,
}


def make(kind: str, **hyper: Any) -> Filter:
    """The filter of that kind with the given options.

    Args:
      kind: one of `KINDS`.
      **hyper: options of the function of that name.

    Raises:
      ValueError: unknown kind or option; suggests the nearest.
    """
    check_name("kind", kind, KINDS)
    check_options("kind", kind, KINDS[kind], hyper)
    return KINDS[kind](**hyper)
