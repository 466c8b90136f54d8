"""Calibrated learners: their logits are divided by a temperature that cross-fits have found."""

import functools

import jax
import jax.numpy as jnp

from jaxal.base import Model, Outputs, PyTree
from jaxal.calibration import temperature
from jaxal.checks import check_integer
from jaxal.numerics import are_targets, first, gather
from jaxal.pools.memory import map_rows
from jaxal.training.base import AnyLearner, CustomLearner, check_learner, refuse_host_fit

EVAL_BATCH = 1024  # rows that go through the model at once where nothing is learned from them


def calibrated(learner: AnyLearner, folds: int = 5) -> CustomLearner:
    """A learner whose logits are divided by a temperature, for labels too few to hold any out.

    A round fits the model to all labelled rows, and to all but each of K folds, which have about
    the same share of each class. The temperature is that at which the labels are likeliest, each
    predicted by the model that has not seen it, but at least 1: where all are predicted right, one
    below would sharpen without bound. Every strategy that reads probabilities then reads calibrated
    ones, also under dropout; predicted classes stay as they are.

    The K + 1 fits are one vmapped program, which takes as many epochs as the slowest of them needs.
    Those of the folds begin from initial variables: those of the round before have seen the rows.

    Args:
      learner: how the model is fitted. Members of an ensemble are calibrated by
        `ensemble(calibrated(learner), members)`.
      folds: K, at least 2.

    Returns:
      A learner, of whose variables `["temperature"]` is the temperature. Equal calls return the
      identical one.

    Raises:
      TypeError: a number of folds that is no integer, or a learner that is none or fits on the
        host.
      ValueError: fewer than two folds; when it is fitted, a regression.

    References:
      Guo et al., "On calibration of modern neural networks", ICML 2017; that uncertainty has to be
      calibrated where labels are few: Bae et al., "Uncertainty herding", ICLR 2025.
    """
    check_integer(2, folds=folds)
    check_learner(learner)
    refuse_host_fit(learner, "calibrated")
    return _calibrated(learner, folds)


@functools.cache
def _calibrated(learner: AnyLearner, folds: int) -> CustomLearner:
    model = learner.model

    def logits_of(variables, inputs):
        return model.apply(variables, inputs).logits

    def fit(key, variables, inputs, labels, weights, count, validation=None):
        if are_targets(labels):
            raise ValueError("calibrated: expected classes, got floats, which make a regression")
        used = jnp.arange(len(labels), dtype=jnp.int32) < count
        # Dealt out class by class; 0 stands for no fold, as of all rows in the last fit.
        rank = jnp.argsort(jnp.argsort(jnp.where(used, labels, jnp.iinfo(labels.dtype).max)))
        fold = 1 + rank % folds
        keys = jax.random.split(key, folds + 2)

        def fit_one(key, number, variables):
            kept = used & (fold != number)
            order = jnp.argsort(~kept)
            rows, known, worth = gather((inputs, labels, weights), order)
            # Of a single labelled row nothing can be held out; what comes of it is not used.
            total = jnp.maximum(jnp.sum(kept, dtype=jnp.int32), 1)
            return learner.fit(key, variables, rows, known, worth, total, validation)

        blank = jax.vmap(model.init, (0, None))(jax.random.split(keys[-1], folds), first(inputs))
        start = jax.tree.map(
            lambda all_rows, rest: jnp.concatenate([all_rows[None], rest]),
            variables["params"],
            blank,
        )
        fitted, info = jax.vmap(fit_one)(keys[:-1], jnp.arange(folds + 1), start)

        def predict(variables):
            return map_rows(logits_of, variables, inputs, batch_size=EVAL_BATCH)

        logits = jax.lax.map(predict, jax.tree.map(lambda leaf: leaf[1:], fitted))
        own = logits[fold - 1, jnp.arange(len(labels))]
        found = temperature(own, jnp.where(used & (count > 1), labels, -1))
        chosen = jax.tree.map(lambda leaf: leaf[0], (fitted, info))
        return _variables(chosen[0], jnp.maximum(found, 1.0)), chosen[1]

    return CustomLearner(_divided(model), fit)


def _divided(model: Model) -> Model:
    """The model, whose logits are divided by the temperature among its variables."""

    def init(key, inputs):
        variables = model.init(key, inputs)
        logits = jax.eval_shape(model.apply, variables, inputs).logits
        dtype = jnp.promote_types(logits.dtype, jnp.float32)
        return _variables(variables, jnp.ones((), dtype))

    def apply(variables, inputs, *, key=None):
        outputs = model.apply(variables["params"], inputs, key=key)
        return _cooler(outputs, variables)

    def train(variables, inputs, *, key):
        outputs, trained = model.train(variables["params"], inputs, key=key)
        return _cooler(outputs, variables), _variables(trained, variables["temperature"])

    return Model(init, apply, train, prepare=model.prepare)


def _variables(variables: PyTree, temperature: jax.Array) -> dict[str, PyTree]:
    return {"params": variables, "temperature": temperature}


def _cooler(outputs: Outputs, variables: PyTree) -> Outputs:
    logits, factor = outputs.logits, variables["temperature"]
    return outputs._replace(logits=logits / factor.astype(logits.dtype))
