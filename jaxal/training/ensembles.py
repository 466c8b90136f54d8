"""Ensembles: members that differ in their random numbers alone, trained side by side as one program."""

import functools

import jax
import jax.numpy as jnp

from jaxal.base import Model, Outputs
from jaxal.checks import check_positive
from jaxal.scores import predictive
from jaxal.training.learner import AnyLearner, CustomLearner, FitInfo


def ensemble(learner: AnyLearner, members: int) -> CustomLearner:
    """A learner of K networks, each fitted as `learner` does, from a key of its own.

    The members train in one vmapped program, which takes as many epochs as the slowest of them needs.
    As a model they say the log of the mean probability, and their features next to each other, so that
    squared distances are summed over the members. Strategies reach each of them through the posterior
    `deep_ensemble()`.

    Args:
      learner: how a member is fitted.
      members: K, at least 1.

    Returns:
      A learner. Its `FitInfo` is the mean over the members, and the most epochs. Equal calls return the
      identical one.

    Raises:
      ValueError: fewer than one member.

    References:
      Lakshminarayanan et al., "Simple and scalable predictive uncertainty estimation using deep
      ensembles", NeurIPS 2017.
    """
    check_positive(members=members)
    return _ensemble(learner, members)


@functools.cache
def _ensemble(learner: AnyLearner, members: int) -> CustomLearner:
    def fit(key, variables, inputs, labels, weights, count, validation=None):
        def one(key, variables):
            buffers = inputs, labels, weights, count
            return learner.fit(key, variables, *buffers, validation)

        variables, info = jax.vmap(one)(jax.random.split(key, members), variables)
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

        def one(variables, key):
            return member.apply(variables, inputs, key=key)

        return _combined(jax.vmap(one)(variables, keys))

    def train(variables, inputs, *, key):
        def one(variables, key):
            return member.train(variables, inputs, key=key)

        outputs, variables = jax.vmap(one)(variables, jax.random.split(key, members))
        return _combined(outputs), variables

    return Model(init, apply, train, member)


def _combined(outputs: Outputs) -> Outputs:
    """The outputs of all members, leaves [K, n, ...], as those of one model."""
    features = jnp.moveaxis(outputs.features, 0, 1)
    return Outputs(predictive(outputs.logits), features.reshape(len(features), -1))
