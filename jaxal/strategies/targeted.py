"""Batches aimed at a query set, away from a private one, or both, by submodular information measures.

The examples are those given to `acquire` and `simulate` as `query` and `private`, with their labels.
"""

from typing import Any

from jaxal.base import Strategy
from jaxal.strategies.registry import register
from jaxal.strategies.set_functions import greedy, represent


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
