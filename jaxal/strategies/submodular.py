"""Batches that maximise a set function: diverse, or representative of the pool."""

from jaxal.base import Strategy
from jaxal.strategies.registry import register
from jaxal.strategies.set_functions import greedy, represent


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
