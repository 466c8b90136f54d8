"""Strategies that score one example at a time by how unsure the model is of it."""

from collections.abc import Callable

import jax

from jaxal import scores
from jaxal.base import Strategy
from jaxal.strategies.registry import register
from jaxal.strategies.scoring import TopScores


def top(
    score: Callable[[jax.Array], jax.Array], *, nonnegative: bool = True
) -> Strategy:
    """The strategy that queries the highest scores; `score` maps logits [n, C] to [n]."""

    def observe(key, model, variables, inputs, labels):
        return score(model.apply(variables, inputs).logits)

    return Strategy(observe, TopScores(nonnegative=nonnegative))


@register
def entropy() -> Strategy:
    """Queries where the predicted distribution has the most entropy.

    References:
      Shannon 1948; Settles, "Active learning literature survey", 2009, section 3.1.
    """
    return top(scores.entropy)


@register
def least_confidence() -> Strategy:
    """Queries where the most likely class is least likely.

    References:
      Lewis and Gale, "A sequential algorithm for training text classifiers", SIGIR 1994.
    """
    return top(scores.least_confidence)


@register
def margin() -> Strategy:
    """Queries where the two most likely classes are closest.

    References:
      Scheffer et al., "Active hidden Markov models for information extraction", IDA 2001.
    """
    return top(scores.margin, nonnegative=False)
