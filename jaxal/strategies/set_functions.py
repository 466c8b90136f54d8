"""Set functions as strategies: over the pool, its most uncertain rows, or aimed at examples."""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp

from jaxal import selection
from jaxal.base import ObserveFn, Selection, Strategy
from jaxal.checks import check_name, check_positive
from jaxal.numerics import derive_keys, gather
from jaxal.points.embedding import Points
from jaxal.points.losses import Loss, check_loss
from jaxal.points.similarity import METRICS
from jaxal.strategies.registry import register
from jaxal.strategies.scoring import UNCERTAINTIES
from jaxal.submodular import OPTIMIZERS, FunctionSpec, given, maximize, specify
from jaxal.submodular.declare import DECLARED

Function = FunctionSpec | Mapping[str, Any] | str
"""A set function: its name, a table of its name and its options, or what `specify` returns."""

Choose = Callable[..., Selection]
"""(key, points, available [N], budget, start, **examples) -> Selection; see `greedy`."""

OPTIONS = ("function", "representation", "metric", "shifted", "optimizer", "loss", "start")
OPTIONS += ("stop_if_zero_gain", "stop_if_negative_gain")

STARTS = ("empty", "labeled")
_KINDS = {kind: kind for kind in selection.GRADIENT_KINDS}
_KINDS |= {f"grad_{kind}": kind for kind in selection.GRADIENT_KINDS}  # DISTIL's names
REPRESENTATIONS = ("features", *_KINDS)


def specified(function: Function, examples: tuple[str, ...], **hyper: Any) -> FunctionSpec:
    """The set function that a strategy was given, with hyper-parameters given beside it.

    Args:
      function: name, table or `FunctionSpec`.
      examples: which of "query" and "private" the strategy has.
      **hyper: of the function, its own default where None.

    Returns:
      `FunctionSpec`.

    Raises:
      ValueError: a function that does not take just these examples, options that it does not take,
        takes twice, or that are out of range.
    """
    if isinstance(function, str):
        function = FunctionSpec(function)
    elif isinstance(function, Mapping):
        function = specify(**function)
    known = [name for name, one in DECLARED.items() if one.examples == set(examples)]
    check_name("function", function.name, known)
    options = dict(function.hyper)
    for option, value in hyper.items():
        if option in options and value is not None:
            raise ValueError(f"{option}: given twice, in the function's table and beside it")
    return specify(function.name, known=OPTIONS, **{**hyper, **options})


def represent(representation: str, loss: Loss | None) -> ObserveFn:
    """Observes features, or gradients for the label where it is known, else for the prediction."""
    check_name("representation", representation, REPRESENTATIONS)
    check_loss("loss", loss)

    def observe(key, model, variables, inputs, labels) -> Points:
        outputs = model.apply(variables, inputs)
        if representation == "features":
            return outputs.features
        if outputs.logits.shape[1] == 1:
            raise ValueError(
                "representation: expected 'features', as the gradients are those of classes and "
                f"this is a regression, got {representation!r}"
            )
        kind = _KINDS[representation]
        return selection.gradient_embedding(*outputs, labels=labels, kind=kind, loss=loss)

    return observe


def greedy(
    function: FunctionSpec,
    representation: str,
    *,
    metric: str,
    shifted: bool,
    optimizer: str,
    stop_if_zero_gain: bool,
    stop_if_negative_gain: bool,
) -> Choose:
    """The greedy choice by a set function whose ground set is the available rows.

    Args:
      function: the set function.
      representation: as `represent`, for the check.
      metric: as `submodular.make`.
      shifted: as `submodular.make`.
      optimizer: as `submodular.maximize`.
      stop_if_zero_gain: as `submodular.maximize`.
      stop_if_negative_gain: as `submodular.maximize`.

    Returns:
      (key, points, available [N], budget, start, **examples) -> `Selection`; with a start [N] bool
      the rows that the set holds already.

    Raises:
      ValueError: unknown names, or gradients for a function of columns.
    """
    check_name("representation", representation, REPRESENTATIONS)
    check_name("metric", metric, METRICS)
    check_name("optimizer", optimizer, OPTIMIZERS)
    if representation != "features" and not function.declaration.similar:
        raise ValueError(
            f"representation: expected 'features' for {function.name}, got {representation!r}"
        )

    def choose(key, points, available, budget, start=None, **examples):
        # Shapes stay constant: rows that are neither available nor in the start are in no sum.
        usable = available if start is None else available | start
        ground = function.make(
            points,
            usable=usable,
            metric=metric,
            shifted=shifted,
            key=derive_keys(key, jnp.arange(1, 2))[0],
            **examples,
        )
        ground = ground if start is None else given(ground, start)
        return maximize(
            ground,
            available,
            budget,
            optimizer=optimizer,
            key=key,
            stop_if_zero_gain=stop_if_zero_gain,
            stop_if_negative_gain=stop_if_negative_gain,
        )

    return choose


