"""Joint example selection: the law of its draws, and chunks given those before."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import CountTraces, bad_inputs

from jaxal import curation

LEARNER = np.array([2.0, 0.5, 1.0, 3.0, 0.0])
REFERENCE = np.array([0.5, 0.5, 1.0, 2.0, 0.0])


def draws(number, function):
    return np.asarray(jax.jit(jax.vmap(function))(jax.random.split(jax.random.key(0), number)))


def sequential(weights, budget):
    """The probability of each sequence of rows, each drawn in proportion among those left."""
    law = {}
    for rows in itertools.permutations(range(len(weights)), budget):
        left, chance = weights.copy(), 1.0
        for row in rows:
            chance *= left[row] / left.sum()
            left[row] = 0.0
        law[rows] = chance
    return law


def check(found, law):
    """Each sequence as often as the law says, within 4.5 standard errors."""
    for rows, chance in law.items():
        share = (found == np.array(rows)).all(1).mean()
        assert abs(share - chance) < 4.5 * np.sqrt(chance * (1 - chance) / len(found)) + 1e-9


def test_separable_losses_are_drawn_by_their_difference():
    def draw(key):
        return curation.joint_example_selection(
            key, jnp.asarray(LEARNER), jnp.asarray(REFERENCE), 2, temperature=0.7
        ).rows

    check(draws(8000, draw), sequential(np.exp((LEARNER - REFERENCE) / 0.7), 2))


def test_pairs_are_drawn_given_the_rows_before():
    """Two chunks of one row: the second is drawn by its pairs with the first."""
    rng = np.random.default_rng(0)
    learner, reference = rng.normal(size=(2, 4, 4))
    scores = learner - reference

    def draw(key):
        return curation.joint_example_selection(
            key, jnp.asarray(learner), jnp.asarray(reference), 2, num_chunks=2
        ).rows

    law = {}
    first = np.exp(np.diag(scores))
    for i, j in itertools.permutations(range(4), 2):
        second = np.exp(np.diag(scores) + scores[i] + scores[:, i])
        second[i] = 0
        law[i, j] = first[i] / first.sum() * second[j] / second.sum()
    check(draws(8000, draw), law)


@pytest.mark.slow
def test_a_function_of_the_chosen_rows():
    """The softmax loss of a row among those chosen; the same scores as by hand, chunk by chunk."""
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(12, 12))

    def losses(chosen):
        others = jnp.where(chosen[None, :] | jnp.eye(12, dtype=bool), jnp.asarray(logits), -jnp.inf)
        return jax.nn.logsumexp(others, axis=1) - jnp.diagonal(jnp.asarray(logits))

    mask = jnp.arange(12) != 3
    picked = jax.jit(
        lambda key: curation.joint_example_selection(
            key, losses, None, 7, available=mask, num_chunks=3
        )
    )(jax.random.key(0))
    rows = picked.rows.tolist()
    assert len(set(rows)) == 7 and 3 not in rows
    for place, row in enumerate(rows):
        among = [*rows[: place // 3 * 3], row]  # chunks of three
        expected = np.log(np.exp(logits[row, among]).sum()) - logits[row, row]
        np.testing.assert_allclose(picked.scores[place], expected, rtol=1e-5, atol=1e-5)
    few = curation.joint_example_selection(
        jax.random.key(1), losses, jnp.zeros(12), 4, available=jnp.arange(12) < 2, num_chunks=2
    )
    assert sorted(few.rows.tolist()) == [-1, -1, 0, 1]


def test_what_is_no_number_comes_last_and_no_gradient_passes():
    learner = jnp.array([1.0, jnp.nan, 2.0, 0.0])
    picked = curation.joint_example_selection(jax.random.key(0), learner, None, 4)
    assert picked.rows[-1] == 1

    def worth(learner):
        return jnp.sum(
            curation.joint_example_selection(
                jax.random.key(0), learner, jnp.zeros(4), 2, temperature=0.5
            ).scores
        )

    assert (jax.grad(worth)(jnp.arange(4.0)) == 0).all()


def test_inside_a_training_step_of_optax():
    """Half of the labels are noise, which the reference knows: the sub-batches have little."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(256, 5)).astype(np.float32)
    labels = (inputs[:, 0] > 0).astype(np.int32)
    noisy = rng.uniform(size=256) < 0.5
    given = np.where(noisy, rng.integers(0, 2, 256), labels)
    wrong = jnp.asarray(given != labels)
    optimizer = optax.sgd(0.5)
    batch = jnp.asarray(inputs), jnp.asarray(given)
    good = 8 * jnp.array([1.0, 0, 0, 0, 0])

    def losses(weights, inputs, labels):
        return optax.sigmoid_binary_cross_entropy(inputs @ weights, labels)

    @jax.jit
    @CountTraces
    def step(key, weights, state):
        rows = curation.joint_example_selection(
            key, losses(weights, *batch), losses(good, *batch), 32, temperature=0.1
        ).rows
        some = jax.tree.map(lambda leaf: leaf[rows], batch)
        gradient = jax.grad(lambda weights: losses(weights, *some).mean())(weights)
        change, state = optimizer.update(gradient, state)
        return optax.apply_updates(weights, change), state, wrong[rows].mean()

    weights, share = jnp.zeros(5), []
    state = optimizer.init(weights)
    for key in jax.random.split(jax.random.key(0), 10):
        weights, state, noise = step(key, weights, state)
        share.append(float(noise))
    assert np.mean(share) < 0.02 < float(wrong.mean())


def call(learner: Any = LEARNER, reference: Any = REFERENCE, budget=2, **given):
    return lambda: curation.joint_example_selection(
        jax.random.key(0), learner, reference, budget, **given
    )


@bad_inputs(
    {
        "text": (call("high"), TypeError, "learner_losses: expected losses"),
        "none": (call(None), TypeError, "learner_losses: expected losses"),
        "shape": (call(np.ones((5, 4))), ValueError, "learner_losses: expected losses"),
        "another": (call(reference=np.ones(4)), ValueError, "leading axes must agree"),
        "budget": (call(budget=6), ValueError, "budget: expected 1 to 5"),
        "chunks": (call(num_chunks=0), ValueError, "num_chunks: expected"),
        "temperature": (call(temperature=0.0), ValueError, "temperature: expected"),
        "mask": (call(available=np.ones(4, bool)), ValueError, "leading axes must agree"),
        "no size": (call(np.sin, None), ValueError, "available: expected a mask"),
        "returns": (
            call(lambda chosen: jnp.ones(3), None, available=np.ones(5, bool)),
            ValueError,
            "learner_losses: expected a function to return",
        ),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
