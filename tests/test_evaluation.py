"""Active evaluation: LURE, active inference and CODA against their definitions in float64."""

import itertools
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from helpers import bad_inputs, cases, load_case, softmax

from jaxal import evaluation


@pytest.mark.slow
@cases("evaluation")
def test_conformance(path):
    case, meta = load_case(path)
    given: Any = {name[3:]: jnp.asarray(value) for name, value in case.items() if name[:3] == "in_"}
    if meta["kind"] == "lure":
        size = meta["pool_size"]

        @jax.jit
        def of_case(probabilities, losses):
            return {
                "weights": evaluation.lure_weights(probabilities, pool_size=size),
                "estimate": evaluation.lure(losses, probabilities, pool_size=size),
            }

    elif meta["kind"] == "active_inference":
        confidence = meta["hyper"].pop("confidence")

        @jax.jit
        def of_case(uncertainty, **given):
            chances = evaluation.sampling_probabilities(uncertainty, **meta["hyper"])
            estimate = evaluation.active_inference(**given, confidence=confidence)
            return {"probabilities": chances, **estimate._asdict()}

    else:
        rate, row = meta["hyper"].pop("rate"), int(given.pop("update_row")[0])
        label = int(given.pop("update_label")[0])

        @jax.jit
        def of_case(probabilities, concentration):
            predicted = probabilities[:, row].argmax(-1)
            return {
                "prior": evaluation.coda_prior(probabilities, **meta["hyper"]),
                **evaluation.coda(probabilities, concentration)._asdict(),
                "updated": evaluation.coda_update(concentration, predicted, label, rate=rate),
            }

    found: Any = of_case(**given)
    for name, value in found.items():
        expected = case[f"out_{name}"].reshape(value.shape)
        size = np.abs(expected).max()
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-4 * size, err_msg=name)


def test_lure_is_unbiased_over_all_orders():
    """The mean over all draws of 2 rows of 4, each with its probability, is the mean loss."""
    losses, weights = np.array([0.1, 2.0, 0.7, 0.0]), np.array([1.0, 3.0, 0.5, 2.0])
    total = 0.0
    lure = jax.jit(evaluation.lure, static_argnames="pool_size")
    for order in itertools.permutations(range(4), 2):
        rows = np.array(order)
        left = weights.sum() - np.array([0.0, weights[rows[0]]])
        drawn = weights[rows] / left
        found = lure(losses[rows], drawn, pool_size=4)
        total += drawn.prod() * float(found)
    assert total == pytest.approx(losses.mean(), rel=1e-5)


def test_rows_are_drawn_as_often_as_their_weights_say():
    weights, available = jnp.array([1.0, 5.0, 2.0, 4.0, 9.0]), jnp.array([1, 1, 0, 1, 1], bool)
    keys = jax.random.split(jax.random.key(0), 4000)
    draw = jax.jit(jax.vmap(lambda key: evaluation.draw_rows(key, weights, available, 2)))
    rows, chances = map(np.asarray, draw(keys))
    assert (rows != 2).all() and (rows[:, 0] != rows[:, 1]).all()
    own = np.asarray(weights)[rows]
    np.testing.assert_allclose(chances[:, 0], own[:, 0] / 19, rtol=1e-5)
    np.testing.assert_allclose(chances[:, 1], own[:, 1] / (19 - own[:, 0]), rtol=1e-5)
    for row in (0, 1, 3, 4):
        chance = float(weights[row]) / 19
        assert (rows[:, 0] == row).mean() == pytest.approx(
            chance, abs=4 * np.sqrt(chance * (1 - chance) / 4000)
        )


def test_rows_of_no_weight_are_drawn_last_and_none_twice():
    weights, available = jnp.array([0.0, jnp.nan, 2.0, 1.0]), jnp.array([1, 1, 0, 1], bool)
    rows, chances = evaluation.draw_rows(jax.random.key(1), weights, available, 4)
    assert rows[0] == 3 and sorted(rows[1:3].tolist()) == [0, 1] and rows[3] == -1
    np.testing.assert_allclose(chances, [1, 0.5, 1, 1])


def test_what_was_not_sampled_is_not_looked_at():
    sampled = jnp.array([True, False, True])
    labels = jnp.array([1.0, jnp.nan, 0.0])
    found = evaluation.active_inference(
        jnp.array([0.5, 0.2, 0.1]), labels, jnp.array([0.5, 0.0, 1.0]), sampled
    )
    assert float(found.estimate) == pytest.approx((1.5 + 0.2 + 0.0) / 3)


def test_intervals_cover():
    """90 % of the intervals from 1,000 pools hold the mean, within 4 standard errors."""

    def covers(key):
        key_pool, key_label, key_sample = jax.random.split(key, 3)
        sure = jax.random.uniform(key_pool, (600,), minval=0.5)
        right = jax.random.uniform(key_label, (600,)) < sure - 0.1  # surer than it should be
        chances = evaluation.sampling_probabilities(jnp.sqrt(sure * (1 - sure)), rate=0.3)
        sampled = jax.random.uniform(key_sample, (600,)) < chances
        _, lower, upper = evaluation.active_inference(sure, right, chances, sampled)
        return (lower < 0.65) & (upper > 0.65)

    covered = jax.jit(jax.vmap(covers))(jax.random.split(jax.random.key(0), 1000)).mean()
    assert float(covered) == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / 1000))


