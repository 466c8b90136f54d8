"""Submodular information measures as strategies: toward query examples, away from private ones."""

from typing import Any

from jaxal.base import Strategy
from jaxal.points.losses import Loss
from jaxal.strategies.registry import register
from jaxal.strategies.set_functions import Function, greedy, represent, specified
from jaxal.submodular import FunctionSpec


def _targeted(
    function: FunctionSpec, representation: str, loss: Loss | None, **options: Any
) -> Strategy:
    choose = greedy(function, representation, **options)

    def select(key, view, budget):
        return choose(
            key,
            view.observation,
            view.available,
            budget,
            query=view.query,
            private=view.private,
            private_usable=view.private_usable,
        )

    return Strategy(represent(representation, loss), select, reads_labels=False)


@register
def smi(
    *,
    function: Function = "fl2mi",
    representation: str = "bias_linear",
    metric: str = "cosine",
    shifted: bool = True,
    optimizer: str = "lazy",
    stop_if_zero_gain: bool = False,
    stop_if_negative_gain: bool = False,
    loss: Loss | None = None,
    **hyper: Any,
) -> Strategy:
    """Queries the batch with the most mutual information with the query examples.

    Args:
      function: "fl1mi", "fl2mi", "gcmi", "logdetmi" or "com", or a table of the name and its
        options: {"name": "fl1mi", "eta": 0.5}. "fl2mi", "gcmi" and "com" compare the pool with the
        query examples alone, never with itself.
      representation: last-layer gradients in the "bias", the "linear" weights, or both,
        "bias_linear", for the predicted class of pool rows and the label of the examples; or
        "features".
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
      ValueError: unknown names or options, or values out of range; when it selects, without
        query examples or with private ones.

    References:
      Kothawade et al., "SIMILAR: submodular information measures based active learning in realistic
      scenarios", NeurIPS 2021.
    """
    return _targeted(
        specified(function, ("query",), **hyper),
        representation,
        loss,
        metric=metric,
        shifted=shifted,
        optimizer=optimizer,
        stop_if_zero_gain=stop_if_zero_gain,
        stop_if_negative_gain=stop_if_negative_gain,
    )


@register
def scg(
    *,
    function: Function = "flcg",
    representation: str = "bias_linear",
    metric: str = "cosine",
    shifted: bool = True,
    optimizer: str = "lazy",
    stop_if_zero_gain: bool = False,
    stop_if_negative_gain: bool = False,
    loss: Loss | None = None,
    **hyper: Any,
) -> Strategy:
    """Queries the batch with the largest conditional gain over the private examples.

    Args:
      function: "flcg", "gccg" or "logdetcg", or a table of the name and its options:
        {"name": "flcg", "nu": 0.5}.
      representation: last-layer gradients in the "bias", the "linear" weights, or both,
        "bias_linear", for the predicted class of pool rows and the label of the examples; or
        "features".
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
      ValueError: unknown names or options, or values out of range; when it selects, without
        private examples or with query ones.

    References:
      Kothawade et al., "SIMILAR: submodular information measures based active learning in realistic
      scenarios", NeurIPS 2021.
    """
    return _targeted(
        specified(function, ("private",), **hyper),
        representation,
        loss,
        metric=metric,
        shifted=shifted,
        optimizer=optimizer,
        stop_if_zero_gain=stop_if_zero_gain,
        stop_if_negative_gain=stop_if_negative_gain,
    )


@register
def scmi(
    *,
    function: Function = "flcmi",
    representation: str = "bias_linear",
    metric: str = "cosine",
    shifted: bool = True,
    optimizer: str = "lazy",
    stop_if_zero_gain: bool = False,
    stop_if_negative_gain: bool = False,
    loss: Loss | None = None,
    **hyper: Any,
) -> Strategy:
    """Queries the batch with the most conditional mutual information with the query examples.

    Args:
      function: "flcmi" or "logdetcmi", or a table of the name and its options:
        {"name": "flcmi", "nu": 0.5}. Information on the query counts beyond what the private
        examples have.
      representation: last-layer gradients in the "bias", the "linear" weights, or both,
        "bias_linear", for the predicted class of pool rows and the label of the examples; or
        "features".
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
      ValueError: unknown names or options, or values out of range; when it selects, without
        query or private examples.

    References:
      Kothawade et al., "SIMILAR: submodular information measures based active learning in realistic
      scenarios", NeurIPS 2021.
    """
    return _targeted(
        specified(function, ("query", "private"), **hyper),
        representation,
        loss,
        metric=metric,
        shifted=shifted,
        optimizer=optimizer,
        stop_if_zero_gain=stop_if_zero_gain,
        stop_if_negative_gain=stop_if_negative_gain,
    )
