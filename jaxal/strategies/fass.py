"""Filtered active submodular selection: a set function over the most uncertain rows alone."""

import jax
import jax.numpy as jnp

from jaxal import scores, selection
from jaxal.base import Strategy, check_name, check_positive
from jaxal.strategies.registry import register
from jaxal.strategies.set_functions import greedy, represent

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
        kept = selection.take_top(
            score, view.available, min(top_n * budget, len(score))
        ).rows
        points = jax.tree.map(lambda leaf: leaf[kept], points)
        picked = choose(key, points, kept >= 0, budget)
        rows = jnp.where(picked.rows >= 0, kept[picked.rows], -1)
        return picked._replace(rows=rows)

    return Strategy(observe, select)
