"""Entropy, least confidence and margin against float64 and at the limits."""

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs, softmax

from jaxal import scores

FUNCTIONS = [scores.entropy, scores.least_confidence, scores.margin]
JITTED = {function: jax.jit(function) for function in FUNCTIONS}
GRADIENTS = {function: jax.jit(jax.grad(function)) for function in FUNCTIONS}
INF = np.inf
few = hypothesis.settings(derandomize=True, deadline=None, max_examples=40)
rows_of_five = hnp.arrays(np.float32, (4, 5), elements=st.floats(-60, 60, width=32))


def reference(logits):
    """Entropy, least confidence, margin by the definitions, in float64."""
    probs = softmax(logits)
    log_probs = np.log(np.where(probs > 0, probs, 1))
    ordered = np.sort(probs, -1)
    return (
        -(probs * log_probs).sum(-1),
        1 - ordered[..., -1],
        ordered[..., -2] - ordered[..., -1],
    )


def random_logits(shape, scale=1.0, seed=0):
    draws = np.random.default_rng(seed).normal(size=shape)
    return jnp.asarray(draws * scale, jnp.float32)


# logits, entropy, least confidence, margin
EXTREMES = {
    "all equal": ([0.0] * 6, np.log(6), 5 / 6, 0.0),
    "all equal, large": ([1e38] * 6, np.log(6), 5 / 6, 0.0),
    "all equal, very negative": ([-1e4] * 6, np.log(6), 5 / 6, 0.0),
    "one far above": ([1e4, 0, 0, 0, 0, 0], 0.0, 0.0, -1.0),
    "one far below": ([-1e3, 0, 0, 0, 0, 0], np.log(5), 0.8, 0.0),
    "span overflows float32": ([3e38, -3e38, 0], 0.0, 0.0, -1.0),
    "two tie far above": ([1e38, 1e38, -1e38, -1e38], np.log(2), 0.5, 0.0),
    "three tie": ([3, 3, 3, -1e3, -1e3], np.log(3), 2 / 3, 0.0),
    "one apart": (
        [1000, 999, -1000, -INF],
        0.5822031088882179,
        0.2689414213699951,
        -0.4621171572600098,
    ),
    "mixed": (
        [1, 2, 3, 4, 5, -1000],
        0.9999728282753986,
        0.3635913534411692,
        -0.4022869893060942,
    ),
    "one-hot": ([0, -INF, -INF], 0.0, 0.0, -1.0),
    "one-hot of two": ([-INF, 7], 0.0, 0.0, -1.0),
    "two possible": ([-INF, 7, 7, -INF], np.log(2), 0.5, 0.0),
    "impossible among equals": ([-INF, 0, 0, 0], np.log(3), 2 / 3, 0.0),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXTREMES)
def test_extremes(name):
    logits, *expected = EXTREMES[name]
    for function, value in zip(FUNCTIONS, expected, strict=True):
        got = JITTED[function](jnp.array(logits, jnp.float32))
        np.testing.assert_allclose(got, value, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("classes", [2, 3, 10, 1000])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 1e30])
