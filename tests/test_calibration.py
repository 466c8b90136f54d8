"""Temperatures, and learners that find theirs by cross-fits."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import cases, clouds, load_case

import jaxal
from jaxal import calibration
from jaxal.experiment.learner import make_learner
from jaxal.experiment.settings import AugmentationConfig, LearnerConfig, ModelConfig
from jaxal.training import FitInfo


def loss(logits, labels, temperature):
    """The mean loss in float64 over the rows whose label is known."""
    known = labels >= 0
    scaled = np.asarray(logits, np.float64)[known] / temperature
    scaled -= scaled.max(1, keepdims=True)
    log_p = scaled - np.log(np.exp(scaled).sum(1, keepdims=True))
    return -log_p[np.arange(known.sum()), labels[known]].mean()


@pytest.mark.slow
@cases("calibration")
def test_conformance(path):
    case, meta = load_case(path)
    logits, labels = case["in_logits"], case["in_labels"]
    found = calibration.temperature(jnp.asarray(logits), jnp.asarray(labels))
    if meta["interior"]:
        np.testing.assert_allclose(found, case["out_temperature"][0], rtol=2e-3)
    assert loss(logits, labels, float(found)) <= case["out_loss"][0] + 1e-4


@pytest.mark.parametrize("label, expected", [(0, 0.01), (1, 100.0)])
def test_an_end_of_the_range_where_all_are_right_or_wrong(label, expected):
    logits = jnp.array([[1e38, 0.0, -jnp.inf], [3.0, 1.0, 0.0]])
    found = calibration.temperature(logits, jnp.full(2, label))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_rows_that_do_not_count():
    logits = jnp.array([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [0.0, 2.0], [9.0, 0.0], [jnp.nan, 1.0]])
    labels = jnp.array([0, 0, 1, 1, -1, 0])
    np.testing.assert_allclose(calibration.temperature(logits, labels), 2 / np.log(3), rtol=1e-4)
    none = jax.jit(calibration.temperature)(logits, jnp.full(6, -1))
    assert none == 1


DONE = FitInfo(jnp.zeros(()), jnp.ones(()), jnp.ones((), jnp.int32))


def memory(rows):
    """A model of row numbers that is sure of the rows that it was fitted to, and a fit of it."""

    def apply(variables, inputs, *, key=None):
        seen = variables["params"][inputs]
        strange = jnp.stack([inputs % 5, 2.0 * (inputs % 3)], axis=1)
        logits = jnp.where(seen[:, None] >= 0, 50.0 * jax.nn.one_hot(seen, 2), 4.0 * strange)
        return jaxal.Outputs(logits, strange)

    def init(key, inputs):
        return {"params": jnp.full(rows, -1)}

    def fit(key, variables, inputs, labels, weights, count, validation=None):
        places = jnp.where(jnp.arange(len(inputs)) < count, inputs, rows)
        return {"params": variables["params"].at[places].set(labels)}, DONE

    def train(variables, inputs, *, key):
        return apply(variables, inputs), variables

    return jaxal.CustomLearner(jaxal.Model(init, apply, train), fit)


@pytest.mark.slow
def test_each_label_is_predicted_by_a_fit_that_has_not_seen_it():
    learner = jaxal.calibrated(memory(30), folds=3)
    assert learner is jaxal.calibrated(memory(30), folds=3)
    inputs, plain = jnp.arange(4, 24), memory(30).model
    start = plain.init(jax.random.key(0), inputs)
    labels = jnp.argmax(plain.apply(start, inputs).logits, axis=1) ^ (inputs % 4 == 0)
    variables = learner.model.init(jax.random.key(0), inputs)
    # As by a fit of the round before, which must not be where those of the folds begin.
    variables["params"]["params"] = variables["params"]["params"].at[4:24].set(labels)
    buffers = inputs, labels, jnp.ones(20)
    fitted, _ = jax.jit(learner.fit)(jax.random.key(0), variables, *buffers, 12)
    unseen = plain.apply(start, inputs[:12]).logits
    expected = calibration.temperature(unseen, labels[:12])
    assert 1 < expected < 100
    np.testing.assert_allclose(fitted["temperature"], expected, rtol=1e-4)
    # The model is that of all labelled rows, its logits divided.
    divided = learner.model.apply(fitted, inputs).logits
    whole = plain.apply(fitted["params"], inputs).logits
    np.testing.assert_allclose(divided, whole / expected, rtol=1e-4)
    assert (jnp.argmax(divided[:12], axis=1) == labels[:12]).all()
    # Of one row none can be held out.
    alone, _ = jax.jit(learner.fit)(jax.random.key(0), variables, *buffers, 1)
    assert alone["temperature"] == 1


@pytest.mark.slow
def test_folds_have_the_same_share_of_each_class():
    seen = []

    def fit(key, variables, inputs, labels, weights, count, validation=None):
        jax.debug.callback(lambda *kept: seen.append(kept), labels, count)
        return variables, DONE

    learner = jaxal.calibrated(jaxal.CustomLearner(memory(6).model, fit), folds=2)
    inputs, labels = jnp.arange(6), jnp.array([1, 0, 0, 1, 0, 0])
    variables = learner.model.init(jax.random.key(0), inputs)
    learner.fit(jax.random.key(0), variables, inputs, labels, jnp.ones(6), jnp.int32(6))
    jax.effects_barrier()
    kept = sorted((int(count), int(np.sum(labels[:count] == 1))) for labels, count in seen)
    assert kept == [(3, 1), (3, 1), (6, 2)]


def test_a_setting_of_experiments():
    def made(folds):
        config = LearnerConfig(calibration_folds=folds)
        options = {"num_classes": 3, "normalization": None, "batch_size": 8}
        return make_learner(ModelConfig("logistic"), config, AugmentationConfig(), **options)

    assert made(4) == jaxal.calibrated(made(0), 4) != made(0)


@pytest.mark.slow
def test_a_run_whose_strategy_reads_calibrated_probabilities():
    inputs, labels = clouds(60, spread=3.0)
    learner = jaxal.Learner(jaxal.models.logistic(3), optax.adam(0.3), max_epochs=30)
    run = jaxal.simulate(
        jaxal.calibrated(learner, 3),
        jaxal.strategies.entropy(),
        (inputs, labels),
        (inputs, labels),
        initial=8,
        budget=4,
        rounds=2,
    )
    state, _ = jax.jit(run)(jax.random.key(0))
    assert state.variables["temperature"] > 1.2  # few labels of clouds that overlap