@register
def submodular(
    *,
    function: Function = "facility_location",
    start: str = "empty",
    representation: str = "features",
    metric: str = "cosine",
    shifted: bool = False,
    optimizer: str = "lazy",
    stop_if_zero_gain: bool = False,
    stop_if_negative_gain: bool = False,
    loss: Loss | None = None,
    **hyper: Any,
) -> Strategy:
    """Queries the batch with the highest value of a set function over the available rows.

    Greedy maximisation of facility location, graph cut, a log-determinant or another function. It
    may start from the labelled rows, so that a batch adds to what is known already. That is the
    conditional gain over them, what `scg` has over private examples; see `submodular.given`. In a
    pool of more than 16,384 rows facility location sums over a sample of 8,192, unless `targets`
    says otherwise: `submodular.facility_location` says what is lost.

    Args:
      function: a set function that takes neither query nor private examples, by its name in
        `jaxal.submodular`, or as a table: {"name": "graph_cut", "trade_off": 0.4}.
      start: the set before the batch, "empty" or "labeled": all labelled rows, which are then part
        of the ground set. A log-determinant takes O(N^2) memory for it.
      representation: "features", or last-layer gradients for the predicted class in the "bias", the
        "linear" weights, or both, "bias_linear" (as in the targeted strategies, and in DISTIL with
        grad_ before it; DISTIL's own "linear" are the "features" here).
      metric: "cosine" or "euclidean".
      shifted: similarities (s + 1) / 2 in place of s.
      optimizer: of `submodular.maximize`: "naive", "lazy", "stochastic" or "lazier_than_lazy".
      stop_if_zero_gain: end the batch before the first row that adds nothing; the loop then labels
        fewer.
      stop_if_negative_gain: end it before the first row that takes away.
      loss: whose gradients represent rows, (logits [n, C], labels [n]) -> [n]; the cross-entropy if
        None.
      **hyper: options of the function, in place of a table.

    Raises:
      TypeError: a loss that is no function.
      ValueError: unknown names or options, or values out of range.

    References:
      Wei et al., "Submodularity in data subset selection and active learning", ICML 2015.
    """
    check_name("start", start, STARTS)
    choose = greedy(
        specified(function, (), **hyper),
        representation,
        metric=metric,
        shifted=shifted,
        optimizer=optimizer,
        stop_if_zero_gain=stop_if_zero_gain,
        stop_if_negative_gain=stop_if_negative_gain,
    )

    def select(key, view, budget):
        before = view.labeled if start == "labeled" else None
        return choose(key, view.observation, view.available, budget, before)

    return Strategy(represent(representation, loss), select, reads_labels=start == "labeled")


@register
def fass(
    *,
    uncertainty: str = "entropy",
    top_n: int = 5,
    function: Function = "facility_location",
    representation: str = "features",
    metric: str = "cosine",
    shifted: bool = False,
    optimizer: str = "lazy",
    stop_if_zero_gain: bool = False,
    stop_if_negative_gain: bool = False,
    loss: Loss | None = None,
    **hyper: Any,
) -> Strategy:
    """Queries the batch with the highest value of a set function over the most uncertain rows.

    The `top_n` x budget most uncertain rows are the ground set; ties go to the most uncertain.

    Args:
      uncertainty: "entropy", "least_confidence" or "margin".
      top_n: rows kept for each that is queried.
      function: a set function that takes neither query nor private examples, by its name in
        `jaxal.submodular`, or as a table: {"name": "graph_cut", "trade_off": 0.4}.
      representation: "features", or last-layer gradients for the predicted class in the "bias", the
        "linear" weights, or both, "bias_linear".
      metric: "cosine" or "euclidean".
      shifted: similarities (s + 1) / 2 in place of s.
      optimizer: of `submodular.maximize`: "naive", "lazy", "stochastic" or "lazier_than_lazy".
      stop_if_zero_gain: end the batch before the first row that adds nothing; the loop then labels
        fewer.
      stop_if_negative_gain: end it before the first row that takes away.
      loss: whose gradients represent rows, (logits [n, C], labels [n]) -> [n]; the cross-entropy if
        None.
      **hyper: options of the function, in place of a table.

    Raises:
      TypeError: a loss that is no function.
      ValueError: unknown names or options, or values out of range.

    References:
      Wei et al., "Submodularity in data subset selection and active learning", ICML 2015.
    """
    check_name("uncertainty", uncertainty, UNCERTAINTIES)
    check_positive(top_n=top_n)
    observe_points = represent(representation, loss)
    choose = greedy(
        specified(function, (), **hyper),
        representation,
        metric=metric,
        shifted=shifted,
        optimizer=optimizer,
        stop_if_zero_gain=stop_if_zero_gain,
        stop_if_negative_gain=stop_if_negative_gain,
    )

    def observe(key, model, variables, inputs, labels):
        score = UNCERTAINTIES[uncertainty](model.apply(variables, inputs).logits)
        return score, observe_points(key, model, variables, inputs, labels)

    def select(key, view, budget):
        score, points = view.observation
        kept = selection.take_top(score, view.available, min(top_n * budget, len(score))).rows
        picked = choose(key, gather(points, kept), kept >= 0, budget)
        rows = jnp.where(picked.rows >= 0, kept[picked.rows], -1)
        return picked._replace(rows=rows)

    return Strategy(observe, select, reads_labels=False)
