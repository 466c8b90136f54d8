"""zarr3 arrays as pools on disk, by themselves and named by a manifest."""

import json
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs

import jaxal
from jaxal import pools
from jaxal.pools.directory.checks import digest_file

FEATURES = np.random.default_rng(0).normal(size=(23, 3)).astype(np.float32)


@pytest.fixture
def write():
    """Writes an array in chunks of ten rows."""
    tensorstore = pytest.importorskip("tensorstore")

    def written(path, array):
        grid = {"name": "regular", "configuration": {"chunk_shape": [10, *array.shape[1:]]}}
        store = tensorstore.open(
            {
                "driver": "zarr3",
                "kvstore": {"driver": "file", "path": f"{path}/"},
                "metadata": {"chunk_grid": grid},
            },
            create=True,
            dtype=str(array.dtype),
            shape=array.shape,
        ).result()
        store[:] = array
        return path

    return written


def manifest(folder, dtype="float32", rows=23, **more):
    """The manifest of a folder that holds one array, features.zarr."""
    features = {"file": "features.zarr", "sha256": digest_file(folder / "features.zarr")}
    given = {"format": "jaxal pool", "version": 1, "rows": rows, "row_shape": [3], "dtype": dtype}
    given |= {"shards": [{"rows": rows, "features": features}]} | more
    (folder / "manifest.json").write_text(json.dumps(given))
    return folder


@pytest.mark.parametrize("dtype", ["float32", "float16", jnp.bfloat16, "uint8"])
def test_an_array_is_a_pool(dtype, write, tmp_path):
    features = (FEATURES * 10).astype(dtype)
    pool = pools.open(write(tmp_path / "pool.zarr", features))
    assert pool.shape == (23, 3) and pool.dtype == features.dtype and pool.labels is None
    assert pool.nbytes == features.nbytes
    np.testing.assert_array_equal(pool[:], features)
    np.testing.assert_array_equal(pool[8:21], features[8:21])
    np.testing.assert_array_equal(pool[[22, 0, 9, 9, 10]], features[[22, 0, 9, 9, 10]])
    np.testing.assert_array_equal(pool.ids([4, 2]), [4, 2])
    pool.check()
    assert pool.digest == pools.open(tmp_path / "pool.zarr").digest


@pytest.mark.slow
def test_a_decision_is_that_of_the_array(write, tmp_path):
    model = jaxal.models.linear(3)
    variables = model.init(jax.random.key(0), FEATURES[:1])
    asked = jax.random.key(1), jaxal.strategies.margin(), model, variables
    opened = pools.open(write(tmp_path / "pool.zarr", FEATURES))
    found, expected = (jaxal.acquire(*asked, pool, budget=5) for pool in (opened, FEATURES))
    np.testing.assert_array_equal(found.rows, expected.rows)


def test_a_manifest_names_one(write, tmp_path):
    write(tmp_path / "features.zarr", FEATURES)
    np.save(tmp_path / "labels.npy", np.arange(23, dtype=np.int32))
    labels = {"file": "labels.npy", "sha256": digest_file(tmp_path / "labels.npy")}
    pool = pools.open(manifest(tmp_path, labels=labels))
    np.testing.assert_array_equal(pool[5:20], FEATURES[5:20])
    np.testing.assert_array_equal(pool.labels, np.arange(23))
    pool.check()
    chunk = tmp_path / "features.zarr" / "c" / "1" / "0"
    damaged = bytearray(chunk.read_bytes())
    damaged[7] ^= 1
    chunk.write_bytes(damaged)
    with pytest.raises(ValueError, match="features.zarr: has changed since the manifest"):
        pools.open(tmp_path).check()


def test_int8_is_read_with_the_scale_of_the_manifest(write, tmp_path):
    stored = np.arange(-6, 6, dtype=np.int8).reshape(4, 3)
    write(tmp_path / "features.zarr", stored)
    scale = {"scale": [1.0, 2.0, 3.0], "offset": [0.5, 0.0, 0.0]}
    pool = pools.open(manifest(tmp_path, "int8", 4, **scale))
    np.testing.assert_allclose(pool[:], [0.5, 0, 0] + stored * [1.0, 2, 3])


def test_a_chunk_that_is_gone_is_not_zeros(write, tmp_path):
    path = write(tmp_path / "pool.zarr", FEATURES)
    pool = pools.open(path)
    (path / "c" / "1" / "0").unlink()
    np.testing.assert_array_equal(pool[:10], FEATURES[:10])
    for rows in (slice(5, 15), [3, 12]):
        with pytest.raises(OSError, match=r"pool.zarr: .*missing"):
            pool[rows]
    with pytest.raises(ValueError, match="zarr.json: has changed"):
        pool.check()


def test_without_the_package_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorstore", None)
    (tmp_path / "zarr.json").write_text("{}")
    with pytest.raises(ModuleNotFoundError, match=re.escape("pip install 'jaxal[zarr]'")):
        pools.open(tmp_path)


def no_json(folder, write):
    (folder / "zarr.json").write_text("{")
    return folder


def another_shape(folder, write):
    write(folder / "features.zarr", FEATURES[:7])
    return manifest(folder)


def another_type(folder, write):
    write(folder / "features.zarr", FEATURES)
    return manifest(folder, "float16")


def doubles(folder, write):
    return write(folder / "features.zarr", FEATURES.astype(np.float64))


def bytes_alone(folder, write):
    return write(folder / "features.zarr", FEATURES.astype(np.int8))


@bad_inputs(
    {
        "no JSON": (no_json, ValueError, "expected a zarr3 array, got "),
        "a shape": (another_shape, ValueError, r"expected float32 \(23, 3\), got float32 \(7, 3\)"),
        "a type": (another_type, ValueError, r"expected float16 \(23, 3\), got float32 \(23, 3\)"),
        "doubles": (doubles, ValueError, "expected float32, .*, got float64"),
        "int8": (bytes_alone, ValueError, "expected a manifest that says the scale of int8"),
    }
)
def test_what_is_no_pool_is_refused(call, error, message, write, tmp_path):
    with pytest.raises(error, match=message):
        pools.open(call(tmp_path, write))
