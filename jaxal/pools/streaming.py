"""Pools whose rows stay where they are, on a disk as a rule, and are read when they are needed."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxal import processes
from jaxal.base import Examples, PyTree
from jaxal.checks import check_flag, check_integer, is_traced
from jaxal.data.checks import check, check_structure
from jaxal.numerics import is_known, num_rows, rows_from, with_rows
from jaxal.pools import devices
from jaxal.pools._blocks import Blocks, Place
from jaxal.pools._unseen import Unseen, register
from jaxal.pools.memory import BATCH_SIZE, ArrayPool, on_each_device, put
from jaxal.pools.sources import Source, check_sources, digest_sources
from jaxal.rows import REPLICATED, SHARED

BLOCK = 2**23
"""Bytes of the inputs, about, that are read at a time for a device."""


@register
@dataclass(frozen=True)
class StreamedPool:
    """Rows that are read: a `Pool` whose `map` and `take` are called outside of `jit`.

    Labels and masks are on the devices, as in an `ArrayPool`; of the inputs there are a few blocks
    at a time. What is mapped has to fit there.
    """

    labels: jax.Array  # [N] int32, -1 where unknown and in padding
    valid: jax.Array  # [N] bool, False in padding and in rows that are left out
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

    @property
    def rows(self) -> int:
        """How many there are, without padding."""
        return num_rows(self.inputs)

    def first(self) -> PyTree:
        """The inputs of the first row as a batch of one."""
        return self.head

    def take(self, rows: Any) -> PyTree:
        """Reads the inputs of rows [...]: leaves [..., ...]. Of rows outside, those at the end."""
        _refuse_traced(rows)
        devices.check_same(self.mesh, rows=rows)
        wanted = np.clip(np.asarray(rows), 0, self.rows - 1)
        unique, places = np.unique(wanted, return_inverse=True)

        def read(source: Source) -> np.ndarray:
            return np.asarray(source[unique])[places.reshape(wanted.shape)]

        with processes.agreed(devices.is_shared(self.mesh)):
            found = jax.tree.map(read, self.inputs)
        return devices.replicate(found, self.mesh)

    def map(self, function: Callable[..., PyTree], shared: PyTree, *arrays: jax.Array) -> PyTree:
        """As `Pool.map`, called outside `jit`. An equal function compiles nothing a second time.

        Blocks are read, and handed to the devices, while others are computed on. Results of padding
        may be zeros. Where there is nothing to keep of a row, none is read. Where processes share
        the devices, an error of one that reads is raised in all.
        """
        _refuse_traced(shared, arrays)
        with processes.agreed(devices.is_shared(self.mesh)):  # until then none waits for another
            return self._mapped(function, shared, *arrays)

    def _mapped(self, function: Callable[..., PyTree], shared: PyTree, *arrays: Any) -> PyTree:
        results = _empty(function, self.mesh, len(self), shared, self.head, arrays)
        if not any(leaf.size for leaf in jax.tree.leaves(results)):
            return results
        blocks = Blocks(self.inputs, len(self), self.batch_size, self.mesh, BLOCK)

        def step(results: PyTree, place: Place, block: PyTree) -> tuple[PyTree, jax.Array]:
            here = tuple(map(np.int32, place))
            return _step(function, self.mesh, blocks.batch, results, here, shared, block, arrays)

        return blocks.fold(step, results)

    def labeled(self) -> "StreamedPool":
        """The same pool without the rows whose label is unknown: they keep their numbers."""
        return dataclasses.replace(self, valid=self.valid & is_known(self.labels))

    def outline(self) -> ArrayPool:
        """A pool in memory of these shapes and types, without contents: for what is only traced."""

        def shape(source: Source) -> jax.ShapeDtypeStruct:
            dtype = jax.dtypes.canonicalize_dtype(source.dtype)
            return jax.ShapeDtypeStruct((len(self), *source.shape[1:]), dtype)

        inputs = jax.tree.map(shape, self.inputs)
        return ArrayPool(inputs, self.labels, self.valid, self.batch_size, self.mesh)

    def bare(self) -> Examples:
        """The rows without their contents, inputs [N, 0] and labels [N]; no padding."""
        labels = np.asarray(self.labels)[: self.rows]
        return Examples(np.empty((self.rows, 0), np.float32), labels)

    def digest(self) -> str:
        """A SHA-256 of the rows and the labels: of each source its own digest, if it has one.

        Of others it is that of their type, their shape and a thousand rows: no pass is made.
        """
        return digest_sources(self.inputs, np.asarray(self.labels)[: self.rows])


def _refuse_traced(*trees: PyTree) -> None:
    if is_traced(*trees):
        raise TypeError(
            "pool: expected one in memory, as jaxal.place returns, got a StreamedPool, whose rows "
            "are read on the host: not inside jit, vmap or scan"
        )


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
def _step(function, mesh, size, results, place, shared, block, arrays) -> tuple[PyTree, jax.Array]:
    """Writes the results of a block among the others; also returns what is there once it is."""

    def local(results, place, shared, block, arrays):
        start, batches = place
        last = num_rows(results) - size  # a batch that would end past it begins earlier

        def batch(number, results):
            row = jnp.minimum(start + number * size, last)
            inputs, some = rows_from(block, row - start, size), rows_from(arrays, row, size)
            return with_rows(results, row, function(shared, inputs, *some))

        return jax.lax.fori_loop(0, batches, batch, results)

    arguments = SHARED, REPLICATED, REPLICATED, SHARED, SHARED
    call = on_each_device(local, mesh, arguments)
    return call(results, place, shared, block, arrays), place[0] + 0


def stream(
    inputs: PyTree,
    labels: Any = None,
    mesh: Mesh | None = None,
    *,
    batch_size: int = BATCH_SIZE,
    size: int | None = None,
    labeled_only: bool = False,
) -> StreamedPool:
    """A pool of rows that stay where they are: larger than the memory of the devices and the host.

    `acquire`, `init`, `ask` and `iterate` take it, and pick what they pick of the same pool in
    memory; a pass reads every row once, in order. Whether the inputs are finite is not looked at,
    but whether what a strategy observes of them is. In several processes only `map` and `take`
    work.

    Args:
      inputs: pytree of `Source`, all of N rows: `pools.open("embeddings")`, `np.load(...,
        mmap_mode="r")`, or whatever has a length, a shape, a dtype and gives NumPy's arrays for a
        slice and for integers.
      labels: [N] integers, -1 where unknown; None if all are. Or targets, as of `place`.
      mesh: devices that share the rows; one device if not given. Each of several processes reads
        the rows of its own devices, and all call this, `map` and `take` with the same arguments.
      batch_size: rows that go through a model at once on a device.
      size: least number of rows, padding included; none is added for it if not given.
      labeled_only: leave out the rows whose label is unknown, as `place`.

    Returns:
      `StreamedPool`.

    Raises:
      TypeError: inputs that are no sources of numbers, or labels that are no numbers; inside jit.
      ValueError: leading axes that disagree, no rows, or labels below -1.
    """
    devices.check_mesh(mesh)
    _refuse_traced(inputs, labels)
    with processes.agreed(devices.is_shared(mesh)):
        check_integer(1, batch_size=batch_size)
        if size is not None:
            check_integer(1, size=size)
        check_flag(labeled_only=labeled_only)
        rows = check_sources(inputs)
        # The labels and the padding are those of a pool in memory, whose rows are empty.
        bare = np.empty((rows, 0), np.float32)
        check_structure((bare, labels))
        check((bare, labels), allow_unknown=True)
        head = jax.tree.map(lambda source: np.asarray(source[0:1]), inputs)
        check_structure((head, None))
    options = {"batch_size": batch_size, "size": size, "labeled_only": labeled_only}
    devices.check_same(mesh, inputs=(rows, head), labels=labels, **options)
    bare, head = put(bare, labels, mesh, **options), devices.replicate(head, mesh)
    return StreamedPool(bare.labels, bare.valid, head, Unseen(inputs), batch_size, mesh)
