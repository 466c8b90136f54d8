"""FALCUN against its definition in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from helpers import keys, softmax

from jaxal import selection

NORMAL = jnp.asarray(np.random.default_rng(0).normal(size=(7, 3)) * 1.5, jnp.float32)
LOGITS = NORMAL.at[5].set(NORMAL[2])
AVAILABLE = jnp.arange(7) != 4


def relevance(picks):
    """Uncertainty + diversity of each row that is left, in float64; 0 of the others."""
    probs = softmax(LOGITS)
    top = np.sort(probs, axis=1)
    uncertainty = 1 - (top[:, -1] - top[:, -2])
    distance = uncertainty
    for row in picks:
        distance = np.minimum(distance, np.abs(probs - probs[row]).sum(1))
    free = np.asarray(AVAILABLE) & ~np.isin(np.arange(7), picks)
    low, high = distance[free].min(), distance[free].max()
    return np.where(free, uncertainty + (distance - low) / (high - low), 0)


def test_draws_follow_the_law():
    draw = functools.partial(selection.falcun, gamma=2.0)
    found = jax.jit(jax.vmap(lambda key: draw(key, LOGITS, AVAILABLE, 3)))(keys(4000))
    rows = np.asarray(found.rows)
    for place, picks in ((0, []), (1, [6]), (2, [6, 1])):
        same = (rows[:, :place] == picks).all(axis=1)
        expected = relevance(picks) ** 2 / (relevance(picks) ** 2).sum()
        share = np.bincount(rows[same, place], minlength=7) / same.sum()
        sigma = np.sqrt(expected * (1 - expected) / same.sum())
        assert same.sum() > 50 and (abs(share - expected) <= 4 * sigma + 1e-9).all()
        worth = np.asarray(found.scores)[same, place]
        np.testing.assert_allclose(worth, relevance(picks)[rows[same, place]], rtol=1e-4)


def test_all_rows_once_and_those_that_are_not_finite_last():
    logits = LOGITS.at[0].set(jnp.nan).at[3].set(jnp.inf)
    # So greedy that the powers of all other rows are 0.
    rows = selection.falcun(jax.random.key(0), logits, AVAILABLE, 6, gamma=1e4).rows.tolist()
    assert sorted(rows) == [0, 1, 2, 3, 5, 6] and sorted(rows[4:]) == [0, 3]


def test_predictions_that_are_all_the_same():
    logits = jnp.full((5, 3), -jnp.inf).at[:, 0].set(0.0)  # each is sure: nothing has any worth
    picked = selection.falcun(jax.random.key(0), logits, jnp.ones(5, bool), 5)
    assert sorted(picked.rows.tolist()) == [0, 1, 2, 3, 4] and not picked.scores.any()
