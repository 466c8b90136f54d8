"""Pools whose rows stay where they are, on a disk as a rule, and are read when they are needed."""

import functools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding

from jaxal import processes
from jaxal.base import PyTree
from jaxal.checks import check_integer
from jaxal.data.checks import check, check_structure
from jaxal.numerics import num_rows
from jaxal.pools import devices
from jaxal.pools._read_ahead import read_ahead
from jaxal.pools.memory import BATCH_SIZE, map_batches, on_each_device, put
from jaxal.rows import DATA, REPLICATED, SHARED

BLOCK = 2**23
"""Bytes of the inputs, about, that are read at a time for a device."""

IN_FLIGHT = 2
"""Blocks that a device may have received and not worked on yet."""


class Source(Protocol):
    """Rows that are read when they are asked for: memory maps, pools on disk, what one writes."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> Any: ...
    def __len__(self) -> int: ...
    def __getitem__(self, rows: Any) -> np.ndarray:
        """NumPy's arrays, by a slice with step 1 or integers [n]."""
        ...


SOURCE = ("shape", "dtype", "__len__", "__getitem__")


class Unseen:
    """What compiled programs are not told: all are alike to them."""

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unseen)

    def __hash__(self) -> int:
        return 0


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class StreamedPool:
    """Rows that are read: it has the methods of a `Pool`, but `map` and `take` cannot be traced.

    So a round, which is compiled, does not take one yet. Labels and masks are on the devices, as in
    an `ArrayPool`; of the inputs there are a few blocks at a time. What is mapped has to fit there.
    """

    labels: jax.Array  # [N] int32, -1 where unknown and in padding
    valid: jax.Array  # [N] bool, False in padding
    head: PyTree  # the first row, leaves [1, ...]
    sources: Unseen = field(metadata={"static": True})  # pytree of `Source`
    batch_size: int = field(default=BATCH_SIZE, metadata={"static": True})
    mesh: Mesh | None = field(default=None, metadata={"static": True})

    def __len__(self) -> int:
        return self.valid.shape[0]

    @property
    def inputs(self) -> PyTree:
        """The sources."""
        return self.sources.value

    def first(self) -> PyTree:
        """The inputs of the first row as a batch of one."""
        return self.head

    def take(self, rows: Any) -> PyTree:
        """Reads the inputs of rows [...]: leaves [..., ...]. Of rows outside, those at the end."""
        devices.check_same(self.mesh, rows=rows)
        wanted = np.clip(np.asarray(rows), 0, num_rows(self.inputs) - 1)
        unique, places = np.unique(wanted, return_inverse=True)

        def read(source: Source) -> np.ndarray:
            return np.asarray(source[unique])[places.reshape(wanted.shape)]

        with processes.agreed(devices.is_shared(self.mesh)):
            found = jax.tree.map(read, self.inputs)
        return devices.replicate(found, self.mesh)

    def map(self, function: Callable[..., PyTree], shared: PyTree, *arrays: jax.Array) -> PyTree:
        """As `Pool.map`, called outside `jit`. An equal function compiles nothing a second time.

        Blocks are read, and handed to the devices, while others are computed on. Where processes
        share the devices, an error of one that reads is raised in all.
        """
        with processes.agreed(devices.is_shared(self.mesh)):  # until then none waits for another
            return self._mapped(function, shared, *arrays)

    def _mapped(self, function: Callable[..., PyTree], shared: PyTree, *arrays: Any) -> PyTree:
        blocks = _Blocks(self)
        step = partial(_step, function, self.mesh, self.batch_size)
        results, waiting = None, deque()
        for start, block in zip(blocks.starts, blocks, strict=True):
            if results is None:
                results = _empty(function, self.mesh, len(self), shared, self.head, arrays)
            results, done = step(results, jnp.int32(start), shared, block, arrays)
            # JAX would queue all blocks at once, and so keep them all.
            waiting.append(done)
            if len(waiting) > IN_FLIGHT:
                jax.block_until_ready(waiting.popleft())
        return results


