"""k-means over pools that are read: the clusters are those of the same rows in memory."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs

from jaxal import pools
from jaxal.points.embedding import Dense
from jaxal.pools import _blocks, devices, streaming
from jaxal.selection import streamed
from jaxal.selection._k_means import closest
from jaxal.selection._lloyd import lloyd
from jaxal.selection._mini_batch import mini_batches
from jaxal.selection.streamed import _k_means as module

ROWS, WIDTH, NUM = 1003, 4, 6
RNG = np.random.default_rng(0)
MEANS = RNG.normal(size=(NUM, WIDTH)) * 3
FEATURES = (MEANS[RNG.integers(0, NUM, ROWS)] + RNG.normal(size=(ROWS, WIDTH)) + 7).astype("f")
FREE: Any = RNG.random(ROWS) < 0.8
INIT: Any = FEATURES[np.flatnonzero(FREE)[:NUM]]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(streaming, "BLOCK", 50 * 4 * WIDTH)


def key(seed=0):
    """A key of its own for each call, as none is used twice."""
    return jax.random.key(seed)


def stream(features: Any = FEATURES, mesh=None):
    return pools.stream(features, None, mesh, batch_size=16)


def by_definition(features, free, centers, steps):
    """Centers after so many steps, how many rows each had, and the row nearest to each; float64."""
    points = np.asarray(features, np.float64)
    usable = free & np.isfinite(points).all(axis=1)
    rows = np.flatnonzero(usable)
    points, centers = points[rows], np.array(centers, np.float64)

    def squared():
        return ((points[:, None] - centers[None]) ** 2).sum(-1)

    for _ in range(steps):
        nearest = squared().argmin(axis=1)
        counts = np.bincount(nearest, minlength=len(centers))
        centers = np.stack([points[nearest == k].mean(axis=0) for k in range(len(centers))])
    far = squared()
    far[far > far.min(axis=1, keepdims=True)] = np.inf
    return centers, counts, rows[far.argmin(axis=0)]


@pytest.mark.slow
@pytest.mark.parametrize("shards", [None, 1, 8])
def test_steps_are_those_of_lloyd(shards, tmp_path):
    mesh = None if shards is None else devices.make_mesh(shards)
    features = FEATURES.copy()
    if mesh is None:
        pool = stream(pools.create(tmp_path / "pool", features, shard_rows=300))
    else:  # on a disk there is no such row
        features[3, 0], features[500] = np.nan, np.inf
        pool = stream(features, mesh)
    options = {"init": INIT, "tolerance": 0.0, "max_steps": 5}
    centers, counts, rows = by_definition(features, FREE, INIT, 5)
    found = streamed.k_means_centers(key(), pool, FREE, NUM, **options)
    assert found.steps == 5
    np.testing.assert_allclose(found.centers, centers, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found.counts, counts)
    picked = streamed.k_means(key(), pool, FREE, NUM, **options)
    np.testing.assert_array_equal(picked.rows, rows)
    squared = ((features[rows] - centers) ** 2).sum(axis=1)
    np.testing.assert_allclose(picked.scores, -squared, rtol=1e-4, atol=1e-5)


@jax.jit
def placed(features, free, init):
    frame, scale = Dense(features).frame(free)
    points = Dense(features).placed(frame).masked(free).features
    return points, Dense(init).placed(frame).features, (frame, scale)


@pytest.mark.slow
def test_rests_where_the_same_in_memory_does_with_empty_clusters():
    """Two centers begin at one place: the second has no row, and moves to the farthest one."""
    init: Any = INIT.copy()
    init[3] = init[1]
    points, centers, (frame, scale) = placed(FEATURES, FREE, init)
    every = jnp.ones(NUM, bool)
    stop = {"max_steps": 300, "tolerance": 1e-4}

    @jax.jit
    def in_memory():
        clusters = lloyd(points, jnp.asarray(FREE), centers, every, **stop)
        return clusters, closest(clusters)

    expected, nearest = in_memory()
    steps = []
    found = streamed.k_means_centers(key(), stream(), FREE, NUM, init=init, advance=steps.append)
    assert found.steps == expected.steps and steps == list(range(1, found.steps + 1))
    whole = (np.asarray(expected.centers) + np.asarray(frame[0])) * np.asarray(scale)
    np.testing.assert_allclose(found.centers, whole, rtol=1e-5, atol=1e-5)
    picked = streamed.k_means(key(), stream(), FREE, NUM, init=init)
    np.testing.assert_array_equal(picked.rows, nearest)


@pytest.mark.slow
def test_mini_batches_are_those_in_memory_and_read_nothing_else(monkeypatch):
    read = []

    class Watched:
        shape, dtype = FEATURES.shape, FEATURES.dtype

        def __len__(self):
            return ROWS

        def __getitem__(self, rows):
            read.append(FEATURES[rows])
            return read[-1]

    points, centers, (frame, scale) = placed(FEATURES, FREE, INIT)
    drawing = jax.random.split(key(), 3)[2]
    stop = {"max_steps": 9, "tolerance": 0.0}
    arguments = drawing, points, jnp.asarray(FREE), centers, jnp.ones(NUM, bool), 32
    expected = jax.jit(lambda: mini_batches(*arguments, **stop))()
    pool = stream(Watched())
    read.clear()
    found = streamed.k_means_centers(key(), pool, FREE, NUM, init=INIT, batch_size=32, **stop)
    whole = (np.asarray(expected.centers) + np.asarray(frame[0])) * np.asarray(scale)
    assert found.steps == expected.steps
    np.testing.assert_allclose(found.centers, whole, rtol=1e-5, atol=1e-5)
    # The sample of 3 batches, and the batches, with one or two that were read ahead.
    assert sum(map(len, read)) <= 32 * (3 + 9 + 3)


def test_memory_does_not_grow_with_the_pool_or_the_passes(monkeypatch):
    made = []

    def empty(shape, dtype):
        made.append(shape)
        return room(shape, dtype)

    room = _blocks._empty
    monkeypatch.setattr(_blocks, "_empty", empty)
    found = streamed.k_means_centers(
        key(), stream(), FREE, NUM, init=INIT, tolerance=0.0, max_steps=3
    )
    assert found.steps == 3
    # Of 21 blocks in each of 3 passes: those that wait, two ahead, and one that is read.
    assert 0 < len(made) <= 6


@pytest.mark.slow
def test_seeds_of_a_sample_find_the_clusters(monkeypatch):
    monkeypatch.setattr(module, "SAMPLED", 200)
    apart = MEANS * 10
    features = (apart[RNG.integers(0, NUM, ROWS)] + RNG.normal(size=(ROWS, WIDTH))).astype("f")
    for batch_size in (None, 64):
        options = {"batch_size": batch_size, "max_steps": 20}
        every: Any = np.ones(ROWS, bool)
        found = streamed.k_means_centers(key(), stream(features), every, NUM, **options)
        squared = ((np.asarray(found.centers)[:, None] - apart[None]) ** 2).sum(-1)
        assert sorted(squared.argmin(axis=1).tolist()) == list(range(NUM))
        assert squared.min(axis=1).max() < 1


@pytest.mark.slow
def test_batches_are_filled_up():
    """Three points, rows that are not finite, and fewer of both than picks."""
    features = np.repeat(np.array([[0, 0], [4, 0], [0, 9]], np.float32), 3, axis=0)
    features[8] = np.nan
    free: Any = ~np.isin(np.arange(9), [0, 7])
    picked = streamed.k_means(key(), stream(features), free, 8)
    rows = picked.rows.tolist()
    assert sorted(rows[:7]) == [1, 2, 3, 4, 5, 6, 8] and rows[6:] == [8, -1]
    assert {features[row].tobytes() for row in rows[:3]} == {
        features[k].tobytes() for k in (1, 3, 6)
    }
    assert picked.scores.tolist()[6:] == [-np.inf, -np.inf]
    none: Any = np.zeros(9, bool)
    assert streamed.k_means(key(), stream(features), none, 8).rows.tolist() == [-1] * 8


@bad_inputs(
    {
        "pool": ({"pool": FEATURES}, TypeError, "pool: expected one of pools.stream"),
        "images": ({"pool": pools.stream(np.ones((5, 2, 2)))}, ValueError, r"pool: .*\[N, D\]"),
        "tree": (
            {"pool": pools.stream({"a": FEATURES})},
            ValueError,
            r"pool: .*\[N, D\], got dict",
        ),
        "mask": ({"available": FREE[1:]}, ValueError, "available: expected"),
        "floats": ({"available": FREE.astype(float)}, TypeError, "available: expected"),
        "too many": ({"number": ROWS + 1}, ValueError, "expected .*1003"),
        "no centers": ({"number": 0}, ValueError, "expected .* got 0"),
        "half": ({"number": 1.5}, TypeError, "expected an integer, got 1.5"),
        "other init": ({"init": INIT[1:]}, ValueError, r"init: expected .*\(6, 4\), got \(5, 4\)"),
        "NaN": ({"init": INIT * np.nan}, ValueError, "init: expected finite centers"),
        "steps": ({"max_steps": 0}, ValueError, "max_steps: expected"),
        "tolerance": ({"tolerance": -1.0}, ValueError, "tolerance: expected"),
        "batch": ({"batch_size": 0}, ValueError, "batch_size: expected"),
        "key": ({"key": 3}, TypeError, "key: expected"),
    }
)
@pytest.mark.parametrize("call", [streamed.k_means, streamed.k_means_centers])
def test_bad_inputs(call, given, error, message):
    given = {"key": key(), "pool": stream(), "available": FREE, "number": NUM, **given}
    arguments = [given.pop(name) for name in ("key", "pool", "available", "number")]
    with pytest.raises(error, match=message):
        call(*arguments, **given)
