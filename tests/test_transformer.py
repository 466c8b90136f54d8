"""The transformer: padding, order of words, unknown words."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxal import models
from jaxal.base import Model
from jaxal.models.zoo.text import _positions

MODEL = models.transformer(3, vocabulary=9, width=8, heads=2)
TEXT = [5, 3, 8, 2]


@pytest.fixture(scope="module")
def apply():
    """Token ids -> outputs, by one set of variables."""
    model = Model(jax.jit(MODEL.init), jax.jit(MODEL.apply), MODEL.train)
    variables = model.init(jax.random.key(0), jnp.array([TEXT]))
    return lambda tokens: model.apply(variables, jnp.array(tokens))


def close(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_padding_changes_nothing_wherever_it_stands(apply):
    plain = apply([TEXT])
    padded = apply([[*TEXT, 0, 0, 0], [0, 0, 0, *TEXT], [5, 0, 3, 0, 8, 0, 2], [*TEXT, -1, -1, 0]])
    for row in range(4):
        close((padded.logits[row], padded.features[row]), (plain.logits[0], plain.features[0]))


@pytest.mark.slow
def test_padding_has_no_gradient():
    tokens = jnp.array([[*TEXT, 0, 0]])
    variables = jax.jit(MODEL.init)(jax.random.key(0), tokens)

    def loss(params):
        return jnp.sum(MODEL.apply({"params": params}, tokens).logits ** 2)

    slopes = jax.jit(jax.grad(loss))(variables["params"])["Embed_0"]["embedding"]
    used = np.abs(slopes).max(1) > 0
    assert used.tolist() == [False, False, True, True, False, True, False, False, True]


def test_texts_of_a_batch_do_not_see_each_other(apply):
    close(jax.tree.map(lambda x: x[:1], apply([TEXT, [1, 1, 1, 1]])), apply([TEXT]))


def test_order_of_words_counts(apply):
    features = apply([TEXT, TEXT[::-1]]).features
    assert np.abs(features[0] - features[1]).max() > 1e-2


def test_ids_beyond_the_vocabulary_are_one_word(apply):
    logits = apply([[5, 8], [5, 9], [5, 2**31 - 1], [5, 7]]).logits
    close(logits[1:3], [logits[0]] * 2)
    assert np.abs(logits[0] - logits[3]).max() > 1e-3


def test_a_text_without_words_has_finite_outputs(apply):
    outputs = apply([[0, 0, 0, 0], TEXT])
    assert (outputs.features[0] == 0).all() and np.isfinite(outputs.logits).all()


def test_positions_are_those_of_the_paper():
    mask = jnp.ones((1, 3), bool)
    found = _positions(mask, 4)[0]
    expected = [[*np.sin([p, p / 100]), *np.cos([p, p / 100])] for p in range(3)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
