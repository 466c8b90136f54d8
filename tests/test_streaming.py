"""Pools that are read block by block: what is mapped and taken is that of a pool in memory."""

import threading
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import CountTraces, bad_inputs

import jaxal
from jaxal import pools
from jaxal.pools import _blocks, devices, streaming
from jaxal.pools._read_ahead import read_ahead

ROWS = 1003
FEATURES = np.random.default_rng(0).normal(size=(ROWS, 3)).astype(np.float32)
LABELS = np.arange(ROWS) % 4 - 1


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(streaming, "BLOCK", 50 * 12)


def weigh(shared, inputs, labels):
    return {"sum": shared * inputs.sum(axis=1), "labels": labels, "rows": inputs}


@pytest.mark.slow
@pytest.mark.parametrize("shards", [None, 1, 3, 8])
def test_maps_as_in_memory(shards, small_blocks, tmp_path):
    mesh = None if shards is None else devices.make_mesh(shards)
    source = pools.create(tmp_path / "pool", FEATURES, labels=LABELS, shard_rows=300)
    pool = pools.stream(source, LABELS, mesh, batch_size=16)
    whole = pools.place(FEATURES, LABELS, mesh, batch_size=16)
    assert len(pool) == len(whole) and pool.batch_size == 16 and pool.mesh is mesh
    np.testing.assert_array_equal(pool.labels, whole.labels)
    np.testing.assert_array_equal(pool.valid, whole.valid)
    np.testing.assert_array_equal(pool.first(), whole.first())
    function = CountTraces(weigh)
    found = pool.map(function, jnp.float32(2), pool.labels)
    assert function.count <= 3  # for the shapes, for a block, and inside it for a batch
    expected = jax.jit(lambda pool: pool.map(weigh, jnp.float32(2), pool.labels))(whole)
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    again = pools.stream(FEATURES, LABELS, mesh, batch_size=16)
    again.map(function, jnp.float32(3), again.labels)
    assert function.count <= 3, "another pool of the same shape compiles nothing"
    if mesh is not None:
        assert found["sum"].sharding == expected["sum"].sharding


def test_takes_rows_in_any_order():
    pool = pools.stream(FEATURES)
    rows = np.array([[5, 1002, 5], [0, -1, 7]])
    np.testing.assert_array_equal(pool.take(rows), FEATURES[np.maximum(rows, 0)])


def test_every_row_is_read_once_and_in_order(small_blocks):
    class Watched:
        shape, dtype, asked = FEATURES.shape, FEATURES.dtype, []

        def __len__(self):
            return ROWS

        def __getitem__(self, rows):
            self.asked.append((rows.start, rows.stop))
            return FEATURES[rows]

    pool = pools.stream(Watched(), batch_size=10)
    Watched.asked.clear()
    pool.map(weigh, jnp.float32(1), pool.labels)
    *blocks, last = Watched.asked
    assert blocks == [(start, start + 50) for start in range(0, 1000, 50)]
    assert last == (ROWS - 10, ROWS)  # a whole batch, as in memory


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1003, 1000, 7, 41, 53])
def test_batches_are_those_of_a_pool_in_memory(rows, monkeypatch):
    monkeypatch.setattr(streaming, "BLOCK", 40 * 12)

    def beside(shared, inputs, labels):  # what no rule may look at: the other rows of the batch
        return jnp.broadcast_to(jnp.sum(inputs), labels.shape)

    read = pools.stream(FEATURES[:rows], batch_size=20, size=pools.size_class(rows))
    whole = pools.place(FEATURES[:rows], None, batch_size=20, size=pools.size_class(rows))
    found, expected = (pool.map(beside, jnp.float32(0), pool.labels) for pool in (read, whole))
    np.testing.assert_array_equal(found[:rows], expected[:rows])


def test_nothing_is_read_where_nothing_is_kept():
    class Unread:
        shape, dtype = FEATURES.shape, FEATURES.dtype

        def __len__(self):
            return ROWS

        def __getitem__(self, rows):
            assert (rows.start, rows.stop) == (0, 1)
            return FEATURES[rows]

    pool = pools.stream(Unread())
    found = pool.map(lambda shared, inputs, labels: labels[:, None][:, :0], 0.0, pool.labels)
    assert found.shape == (ROWS, 0)


