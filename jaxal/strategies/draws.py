"""Bayesian strategies: scores of K draws of the model (dropout, ensemble, Laplace)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxal import scores, selection
from jaxal.base import ObserveFn, Strategy
from jaxal.checks import check_integer
from jaxal.posterior import Draws, Posterior, mc_dropout
from jaxal.scores import DrawScores
from jaxal.scores.bayesian import Part, by_targets, information, movement
from jaxal.selection._batch_bald import batch_bald_of
from jaxal.strategies.registry import register
from jaxal.strategies.scoring import TopScores

_DROPOUT = mc_dropout(20)


def top_summary(
    posterior: Posterior,
    score: Callable[[DrawScores], jax.Array],
    *,
    nonnegative: bool = True,
) -> Strategy:
    """The strategy that selects the top scores of the draws.

    Args:
      posterior: where the draws come from.
      score: maps the `DrawScores` of n rows to [n].
      nonnegative: whether scores are at least 0, as `stochastic(kind="power")` needs.

    Returns:
      A `Strategy`.
    """

    def reduce(draws):
        return score(scores.draw_scores(scores.fold_draws(*draws)))

    def observe(key, model, variables, inputs, labels):
        return posterior.observe(key, model, variables, inputs, reduce)

    def rank(key, view):
        return posterior.resolve(key, view, reduce).observation

    rule = TopScores(rank, nonnegative, uses_key=posterior.waits)
    return Strategy(observe, rule, reads_labels=posterior.waits)


@register
def bald(*, posterior: Posterior = _DROPOUT) -> Strategy:
    """BALD: mutual information between the label and the model.

    It is large where draws of the model are sure of different classes. The top of a large batch are
    much the same rows: on digits at 20 to 220 labels (a network of 128 units with dropout 0.25, ten
    seeds), in batches of 25 it has an accuracy of 79.5 % on average where random selection has
    83.2 %. In batches of 5 it has 81.3 %, sampled by `stochastic` 83.5 %, under
    `last_layer_laplace` 82.6 %, of an ensemble of five 83.1 %; with 100 draws that all rows share,
    78.6 %.

    Args:
      posterior: where the K draws of the model come from, a `Posterior` (`mc_dropout`,
        `deep_ensemble`, `last_layer_laplace`, `variational_last_layer`), its name, or a table of
        the name and its options.

    Raises:
      TypeError: not a posterior.
      ValueError: an unknown posterior or option of one.

    References:
      Houlsby et al., "Bayesian active learning for classification and preference learning", 2011;
      Gal et al., "Deep Bayesian active learning with image data", ICML 2017.
    """
    return top_summary(posterior, lambda summary: summary.bald)


@register
def variation_ratio(*, posterior: Posterior = _DROPOUT) -> Strategy:
    """Variation ratio: the fraction of draws that do not predict the majority's class.

    Args:
      posterior: as for `bald`.

    Raises:
      TypeError: not a posterior.
      ValueError: an unknown posterior or option of one.

    References:
      Gal et al., "Deep Bayesian active learning with image data", ICML 2017.
    """
    return top_summary(posterior, lambda summary: summary.variation_ratio)


@register
def mean_std(*, posterior: Posterior = _DROPOUT) -> Strategy:
    """Mean standard deviation of the class probabilities over draws of the model.

    In large batches it is below random selection, as `bald` is: where that has 79.5 %, it has
    80.8 %.

    Args:
      posterior: as for `bald`.

    Raises:
      TypeError: not a posterior.
      ValueError: an unknown posterior or option of one.

    References:
      Kampffmeyer et al., "Semantic segmentation of small objects and modeling of uncertainty", CVPR
      workshops 2016; Gal et al., "Deep Bayesian active learning with image data", ICML 2017.
    """
    return top_summary(posterior, lambda summary: summary.mean_std)


@register
def entropy_dropout(*, num_draws: int = 10) -> Strategy:
    """Predictive entropy under MC dropout: the entropy of the mean prediction.

    Args:
      num_draws: K forward passes with dropout on; see `mc_dropout`.

    Raises:
      TypeError: a number of draws that is no integer.
      ValueError: K below 1; when it observes, a model without dropout.

    References:
      Gal et al., "Deep Bayesian active learning with image data", ICML 2017.
    """
    return top_summary(mc_dropout(num_draws), lambda s: scores.entropy(s.predictive))


@register
def least_confidence_dropout(*, num_draws: int = 10) -> Strategy:
    """Least confidence under MC dropout: 1 - the mean prediction's largest probability.

    Args:
      num_draws: K forward passes with dropout on; see `mc_dropout`.

    Raises:
      TypeError: a number of draws that is no integer.
      ValueError: K below 1; when it observes, a model without dropout.

    References:
      Gal et al., "Deep Bayesian active learning with image data", ICML 2017.
    """
    return top_summary(mc_dropout(num_draws), lambda s: scores.least_confidence(s.predictive))


@register
def margin_dropout(*, num_draws: int = 10) -> Strategy:
    """Smallest margin under MC dropout, between the mean prediction's two likeliest classes.

    Args:
      num_draws: K forward passes with dropout on; see `mc_dropout`.

    Raises:
      TypeError: a number of draws that is no integer.
      ValueError: K below 1; when it observes, a model without dropout.

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
    """BatchBALD: greedy joint mutual information between a batch's labels and the model.

    Holds the logits of all draws, N K C numbers. See `selection.batch_bald` for the cost. K draws
    tell at most log K nats of a batch, so a large one needs many: in the setting that `bald` tells
    of it has 80.1 % with 20 draws and 1,000 outcomes, below random selection.

    Args:
      posterior: as for `bald`, but with draws that are the same model for all rows, as those of
        `mc_dropout(consistent=True)`.
      num_samples: joint label outcomes that stand for all, once there are more.

    Raises:
      TypeError: not a posterior, or a number of samples that is no integer.
      ValueError: draws that are not the same model for all rows, or no sample.

    References:
      Kirsch et al., "BatchBALD: efficient and diverse batch acquisition for deep Bayesian active
      learning", NeurIPS 2019.
    """
    _check_joint("batch_bald", posterior)
    check_integer(1, num_samples=num_samples)

    def select(key, view, budget):
        key_draws, key_outcomes = posterior.split(key)
        draws = posterior.resolve(key_draws, view, Draws.flat).observation
        return batch_bald_of(key_outcomes, draws, view.available, budget, num_samples)

    return Strategy(_observe_all(posterior), select, posterior.waits)


