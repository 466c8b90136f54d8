"""Batches that maximise a set function: over the pool, over its most uncertain rows, or aimed at a query set."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxal import scores, selection
from jaxal.base import ObserveFn, Selection, Strategy
from jaxal.checks import check_name, check_positive
from jaxal.points.similarity import Features
from jaxal.strategies.registry import register
from jaxal.submodular import make, maximize
from jaxal.submodular.registry import FUNCTIONS

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
        if {"query", "private"} & set(inspect.signature(factory).parameters) == set(targets)
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
        points = jax.tree.map(lambda leaf: jnp.where(available[:, None], leaf, jnp.nan), points)
        ground = make(function, points, metric=metric, shifted=shifted, **examples, **given)
        return maximize(
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
    jax.eval_shape(lambda: choose(jax.random.key(0), point, jnp.ones(1, bool), 1, **examples))
    return choose


@register
def submodular(
    *,
    function: str = "facility_location",
    representation: str = "features",
    metric: str = "cosine",
    shifted: bool = False,
    trade_off: float | None = None,
    ridge: float | None = None,
    concave: str | None = None,
    weights: tuple[float, ...] | None = None,
    optimizer: str = "lazy",
    stop_if_zero_gain: bool = False,
    stop_if_negative_gain: bool = False,
) -> Strategy:
    """Queries the batch with the highest value of a set function over the available rows.

    Args:
      function: a name of `jaxal.submodular` that takes neither query nor private examples.
      representation: "features", or last-layer gradients for the predicted class in the "bias", the "linear"
        weights, or both, "bias_linear" (as in the targeted strategies, and in DISTIL with grad_ before
        it; DISTIL's own "linear" are the "features" here).
      metric: "cosine" or "euclidean".
      shifted: similarities (s + 1) / 2 in place of s.
      trade_off, ridge, concave, weights: of the function; its default if None.
      optimizer: of `submodular.maximize`.
      stop_if_zero_gain: end the batch before the first row that adds nothing; the loop then labels fewer.
      stop_if_negative_gain: end it before the first row that takes away.

    References:
      Wei et al., "Submodularity in data subset selection and active learning", ICML 2015.
    """
    choose = greedy(
        function,
        representation,
        metric=metric,
        shifted=shifted,
        trade_off=trade_off,
        ridge=ridge,
        concave=concave,
        weights=weights,
        optimizer=optimizer,
        stop_if_zero_gain=stop_if_zero_gain,
        stop_if_negative_gain=stop_if_negative_gain,
    )

    def select(key, view, budget):
        return choose(key, view.observation, view.available, budget)

    return Strategy(represent(representation), select)


_UNCERTAINTIES = {
    "entropy": scores.entropy,
    "least_confidence": scores.least_confidence,
    "margin": scores.margin,
}


@register
def fass(
    *,
    uncertainty: str = "entropy",
    function: str = "facility_location",
    top_n: int = 5,
    representation: str = "features",
    metric: str = "cosine",
    shifted: bool = False,
    trade_off: float | None = None,
    ridge: float | None = None,
    concave: str | None = None,
    weights: tuple[float, ...] | None = None,
    optimizer: str = "lazy",
    stop_if_zero_gain: bool = False,
    stop_if_negative_gain: bool = False,
) -> Strategy:
    """Queries the batch with the highest value of a set function over the most uncertain rows.

    The `top_n` x budget most uncertain rows are the ground set; ties go to the most uncertain.

    Args:
      uncertainty: "entropy", "least_confidence" or "margin".
      top_n: rows kept for each that is queried.

    The other arguments are those of `submodular`.

    References:
      Wei et al., "Submodularity in data subset selection and active learning", ICML 2015.
    """
    check_name("uncertainty", uncertainty, _UNCERTAINTIES)
    check_positive(top_n=top_n)
    observe_points = represent(representation)
    choose = greedy(
        function,
        representation,
        metric=metric,
        shifted=shifted,
        trade_off=trade_off,
        ridge=ridge,
        concave=concave,
        weights=weights,
        optimizer=optimizer,
        stop_if_zero_gain=stop_if_zero_gain,
        stop_if_negative_gain=stop_if_negative_gain,
    )

    def observe(key, model, variables, inputs, labels):
        score = _UNCERTAINTIES[uncertainty](model.apply(variables, inputs).logits)
        return score, observe_points(key, model, variables, inputs, labels)

    def select(key, view, budget):
        score, points = view.observation
        kept = selection.take_top(score, view.available, min(top_n * budget, len(score))).rows
        points = jax.tree.map(lambda leaf: leaf[kept], points)
        picked = choose(key, points, kept >= 0, budget)
        rows = jnp.where(picked.rows >= 0, kept[picked.rows], -1)
        return picked._replace(rows=rows)

    return Strategy(observe, select)


def _targeted(representation: str, *targets: str, **options: Any) -> Strategy:
    function = options.pop("function")
    choose = greedy(function, representation, targets=targets, **options)

    def select(key, view, budget):
        return choose(
            key,
            view.observation,
            view.available,
            budget,
            query=view.query,
            private=view.private,
        )

    return Strategy(represent(representation), select)


@register
def smi(
    *,
    function: str = "fl2mi",
    representation: str = "bias_linear",
    metric: str = "cosine",
    shifted: bool = True,
    eta: float | None = None,
    ridge: float | None = None,
    concave: str | None = None,
    optimizer: str = "lazy",
    stop_if_zero_gain: bool = False,
    stop_if_negative_gain: bool = False,
) -> Strategy:
    """Queries the batch with the most mutual information with the query examples.

    Args:
      function: "fl1mi", "fl2mi", "gcmi", "logdetmi" or "com". "fl2mi", "gcmi" and "com" compare the pool with
        the query examples alone, never with itself.
      representation: last-layer gradients in the "bias", the "linear" weights, or both, "bias_linear", for the
        predicted class of pool rows and the label of the examples; or "features".
      metric: "cosine" or "euclidean".
      shifted: similarities (s + 1) / 2 in place of s.
      eta, ridge, concave: of the function; its default if None.
      optimizer: of `submodular.maximize`.
      stop_if_zero_gain: end the batch before the first row that adds nothing; the loop then labels fewer.
      stop_if_negative_gain: end it before the first row that takes away.

    Raises:
      ValueError: when it selects, without query examples or with private ones.

    References:
      Kothawade et al., "SIMILAR: submodular information measures based active learning in realistic
      scenarios", NeurIPS 2021.
    """
    return _targeted(
        representation,
        "query",
        function=function,
        metric=metric,
        shifted=shifted,
        eta=eta,
        ridge=ridge,
        concave=concave,
        optimizer=optimizer,
        stop_if_zero_gain=stop_if_zero_gain,
        stop_if_negative_gain=stop_if_negative_gain,
    )


@register
def scg(
    *,
    function: str = "flcg",
    representation: str = "bias_linear",
    metric: str = "cosine",
    shifted: bool = True,
    nu: float | None = None,
    ridge: float | None = None,
    trade_off: float | None = None,
    optimizer: str = "lazy",
    stop_if_zero_gain: bool = False,
    stop_if_negative_gain: bool = False,
) -> Strategy:
    """Queries the batch that adds most to the private examples (conditional gain).

    Args:
      function: "flcg", "gccg" or "logdetcg".
      nu, ridge, trade_off: of the function; its default if None.

    The other arguments, errors and references are those of `smi`, with private examples in place of query ones.

    References:
      Kothawade et al., "SIMILAR: submodular information measures based active learning in realistic
      scenarios", NeurIPS 2021.
    """
    return _targeted(
        representation,
        "private",
        function=function,
        metric=metric,
        shifted=shifted,
        nu=nu,
        ridge=ridge,
        trade_off=trade_off,
        optimizer=optimizer,
        stop_if_zero_gain=stop_if_zero_gain,
        stop_if_negative_gain=stop_if_negative_gain,
    )


@register
def scmi(
    *,
    function: str = "flcmi",
    representation: str = "bias_linear",
    metric: str = "cosine",
    shifted: bool = True,
    eta: float | None = None,
    nu: float | None = None,
    ridge: float | None = None,
    optimizer: str = "lazy",
    stop_if_zero_gain: bool = False,
    stop_if_negative_gain: bool = False,
) -> Strategy:
    """Queries the batch with the most information on the query examples, beyond the private ones.

    Args:
      function: "flcmi" or "logdetcmi".
      eta, nu, ridge: of the function; its default if None.

    The other arguments and errors are those of `smi`; both query and private examples are needed.

    References:
      Kothawade et al., "SIMILAR: submodular information measures based active learning in realistic
      scenarios", NeurIPS 2021.
    """
    return _targeted(
        representation,
        "query",
        "private",
        function=function,
        metric=metric,
        shifted=shifted,
        eta=eta,
        nu=nu,
        ridge=ridge,
        optimizer=optimizer,
        stop_if_zero_gain=stop_if_zero_gain,
        stop_if_negative_gain=stop_if_negative_gain,
    )
