"""The pool on one device and on eight, and functions mapped over its rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import CountTraces, Rows, bad_inputs

from jaxal import pools
from jaxal.pools import devices
from jaxal.pools.memory import map_batches, map_rows, place


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 40])
@pytest.mark.parametrize("batch_size", [1, 3, 8, 100])
def test_map_batches_is_the_function(rows, batch_size):
    x = jnp.arange(rows * 3.0).reshape(rows, 3)
    tree = {"x": x, "label": jnp.arange(rows)}

    def function(batch):
        assert batch["x"].shape[0] <= batch_size
        return batch["x"].sum(-1), {"twice": 2 * batch["label"]}

    total, other = map_batches(function, tree, batch_size)
    np.testing.assert_array_equal(total, x.sum(-1))
    np.testing.assert_array_equal(other["twice"], 2 * np.arange(rows))


@pytest.mark.parametrize("shape", [(1, 8), (2, 4), (8, 1)])
def test_map_rows_is_the_same_on_a_mesh(shape):
    mesh = devices.make_mesh(shape[1], seeds=shape[0])
    x = np.random.default_rng(0).normal(size=(43, 5)).astype(np.float32)
    pool = place(x, None, mesh)
    assert len(pool.valid) % shape[1] == 0 and pool.valid.sum() == 43

    def function(shared, rows):
        return jnp.tanh(rows[0] @ shared)

    weight = jnp.ones((5, 2))
    mapped = jax.jit(lambda shared, rows: map_rows(function, shared, rows, batch_size=3, mesh=mesh))
    found = mapped(weight, (pool.inputs,))
    np.testing.assert_allclose(found[:43], np.tanh(x @ np.ones((5, 2))), rtol=1e-5)
    if shape[1] > 1:
        assert found.sharding.spec == jax.P("data")


def test_map_rows_does_not_communicate():
    mesh = devices.make_mesh(8)
    pool = place(np.ones((64, 5), np.float32), None, mesh)
    mapped = jax.jit(
        lambda rows: map_rows(
            lambda shared, rows: rows[0].sum(-1), (), rows, batch_size=3, mesh=mesh
        )
    )
    text = mapped.lower((pool.inputs,)).compile().as_text()
    assert text
    for collective in ("all-gather", "all-reduce", "all-to-all", "collective-permute"):
        assert collective not in text


def test_what_is_handed_on_is_not_copied():
    weight, x = jnp.ones(4), jnp.arange(4000.0).reshape(1000, 4)

    def run(x):
        return map_batches(lambda rows: {"same": rows, "sum": rows @ weight}, x, 16)

    found = jax.jit(run)(x)
    np.testing.assert_array_equal(found["same"], x)
    np.testing.assert_array_equal(found["sum"], x.sum(1))
    traced = jax.make_jaxpr(run)(x).jaxpr
    assert traced.outvars[0] is traced.invars[0]


def test_numbers_without_a_type_of_their_own_take_that_of_the_others():
    x, half = jnp.full((40, 1), 2.0), jnp.ones(1, jnp.bfloat16)
    assert x.weak_type
    found = map_batches(lambda rows: rows * half[None], x, 16)
    assert found.dtype == jnp.bfloat16 and found.shape == x.shape


def test_bfloat16_is_not_written_by_way_of_float32():
    def half(shared, rows):
        return (rows / 3).astype(jnp.bfloat16), rows

    x = np.arange(4000, dtype=np.int32).reshape(1000, 4)
    run = jax.jit(lambda x: map_batches(lambda rows: half((), rows), x, 16))
    assert "f32[1000,4]" not in str(run.lower(x).compile().as_text())
    expected = (x / np.float32(3)).astype(jnp.bfloat16)
    for found in (run(x), pools.stream(Rows(x), batch_size=16).map(half, ())):
        np.testing.assert_array_equal(found[0], expected)
        np.testing.assert_array_equal(found[1], x)


def test_a_traced_pool_has_no_constants_of_its_size():
    traced = jax.make_jaxpr(lambda x: place(x, None, devices.make_mesh()))(np.ones((43, 5)))
    assert not traced.consts
    assert max(traced.out_avals, key=lambda one: one.size).shape == (48, 5)


def test_one_trace_serves_all_batches():
    function = CountTraces(lambda batch: batch * 2)
    jax.jit(lambda x: map_batches(function, x, 4))(jnp.arange(50.0))
    assert function.count <= 2  # once for the shapes of the results


def test_place_pads_and_marks_what_is_valid():
    mesh = devices.make_mesh(4, seeds=2)
    inputs = {"a": np.ones((10, 2)), "b": jnp.zeros((10,))}
    pool = place(inputs, np.arange(10), mesh)
    assert pool.labels.tolist() == [*range(10), -1, -1]
    assert pool.valid.tolist() == [True] * 10 + [False] * 2
    assert jax.tree.map(len, pool.inputs) == {"a": 12, "b": 12}
    alone = place(inputs, None)
    assert alone.valid.all() and (alone.labels == -1).all()


@bad_inputs(
    {
        "seeds": ((None, 3), ValueError, "seeds: expected a divisor of 8, .*got 3"),
        "data": ((9, 1), ValueError, "data: expected at most 8, .*1 x 9"),
        "zero": ((None, 0), ValueError, "seeds: expected .* got 0"),
    }
)
def test_bad_meshes(given, error, message):
    data, seeds = given
    with pytest.raises(error, match=message):
        devices.make_mesh(data, seeds=seeds)


def test_mesh_for_seeds_uses_every_device():
    for seeds, shape in ((10, {"seeds": 2, "data": 4}), (3, {"seeds": 1, "data": 8})):
        mesh = devices.mesh_for(seeds)
        assert mesh is not None and mesh.shape == shape
