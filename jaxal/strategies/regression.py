"""The strategy of the largest variance, made for regressions."""

import jax
import jax.numpy as jnp

from jaxal import scores
from jaxal.base import Strategy
from jaxal.posterior import Draws, Posterior, mc_dropout
from jaxal.strategies.registry import register
from jaxal.strategies.scoring import TopScores

_DROPOUT = mc_dropout(20)


@register
def variance(*, posterior: Posterior = _DROPOUT) -> Strategy:
    """Predictive variance: the largest variance of what draws of the model predict.

    Made for a regression, where it is the uncertainty that labels reduce. In a classification it is
    that of the probabilities, summed over the classes. The top of a large batch are much the same
    rows, as of `bald`.

    Args:
      posterior: where the K draws of the model come from, a `Posterior` (`mc_dropout`,
        `deep_ensemble`, `last_layer_laplace`), its name, or a table of the name and its options.

    Raises:
      TypeError: not a posterior.
      ValueError: an unknown posterior or option of one; when it observes, a model without dropout.

    References:
      Cohn et al., "Active learning with statistical models", JAIR 1996; Tsymbalov et al.,
      "Dropout-based active learning for regression", AIST 2018.
    """

    def reduce(draws: Draws) -> jax.Array:
        logits = jnp.moveaxis(draws.stack(), 1, 0)
        if logits.shape[-1] == 1:
            return scores.predictive_variance(logits[..., 0])
        return scores.predictive_variance(jax.nn.softmax(logits)).sum(-1)

    def observe(key, model, variables, inputs, labels):
        return posterior.observe(key, model, variables, inputs, reduce)

    def rank(key, view):
        return posterior.resolve(key, view, reduce).observation

    rule = TopScores(rank, uses_key=posterior.waits)
    return Strategy(observe, rule, reads_labels=posterior.waits, regresses=True)