def test_memory_maps_are_read_from_their_file(tmp_path):
    np.save(tmp_path / "features.npy", FEATURES)
    whole = np.load(tmp_path / "features.npy", mmap_mode="r")
    for source in (whole, whole[5:], whole[::2]):
        pool = pools.stream(source)
        found = pool.map(weigh, jnp.float32(1), pool.labels)
        np.testing.assert_array_equal(found["rows"], np.asarray(source))


@pytest.mark.parametrize("form", ["directory", "map"])
def test_blocks_are_read_into_the_same_memory_and_not_copied(form, tmp_path, monkeypatch):
    made = []

    def empty(shape, dtype):
        made.append(room(shape, dtype))
        return made[-1]

    room = _blocks._empty
    monkeypatch.setattr(_blocks, "_empty", empty)
    source = pools.create(tmp_path / "pool", FEATURES, shard_rows=300)
    if form == "map":
        np.save(tmp_path / "features.npy", FEATURES)
        source = np.load(tmp_path / "features.npy", mmap_mode="r")
    blocks = _blocks.Blocks(source, ROWS, 10, None, 50 * 12)
    for place, block in zip(blocks.places, blocks, strict=True):
        rows = FEATURES[place.start : place.start + len(block)]
        np.testing.assert_array_equal(block[: len(rows)], rows)
        assert not block[len(rows) :].any(), "nothing is left of a block before"
        assert block.unsafe_buffer_pointer() in {room.ctypes.data for room in made}
        blocks.release()
    assert len(blocks.places) == 21 and len(made) <= 4, "one in use, and two ahead of the next"


def test_a_source_may_use_its_own_memory_again(small_blocks):
    class Buffered:
        shape, dtype, buffer = FEATURES.shape, FEATURES.dtype, np.empty((ROWS, 3), np.float32)

        def __len__(self):
            return ROWS

        def __getitem__(self, rows):
            found = self.buffer[: len(FEATURES[rows])]
            found[:] = FEATURES[rows]
            return found

    pool = pools.stream(Buffered(), batch_size=10)
    found = pool.map(weigh, jnp.float32(1), pool.labels)
    np.testing.assert_array_equal(found["rows"], FEATURES)


def test_a_source_that_gives_fewer_rows_is_refused(small_blocks):
    class Short:
        shape, dtype = FEATURES.shape, FEATURES.dtype

        def __len__(self):
            return ROWS

        def __getitem__(self, rows):
            return FEATURES[rows][:49]

    pool = pools.stream(Short(), batch_size=10)
    message = r"pool inputs: expected \(50, 3\) for rows 0 to 49, got \(49, 3\)"
    with pytest.raises(ValueError, match=message):
        pool.map(weigh, jnp.float32(1), pool.labels)


def test_a_digest_is_of_the_rows_and_the_labels(tmp_path):
    def digest(features, labels=LABELS):
        return pools.stream(features, labels).digest()

    assert digest(FEATURES) == digest(FEATURES.copy())
    changed = FEATURES.copy()
    changed[0] = 0
    assert len({digest(FEATURES), digest(changed), digest(FEATURES, LABELS[::-1].copy())}) == 3
    one = pools.create(tmp_path / "one", FEATURES)
    other = pools.create(tmp_path / "other", changed)
    assert digest(one) != digest(other)


def test_an_error_of_the_source_is_raised(small_blocks):
    class Broken:
        shape, dtype = FEATURES.shape, FEATURES.dtype

        def __len__(self):
            return ROWS

        def __getitem__(self, rows):
            if rows.start > 100:
                raise OSError("the disk is gone")
            return FEATURES[rows]

    pool = pools.stream(Broken(), batch_size=10)
    before = threading.active_count()
    with pytest.raises(OSError, match="the disk is gone"):
        pool.map(weigh, jnp.float32(1), pool.labels)
    assert threading.active_count() == before


