"""Bayesian strategies: what K draws of the model agree and disagree on."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxal import scores, selection
from jaxal.base import ObserveFn, Strategy
from jaxal.checks import check_integer
from jaxal.numerics import derive_keys
from jaxal.posterior import Draws, Posterior, mc_dropout
from jaxal.scores import DrawScores
from jaxal.strategies.registry import register
from jaxal.strategies.scoring import TopScores

_DROPOUT = mc_dropout(20)


def top_summary(
    posterior: Posterior,
    score: Callable[[DrawScores], jax.Array],
    *,
    nonnegative: bool = True,
) -> Strategy:
    """The strategy that queries the highest scores of the draws, each `score(summary)` [n]."""

    def reduce(draws):
        return score(scores.draw_scores(scores.fold_draws(*draws)))

    def observe(key, model, variables, inputs, labels):
        return posterior.observe(key, model, variables, inputs, reduce)

    def rank(key, view):
        return posterior.resolve(key, view, reduce).observation

    return Strategy(observe, TopScores(rank, nonnegative))


@register
def bald(*, posterior: Posterior = _DROPOUT) -> Strategy:
    """Queries where draws of the model are sure of different classes.

    References:
      Houlsby et al., "Bayesian active learning for classification and preference learning", 2011;
      Gal et al., "Deep Bayesian active learning with image data", ICML 2017.
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
    return top_summary(mc_dropout(num_draws), lambda s: scores.least_confidence(s.predictive))


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


_EPIG_DRAWS = mc_dropout(20, consistent=True)
_BATCH_BALD_DRAWS = mc_dropout(40, consistent=True)


@register
def batch_bald(*, posterior: Posterior = _BATCH_BALD_DRAWS, num_samples: int = 10_000) -> Strategy:
    """Queries the batch whose labels, taken together, say most about the model.

    Holds N K C numbers. `num_samples` joint outcomes stand for all, once there are more.

    References:
      Kirsch et al., "BatchBALD: efficient and diverse batch acquisition for deep Bayesian active
      learning", NeurIPS 2019.
    """
    _check_joint("batch_bald", posterior)
    check_integer(1, num_samples=num_samples)

    def select(key, view, budget):
        key_draws, key_outcomes = key, derive_keys(key, jnp.uint32(1))
        logits = posterior.resolve(key_draws, view, Draws.stack).observation
        return selection.batch_bald(
            key_outcomes,
            jnp.moveaxis(logits, 1, 0),
            view.available,
            budget,
            num_samples=num_samples,
        )

    return Strategy(_observe_all(posterior), select)


@register
def epig(*, posterior: Posterior = _EPIG_DRAWS, num_targets: int = 100) -> Strategy:
    """Queries labels that say most about the predictions that will be asked for.

    These are the query examples where there are some; otherwise as many available rows of the pool,
    drawn at random each round, as `num_targets` says. Holds N K C numbers.

    References:
      Bickford Smith et al., "Prediction-oriented Bayesian active learning", AISTATS 2023.
    """
    _check_joint("epig", posterior)
    check_integer(1, num_targets=num_targets)

    def rank(key, view):
        key_draws, key_targets = key, derive_keys(key, jnp.uint32(1))
        view = posterior.resolve(key_draws, view, Draws.stack)
        pool = jnp.moveaxis(view.observation, 1, 0)
        if view.query is not None:
            return scores.epig(pool, jnp.moveaxis(view.query, 1, 0))
        count = min(num_targets, len(view.available))
        noise = jax.random.uniform(key_targets, view.available.shape)
        rows = selection.take_top(noise, view.available, count).rows
        # Where too few are available: draws that agree hold no information, so zeros add none.
        found = rows >= 0
        targets = jnp.where(found[None, :, None], pool[:, rows], 0.0)
        return scores.epig(pool, targets) * (count / jnp.maximum(jnp.sum(found), 1))

    return Strategy(_observe_all(posterior), TopScores(rank))


def _check_joint(name: str, posterior: Posterior) -> None:
    if not posterior.consistent:
        raise ValueError(
            f"{name}: expected draws that are the same model for all rows, as of "
            f"mc_dropout(consistent=True), got {posterior!r}"
        )


def _observe_all(posterior: Posterior) -> ObserveFn:
    def observe(key, model, variables, inputs, labels):
        return posterior.observe(key, model, variables, inputs, Draws.stack)

    return observe
