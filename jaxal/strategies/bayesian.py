"""Strategies that score one example at a time by what draws of the model agree and disagree on.

The draws are folded as they are made: the pool's logits under all draws are never held at once.
"""

from collections.abc import Callable

import jax

from jaxal import scores
from jaxal.base import Strategy
from jaxal.posterior import Posterior, mc_dropout
from jaxal.scores import Summary
from jaxal.strategies.registry import register
from jaxal.strategies.scoring import TopScores

_DROPOUT = mc_dropout(20)


def top_summary(
    posterior: Posterior,
    score: Callable[[Summary], jax.Array],
    *,
    nonnegative: bool = True,
) -> Strategy:
    """The strategy that queries the highest scores of the draws, each `score(summary)` [n]."""

    def reduce(draws):
        return score(scores.summarize(scores.accumulate_draws(*draws)))

    def observe(key, model, variables, inputs, labels):
        return posterior.observe(key, model, variables, inputs, reduce)

    def rank(key, view):
        return posterior.resolve(key, view, reduce).observation

    return Strategy(observe, TopScores(rank, nonnegative))


@register
def bald(*, posterior: Posterior = _DROPOUT) -> Strategy:
    """Queries where draws of the model are sure of different classes.

    References:
      Houlsby et al., "Bayesian active learning for classification and preference learning", 2011; Gal
      et al., "Deep Bayesian active learning with image data", ICML 2017.
    """
    return top_summary(posterior, lambda summary: summary.bald)


@register
def variation_ratio(*, posterior: Posterior = _DROPOUT) -> Strategy:
    """Queries where most draws of the model vote against the class that has most votes.

    References:
      Gal et al., "Deep Bayesian active learning with image data", ICML 2017.
    """
    return top_summary(posterior, lambda summary: summary.variation_ratio)


@register
def mean_std(*, posterior: Posterior = _DROPOUT) -> Strategy:
    """Queries where the classes' probabilities vary most over draws of the model.

    References:
      Kampffmeyer et al., "Semantic segmentation of small objects and modeling of uncertainty", CVPR
      workshops 2016; Gal et al., "Deep Bayesian active learning with image data", ICML 2017.
    """
    return top_summary(posterior, lambda summary: summary.mean_std)


@register
def entropy_dropout(*, num_draws: int = 10) -> Strategy:
    """Queries where the prediction, averaged over dropout masks, has the most entropy.

    References:
      Gal et al., "Deep Bayesian active learning with image data", ICML 2017.
    """
    return top_summary(mc_dropout(num_draws), lambda s: scores.entropy(s.predictive))


@register
def least_confidence_dropout(*, num_draws: int = 10) -> Strategy:
    """Queries where the likeliest class, averaged over dropout masks, is least likely.

    References:
      Gal et al., "Deep Bayesian active learning with image data", ICML 2017.
    """
    return top_summary(
        mc_dropout(num_draws), lambda s: scores.least_confidence(s.predictive)
    )


@register
def margin_dropout(*, num_draws: int = 10) -> Strategy:
    """Queries where the two likeliest classes, averaged over dropout masks, are closest.

    References:
      Scheffer et al., "Active hidden Markov models for information extraction", IDA 2001; Gal and
      Ghahramani, "Dropout as a Bayesian approximation", ICML 2016.
    """
    return top_summary(
        mc_dropout(num_draws),
        lambda s: scores.margin(s.predictive),
        nonnegative=False,
    )