@pytest.mark.slow
def test_labels_needed_are_those_of_the_width():
    """As many labels as said give intervals of the half width that was asked for."""
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 3000).astype(np.float32)
    right = rng.uniform(size=3000) < sure
    doubt = np.sqrt(sure * (1 - sure))
    labels_needed = jax.jit(
        partial(evaluation.labels_needed, rows=3000), static_argnames="half_width"
    )
    needed = float(labels_needed(sure, right, doubt, half_width=0.02))
    probabilities = jax.jit(partial(evaluation.sampling_probabilities, rate=needed / 3000))
    chances = np.asarray(probabilities(doubt))
    infer = jax.jit(evaluation.active_inference)
    np.testing.assert_allclose(chances.sum(), needed, rtol=0.02)
    widths = []
    for seed in range(20):
        sampled = np.random.default_rng(seed).uniform(size=3000) < chances
        found = infer(sure, right.astype(np.float32), chances, sampled)
        widths.append(float(found.upper - found.estimate))
    assert np.mean(widths) == pytest.approx(0.02, rel=0.03)
    assert labels_needed(sure, right, doubt, half_width=0.001) == np.inf


def coda_reference(probabilities, concentration):
    """By the definition: each integral on 20,000 points, each row and class by itself."""
    models, rows, classes = probabilities.shape
    x = (np.arange(20_000) + 0.5) / 20_000
    a = np.stack([concentration[:, c, c] for c in range(classes)], 1)
    b = concentration.sum(-1) - a

    def best(a, b):
        laws: Any = [scipy.stats.beta(*pair) for pair in zip(a, b, strict=True)]
        cdfs = np.array([law.cdf(x) for law in laws])
        chance = np.array(
            [(law.pdf(x) * np.prod(np.delete(cdfs, k, 0), 0)).sum() for k, law in enumerate(laws)]
        )
        return chance / chance.sum()

    likely = np.einsum("kcs,kns->nc", concentration, probabilities)
    law = likely / likely.sum(1, keepdims=True)
    share = law.mean(0)
    now = np.array([best(a[:, c], b[:, c]) for c in range(classes)])
    p_best = share @ now
    gain = np.full(rows, scipy.stats.entropy(p_best))
    for n, c in itertools.product(range(rows), range(classes)):
        hit = probabilities[:, n].argmax(-1) == c
        after = p_best + share[c] * (best(a[:, c] + hit, b[:, c] + ~hit) - now[c])
        gain[n] -= law[n, c] * scipy.stats.entropy(after)
    return p_best, gain


@pytest.mark.slow
@pytest.mark.parametrize("scale", [0.2, 1.0, 300.0], ids="few some many".split())
def test_coda_as_defined(scale):
    """Laws from flat to sharp, of models that differ much and little."""
    rng = np.random.default_rng(0)
    probabilities = softmax(2 * rng.normal(size=(3, 5, 2))).astype(np.float32)
    concentration = (scale * rng.uniform(1, 8, size=(3, 2, 2))).astype(np.float32)
    concentration[1, 0] = concentration[0, 0] * 1.01
    p_best, gain = coda_reference(probabilities.astype(float), concentration.astype(float))
    found = jax.jit(evaluation.coda)(probabilities, concentration)
    np.testing.assert_allclose(found.p_best, p_best, atol=2e-3 if scale < 1 else 2e-4)
    np.testing.assert_allclose(found.gain, gain, atol=0.02 * gain.max() + 2e-5)


@pytest.mark.slow
def test_coda_finds_the_best_model():
    """Labels of the rows of highest gain; the best of four models after thirty of them."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 200)
    chances = []
    for accuracy in (0.9, 0.8, 0.6, 0.5):
        wrong = rng.uniform(size=200) > accuracy
        said = np.where(wrong, (labels + rng.integers(1, 3, 200)) % 3, labels)
        chances.append(0.1 + 0.7 * np.eye(3)[said])
    probabilities = jnp.asarray(np.array(chances), jnp.float32)
    concentration = evaluation.coda_prior(probabilities)
    asked = np.zeros(200, bool)
    for _ in range(30):
        gain = np.where(asked, -np.inf, evaluation.coda(probabilities, concentration).gain)
        row = int(gain.argmax())
        asked[row] = True
        predicted = probabilities[:, row].argmax(-1)
        concentration = evaluation.coda_update(concentration, predicted, int(labels[row]), rate=1.0)
    p_best = evaluation.coda(probabilities, concentration).p_best
    assert p_best.argmax() == 0 and p_best[0] > 0.6


HALF = jnp.full(4, 0.5)
TWO = jnp.full((2, 4, 3), 1 / 3)


@bad_inputs(
    {
        "more than there are": (
            lambda: evaluation.lure_weights(HALF, pool_size=3),
            ValueError,
            "pool_size: expected at least the 4 rows",
        ),
        "never drawn": (
            lambda: evaluation.lure(HALF, HALF.at[2].set(0.0), pool_size=9),
            ValueError,
            r"probabilities: expected numbers in \(0, 1\] .* in row 2",
        ),
        "sampled by no chance": (
            lambda: evaluation.active_inference(HALF, HALF, jnp.zeros(4), jnp.arange(4) == 1),
            ValueError,
            "got 0.0 in row 1",
        ),
        "one model": (
            lambda: evaluation.coda_prior(TWO[:1]),
            ValueError,
            "expected those of 2 models",
        ),
        "another shape": (
            lambda: evaluation.coda(TWO, jnp.ones((2, 2, 2))),
            ValueError,
            r"concentration: expected shape \(2, 3, 3\)",
        ),
        "no class": (
            lambda: evaluation.coda_update(jnp.ones((2, 3, 3)), jnp.array([0, 3]), 0),
            ValueError,
            "predictions: expected classes from 0 to 2, got 3",
        ),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
