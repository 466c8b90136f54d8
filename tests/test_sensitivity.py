"""Sensitivity sampling: probabilities by the definition, estimates without bias."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs

from jaxal import curation
from jaxal.pools import devices
from jaxal.rows import rows_over


def data(rows=160, seed=0):
    """Losses that grow with the distance to a few centers, and with the center's own."""
    rng = np.random.default_rng(seed)
    centers = 4 * rng.normal(size=(5, 3))
    losses = np.array([0.2, 4.0, 0.5, 0.1, 1.0])
    group = rng.integers(0, 5, rows)
    features = centers[group] + rng.normal(size=(rows, 3))
    squared = ((features[:, None] - centers) ** 2).sum(-1)
    values = losses[squared.argmin(1)] + 0.5 * squared.min(1) * rng.uniform(0.5, 1.5, rows)
    available = rng.uniform(size=rows) < 0.9
    return features, centers, losses, available, values


def given(*arrays) -> Any:
    return [jnp.asarray(array, None if array.dtype == bool else jnp.float32) for array in arrays]


def reference(features, centers, losses, available, lam, z):
    squared = ((features[:, None] - centers) ** 2).sum(-1)
    bound = losses[squared.argmin(1)] + lam * np.sqrt(squared.min(1)) ** z
    bound = np.where(available, bound, 0.0)
    return bound / bound.sum()


@pytest.mark.parametrize(("lam", "z"), [(0.5, 2.0), (2.0, 1.0), (0.0, 2.0)])
def test_probabilities_as_defined(lam, z):
    features, centers, losses, available, _ = data()
    expected = reference(features, centers, losses, available, lam, z)
    arrays = given(features, centers, losses, available)
    found = curation.sensitivity_sampling(jax.random.key(0), *arrays, budget=40, lam=lam, z=z)
    np.testing.assert_allclose(found.probabilities, expected, rtol=1e-4, atol=1e-8)
    drawn = np.asarray(found.rows)
    assert available[drawn].all()
    np.testing.assert_allclose(found.weights, 1 / (40 * expected[drawn]), rtol=1e-4)


@pytest.mark.slow
def test_estimates_are_unbiased_and_vary_less_than_uniform_ones():
    """Of the sum of losses, and of something else, in 4,000 draws: within 3 standard errors."""
    features, centers, losses, available, values = data()
    arrays = given(features, centers, losses, available)
    other = np.sin(np.arange(len(values))) + 0.3
    both = jnp.asarray(np.stack([values, other]), jnp.float32)

    @jax.jit
    @jax.vmap
    def estimate(key):
        sample = curation.sensitivity_sampling(key, *arrays, budget=20, lam=0.5)
        return both[:, sample.rows] @ sample.weights

    found = np.asarray(estimate(jax.random.split(jax.random.key(1), 4000)), np.float64)
    truth = np.stack([values, other])[:, available].sum(1)
    errors = found.std(0) / np.sqrt(len(found))
    assert (np.abs(found.mean(0) - truth) < 3 * errors).all()
    number = available.sum()
    uniform = number * values[available].std() / np.sqrt(20)  # of as many uniform draws
    assert found[:, 0].std() < 0.5 * uniform


def test_rows_without_numbers_are_not_drawn():
    features, centers, losses, available, _ = data()
    features[3], centers[2, 1] = np.nan, np.inf
    arrays = given(features, centers, losses, np.ones(160, bool))
    found = curation.sensitivity_sampling(jax.random.key(0), *arrays, budget=160)
    kept = np.array([0, 1, 3, 4])
    features = np.where(np.isnan(features), 0.0, features)
    mask = np.arange(160) != 3
    expected = reference(features, centers[kept], losses[kept], mask, 1.0, 2.0)
    np.testing.assert_allclose(found.probabilities, expected, rtol=1e-4, atol=1e-8)
    none = curation.sensitivity_sampling(
        jax.random.key(0),
        *given(features, centers[kept], losses[kept], ~np.ones(160, bool)),
        budget=4,
    )
    assert (none.rows == -1).all() and (none.weights == 0).all()
    same = given(np.ones((160, 3)), np.ones((4, 3)), np.zeros(4), available)
    uniform = curation.sensitivity_sampling(jax.random.key(0), *same, budget=4).probabilities
    np.testing.assert_allclose(uniform, available / available.sum(), rtol=1e-6)


def test_devices_share_the_rows():
    features, centers, losses, available, _ = data()
    arrays = given(features, centers, losses, available)
    plain = curation.sensitivity_sampling(jax.random.key(0), *arrays, budget=40)
    mesh = devices.make_mesh(8)
    with rows_over(mesh):
        features, available = devices.place_rows((arrays[0], arrays[3]), mesh)
        again = curation.sensitivity_sampling(
            jax.random.key(0), features, *arrays[1:3], available=available, budget=40
        )
    np.testing.assert_array_equal(plain.rows, again.rows)
    np.testing.assert_allclose(plain.weights, again.weights, rtol=1e-5)


def call(**changes):
    features, centers, losses, available, _ = data(rows=9)
    names = ("features", "centers", "center_losses", "available")
    arrays = dict(zip(names, given(features, centers, losses, available), strict=True))
    return lambda: curation.sensitivity_sampling(
        jax.random.key(0), **{**arrays, "budget": 3, **changes}
    )


@bad_inputs(
    {
        "losses": (call(center_losses=jnp.ones(4)), ValueError, "leading axes must agree"),
        "negative": (call(center_losses=-jnp.ones(5)), ValueError, "center_losses: expected"),
        "width": (call(centers=jnp.ones((5, 2))), ValueError, "centers: expected 3 features"),
        "no center": (
            call(centers=jnp.ones((0, 3)), center_losses=jnp.ones(0)),
            ValueError,
            "centers: expected at least one",
        ),
        "budget": (call(budget=10), ValueError, "budget: expected 1 to 9"),
        "lam": (call(lam=-1.0), ValueError, "lam: expected"),
        "z": (call(z=0.0), ValueError, "z: expected"),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