def test_devices_that_share_seeds_read_a_row_once():
    asked = []

    class Watched:
        shape, dtype = FEATURES.shape, FEATURES.dtype

        def __len__(self):
            return ROWS

        def __getitem__(self, rows):
            asked.append((rows.start, rows.stop))
            return FEATURES[rows]

    pool = pools.stream(Watched(), LABELS, devices.make_mesh(4, seeds=2))
    asked.clear()
    found = pool.map(weigh, jnp.float32(2), pool.labels)
    assert sorted(asked) == [(0, 251), (251, 502), (502, 753), (753, 1003)]
    np.testing.assert_array_equal(found["rows"][:ROWS], FEATURES)


@pytest.mark.slow
def test_what_is_compiled_refuses_one():
    pool = pools.stream(FEATURES, np.maximum(LABELS, 0))
    model = jaxal.models.logistic(4)
    learner = jaxal.Learner(model, optax.sgd(0.1))
    plan: Any = {"initial": 3, "budget": 2, "rounds": 1}
    with pytest.raises(TypeError, match="pool: simulate compiles whole rounds, .* jaxal.iterate"):
        jaxal.simulate(learner, jaxal.strategies.margin(), pool, (FEATURES, pool.labels), **plan)
    state = jaxal.init(jax.random.key(0), learner, pool, initial=3, capacity=9)
    with pytest.raises(TypeError, match="pool: step compiles whole rounds"):
        jaxal.step(state, learner, jaxal.strategies.margin(), pool, (FEATURES, pool.labels), 2)
    for call in (lambda row: pool.take(row), lambda row: pool.map(weigh, row, pool.labels)):
        with pytest.raises(TypeError, match="got a StreamedPool, whose rows are read on the host"):
            jax.jit(call)(jnp.int32(0))


def test_what_was_compiled_does_not_return_the_source_of_another_call():
    """Pools of other sources share a program, of which the first would be all pools' source."""
    first, second = (pools.stream(np.full((5, 2), number, np.float32)) for number in (1, 2))
    traced = []
    same = jax.jit(lambda pool: traced.append(1) or pool)
    for pool in (first, second):
        returned = same(pool)
        np.testing.assert_array_equal(returned.valid, pool.valid)
        for use in (lambda: returned.take([0]), lambda: returned.rows, lambda: returned.digest()):  # noqa: B023
            with pytest.raises(TypeError, match="pool: expected one as jaxal.pools returns"):
                use()
    assert traced == [1]
    copied = jax.tree.map(lambda leaf: leaf, second)  # outside of programs it is known
    np.testing.assert_array_equal(copied.take([3]), [[2, 2]])


def test_reads_ahead_and_no_further():
    read, depth = [], 2

    def one(number):
        read.append(number)
        return number

    for count, number in enumerate(read_ahead(one, range(10), depth=depth), 1):
        assert number == count - 1 and len(read) <= count + depth
    assert read == list(range(10))


@bad_inputs(
    {
        "no source": ({"inputs": [1, 2]}, TypeError, "pool inputs: expected sources of rows"),
        "few labels": ({"labels": np.zeros(3, int)}, ValueError, "leading axes must agree"),
        "below -1": ({"labels": np.full(ROWS, -2)}, ValueError, "pool labels: expected -1 to C"),
        "no rows": ({"inputs": FEATURES[:0]}, ValueError, "expected at least one row"),
        "rows that differ": (
            {"inputs": (FEATURES, FEATURES[:5])},
            ValueError,
            "pool inputs: expected sources of as many rows, got 1003 and 5",
        ),
        "no size": ({"size": 0}, ValueError, "size: expected an integer >= 1"),
        "no flag": ({"labeled_only": 1}, TypeError, "labeled_only: expected True or False"),
        "no batch": ({"batch_size": 0}, ValueError, "batch_size: expected an integer >= 1"),
        "no mesh": ({"mesh": 3}, TypeError, "mesh: expected a mesh"),
    }
)
def test_bad_input(given, error, message):
    with pytest.raises(error, match=message):
        pools.stream(**{"inputs": FEATURES} | given)
