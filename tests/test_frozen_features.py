"""What the strategies for features of a fixed model are made of, each against its definition."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import softmax, table_model

import jaxal
from jaxal import scores, selection, strategies
from jaxal.base import View
from jaxal.selection._purity import purity_radius
from jaxal.strategies.frozen_features import linear_map

ROWS, CLASSES, WIDTH = 60, 4, 5


def data():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(ROWS, WIDTH)).astype(np.float32)
    weights = rng.normal(size=(WIDTH, CLASSES)).astype(np.float32)
    return features, weights, rng.normal(size=CLASSES).astype(np.float32)


def mixed_flips(features, weights, bias, anchors, epsilon):
    """The paper's closed form, alpha (a - x) with alpha as it says, in float64."""
    features, weights, anchors = (np.asarray(x, float) for x in (features, weights, anchors))
    logits = features @ weights + bias
    label = logits.argmax(1)
    slope = (softmax(logits) - np.eye(CLASSES)[label]) @ weights.T
    size = np.linalg.norm(slope, axis=1, keepdims=True)
    count = np.zeros(len(features))
    for anchor in anchors:
        way = anchor - features
        far = np.linalg.norm(way, axis=1, keepdims=True)
        alpha = epsilon / np.sqrt(WIDTH) * far * slope / (size * way)
        mixed = alpha * anchor + (1 - alpha) * features
        count += (mixed @ weights + bias).argmax(1) != label
    return count


@pytest.mark.slow
def test_alfa_mix_is_the_closed_form():
    features, weights, bias = data()
    anchors = features[:CLASSES] * 2

    @jax.jit
    def of_anchors(features, anchors):
        return scores.alfa_mix(lambda x: x @ weights + bias[None], features, anchors, epsilon=0.5)

    found = of_anchors(features, anchors)
    np.testing.assert_array_equal(found, mixed_flips(features, weights, bias, anchors, 0.5))
    assert 0 < (np.asarray(found) > 0).sum() < ROWS


@pytest.mark.slow
def test_alfa_mix_knows_nothing_of_anchors_that_are_not_there():
    features, weights, bias = data()
    anchors = features[:3].copy()
    anchors[1] = np.nan

    def apply(x):
        return x @ weights + bias[None]

    @jax.jit
    def flips(features, anchors):
        mask = jnp.array([True, False, True])
        found = scores.alfa_mix(apply, features, anchors, anchor_mask=mask)
        few = scores.alfa_mix(apply, features, anchors[jnp.array([0, 2])])
        flat = scores.alfa_mix(lambda x: jnp.zeros((len(x), 3)), features, anchors)
        return found, few, flat

    found, few, flat = map(np.asarray, flips(features, anchors))
    np.testing.assert_array_equal(found, few)
    assert (flat == 0).all()


@pytest.mark.slow
def test_the_linear_map_is_the_last_layer():
    features, weights, bias = data()
    features[:, -1] = 0.0  # a unit that is dead
    logits = features @ weights + bias
    counted = np.arange(ROWS) > 9
    features[3] = np.nan
    found, offset = map(np.asarray, jax.jit(linear_map)(features, logits, counted))
    np.testing.assert_allclose(found[:-1], weights[:-1], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(offset[0], bias, rtol=1e-3, atol=1e-3)
    assert (found[-1] == 0).all()


@pytest.mark.slow
def test_alfa_mix_queries_rows_that_a_hint_flips():
    features, weights, bias = data()
    logits = features @ weights + bias
    labels = np.where(np.arange(ROWS) < 8, np.arange(ROWS) % CLASSES, -1)
    means = np.stack([features[labels == c].mean(0) for c in range(CLASSES)])
    candidates = mixed_flips(features, weights, bias, means, 0.2) > 0
    picked = jaxal.acquire(
        jax.random.key(0),
        strategies.alfa_mix(epsilon=0.2),
        table_model(logits, features),
        {"params": {}},
        np.arange(ROWS),
        5,
        labels=labels,
    )
    assert candidates[np.asarray(picked.rows)].all() and candidates.sum() < ROWS / 2


@pytest.mark.slow
@pytest.mark.parametrize("level", [0, 1])
def test_drop_query_lowers_its_bar_while_there_are_few(level):
    """One pick wants 25 candidates: 20 rows change in both of 3 draws, 10 more in one."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(ROWS, WIDTH)).astype(np.float32)
    twice = 20 if level == 0 else 30
    votes = np.where(np.arange(ROWS) < twice, 2, np.where(np.arange(ROWS) < 40, 1, 0))
    draws = np.arange(3)[:, None] < votes[None]
    dropped = np.stack([1.0 * ~draws, 1.0 * draws], axis=-1).astype(np.float32)
    logits = np.tile(np.array([1, 0], np.float32), (ROWS, 1))

    @jax.jit
    def decide(logits, dropped, features):
        key, available = jax.random.key(1), jnp.ones(ROWS, bool)
        picks = selection.drop_query(key, logits, dropped, features, available, 1)
        return scores.drop_query(logits, dropped), picks

    changes, picks = decide(logits, dropped, features)
    np.testing.assert_array_equal(changes, votes)
    centre = unit(features[: twice if level else 40])
    nearest = ((centre - centre.mean(0)) ** 2).sum(1).argmin()
    assert picks.rows.tolist() == [nearest]


@pytest.mark.slow
def test_alfa_mix_knows_nothing_of_labelled_rows_that_are_not_finite():
    features, weights, bias = data()
    logits = features @ weights + bias
    features[8] = np.nan
    rows, labels = np.arange(ROWS), np.arange(ROWS) % CLASSES

    @jax.jit
    def select(view):
        return strategies.alfa_mix().select(jax.random.key(0), view, 5).rows

    def pick(known):
        view: Any = ((logits, features), labels, rows < known, rows > 8)
        return select(View(*view)).tolist()

    assert pick(9) == pick(8)


@pytest.mark.slow
def test_rows_that_are_not_finite_fill_a_batch_up_last():
    features, weights, bias = data()
    logits = features @ weights + bias
    dropped = np.stack([logits, logits])
    dropped[:, 50] = -logits[50]  # the one candidate
    features[:40] = np.nan

    @jax.jit
    def decide(*observed):
        given: Any = *observed, jnp.ones(ROWS, bool)
        return selection.drop_query(jax.random.key(0), *given, budget=20, restarts=1)

    picked = decide(logits, dropped, features)
    assert sorted(picked.rows.tolist()) == list(range(40, ROWS))


def unit(features):
    return features / np.linalg.norm(features, axis=1, keepdims=True)


@pytest.mark.slow
def test_the_purest_radius_is_a_quantile_of_the_gaps_between_clusters():
    rng = np.random.default_rng(0)
    labels = np.arange(ROWS) % 2
    points = (rng.normal(size=(ROWS, 2)) + 12 * labels[:, None]).astype(np.float32)
    usable = np.arange(ROWS) > 5

    @jax.jit
    def found(points, usable):
        return purity_radius(jax.random.key(0), points, usable, 2, purity=0.9)

    radius = found(points, usable)
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    distance[(labels[:, None] == labels[None]) | ~usable[None]] = np.inf
    gaps = np.sort(distance.min(1)[usable])[::-1]
    expected = gaps[int(np.ceil(0.9 * usable.sum())) - 1]
    np.testing.assert_allclose(radius, expected, rtol=1e-5)
