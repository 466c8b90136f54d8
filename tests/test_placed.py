"""Points placed a tile at a time: the picks of copies, and no copy."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import traced_anew

import jaxal
from jaxal import selection
from jaxal.greedy.d2 import _accept
from jaxal.points import placed
from jaxal.points.embedding import Dense
from jaxal.points.placed import Placed, cleared
from jaxal.rows import in_tiles

RNG = np.random.default_rng(0)
FEATURES = jnp.asarray(RNG.normal(size=(300, 6)) + 50.0, jnp.float32)
EVERYTHING = jnp.ones(len(FEATURES), bool)


@pytest.fixture
def small_tiles(monkeypatch):
    """Tiles of 128 rows, in programs of their own."""
    monkeypatch.setattr(placed, "TILE", 1)
    with traced_anew():
        yield


@pytest.mark.slow
@pytest.mark.parametrize("num", [1, 7, 100])
def test_fold_centers(num, small_tiles):
    features, usable = np.array(FEATURES), np.arange(300) != 5
    features[5] = np.nan
    counts, end = np.arange(num) % 3 != 1, max(1, num - 2)

    @jax.jit
    def fold(features, usable, counts):
        points = Dense(features)
        frame, scale = points.frame(usable)
        pool = Placed(points, usable, frame)
        chosen = pool.take(jnp.arange(num))
        return pool.fold_centers(jnp.full(300, 0.7), chosen, counts, end=end), frame, scale

    found, frame, scale = fold(features, usable, counts)
    x = np.asarray(FEATURES, np.float64) / float(scale)
    x[5] = np.asarray(frame[0], np.float64)  # zero in the frame
    squared = ((x[:, None] - x[None, :num]) ** 2).sum(-1)
    squared = np.where(np.asarray(counts) & (np.arange(num) < end), squared, np.inf)
    np.testing.assert_allclose(found, np.minimum(0.7, squared.min(1)), atol=1e-5)


@pytest.mark.slow
def test_tiles_change_no_pick(small_tiles):
    given = jnp.arange(300) < 5

    def picks():
        covered = selection.k_center(
            FEATURES, EVERYTHING, 40, centers=FEATURES, center_mask=given, block_size=16
        )
        drawn = selection.k_means_plus_plus(jax.random.key(0), FEATURES, EVERYTHING, 40)
        return covered.rows.tolist(), drawn.rows.tolist()

    tiled = picks()
    with pytest.MonkeyPatch.context() as patch, traced_anew():
        patch.setattr(placed, "TILE", 2**22)
        assert picks() == tiled


@pytest.mark.slow
def test_features_of_16_bits_are_those_numbers():
    narrow = FEATURES.astype(jnp.bfloat16)
    wide = narrow.astype(jnp.float32)
    residuals = jnp.asarray(RNG.normal(size=(300, 3)), jnp.bfloat16)
    for rule in (
        lambda x: selection.k_center(x, EVERYTHING, 20, centers=wide[:2]),
        lambda x: selection.k_center(x, EVERYTHING, 20),
        lambda x: selection.k_means_plus_plus(jax.random.key(0), x, EVERYTHING, 20),
        lambda x: selection.badge(jax.random.key(0), residuals.astype(x.dtype), x, EVERYTHING, 20),
    ):
        assert rule(narrow).rows.tolist() == rule(wide).rows.tolist()


@pytest.mark.parametrize("name", ["badge", "core_set"])
def test_features_of_16_bits_are_observed_as_such(name):
    model = jaxal.models.linear(3)
    inputs = jax.ShapeDtypeStruct((4, 5), jnp.bfloat16)
    variables = jax.eval_shape(model.init, jax.random.key(0), inputs)
    observe = partial(jaxal.strategies.make(name).observe, jax.random.key(0), model)
    observed = jax.tree.leaves(jax.eval_shape(observe, variables, inputs, jnp.full(4, -1)))
    assert [one.dtype for one in observed if one.shape == (4, 5)] == [jnp.bfloat16]


def test_candidates_are_accepted_as_one_by_one():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        now, uniform = rng.exponential(size=16), rng.uniform(size=16)
        between = rng.exponential(size=(16, 16))
        worth, accepted = now.copy(), np.zeros(16, bool)
        for i in range(16):
            accepted[i] = uniform[i] * now[i] < worth[i]
            if accepted[i]:
                worth[i + 1 :] = np.minimum(worth[i + 1 :], between[i, i + 1 :])
        given = (jnp.asarray(array, jnp.float32) for array in (now, uniform * now, between))
        found = _accept(*given)
        np.testing.assert_array_equal(found[0], accepted)
        np.testing.assert_allclose(found[1], worth, rtol=1e-6)


def test_points_that_a_loop_has_made_are_rewritten_in_place():
    rows, width = 2**20, 64

    def reduced(inputs, usable):
        features = in_tiles(lambda some: jnp.concatenate([some, -some], axis=1), inputs, 2**14)
        features = cleared(Dense(features), usable).features
        start = jnp.zeros(rows)
        return jax.lax.fori_loop(0, 3, lambda i, total: total + features[:, i], start)

    given = jax.ShapeDtypeStruct((rows, width), jnp.float32), jax.ShapeDtypeStruct((rows,), bool)
    memory = jax.jit(reduced).lower(*given).compile().memory_analysis()
    assert memory is not None and memory.temp_size_in_bytes < 1.5 * rows * 2 * width * 4


def test_a_fold_copies_no_pool():
    rows, width, num = 2**20, 64, 40
    features: Any = jax.ShapeDtypeStruct((rows, width), jnp.float32)
    points = Dense(features)
    usable = jax.ShapeDtypeStruct((rows,), jnp.bool_)
    frame = jax.ShapeDtypeStruct((1, width), jnp.float32), jax.ShapeDtypeStruct((), jnp.float32)

    def fold(points, usable, frame):
        pool = Placed(points, usable, frame)
        chosen = pool.take(jnp.arange(num))
        return pool.fold_centers(jnp.full(rows, jnp.inf), chosen, jnp.ones(num, bool), end=num)

    memory = jax.jit(fold).lower(points, usable, frame).compile().memory_analysis()
    assert memory is not None and memory.temp_size_in_bytes < rows * width * 4 / 2
