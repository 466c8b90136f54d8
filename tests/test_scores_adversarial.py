"""Both attacks against their definitions in float64, and where nothing can move."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs

from jaxal import scores

ATTACKS = [scores.basic_iterative, scores.deep_fool]


def network(sizes, scale=1.0, seed=0):
    rng = np.random.default_rng(seed)
    pairs = zip(sizes[:-1], sizes[1:], strict=True)
    layers = [(rng.normal(size=s) / np.sqrt(s[0]), rng.normal(size=s[1])) for s in pairs]
    weights, biases = layers[-1]
    layers[-1] = (weights * scale, biases * scale * 0.3)
    return [(np.float32(w), np.float32(b * 0.3)) for w, b in layers]


def apply_network(layers):
    def apply(inputs):
        hidden = inputs
        for index, (weights, biases) in enumerate(layers):
            hidden = hidden @ weights + biases[None]
            if index < len(layers) - 1:
                hidden = jnp.maximum(hidden, 0)
        return hidden

    return apply


def forward(layers, x):
    """Logits [C] and their Jacobian [C, D], in float64."""
    jacobian = np.eye(len(x))
    for index, (weights, biases) in enumerate(layers):
        x = x @ weights.astype(np.float64) + biases
        jacobian = jacobian @ weights.astype(np.float64)
        if index < len(layers) - 1:
            x, jacobian = np.maximum(x, 0), jacobian * (x > 0)
    return x, jacobian.T


def reference_basic_iterative(layers, x, epsilon, max_steps):
    change, steps = np.zeros(len(x)), 0
    label = forward(layers, x)[0].argmax()
    while True:
        logits, jacobian = forward(layers, x + change)
        if logits.argmax() != label or steps >= max_steps:
            return (change**2).sum(), label, steps, logits.argmax() != label
        residual = np.exp(logits - logits.max())
        residual /= residual.sum()
        residual[label] = -np.delete(residual, label).sum()
        change, steps = change + epsilon * np.sign(residual @ jacobian), steps + 1


def reference_deep_fool(layers, x, max_steps, overshoot):
    change, steps = np.zeros(len(x)), 0
    label = forward(layers, x)[0].argmax()
    while True:
        logits, jacobian = forward(layers, x + (1 + overshoot) * change)
        flipped = logits.argmax() != label
        if flipped or steps >= max_steps:
            distance = ((1 + overshoot) ** 2) * (change**2).sum()
            return distance, label, steps, flipped
        slopes = jacobian - jacobian[label]
        norms = np.linalg.norm(slopes, axis=1)
        if not norms.any():
            return np.inf, label, max_steps, False
        distances = np.full(len(norms), np.inf)
        moving = norms > 0
        distances[moving] = np.abs(logits - logits[label])[moving] / norms[moving]
        k = distances.argmin()
        change, steps = change + (distances[k] + 1e-4) * slopes[k] / norms[k], steps + 1


def assert_same(found, expected):
    distance, label, steps, flipped = (np.array(x) for x in zip(*expected, strict=True))
    np.testing.assert_array_equal(found.label, label)
    np.testing.assert_array_equal(found.flipped, flipped)
    np.testing.assert_array_equal(found.steps, steps)
    np.testing.assert_allclose(found.squared_distance, distance, rtol=2e-3, atol=1e-6)


def random_inputs(shape=(20, 6), seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


LAYERS = network([6, 16, 12, 4])
APPLY = apply_network(LAYERS)


@functools.cache
def jitted(attack, apply, **options):
    return jax.jit(lambda x: attack(apply, x, **options))


def run(attack, apply, inputs, **options):
    return jitted(attack, apply, **options)(inputs)


@functools.cache
def of_layers(attack, **options):
    """One program for networks of any weights."""
    return jax.jit(lambda layers, x: attack(apply_network(layers), x, **options))


@pytest.mark.slow
@pytest.mark.parametrize("max_steps", [2, 40])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 50.0])
def test_basic_iterative_against_float64(max_steps, scale):
    layers, inputs = network([6, 16, 4], scale, seed=3), random_inputs(seed=4)
    attack = of_layers(scores.basic_iterative, epsilon=0.05, max_steps=max_steps)
    found = attack(layers, inputs)
    rows = np.asarray(inputs, np.float64)
    expected = [reference_basic_iterative(layers, x, 0.05, max_steps) for x in rows]
    assert_same(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("max_steps, overshoot", [(2, 0.0), (50, 0.02)])
@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e3])
def test_deep_fool_against_float64(max_steps, overshoot, scale):
    layers, inputs = network([6, 16, 4], scale, seed=3), random_inputs(seed=4)
    attack = of_layers(scores.deep_fool, max_steps=max_steps, overshoot=overshoot)
    found = attack(layers, inputs)
    rows = np.asarray(inputs, np.float64)
    expected = [reference_deep_fool(layers, x, max_steps, overshoot) for x in rows]
    assert_same(found, expected)


def test_linear_models_by_hand():
    weights = jnp.array([[2.0, 0.0], [0.0, 0.0]])  # logits (2 x0, 0): the boundary is x0 = 0
    inputs = jnp.array([[0.3, 9.0], [-1.0, 0.0]])
    found = run(scores.deep_fool, lambda x: x @ weights, inputs, overshoot=0.5)
    np.testing.assert_array_equal(found.steps, [1, 1])
    np.testing.assert_allclose(
        found.squared_distance,
        np.square(1.5 * (np.array([0.3, 1.0]) + 1e-4)),
        rtol=1e-5,
    )
    found = run(scores.basic_iterative, lambda x: x @ weights, inputs, epsilon=0.25)
    np.testing.assert_array_equal(found.steps, [2, 4])  # x0 = 0 predicts class 0
    np.testing.assert_allclose(found.squared_distance, [0.25, 1.0], rtol=1e-6)
    assert found.flipped.all()
    np.testing.assert_array_equal(found.label, [0, 1])


def test_deep_fool_takes_the_lowest_class_of_equal_distance():
    weights = jnp.array([[1.0, 0.0, -1.0]])
    offsets = jnp.array([[0.0, 1.0, 0.0]])  # both boundaries are at distance 1

    def apply(x):
        return x @ weights + offsets

    found = run(scores.deep_fool, apply, jnp.zeros((1, 1)), max_steps=1, overshoot=0.0)
    assert found.label[0] == 1 and found.flipped[0]
    np.testing.assert_allclose(found.squared_distance, 1.0001**2, rtol=1e-5)


def test_deep_fool_restricted_to_the_likeliest_classes():
    # From (0, 0) class 2 is nearest to win though class 1 has the higher logit.
    weights = jnp.array([[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 8.0, 0.0]])
    offsets = jnp.array([[3.0, 2.0, 1.0, 0.0]])

    def distance(num_classes):
        found = run(
            scores.deep_fool,
            lambda x: x @ weights + offsets,
            jnp.zeros((1, 2)),
            overshoot=0.0,
            num_classes=num_classes,
        )
        assert found.flipped[0]
        return found.squared_distance[0]

    np.testing.assert_allclose(distance(2), 1.0001**2, rtol=1e-5)
    for enough in (3, 4, None):
        np.testing.assert_allclose(distance(enough), 0.2501**2, rtol=1e-5)


def dead_and_alive(inputs):
    """Class 1 wins from x0 = 1/3 on; below 0 nothing has a slope."""
    hidden = jnp.maximum(inputs[:, :1], 0)
    return jnp.concatenate([jnp.ones_like(hidden), 3 * hidden], axis=1)


def test_examples_without_a_gradient():
    inputs = jnp.array([[-1.0, 0.0], [0.2, 0.0], [-3.0, 1.0]])
    found = run(scores.basic_iterative, dead_and_alive, inputs, max_steps=25)
    np.testing.assert_array_equal(found.flipped, [False, True, False])
    np.testing.assert_array_equal(found.squared_distance[::2], [0.0, 0.0])
    np.testing.assert_array_equal(found.steps, [25, 3, 25])
    found = run(scores.deep_fool, dead_and_alive, inputs, max_steps=25)
    np.testing.assert_array_equal(found.flipped, [False, True, False])
    np.testing.assert_array_equal(found.squared_distance[::2], [np.inf, np.inf])
    np.testing.assert_array_equal(found.steps, [25, 1, 25])


@pytest.mark.parametrize("attack", ATTACKS)
def test_examples_without_a_gradient_are_scored_last(attack):
    inputs = jnp.array([[-1.0, 0.0], [0.2, 0.0], [0.01, 0.0], [-3.0, 1.0]])
    score = scores.perturbation_score(run(attack, dead_and_alive, inputs, max_steps=25))
    np.testing.assert_array_equal(np.isneginf(score), [True, False, False, True])
    assert score[1] > score[2]


def test_basic_iterative_of_saturated_predictions():
    weights = jnp.array([[1.0, -1.0]])
    # Leads of 40 (p rounds to 1), 400 (the rival's p is 0) and 800 (in float64 too).
    inputs = jnp.array([[20.0], [200.0], [400.0]])
    found = run(scores.basic_iterative, lambda x: x @ weights, inputs, epsilon=30.0, max_steps=9)
    np.testing.assert_array_equal(found.flipped, [True, True, False])
    np.testing.assert_allclose(found.squared_distance, [30.0**2, 210.0**2, 0.0])


def test_stuck_examples_do_not_use_up_the_steps():
    bodies = []

    def apply(inputs):
        jax.debug.callback(lambda: bodies.append(1))
        return dead_and_alive(inputs)

    run(scores.basic_iterative, apply, -jnp.ones((3, 2)), max_steps=1000)
    jax.effects_barrier()
    assert len(bodies) <= 3


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_rows_end_and_come_last(attack, bad):
    inputs = random_inputs().at[3, 2].set(bad)
    found = run(attack, APPLY, inputs, max_steps=5)
    expected = run(attack, APPLY, random_inputs(), max_steps=5)
    assert np.isneginf(scores.perturbation_score(found)[3])
    assert not np.isnan(found.squared_distance).any()
    others = np.arange(20) != 3
    np.testing.assert_allclose(
        found.squared_distance[others], expected.squared_distance[others], rtol=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS)
def test_jit_rows_and_order_change_nothing(attack):
    inputs = random_inputs((9, 6))
    expected = attack(APPLY, inputs, max_steps=12)
    order = np.random.default_rng(0).permutation(9)

    def row_of(x):
        return jax.tree.map(lambda y: y[0], attack(APPLY, x[None], max_steps=12))

    got = {
        "jit": run(attack, APPLY, inputs, max_steps=12),
        "rows": jax.jit(lambda inputs: jax.lax.map(row_of, inputs))(inputs),
        "vmap": jax.jit(jax.vmap(row_of))(inputs),
        "order": jax.tree.map(
            lambda y: np.asarray(y)[np.argsort(order)],
            run(attack, APPLY, inputs[order], max_steps=12),
        ),
    }
    for name, found in got.items():
        for field, a, b in zip(found._fields, found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, err_msg=f"{name} {field}")


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS)
def test_vmap_over_models(attack):
    stack = jnp.stack([jnp.eye(3), 2 * jnp.eye(3)[::-1]])
    inputs = random_inputs((5, 3))

    def of_model(weights):
        return attack(lambda x: x @ weights, inputs)

    got, alone = jax.jit(jax.vmap(of_model))(stack), jax.jit(of_model)
    for index, weights in enumerate(stack):
        expected = alone(weights)
        np.testing.assert_allclose(
            got.squared_distance[index], expected.squared_distance, rtol=1e-5
        )


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("shape", [(0, 6), (1, 3, 2), (7, 1, 2, 3)])
def test_inputs_of_any_shape_and_in_a_pytree(attack, shape):
    inputs = random_inputs(shape)

    def apply(batch):
        assert batch["image"].shape == shape
        return APPLY(batch["image"].reshape(shape[0], 6))

    found = run(attack, apply, {"image": inputs})
    expected = run(attack, APPLY, inputs.reshape(shape[0], 6))
    for a, b in zip(found, expected, strict=True):
        assert a.shape == (shape[0],)
        np.testing.assert_allclose(a, b, rtol=1e-5)
    assert found.label.dtype == found.steps.dtype == jnp.int32


@pytest.mark.parametrize("attack", ATTACKS)
def test_half_precision_inputs(attack):
    inputs = random_inputs().astype(jnp.bfloat16)

    def apply(batch):
        assert batch.dtype == jnp.bfloat16
        return APPLY(batch.astype(jnp.float32)).astype(jnp.bfloat16)

    found = run(attack, apply, inputs)
    assert found.squared_distance.dtype == jnp.float32
    assert not np.isnan(found.squared_distance).any()


X = jnp.zeros((3, 2))


@pytest.mark.parametrize("attack", ATTACKS)
@bad_inputs(
    {
        "integer inputs": ((APPLY, X.astype(int), {}), TypeError, "inputs: .*got int32"),
        "two arrays": ((APPLY, (X, X), {}), ValueError, "inputs: .*pytree of 2"),
        "no rows axis": ((APPLY, jnp.array(1.0), {}), ValueError, r"inputs: .*got \(\)"),
        "logits rank": ((lambda x: x[:, 0], X, {}), ValueError, r"\[n, C\], got \(3,\)"),
        "logits rows": ((lambda x: x[:2], X, {}), ValueError, "3 rows of logits, got 2"),
        "one class": ((lambda x: x[:, :1], X, {}), ValueError, "at least 2 classes"),
        "no steps": ((lambda x: x, X, {"max_steps": 0}), ValueError, "max_steps: .*got 0"),
    }
)
def test_bad_input(attack, given, error, message):
    apply, inputs, options = given
    with pytest.raises(error, match=message):
        attack(apply, inputs, **options)


@bad_inputs(
    {
        "epsilon": ((scores.basic_iterative, {"epsilon": -0.1}), ValueError, "epsilon: .*got -0.1"),
        "overshoot": ((scores.deep_fool, {"overshoot": -1.0}), ValueError, "overshoot: .*got -1.0"),
        "one class": (
            (scores.deep_fool, {"num_classes": 1}),
            ValueError,
            "num_classes: expected an integer >= 2, got 1",
        ),
        "more classes than there are": (
            (scores.deep_fool, {"num_classes": 3}),
            ValueError,
            "num_classes: expected 2 to 2, got 3",
        ),
    }
)
def test_bad_numbers(given, error, message):
    attack, options = given
    with pytest.raises(error, match=message):
        attack(lambda x: x, X, **options)
