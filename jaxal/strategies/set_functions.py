"""What the strategies over set functions share: how examples are represented, and the greedy choice."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxal import selection, submodular
from jaxal.base import ObserveFn, Selection, check_name
from jaxal.submodular.registry import FUNCTIONS
from jaxal.submodular.similarity import Features

Choose = Callable[..., Selection]
"""(key, points, available [N], budget, **targets) -> Selection; targets are "query" and "private"."""

_KNOWN = FUNCTIONS | {factory.__name__: factory for factory in FUNCTIONS.values()}
_KINDS = {kind: kind for kind in selection.GRADIENT_KINDS}
_KINDS |= {f"grad_{kind}": kind for kind in selection.GRADIENT_KINDS}  # DISTIL's names


def functions_of(*targets: str) -> list[str]:
    """The names of the set functions that take these of "query" and "private", and no other."""
    return [
        name
        for name, factory in _KNOWN.items()
        if {"query", "private"} & set(inspect.signature(factory).parameters)
        == set(targets)
    ]


def represent(representation: str) -> ObserveFn:
    """Observes the features, or the gradient for the label where it is known, else for the prediction."""
    check_name("representation", representation, ["features", *_KINDS])

    def observe(key, model, variables, inputs, labels) -> Features:
        outputs = model.apply(variables, inputs)
        if representation == "features":
            return outputs.features
        kind = _KINDS[representation]
        return selection.gradient_embedding(*outputs, labels=labels, kind=kind)

    return observe


def greedy(
    function: str,
    representation: str,
    *,
    targets: tuple[str, ...] = (),
    metric: str,
    shifted: bool,
    optimizer: str,
    stop_if_zero_gain: bool,
    stop_if_negative_gain: bool,
    **hyper: Any,
) -> Choose:
    """The greedy choice by a set function whose ground set is the available rows.

    All options are checked here, by a trace of the choice among one row.

    Args:
      function: a name of `submodular.make`.
      representation: as `represent`, for the check.
      targets: which of "query" and "private" the strategy has.
      metric, shifted: as `submodular.make`.
      optimizer, stop_if_zero_gain, stop_if_negative_gain: as `submodular.maximize`.
      **hyper: of the function, its own default where None.

    Raises:
      ValueError: unknown names, hyper-parameters that the function does not take or that are out of range, or
        gradients for a function of columns.
    """
    check_name("function", function, functions_of(*targets))
    given = {name: value for name, value in hyper.items() if value is not None}

    def choose(key, points, available, budget, **examples):
        # Rows that are not finite are not there, for set functions: constant shapes, and the labelled
        # rows are in no sum.
        points = jax.tree.map(
            lambda leaf: jnp.where(available[:, None], leaf, jnp.nan), points
        )
        ground = submodular.make(
            function, points, metric=metric, shifted=shifted, **examples, **given
        )
        return submodular.maximize(
            ground,
            available,
            budget,
            optimizer=optimizer,
            key=key,
            stop_if_zero_gain=stop_if_zero_gain,
            stop_if_negative_gain=stop_if_negative_gain,
        )

    point = jnp.zeros((1, len(given.get("weights", "1"))))
    if representation != "features":
        if "metric" not in inspect.signature(_KNOWN[function]).parameters:
            raise ValueError(
                f"representation: expected 'features' for {function}, got {representation!r}"
            )
        point = selection.gradient_embedding(point, point)
    examples = dict.fromkeys(targets, point)
    jax.eval_shape(
        lambda: choose(jax.random.key(0), point, jnp.ones(1, bool), 1, **examples)
    )
    return choose
