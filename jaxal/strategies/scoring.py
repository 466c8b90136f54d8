"""Scores of rows one by one: those of uncertainty by name, and the decision by the top scores."""

from collections.abc import Callable
from dataclasses import dataclass

import jax

from jaxal import scores, selection
from jaxal.base import Selection, View

UNCERTAINTIES = {
    "entropy": scores.entropy,
    "least_confidence": scores.least_confidence,
    "margin": scores.margin,
}
"""Uncertainties by name: logits [n, C] -> [n]."""


def observed(key: jax.Array, view: View) -> jax.Array:
    """The observation, where that is the score."""
    return view.observation


@dataclass(frozen=True)
class TopScores:
    """Selects the top scores; exposes `scores`, so that `stochastic` can sample from them."""

    scores: Callable[[jax.Array, View], jax.Array] = observed  # (key, view) -> [N]
    nonnegative: bool = True  # whether scores are at least 0, as chances must be
    uses_key: bool = True  # whether `scores` reads its key

    def __call__(self, key: jax.Array, view: View, budget: int) -> Selection:
        return selection.take_top(self.scores(key, view), view.available, budget)
