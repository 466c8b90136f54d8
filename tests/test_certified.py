"""Selection from compressed pools: the picks are those of the rule on the features."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs, greedy_k_center

from jaxal import pools, selection
from jaxal.pools import compression, devices
from jaxal.selection import anytime, certified
from jaxal.selection.certified._k_center import _start

RNG = np.random.default_rng(0)
CLOUDS = RNG.normal(size=(20, 8))[RNG.integers(0, 20, 3003)] * 3
POINTS = (CLOUDS + RNG.normal(size=CLOUDS.shape)).astype(np.float32)
FREE = RNG.random(len(POINTS)) < 0.9


class Counted:
    """A source that counts the rows that are asked for one by one."""

    def __init__(self, rows):
        self.rows, self.read = rows, 0
        self.shape, self.dtype = rows.shape, rows.dtype

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, rows):
        if not isinstance(rows, slice):
            self.read += len(rows)
        return self.rows[rows]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["int8", "bfloat16"])
@pytest.mark.parametrize("shards", [None, 8])
def test_the_picks_are_those_of_the_features(precision, shards):
    mesh = None if shards is None else devices.make_mesh(shards)
    source = Counted(POINTS)
    pool = pools.compress(source, mesh, precision=precision)
    source.read = 0
    passes = []
    picked = certified.k_center(
        pool, jnp.asarray(FREE), 60, centers=POINTS[:5], block_size=64, advance=passes.append
    )
    rows, _ = greedy_k_center(POINTS, FREE, 60, POINTS[:5])
    np.testing.assert_array_equal(picked.rows, rows)
    expected = selection.k_center(jnp.asarray(POINTS), jnp.asarray(FREE), 60, centers=POINTS[:5])
    np.testing.assert_allclose(picked.scores, expected.scores, rtol=1e-5)
    assert passes[-1] == 60 and len(passes) < 15
    assert source.read == 64 * len(passes)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-30, 1e25])
def test_the_size_of_features_changes_nothing(scale):
    """Their squares are no float32 numbers."""
    free = jnp.asarray(FREE)
    expected = certified.k_center(pools.compress(POINTS), free, 20, block_size=32)
    pool = pools.compress(POINTS * np.float32(scale))
    found = certified.k_center(pool, free, 20, centers=None, block_size=32)
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_allclose(found.scores, np.asarray(expected.scores) * scale, rtol=1e-4)
    *_, last = anytime.certified_k_center(pool, free, 20, block_size=32)
    np.testing.assert_array_equal(last.selection.scores, found.scores)
    assert 0 < last.bound.optimum < last.bound.radius < found.scores[-1] * 1.01


def test_a_compressed_pool_that_was_returned_has_no_source():
    same = jax.jit(lambda pool: pool)
    for points in (POINTS, POINTS + 1):
        pool = same(pools.compress(points))
        with pytest.raises(TypeError, match="pool: expected one as jaxal.pools returns, got what"):
            pool.read([0])


def test_devices_share_what_is_known_of_the_rows():
    pool = pools.compress(POINTS, devices.make_mesh(8))
    bounds = _start(pool, FREE, 5, None)
    for array in (pool.codes, pool.error, bounds.upper, bounds.available):
        assert array.sharding.shard_shape(array.shape)[0] == len(pool) // 8


@pytest.mark.slow
def test_no_centers_and_all_rows():
    some = POINTS[:40]
    pool = pools.compress(some)
    picked = certified.k_center(pool, jnp.ones(40, bool), 40, block_size=7)
    expected = selection.k_center(jnp.asarray(some), jnp.ones(40, bool), 40)
    assert picked.rows.tolist() == expected.rows.tolist()
    assert sorted(picked.rows.tolist()) == list(range(40))


def test_fewer_rows_than_asked_for():
    free = np.arange(40) < 3
    picked = certified.k_center(pools.compress(POINTS[:40]), jnp.asarray(free), 5)
    assert sorted(picked.rows.tolist()) == [-1, -1, 0, 1, 2]


@pytest.mark.slow
def test_duplicates_and_far_from_the_origin():
    points = np.repeat(POINTS[:50], 2, axis=0) + np.float32(100)
    pool = pools.compress(points)
    free = jnp.ones(100, bool)
    picked = certified.k_center(pool, free, 70, block_size=16)
    expected = selection.k_center(jnp.asarray(points), free, 70)
    assert picked.rows.tolist()[:49] == expected.rows.tolist()[:49]
    assert len(set(picked.rows.tolist())) == 70


@pytest.mark.slow
def test_a_row_outside_the_sampled_range_is_right_too(monkeypatch):
    monkeypatch.setattr(compression, "SAMPLED", 8)
    points = POINTS.copy()
    points[1234] = 500.0
    picked = certified.k_center(pools.compress(points), jnp.ones(len(points), bool), 20)
    expected = selection.k_center(jnp.asarray(points), jnp.ones(len(points), bool), 20)
    assert picked.rows.tolist() == expected.rows.tolist()


@pytest.mark.parametrize("precision", ["int8", "bfloat16"])
def test_no_row_is_farther_from_its_codes_than_is_said(precision):
    pool = pools.compress(POINTS, precision=precision)
    said = np.asarray(pool.codes).astype(float) * np.float64(pool.scale) + np.float64(pool.offset)
    apart = np.sqrt(((said - POINTS.astype(float)) ** 2).sum(axis=1))
    assert (apart <= np.asarray(pool.error)).all()
    assert np.asarray(pool.error).mean() < 1.01 * apart.mean()


def spoilt(value):
    points = POINTS.copy()
    points[77, 3] = value
    return points


@bad_inputs(
    {
        "NaN": ({"source": spoilt(np.nan)}, ValueError, "source: expected finite.* at row 77"),
        "inf": ({"source": spoilt(np.inf)}, ValueError, "source: expected finite.* at row 77"),
        "images": ({"source": POINTS[:, :, None]}, ValueError, r"source: expected features \[N, D"),
        "a precision": ({"precision": "int4"}, ValueError, "precision: 'int4' is unknown"),
    }
)
def test_pools_that_are_refused(given, error, message):
    with pytest.raises(error, match=message):
        pools.compress(**{"source": POINTS} | given)


@bad_inputs(
    {
        "no pool": ({"pool": POINTS}, TypeError, "pool: expected one of pools.compress"),
        "a mask": ({"available": np.ones(40)}, TypeError, "available: expected a mask"),
        "another mask": ({"available": np.ones(9, bool)}, ValueError, "available: expected 40"),
        "too many": ({"budget": 41}, ValueError, "budget: expected 1 to 40"),
        "centers": ({"centers": np.ones((2, 3))}, ValueError, r"centers: expected \[M, 8\]"),
        "NaN": ({"centers": np.full((1, 8), np.nan)}, ValueError, "centers: expected finite"),
        "no block": ({"block_size": 0}, ValueError, "block_size: expected an integer >= 1"),
    }
)
def test_bad_input(given, error, message):
    small = {"pool": pools.compress(POINTS[:40]), "available": np.ones(40, bool), "budget": 5}
    for rule in (certified.k_center, anytime.certified_k_center):
        with pytest.raises(error, match=message):
            rule(**small | given)
