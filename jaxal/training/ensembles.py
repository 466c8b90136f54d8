"""Deep ensembles: members that differ in their random numbers alone, trained as one program."""

import functools

import jax
import jax.numpy as jnp

from jaxal.base import Model, Outputs
from jaxal.checks import check_integer
from jaxal.scores import predictive
from jaxal.training.base import (
    AnyLearner,
    CustomLearner,
    FitInfo,
    check_learner,
    refuse_host_fit,
)


def ensemble(learner: AnyLearner, members: int) -> CustomLearner:
    """A deep ensemble as a learner: K networks, each fitted by `learner` from a key of its own.

    The members train in one vmapped program, which takes as many epochs as the slowest of them
    needs. As a `Model`, its logits are the log of the mean probability (of a regression the mean
    prediction) and its features the members' features concatenated, so that squared distances are
    summed over the members. Strategies reach each member through the posterior `deep_ensemble()`.

    Args:
      learner: how a member is fitted.
      members: K, at least 1.

    Returns:
      A learner. Its `FitInfo` is the mean over the members, and the most epochs. Equal calls return
      the identical one.

    Raises:
      TypeError: a number of members that is no integer, or a learner that is none or fits on the
        host.
      ValueError: fewer than one member.

    References:
      Lakshminarayanan et al., "Simple and scalable predictive uncertainty estimation using deep
      ensembles", NeurIPS 2017.
    """
    check_integer(1, members=members)
    check_learner(learner)
    refuse_host_fit(learner, "ensemble")
    return _ensemble(learner, members)


@functools.cache
def _ensemble(learner: AnyLearner, members: int) -> CustomLearner:
    def fit(key, variables, inputs, labels, weights, count, validation=None):
        def fit_member(key, variables):
            return learner.fit(key, variables, inputs, labels, weights, count, validation)

        variables, info = jax.vmap(fit_member)(jax.random.split(key, members), variables)
        return variables, FitInfo(
            jnp.mean(info.loss), jnp.mean(info.accuracy), jnp.max(info.epochs)
        )

    return CustomLearner(_stacked(learner.model, members), fit)


def _stacked(member: Model, members: int) -> Model:
    def init(key, inputs):
        keys = jax.random.split(key, members)
        return jax.vmap(member.init, (0, None))(keys, inputs)

    def apply(variables, inputs, *, key=None):
        keys = None if key is None else jax.random.split(key, members)

        def apply_member(variables, key):
            return member.apply(variables, inputs, key=key)

        return _combined(jax.vmap(apply_member)(variables, keys))

    def train(variables, inputs, *, key):
        def train_member(variables, key):
            return member.train(variables, inputs, key=key)

        outputs, variables = jax.vmap(train_member)(variables, jax.random.split(key, members))
        return _combined(outputs), variables

    return Model(init, apply, train, member, member.prepare)


def _combined(outputs: Outputs) -> Outputs:
    """The members' outputs, leaves [K, n, ...], as those of one model."""
    features = jnp.moveaxis(outputs.features, 0, 1)
    logits = outputs.logits
    # Of a regression the mean of the predictions.
    combined = predictive(logits) if logits.shape[-1] > 1 else jnp.mean(logits, axis=0)
    return Outputs(combined, features.reshape(len(features), -1))
