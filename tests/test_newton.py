"""`training.newton` against a minimiser in float64, and what it refuses."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs
from scipy.optimize import minimize

from jaxal import models
from jaxal.training import newton


def problem(classes, rows=40, features=3):
    rng = np.random.default_rng(classes)
    labels = np.arange(rows) % classes
    inputs = rng.normal(size=(rows, features)) + rng.normal(size=(classes, features))[labels]
    return inputs.astype("float32"), labels.astype("int32"), rng.uniform(0.5, 2, rows)


def optimum(inputs, labels, weights, classes, l2):
    """Probabilities [N, C] at the optimum, by another method and in float64."""
    rows = np.c_[inputs.astype(float), np.ones(len(inputs))]
    num = 1 if classes == 2 else classes  # two classes have one weight vector

    def logits(flat):
        found = rows @ flat.reshape(num, -1).T
        return np.c_[0 * found, found] if num == 1 else found

    def objective(flat):
        found = logits(flat)
        losses = np.logaddexp.reduce(found, axis=1) - found[np.arange(len(labels)), labels]
        return weights @ losses + l2 / 2 * np.sum(flat.reshape(num, -1)[:, :-1] ** 2)

    end = minimize(objective, np.zeros(num * rows.shape[1]), tol=1e-10).x
    found = logits(end)
    return np.exp(found - np.logaddexp.reduce(found, axis=1, keepdims=True))


@partial(jax.jit, static_argnums=0)
def chances_of(model, variables, inputs):
    return jax.nn.softmax(model.apply(variables, inputs).logits)


@pytest.mark.parametrize("classes", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_fits_the_optimum(classes):
    inputs, labels, weights = problem(classes)
    model, count = models.logistic(classes), 30
    learner = newton(model, l2=0.5)
    # What follows the labelled rows is room for more, and changes nothing.
    buffers = inputs.copy(), labels.copy()
    buffers[0][count:] = 100
    given = (*buffers, jnp.asarray(weights.astype(np.float32)), jnp.int32(count))
    variables = model.init(jax.random.key(0), inputs[:1])
    fitted, info = jax.jit(learner.fit)(jax.random.key(1), variables, *given)
    expected = optimum(inputs[:count], labels[:count], weights[:count], classes, 0.5)
    found = np.asarray(chances_of(model, fitted, inputs))
    np.testing.assert_allclose(found[:count], expected, atol=2e-5)
    loss = -np.log(expected[np.arange(count), labels[:count]])
    np.testing.assert_allclose(info.loss, np.average(loss, weights=weights[:count]), rtol=1e-4)
    assert info.accuracy == np.mean(expected.argmax(1) == labels[:count])
    # From the optimum it goes nowhere; of one class alone it ends, and all is finite.
    again = jax.jit(learner.fit)(jax.random.key(2), fitted, *given)[1]
    assert again.epochs <= 2
    one_class = jax.jit(learner.fit)(
        jax.random.key(2), variables, buffers[0], 0 * labels, *given[2:]
    )
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(one_class))


@pytest.mark.slow
def test_random_weights_of_large_features_and_classes_without_a_row():
    """Weights drawn at random say 0 for sure of some classes: a step from there goes anywhere."""
    rng = np.random.default_rng(0)
    inputs = (rng.normal(size=(15, 24)) * 20).astype("float32")
    labels, weights = rng.integers(0, 4, 15).astype("int32"), np.ones(15)
    model = models.logistic(6)
    variables = model.init(jax.random.key(0), inputs[:1])
    fit = jax.jit(newton(model, l2=30.0).fit)
    fitted, info = fit(jax.random.key(1), variables, inputs, labels, jnp.ones(15), jnp.int32(15))
    found = chances_of(model, fitted, inputs)
    np.testing.assert_allclose(found, optimum(inputs, labels, weights, 6, 30.0), atol=1e-3)
    assert info.epochs < 30


NO_MODEL: Any = 3


def fit(model, labels=None):
    inputs, known, weights = map(jnp.asarray, problem(2))
    labels = known if labels is None else jnp.asarray(labels)
    variables = model.init(jax.random.key(0), inputs[:1])
    return newton(model).fit(jax.random.key(0), variables, inputs, labels, weights, jnp.int32(5))


@bad_inputs(
    {
        "no model": (lambda: newton(NO_MODEL), TypeError, "model: expected a Model"),
        "l2": (lambda: newton(models.logistic(2), l2=0.0), ValueError, "l2"),
        "steps": (lambda: newton(models.logistic(2), max_steps=0), ValueError, "max_steps"),
        "layers": (lambda: fit(models.mlp(2)), ValueError, "one dense layer"),
        "targets": (lambda: fit(models.logistic(2), np.ones(40, "f")), ValueError, "targets"),
        "regression": (lambda: fit(models.logistic(1)), ValueError, "at least 2 classes"),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
