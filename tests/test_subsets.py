"""Matched subsets: the pursuit written out in numpy, and fits that train on them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import CountTraces, clouds, table_model
from scipy.optimize import nnls

import jaxal
from jaxal.training.subsets import all_rows, matched_subset

MODEL = jaxal.models.mlp(3, hidden=(8,))
CAPACITY, WIDTH, CLASSES = 24, 5, 3


def table(seed=0):
    """Outputs by row number, labels and weights."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(CAPACITY, CLASSES)).astype(np.float32)
    features = rng.normal(size=(CAPACITY, WIDTH)).astype(np.float32)
    labels = rng.integers(0, CLASSES, CAPACITY).astype(np.int32)
    return logits, features, labels, rng.uniform(0.5, 2, CAPACITY).astype(np.float32)


@jax.jit
def matched(logits, features, labels, weights, count):
    model = table_model(logits, features)
    buffers = jnp.arange(CAPACITY), labels, weights, count
    return matched_subset(model, {}, buffers, 0.4)


def pursuit(logits, features, labels, weights, count):
    """The same, one pick at a time in float64, with the gradients written out."""
    logits, features = logits[:count].astype(float), features[:count].astype(float)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    residuals = p - np.eye(CLASSES)[labels[:count]]
    inputs = np.hstack([np.ones((count, 1)), features])
    gradients = np.einsum("nc,nd->ncd", residuals, inputs).reshape(count, -1)
    target, picks = weights[:count] @ gradients, []
    left = target
    for _ in range(max(1, round(0.4 * count))):
        gain = gradients @ left
        gain[picks] = -np.inf
        picks.append(int(np.argmax(gain)))
        fitted, _ = nnls(gradients[picks].T, target)
        left = target - fitted @ gradients[picks]
    return picks, fitted * len(picks) / count


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 15, 24])
def test_rows_and_weights_are_those_of_the_pursuit(count):
    given = table()
    subset = jax.tree.map(np.asarray, matched(*given, np.int32(count)))
    picks, weights = pursuit(*given, count)
    assert subset.count == len(picks) == max(1, round(0.4 * count))
    assert subset.rows[: len(picks)].tolist() == picks
    np.testing.assert_allclose(subset.weights[: len(picks)], weights, rtol=2e-3)
    assert (subset.weights[len(picks) :] == 0).all()


def test_rows_that_are_not_in_use_change_nothing():
    logits, features, labels, weights = table()
    wild = [np.array(array) for array in (logits, features, labels, weights)]
    for array, value in zip(wild, (np.nan, 1e30, -1, np.inf), strict=True):
        array[15:] = value
    expected = matched(logits, features, labels, weights, jnp.int32(15))
    found = matched(*[jnp.asarray(array) for array in wild], jnp.int32(15))
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_where_no_row_helps_the_subset_is_the_whole():
    logits, features, labels, weights = table()
    none = jnp.zeros_like(weights)
    subset = matched(logits, features, labels, none, jnp.int32(15))
    jax.tree.map(np.testing.assert_array_equal, subset, all_rows(none, jnp.int32(15)))


def buffers(count=20, capacity=32):
    inputs, labels = clouds(capacity)
    return (
        jnp.asarray(inputs),
        jnp.asarray(labels),
        jnp.ones(capacity),
        jnp.int32(count),
    )


def learner(**options):
    options = {"optimizer": optax.adam(3e-2), "subset_fraction": 0.3} | options
    return jaxal.Learner(MODEL, **options)


@pytest.mark.slow
def test_a_fit_on_subsets_learns_all_rows_with_one_trace():
    fit = CountTraces(learner(subset_every=4, batch_size=4).fit)
    jitted, apply = jax.jit(fit), jax.jit(MODEL.apply)
    for count in (10, 20, 32):
        inputs, labels, weights, count = buffers(count)
        variables, info = jitted(jax.random.key(0), None, inputs, labels, weights, count)
        right = np.asarray(apply(variables, inputs).logits).argmax(1) == np.asarray(labels)
        np.testing.assert_allclose(info.accuracy, right[: int(count)].mean(), rtol=1e-6)
        assert info.accuracy > 0.9 and info.epochs % 4 == 0
    assert fit.count == 1


def observed(**options):
    """The rows each epoch trained on, and how often the model was asked for its outputs."""
    asked, trained = [], []

    def apply(variables, inputs, *, key=None):
        jax.debug.callback(lambda: asked.append(1))
        return MODEL.apply(variables, inputs, key=key)

    def train(variables, inputs, *, key):
        jax.debug.callback(lambda inputs: trained.append(inputs), inputs)
        return MODEL.train(variables, inputs, key=key)

    model = MODEL._replace(apply=apply, train=train)
    fit = jaxal.Learner(model, optax.sgd(0.1), batch_size=6, subset_fraction=0.3, **options).fit
    _, info = jax.jit(fit)(jax.random.key(0), None, *buffers())
    jax.effects_barrier()
    return [set(map(bytes, np.asarray(rows))) for rows in trained], len(asked), info


@pytest.mark.slow
def test_a_subset_lasts_until_the_next_match():
    trained, asked, info = observed(subset_every=3, window=3, min_gain=2.0)
    assert all(len(rows) == 6 for rows in trained)  # a batch, 30 % of 20
    assert trained[0] == trained[1] == trained[2] != trained[3] == trained[5]
    assert asked == 2 * 2  # matched and measured, twice
    # The accuracy on all rows did not gain as much as 2 from the first match to the second.
    assert info.epochs == len(trained) == 6


@pytest.mark.slow
def test_patience_on_subsets():
    still = learner(optimizer=optax.sgd(0.0), patience=4, max_accuracy=1.1, window=0)
    _, info = jax.jit(still.fit)(jax.random.key(0), None, *buffers(), clouds(9, seed=3))
    assert info.epochs == 5


@pytest.mark.slow
def test_members_of_an_ensemble_are_each_alone():
    one = learner(subset_every=3, max_epochs=30, window=0)
    keys = jax.random.split(jax.random.key(5), 3)
    inputs, *rest = buffers()
    together = jax.jit(jaxal.ensemble(one, 3).fit)
    start = jax.jit(jax.vmap(MODEL.init, (0, None)))(keys, np.asarray(inputs)[:1])
    variables, info = together(jax.random.key(5), start, inputs, *rest)
    alone = [jax.jit(one.fit)(key, None, inputs, *rest) for key in keys]
    variables = jax.tree.map(np.asarray, variables)
    assert info.epochs == max(int(other.epochs) for _, other in alone)
    for member, (expected, _) in enumerate(alone):
        found = jax.tree.map(lambda leaf: leaf[member], variables)  # noqa: B023
        close = partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-4)
        jax.tree.map(close, found, expected)