def test_against_float64(classes, scale):
    logits = random_logits((64, classes), scale, seed=classes)
    for function, value in zip(FUNCTIONS, reference(logits), strict=True):
        np.testing.assert_allclose(JITTED[function](logits), value, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("lead", [17.0, 30.0, 50.0, 80.0])
def test_certain_predictions_keep_their_digits(lead):
    odds = np.exp(-lead)  # p = 1 - odds: rounds to 1
    logits = jnp.array([0.0, lead])
    least_confidence, entropy = (JITTED[one](logits) for one in FUNCTIONS[1::-1])
    np.testing.assert_allclose(least_confidence, odds, rtol=1e-5)
    np.testing.assert_allclose(entropy, odds * (1 + lead), rtol=1e-5)


def test_log_probabilities_are_logits():
    logits = random_logits((32, 7), 3.0)
    for function in JITTED.values():
        got = function(jax.nn.log_softmax(logits))
        np.testing.assert_allclose(got, function(logits), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_is_computed_in_float32(dtype):
    logits = random_logits((32, 7), 3.0).astype(dtype)
    for function in JITTED.values():
        got = function(logits)
        assert got.dtype == jnp.float32
        np.testing.assert_array_equal(got, function(logits.astype(jnp.float32)))


@pytest.mark.slow
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("rows", [(), (0,), (1,), (7,), (2, 3)])
def test_leading_axes(function, rows):
    logits = random_logits((*rows, 4))
    function = JITTED[function]
    got = np.asarray(function(logits))
    assert got.shape == rows
    flat = [function(row) for row in np.asarray(logits).reshape(-1, 4)]
    np.testing.assert_allclose(got.reshape(-1), np.array(flat).reshape(-1), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("function", FUNCTIONS)
def test_jit_and_vmap_change_nothing(function):
    logits = random_logits((9, 5), 4.0)
    expected = function(logits)
    for transformed in (jax.jit(function), jax.jit(jax.vmap(function))):
        np.testing.assert_allclose(transformed(logits), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_rows_are_independent(function):
    logits = np.array(random_logits((50, 5), 4.0))
    logits[::7] = random_logits((5,))
    order = np.random.default_rng(1).permutation(50)
    function = JITTED[function]
    got = np.asarray(function(logits))
    np.testing.assert_array_equal(function(logits[order]), got[order])
    assert len(np.unique(got[::7])) == 1


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("bad", [[0, np.nan, 1], [0, INF, 1], [INF, INF, 1], [-INF, -INF, -INF]])
def test_undefined_rows_are_nan_alone(function, bad):
    got = JITTED[function](jnp.array([[1.0, 2.0, 3.0], bad, [1.0, 2.0, 3.0]]))
    np.testing.assert_array_equal(np.isnan(got), [False, True, False])


@pytest.mark.slow
def test_gradient_of_entropy():
    logits = random_logits((8, 5), 2.0)
    probs, entropy = softmax(logits), np.asarray(JITTED[scores.entropy](logits))
    expected = -probs * (np.log(probs) + entropy[:, None])
    got = jax.jit(jax.grad(lambda x: scores.entropy(x).sum()))(logits)
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_gradient_of_entropy_where_classes_tie():
    logits = jnp.array([1.0, 1.0, 0.0, 1.0])
    probs, entropy = softmax(logits), np.asarray(JITTED[scores.entropy](logits))
    expected = -probs * (np.log(probs) + entropy[None])
    got = GRADIENTS[scores.entropy](logits)
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", EXTREMES)
def test_gradients_are_finite(function, name):
    logits = np.array(EXTREMES[name][0], np.float32)
    assert np.isfinite(GRADIENTS[function](logits)).all()


@pytest.mark.parametrize("function", FUNCTIONS)
@bad_inputs(
    {
        "integers": (jnp.zeros((2, 3), jnp.int32), TypeError, "floating point, got int32"),
        "booleans": (jnp.zeros((2, 3), bool), TypeError, "floating point, got bool"),
        "scalar": (jnp.array(1.0), ValueError, r"shape \[..., C\], got \(\)"),
        "one class": (jnp.zeros((5, 1)), ValueError, r"2 classes .* got shape \(5, 1\)"),
        "no class": (jnp.zeros((5, 0)), ValueError, r"2 classes .* got shape \(5, 0\)"),
    }
)
def test_bad_input(function, given, error, message):
    with pytest.raises(error, match=f"logits: expected .*{message}"):
        function(given)


@pytest.mark.slow
@few
@hypothesis.given(rows_of_five)
def test_bounds(logits):
    entropy, doubt, margin = (np.asarray(function(logits)) for function in JITTED.values())
    assert (entropy >= 0).all() and (entropy <= np.log(5) + 1e-6).all()
    assert (doubt >= 0).all() and (doubt <= 0.8 + 1e-6).all()
    assert (margin >= -1).all() and (margin <= 0).all()


@few
@hypothesis.given(rows_of_five, st.permutations(range(5)), st.integers(-20, 20))
def test_classes_are_exchangeable_and_shifts_cancel(logits, order, shift):
    logits = np.round(logits * 4) / 4  # so that the shift is exact
    for function in JITTED.values():
        expected = function(logits)
        moved = function(logits[:, np.array(order)] + np.float32(shift))
        np.testing.assert_allclose(moved, expected, rtol=1e-5, atol=1e-6)
