"""A loss of one's own in gradient embeddings, in the rules that match them, and in attacks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from bad_values import OTHERS, check_refused, each, refused, tables
from helpers import MODES, last_layer_gradients, quick_first, table_model

import jaxal
from jaxal import selection, strategies
from jaxal.points.losses import residuals
from jaxal.scores import basic_iterative
from jaxal.training.epoch import TrainingRows
from jaxal.training.subsets import matched_subset

ROWS, CLASSES, WIDTH = 24, 3, 4
CROSS_ENTROPY = optax.softmax_cross_entropy_with_integer_labels


def squared(logits, labels):
    return jnp.sum((logits - jax.nn.one_hot(labels, logits.shape[1])) ** 2, axis=-1)


def slopes(logits, labels):
    """The gradient of `squared`."""
    return 2 * (np.asarray(logits, np.float64) - np.eye(np.shape(logits)[1])[labels])


@functools.cache
def data():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(ROWS, CLASSES)).astype(np.float32)
    features = rng.normal(size=(ROWS, WIDTH)).astype(np.float32)
    return logits, features, rng.integers(0, CLASSES, ROWS).astype(np.int32)


@pytest.mark.slow
@pytest.mark.parametrize("kind", selection.GRADIENT_KINDS)
def test_gradients_of_another_loss(kind):
    logits, features, labels = data()
    given = {"labels": jnp.asarray(labels), "kind": kind}
    found = selection.gradient_embedding(
        jnp.asarray(logits), jnp.asarray(features), loss=CROSS_ENTROPY, **given
    )
    known = selection.gradient_embedding(jnp.asarray(logits), jnp.asarray(features), **given)
    np.testing.assert_allclose(found.dense(), known.dense(), atol=1e-6)
    other = selection.gradient_embedding(
        jnp.asarray(logits), jnp.asarray(features), loss=squared, **given
    )
    np.testing.assert_allclose(other.residuals, slopes(logits, labels), atol=1e-5)
    np.testing.assert_array_equal(other.features, known.features)


def test_without_labels_the_gradient_is_that_of_the_prediction():
    logits, features, _ = data()
    found = selection.gradient_embedding(jnp.asarray(logits), jnp.asarray(features), loss=squared)
    np.testing.assert_allclose(found.residuals, slopes(logits, logits.argmax(1)), atol=1e-5)


def test_rows_that_are_no_numbers_stay_such():
    def flat(logits, labels):
        return jnp.zeros(len(labels))

    logits = jnp.array([[1.0, 2.0], [jnp.nan, 0.0]])
    found = residuals(logits, jnp.array([0, 1]), flat)
    np.testing.assert_array_equal(found, [[0, 0], [np.nan, np.nan]])


def picks(name, budget=5, **options):
    """What a strategy picks where the first rows are labelled."""
    strategy, numbers = strategies.make(name, **options), np.arange(ROWS)

    @jax.jit
    def pick(key, logits, features, labels):
        model = table_model(logits, features)
        labeled = jnp.arange(ROWS) < 4
        known = jnp.where(labeled, labels, -1)

        def observe(rows, labels):
            with jax.debug_key_reuse(False):  # one key for all examples, as of a decision
                return strategy.observe(key, model, {}, rows, labels)

        view = jaxal.View(
            observe(numbers, known),
            known,
            labeled,
            ~labeled,
            query=observe(numbers[:2], labels[:2]) if name in ("smi", "scmi") else None,
            private=observe(numbers[2:4], labels[2:4]) if name in ("scg", "scmi") else None,
        )
        with jax.debug_key_reuse(False):
            return strategy.select(key, view, budget)

    return pick(jax.random.key(0), *data())


CASES = {
    "badge": {},
    "glister": {},
    "glister, diverse": {"regularizer": "diversity", "strength": 0.5},
    "grad_match": {},
    "grad_match, not weighted": {"weighted": False},
    "submodular": {"representation": "bias_linear", "shifted": True},
    "fass": {"representation": "bias_linear", "shifted": True},
    "smi": {},
    "scg": {},
    "scmi": {},
}


@pytest.mark.slow
@pytest.mark.parametrize("case", quick_first(CASES, ["badge", "glister", "submodular"]))
def test_cross_entropy_by_name_picks_as_the_default(case):
    name, options = case.split(",")[0], CASES[case]
    default, given = picks(name, **options), picks(name, loss=CROSS_ENTROPY, **options)
    np.testing.assert_array_equal(given.rows, default.rows)
    np.testing.assert_allclose(given.scores, default.scores, rtol=1e-4, atol=1e-5)
    other = picks(name, loss=squared, **options)
    assert not np.allclose(other.scores, default.scores, rtol=1e-2)


def test_badge_of_another_loss():
    logits, features, _ = data()
    by_hand = slopes(logits, logits.argmax(1)).astype(np.float32)
    available = jnp.arange(ROWS) >= 4
    expected = selection.badge(
        jax.random.key(0), jnp.asarray(by_hand), jnp.asarray(features), available, 5
    )
    np.testing.assert_array_equal(picks("badge", loss=squared).rows, expected.rows)


def naive_glister(learning_rate, budget):
    """GLISTER of the squared loss with the whole pool as the evaluation set, in float64."""
    logits, features, labels = (np.asarray(array, np.float64) for array in data())
    inputs = np.hstack([np.ones((ROWS, 1)), features])
    labeled = np.arange(ROWS) < 4
    classes = np.where(labeled, labels, logits.argmax(1)).astype(int)
    each_row = np.einsum("nc,nd->ncd", slopes(logits, classes), inputs)
    moved = logits - learning_rate * inputs @ each_row[labeled].sum(0).T
    chosen = []
    for _ in range(budget):
        direction = np.einsum("nc,nd->cd", slopes(moved, classes), inputs) / ROWS
        gains = np.einsum("ncd,cd->n", each_row, direction)
        gains[labeled], gains[chosen] = -np.inf, -np.inf
        chosen.append(int(gains.argmax()))
        moved = moved - learning_rate * inputs @ each_row[chosen[-1]].T
    return chosen


def test_glister_of_another_loss():
    found = picks("glister", loss=squared, learning_rate=0.01)
    assert found.rows.tolist() == naive_glister(0.01, 5)


@pytest.mark.slow
def test_a_subset_matches_the_gradients_of_the_loss():
    logits, features, labels = data()
    buffers = jnp.arange(ROWS), jnp.asarray(labels), jnp.ones(ROWS), jnp.int32(ROWS)
    subset: TrainingRows = matched_subset(
        table_model(logits, features), {}, buffers, 0.9, loss=squared
    )
    inputs = np.hstack([np.ones((ROWS, 1)), features])
    each_row = np.einsum("nc,nd->ncd", slopes(logits, labels), inputs).reshape(ROWS, -1)
    used = np.arange(ROWS) < int(subset.count)
    weights, rows = np.asarray(subset.weights)[used], np.asarray(subset.rows)[used]
    scale = ROWS / int(subset.count)  # training takes the mean over the subset
    matched, total = scale * weights @ each_row[rows], each_row.sum(0)
    assert np.linalg.norm(matched - total) < 0.2 * np.linalg.norm(total)
    others = last_layer_gradients(logits, features, labels).sum(0)
    assert np.linalg.norm(matched - total) < np.linalg.norm(matched - others)


def test_an_attack_up_another_loss():
    logits = jnp.array([[3.0, 0.0, 1.0], [2.0, 1.9, 0.0]])
    inputs = logits  # of the identity

    def runner_up(logits, labels):
        """How far the best other class lies behind."""
        own = jax.nn.one_hot(labels, 3, dtype=bool)
        return jnp.max(jnp.where(own, -jnp.inf, logits), 1) - jnp.sum(jnp.where(own, logits, 0), 1)

    found = basic_iterative(lambda x: x, inputs, epsilon=0.25, loss=runner_up)
    # The predicted class falls and the best other one rises, a quarter each: two moves of 0.25.
    assert found.steps.tolist() == [5, 1] and found.flipped.all()
    np.testing.assert_allclose(found.squared_distance, [2 * 1.25**2, 2 * 0.25**2])
    flat = basic_iterative(lambda x: x, inputs, loss=lambda logits, labels: 0 * logits[:, 0])
    assert not flat.flipped.any() and (flat.squared_distance == 0).all()
    by_name = basic_iterative(lambda x: x, inputs, epsilon=0.25, loss=CROSS_ENTROPY)
    default = basic_iterative(lambda x: x, inputs, epsilon=0.25)
    jax.tree.map(np.testing.assert_array_equal, by_name, default)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["badge", "glister", "grad_match", "smi"])
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_under_other_settings_of_jax(mode, name):
    with mode():
        assert len(set(picks(name, loss=squared).rows.tolist())) == 5


def test_a_loss_of_another_shape_is_refused():
    logits, features, _ = data()
    with pytest.raises(ValueError, match="loss: expected one number for each of 24 rows, got"):
        selection.gradient_embedding(
            jnp.asarray(logits),
            jnp.asarray(features),
            loss=lambda logits, labels: jnp.mean(logits),
        )


NO_LOSS = OTHERS | {"an integer": 1, "a flag": True}


def pool(rule, **given):
    logits, features, _ = (jnp.asarray(array) for array in data())
    return rule((logits, features), jnp.ones(ROWS, bool), 2, **given)


def keyed(rule, *more, **given):
    logits, features, _ = (jnp.asarray(array) for array in data())
    free = jnp.ones(ROWS, bool)
    return rule(jax.random.key(0), (logits, features), *more, free, 2, **given)


def glister(loss):
    logits, features, labels = (jnp.asarray(array) for array in data())
    labeled = logits, features, labels, jnp.zeros(ROWS, bool)
    return keyed(selection.glister, labeled, learning_rate=0.1, loss=loss)


def embedding(loss):
    logits, features, _ = (jnp.asarray(array) for array in data())
    return selection.gradient_embedding(logits, features, loss=loss)


@refused(
    tables(
        embedding=each(embedding, loss=NO_LOSS),
        grad_match=each(functools.partial(pool, selection.grad_match), loss=NO_LOSS),
        pursuit=each(functools.partial(keyed, selection.orthogonal_matching_pursuit), loss=NO_LOSS),
        glister=each(glister, loss=NO_LOSS),
        attack=each(
            lambda loss: basic_iterative(lambda x: x, jnp.ones((2, 3)), loss=loss), loss=NO_LOSS
        ),
    )
)
def test_refused(call, argument):
    check_refused(call, argument)