@register
def epig(*, posterior: Posterior = _EPIG_DRAWS, num_targets: int = 100) -> Strategy:
    """EPIG: mutual information between a label and the predictions on target inputs.

    CoreLog (Tan et al. 2021) is the same score, and `core_log` another name for this strategy. The
    targets are the query examples where there are some, otherwise available rows of the pool,
    drawn at random each round. Holds the logits of all draws, N K C numbers; see `scores.epig` for
    the cost. It is made for one label at a time: in the setting that `bald` tells of it has 75.7 %
    in batches of 25, and 77.8 % in batches of 5.

    Args:
      posterior: as for `bald`, but with draws that are the same model for all rows, as those of
        `mc_dropout(consistent=True)`.
      num_targets: T, rows of the pool drawn as targets where no query examples are given.

    Raises:
      TypeError: not a posterior, or a number of targets that is no integer.
      ValueError: draws that are not the same model for all rows, or no target.

    References:
      Bickford Smith et al., "Prediction-oriented Bayesian active learning", AISTATS 2023.
    """
    return _by_targets("epig", information, posterior, num_targets)


@register
def core_mse(*, posterior: Posterior = _EPIG_DRAWS, num_targets: int = 100) -> Strategy:
    """CoreMSE: how far a label is expected to move the predictions on target inputs, squared.

    Targets, memory and cost are as for `epig`, which is the same with the logarithmic score in
    place of Brier's, that is CoreLog. In the setting that `bald` tells of it has 73.9 %.

    Args:
      posterior: as for `epig`.
      num_targets: T, rows of the pool drawn as targets where no query examples are given.

    Raises:
      TypeError: not a posterior, or a number of targets that is no integer.
      ValueError: draws that are not the same model for all rows, or no target.

    References:
      Tan et al., "Diversity enhanced active learning with strictly proper scoring rules", NeurIPS
      2021.
    """
    return _by_targets("core_mse", movement, posterior, num_targets)


def _by_targets(
    name: str,
    part: Part,
    posterior: Posterior,
    num_targets: int,
) -> Strategy:
    """The strategy of the top sums, over targets, of what a row's classes say of them."""
    _check_joint(name, posterior)
    check_integer(1, num_targets=num_targets)

    def rank(key, view):
        key_draws, key_targets = posterior.split(key)
        view = posterior.resolve(key_draws, view, Draws.flat)
        if view.query is not None:
            return by_targets(part, view.observation, view.query.by_draw())
        count = min(num_targets, len(view.available))
        noise = jax.random.uniform(key_targets, view.available.shape)
        rows = selection.take_top(noise, view.available, count).rows
        # Where too few are available: draws that agree hold no information, so zeros add none.
        found = rows >= 0
        targets = jnp.where(found[None, :, None], view.observation[rows].by_draw(), 0.0)
        ranked = by_targets(part, view.observation, targets)
        return ranked * (count / jnp.maximum(jnp.sum(found, dtype=ranked.dtype), 1))

    return Strategy(_observe_all(posterior), TopScores(rank), posterior.waits)


def _check_joint(name: str, posterior: Posterior) -> None:
    if not posterior.consistent:
        raise ValueError(
            f"{name}: expected draws that are the same model for all rows, as of "
            f"mc_dropout(consistent=True), got {posterior!r}"
        )


def _observe_all(posterior: Posterior) -> ObserveFn:
    def observe(key, model, variables, inputs, labels):
        return posterior.observe(key, model, variables, inputs, Draws.flat)

    return observe