class _Blocks:
    """The inputs of a pool, block after block: on each device the next of its own rows."""

    def __init__(self, pool: StreamedPool):
        self.sources, self.mesh = pool.inputs, pool.mesh
        self.real = num_rows(self.sources)
        self.shards = 1 if pool.mesh is None else pool.mesh.shape[DATA]
        self.own = len(pool) // self.shards  # rows of a device
        width = sum(leaf.nbytes for leaf in jax.tree.leaves(pool.head))
        most = max(pool.batch_size, BLOCK // width // pool.batch_size * pool.batch_size)
        count = -(-self.own // min(most, self.own))
        self.size = -(-self.own // count)
        # The last block begins earlier than it would, so that all have one size.
        self.starts = [min(i * self.size, self.own - self.size) for i in range(count)]

    def __iter__(self):
        return read_ahead(self._block, self.starts)

    def _block(self, start: int) -> PyTree:
        return jax.tree.map(partial(self._placed, start), self.sources)

    def _placed(self, start: int, source: Source) -> jax.Array:
        @functools.cache  # devices that share seeds hold the same rows
        def read(shard: int) -> np.ndarray:
            first = shard * self.own + start
            rows = np.asarray(source[min(first, self.real) : min(first + self.size, self.real)])
            return devices.pad_rows(rows, self.size)

        def part(index: Any) -> np.ndarray:
            return read((index[0].start or 0) // self.size)

        if self.mesh is None:
            return jnp.asarray(read(0))
        shape = (self.size * self.shards, *source.shape[1:])
        sharding = NamedSharding(self.mesh, SHARED)
        return jax.make_array_from_callback(shape, sharding, part)


@partial(jax.jit, static_argnames=("function", "mesh", "size"))
def _empty(function, mesh, size, shared, head, arrays) -> PyTree:
    """Room for the results of all rows."""
    shapes = jax.eval_shape(
        lambda: function(shared, head, *(array[:1] for array in arrays)),
    )

    def zeros(shape):
        return jnp.zeros((size, *shape.shape[1:]), shape.dtype)

    return devices.share_rows(jax.tree.map(zeros, shapes), mesh)


@partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=3)
def _step(
    function, mesh, batch_size, results, start, shared, block, arrays
) -> tuple[PyTree, jax.Array]:
    """Writes the results of a block among the others; also returns what is there once it is."""

    def local(results, start, shared, block, arrays):
        size = num_rows(block)
        some = jax.tree.map(lambda array: jax.lax.dynamic_slice_in_dim(array, start, size), arrays)
        found = map_batches(lambda rows: function(shared, *rows), (block, *some), batch_size)
        return jax.tree.map(
            lambda all_, new: jax.lax.dynamic_update_slice_in_dim(all_, new, start, 0),
            results,
            found,
        )

    arguments = SHARED, REPLICATED, REPLICATED, SHARED, SHARED
    call = on_each_device(local, mesh, arguments)
    return call(results, start, shared, block, arrays), start + 0


def stream(
    inputs: PyTree,
    labels: Any = None,
    mesh: Mesh | None = None,
    *,
    batch_size: int = BATCH_SIZE,
) -> StreamedPool:
    """A pool of rows that stay where they are: larger than the memory of the devices and the host.

    Functions are mapped over it by `StreamedPool.map`, and `StreamedPool.take` reads some rows;
    `acquire` and the loop take pools in memory, and refuse one of these. A pass reads every row
    once, in order. Whether the inputs are finite is not looked at.

    Args:
      inputs: pytree of `Source`, all of N rows: `pools.open("embeddings")`, `np.load(...,
        mmap_mode="r")`, or whatever has a length, a shape, a dtype and gives NumPy's arrays for a
        slice and for integers.
      labels: [N] integers, -1 where unknown; None if all are.
      mesh: devices that share the rows; one device if not given. Each of several processes reads
        the rows of its own devices, and all call this, `map` and `take` with the same arguments.
      batch_size: rows that go through a model at once on a device.

    Returns:
      `StreamedPool`.

    Raises:
      TypeError: inputs that are no sources, or labels that are no integers.
      ValueError: leading axes that disagree, no rows, or labels below -1.
    """
    devices.check_mesh(mesh)
    with processes.agreed(devices.is_shared(mesh)):
        check_integer(1, batch_size=batch_size)
        rows = _check_sources(inputs)
        # The labels and the padding are those of a pool in memory, whose rows are empty.
        bare = np.empty((rows, 0), np.float32)
        check_structure((bare, labels))
        check((bare, labels), allow_unknown=True)
        head = jax.tree.map(lambda source: np.asarray(source[0:1]), inputs)
    devices.check_same(mesh, inputs=(rows, head), labels=labels, batch_size=batch_size)
    bare, head = put(bare, labels, mesh, batch_size=batch_size), devices.replicate(head, mesh)
    return StreamedPool(bare.labels, bare.valid, head, Unseen(inputs), batch_size, mesh)


def _check_sources(inputs: PyTree) -> int:
    """How many rows sources have; raises unless they are some, of as many rows each."""
    for source in jax.tree.leaves(inputs):
        if not all(hasattr(source, name) for name in SOURCE):
            raise TypeError(f"inputs: expected sources of rows, got {type(source).__name__}")
    counts = [len(source) for source in jax.tree.leaves(inputs)]
    if len(set(counts)) != 1:
        many = " and ".join(map(str, counts)) or "none"
        raise ValueError(f"inputs: expected sources of as many rows, got {many}")
    return counts[0]
