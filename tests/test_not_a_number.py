"""NaN in long arrays: XLA's maximum forgets it on CPUs, where that of a short one does not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxal import scores, selection
from jaxal.points.embedding import Dense

ROWS = 8192
WRONG = [7, 4000]
SOME = np.random.default_rng(0).normal(size=(ROWS, 4)).astype(np.float32)
SOME[WRONG, [0, 3]] = np.nan


def found(values):
    return np.flatnonzero(np.asarray(values).reshape(ROWS, -1).any(axis=1)).tolist()


@pytest.mark.parametrize("name", ["entropy", "least_confidence", "margin"])
def test_scores_of_one_prediction(name):
    assert found(jnp.isnan(jax.jit(getattr(scores, name))(SOME))) == WRONG


@pytest.mark.parametrize("name", ["bald", "variation_ratio", "mean_std", "predictive"])
def test_scores_of_draws(name):
    draws = np.stack([np.zeros_like(SOME), SOME])
    assert found(jnp.isnan(jax.jit(getattr(scores, name))(draws))) == WRONG


def test_points_that_are_finite():
    assert found(~jax.jit(lambda features: Dense(features).finite())(SOME)) == WRONG


def test_rows_that_are_picked():
    available = jnp.ones(ROWS, bool)
    picked = selection.k_center(jnp.asarray(SOME), available, 5)
    assert not {*WRONG} & {*picked.rows.tolist()}
    assert np.isfinite(picked.scores[1:]).all()
