"""Functions of rows that devices share: as on one."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxal import rows
from jaxal.numerics import power_of_two
from jaxal.pools import devices, place

SHARDS = 4
VALUES = np.random.default_rng(0).permutation(np.repeat(np.arange(12.0), 2)).astype(np.float32)
MASK = VALUES > 7


def at_places(values, count):
    """Rows of even numbers from the third on, and all that is known of them."""
    index = rows.index_of(values % 2 == 0)
    tree = {"values": values, "wide": jnp.outer(values, jnp.arange(3.0)), "truth": values > 7}
    places = 2 + jnp.arange(count, dtype=jnp.int32)
    found = rows.rows_at_places(tree, index, places)
    return jax.tree.map(lambda leaf: leaf[:10], found)


FUNCTIONS = {
    "top_rows": partial(rows.top_rows, num=9),
    "top_rows, more than a device has": partial(rows.top_rows, num=20),
    "top_rows, all": partial(rows.top_rows, num=24),
    "best_row": rows.best_row,
    "best_row, negated": lambda values: rows.best_row(-values),
    "largest": rows.largest,
    "largest truth value": lambda values: rows.largest(values > 7),
    "largest, NaN": lambda values: rows.largest(jnp.where(values > 7, jnp.nan, values)),
    "row_at": lambda values: rows.row_at((values, values > 3), jnp.int32(17)),
    "without": lambda values: rows.without(values > 3, jnp.int32(17)),
    "line_sums": lambda values: rows.line_sums(jnp.tile(values, 64)),
    "line_sums, broken lines": rows.line_sums,
    "in_tiles": lambda values: rows.in_tiles(lambda some, by: some * by, values, 4, jnp.float32(3)),
    "rows_at_places": lambda values: at_places(values, 12),
    "rows_at_places, more than are set": lambda values: at_places(values, 20),
    "rows_at_places, uneven": lambda values: at_places(values, 11),
    "in_tiles, uneven": lambda values: rows.in_tiles(lambda some: (some, -some), values, 5),
    "set_rows": lambda values: rows.set_rows(rows.index_of(values > 7), jnp.arange(8)),
}


def shared(function, mesh, **vmap):
    def call(values):
        with rows.rows_over(mesh):
            return function(values)

    return jax.jit(jax.vmap(call, **vmap) if vmap else call)


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_many_devices_as_one(name):
    mesh = devices.make_mesh(SHARDS)
    placed = devices.place_rows(VALUES, mesh)
    one = FUNCTIONS[name](jnp.asarray(VALUES))
    jax.tree.map(np.testing.assert_array_equal, shared(FUNCTIONS[name], mesh)(placed), one)


@pytest.mark.parametrize("name", ["top_rows", "best_row", "set_rows", "line_sums"])
def test_many_seeds(name):
    mesh = devices.make_mesh(SHARDS, seeds=2)
    several = devices.place_seeds(np.stack([VALUES, VALUES[::-1]]), mesh)
    found = shared(FUNCTIONS[name], mesh, in_axes=0)(several)
    one_by_one = jax.vmap(FUNCTIONS[name])(np.asarray(several))
    jax.tree.map(np.testing.assert_array_equal, found, one_by_one)


def test_rows_are_sent_in_small_blocks(monkeypatch):
    monkeypatch.setattr(rows, "SENT", 2)
    mesh, function = devices.make_mesh(SHARDS), FUNCTIONS["rows_at_places"]
    found = shared(function, mesh)(devices.place_rows(VALUES, mesh))
    jax.tree.map(np.testing.assert_array_equal, found, function(jnp.asarray(VALUES)))


def test_a_tile_that_is_written_over_its_rows_is_read_before():
    values = jnp.arange(24.0)
    found = rows.in_tiles(lambda given: (-given[1], 2 * given[0] + 1), (values, values**2), 5)
    jax.tree.map(np.testing.assert_array_equal, found, (-(values**2), 2 * values + 1))


def test_tiles_of_bfloat16_make_no_copy_of_all_rows():
    half = (jnp.arange(24000.0).reshape(3000, 8) / 7).astype(jnp.bfloat16)

    def negative(some, by):
        return -some, jnp.sum(some.astype(jnp.float32) * by, axis=1)

    run = jax.jit(lambda half: rows.in_tiles(negative, half, 64, jnp.float32(3)))
    found = run(half)
    jax.tree.map(np.testing.assert_array_equal, found, negative(half, jnp.float32(3)))
    assert found[0].dtype == jnp.bfloat16
    sums = jax.jit(lambda half: rows.in_tiles(lambda some: negative(some, 3.0)[1], half, 64))
    analysis: Any = sums.lower(half).compile().memory_analysis()
    assert analysis.temp_size_in_bytes < half.nbytes


def test_ties_go_to_the_lowest_row():
    mesh = devices.make_mesh(SHARDS)
    placed = devices.place_rows(np.zeros(24, np.float32), mesh)
    assert shared(FUNCTIONS["top_rows"], mesh)(placed)[1].tolist() == list(range(9))
    assert int(shared(rows.best_row, mesh)(placed)) == 0


def test_rows_that_cannot_be_shared_evenly():
    found = shared(partial(rows.top_rows, num=5), devices.make_mesh(SHARDS))(jnp.arange(23.0))
    assert found[1].tolist() == [22, 21, 20, 19, 18]


def test_sums_are_those_of_any_number_of_devices():
    values = np.random.default_rng(0).lognormal(0, 5, 12 * rows.LINE).astype(np.float32)
    for shards in (2, 3, 4, 6, 8):
        mesh = devices.make_mesh(shards)
        found = shared(rows.line_sums, mesh)(devices.place_rows(values, mesh))
        np.testing.assert_array_equal(found, rows.line_sums(jnp.asarray(values)))


def test_large_pools_are_padded_to_whole_lines():
    mesh = devices.make_mesh(SHARDS)
    assert len(place(np.zeros((1003, 1)), None, mesh)) == 1004
    assert len(place(np.zeros((20_001, 1)), None, mesh)) % (SHARDS * rows.LINE) == 0
    assert len(place(np.zeros((20_001, 1)), None)) == 20_001  # padding would be a copy


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float16", jnp.bfloat16, "float32"])
def test_powers_of_two_are_exact(dtype):
    """Those nearest to numbers of every exponent, as NumPy has them in float64."""
    kind = jnp.finfo(dtype)
    wanted = np.exp2(np.arange(kind.minexp, kind.maxexp))
    for times in (1.0, 1.25, 1.75):
        sizes = wanted * times
        expected = wanted * (2 if times > 2**0.5 else 1)
        expected[-1] = wanted[-1]  # the next is infinite
        found = power_of_two(jnp.asarray(sizes, dtype))
        assert found.dtype == dtype
        np.testing.assert_array_equal(np.asarray(found, np.float64), expected)
    np.testing.assert_array_equal(power_of_two(jnp.zeros(1, dtype)), [1])
