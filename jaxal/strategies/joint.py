"""Strategies that ask what labels say about each other: all draws of the pool's logits are held."""

import jax
import jax.numpy as jnp

from jaxal import scores, selection
from jaxal.base import ObserveFn, Strategy, check_positive
from jaxal.posterior import Draws, Posterior, mc_dropout
from jaxal.strategies.registry import register
from jaxal.strategies.scoring import TopScores

_EPIG_DRAWS = mc_dropout(20, consistent=True)
_BATCH_BALD_DRAWS = mc_dropout(40, consistent=True)


@register
def batch_bald(
    *, posterior: Posterior = _BATCH_BALD_DRAWS, num_samples: int = 10_000
) -> Strategy:
    """Queries the batch whose labels, taken together, say most about the model.

    Holds N K C numbers. `num_samples` joint outcomes stand for all, once there are more.

    References:
      Kirsch et al., "BatchBALD: efficient and diverse batch acquisition for deep Bayesian active
      learning", NeurIPS 2019.
    """
    _check_joint("batch_bald", posterior)
    check_positive(num_samples=num_samples)

    def select(key, view, budget):
        key_draws, key_outcomes = jax.random.split(key)
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
    check_positive(num_targets=num_targets)

    def rank(key, view):
        key_draws, key_targets = jax.random.split(key)
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
    if not posterior.joint:
        raise ValueError(
            f"{name}: expected draws that are the same model for all rows, as of "
            f"mc_dropout(consistent=True), got {posterior!r}"
        )


def _observe_all(posterior: Posterior) -> ObserveFn:
    def observe(key, model, variables, inputs, labels):
        return posterior.observe(key, model, variables, inputs, Draws.stack)

    return observe
