"""Checkpoints: what is loaded is what was saved, bit for bit, or is refused with a reason."""

import shutil
import types
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from jaxal.loop.checkpoint import Checkpoints
from jaxal.loop.identity import digest, digest_program
from jaxal.pools import devices

IDENTITY = {"data": "abc", "budget": 3}


class Carried(NamedTuple):
    keys: jax.Array
    half: jax.Array
    none: jax.Array
    deep: dict


def carried(seed=0):
    weights = jax.random.normal(jax.random.key(seed), (8, 3)).at[0, 0].set(jnp.nan)
    return Carried(
        jax.random.split(jax.random.key(seed), 2),
        jnp.array([jnp.nan, -0.0, 1e-30], jnp.bfloat16),
        jnp.zeros((2, 0), jnp.int32),
        {"a/b": weights, "c": (jnp.int32(seed), jnp.array([True]))},
    )


def assert_same(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    assert digest(one) == digest(other)


def newest_round(saved, *usable):
    where, _ = saved.newest(carried(), *usable)
    return where["round"]


@pytest.fixture
def saved(tmp_path):
    return Checkpoints(tmp_path / "checkpoints", IDENTITY)


@pytest.mark.slow
def test_what_is_loaded_is_what_was_saved(saved):
    assert saved.newest(carried()) is None
    saved.save(3, carried(3), {"round": 4})
    where, tree = saved.newest(carried())
    assert where == {"round": 4}
    assert_same(tree, carried(3))
    jax.random.uniform(tree.keys[0])  # a typed key


def test_the_newest_two_stay(saved):
    for number in (2, 11, 100):
        saved.save(number, carried(number), {"round": number})
    assert sorted(path.name for path in saved.folder.iterdir()) == ["00000011", "00000100"]
    assert newest_round(saved) == 100
    assert newest_round(saved, lambda where: where["round"] < 50) == 11
    assert saved.newest(carried(), lambda where: False) is None
    saved.clear()
    assert not saved.folder.exists()


@pytest.mark.parametrize("damage", ["half", "flipped", "missing", "metadata"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(saved, damage):
    for number in (1, 2):
        saved.save(number, carried(number), {"round": number})
    newest = saved.folder / "00000002"
    largest = max(newest.rglob("d/*"), key=lambda path: path.stat().st_size)
    content = largest.read_bytes()
    if damage == "half":
        largest.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        middle = len(content) // 2
        largest.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif damage == "missing":
        shutil.rmtree(newest / "arrays" / "state")
    else:
        (newest / "about.json").write_bytes(b"{")
    with pytest.warns(UserWarning, match="00000002: this checkpoint cannot be read, and is drop"):
        where, tree = saved.newest(carried())
    assert where == {"round": 1} and not newest.exists()
    assert_same(tree, carried(1))


def test_another_shape_is_not_loaded(saved):
    saved.save(1, {"a": jnp.zeros(3)}, {})
    with pytest.raises(ValueError, match=r"expected float32\[4\], got float32\[3\]"):
        saved.newest({"a": jnp.zeros(4)})


def test_another_identity_is_refused(saved):
    saved.save(1, carried(), {})
    other = Checkpoints(saved.folder, {**IDENTITY, "budget": 4})
    with pytest.raises(ValueError, match="checkpoints: cannot go on.*: budget was 3 and is 4$"):
        other.newest(carried())
    assert Checkpoints(saved.folder, IDENTITY).newest(carried())


def test_what_a_killed_process_left_goes_away(saved):
    saved.save(1, carried(), {})
    (saved.folder / "part" / "arrays.orbax-checkpoint-tmp").mkdir(parents=True)
    Checkpoints(saved.folder, IDENTITY)
    assert [path.name for path in saved.folder.iterdir()] == ["00000001"]


def broken(path, *arguments):
    path.mkdir()
    raise ValueError("RESOURCE_EXHAUSTED: no room")


def test_a_checkpoint_that_cannot_be_written(saved, monkeypatch):
    saved.save(1, carried(), {"round": 1})
    with monkeypatch.context() as patch, pytest.raises(OSError, match="00000002: the checkpoint"):
        patch.setattr("orbax.checkpoint.experimental.v1.save", broken)
        saved.save(2, carried(), {})
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(shutil, "disk_usage", lambda folder: types.SimpleNamespace(free=0))
        saved.save(2, carried(), {})
    assert newest_round(saved) == 1


def test_checkpoints_take_their_share_of_the_time(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    saved = Checkpoints(tmp_path / "c", IDENTITY, share=0.05)
    clock[0] = 3.9
    saved.save(1, carried(), {})
    assert saved.newest(carried()) is None  # the first is thought to take 0.2 s
    clock[0] = 4.1
    saved.save(2, carried(), {"round": 2})
    assert newest_round(saved) == 2


def test_arrays_go_to_other_devices(saved):
    def on(count):
        mesh = devices.make_mesh(data=count)
        return jax.device_put(jnp.arange(8.0), NamedSharding(mesh, PartitionSpec("data")))

    saved.save(1, on(8), {})
    template = on(2)
    _, array = saved.newest(template)
    assert array.sharding == template.sharding
    np.testing.assert_array_equal(array, np.arange(8.0))


def test_digests_tell_values_types_and_places_apart():
    arrays = [
        {"a": np.zeros(2, np.float32)},
        {"b": np.zeros(2, np.float32)},
        {"a": np.zeros(2, np.int32)},
        {"a": np.zeros((2, 1), np.float32)},
        {"a": np.array([0.0, -0.0], np.float32)},
    ]
    assert len({digest(tree) for tree in arrays}) == len(arrays)
    assert digest({"a": jnp.zeros(2)}) == digest(arrays[0])


def test_digests_of_programs_tell_numbers_and_constants_apart():
    def scaled(factor, table):
        @jax.jit
        def inner(x):
            return x * factor + jnp.asarray(table)

        return lambda x: inner(x) + 1

    x = jnp.zeros(3)
    table = np.arange(3.0, dtype=np.float32)
    programs = [scaled(2.0, table), scaled(2.0000002, table), scaled(2.0, table + 1)]
    found = [digest_program(program, x) for program in programs]
    assert len(set(found)) == 3
    assert digest_program(scaled(2.0, table.copy()), x) == found[0]
