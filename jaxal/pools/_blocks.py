"""The rows of sources on their way to the devices: block after block, read ahead."""

import functools
import mmap
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding

from jaxal.base import PyTree
from jaxal.numerics import num_rows
from jaxal.pools import devices
from jaxal.pools._read_ahead import read_ahead
from jaxal.pools.directory.reader import rows_of
from jaxal.pools.memory import batch_rows
from jaxal.rows import DATA, SHARED


class Place(NamedTuple):
    """Where a block belongs among the rows of each device."""

    start: int  # its first row
    batches: int  # how many it has


class Blocks:
    """The inputs of a pool, block after block: on each device the next of its own rows.

    A block is made of batches, which are those of a pool in memory: rows go through a model beside
    the same others, so that nothing is rounded otherwise. Padding past the last row is left out.
    """

    def __init__(
        self, sources: PyTree, rows: int, batch_size: int, mesh: Mesh | None, block_bytes: int
    ):
        """Lays out the blocks.

        Args:
          sources: pytree of `Source`.
          rows: of the pool, with padding.
          batch_size: rows that go through a model at once on a device, at most.
          mesh: devices that share the rows.
          block_bytes: of the inputs, about, that a block has on a device.
        """
        self.sources, self.mesh = sources, mesh
        self.real = num_rows(sources)
        self.shards = 1 if mesh is None else mesh.shape[DATA]
        self.own = rows // self.shards  # rows of a device
        self.batch = batch_rows(self.own, batch_size)
        there = min(self.own, self.real)
        count = -(-there // self.batch)
        if there > self.own - self.batch:  # the last batch begins before the end of the one before
            count = -(-self.own // self.batch)
        width = sum(_width(source) for source in jax.tree.leaves(sources))
        batches = min(max(1, block_bytes // max(1, width * self.batch)), count)
        self.size = batches * self.batch
        self.places = [
            Place(min(first * self.batch, self.own - self.batch), min(batches, count - first))
            for first in range(0, count, batches)
        ]

    def __iter__(self) -> Iterator[PyTree]:
        return read_ahead(self._block, self.places)

    def _block(self, place: Place) -> PyTree:
        return jax.tree.map(partial(self._placed, place.start), self.sources)

    def _placed(self, start: int, source: Any) -> jax.Array:
        @functools.cache  # devices that share seeds hold the same rows
        def read(shard: int) -> np.ndarray:
            first, stop = shard * self.own + start, shard * self.own + self.own
            stop = min(first + self.size, stop, self.real)
            return devices.pad_rows(read_rows(source, min(first, stop), stop), self.size)

        def part(index: Any) -> np.ndarray:
            return read((index[0].start or 0) // self.size)

        if self.mesh is None:
            return jnp.asarray(read(0))
        shape = (self.size * self.shards, *source.shape[1:])
        sharding = NamedSharding(self.mesh, SHARED)
        return jax.make_array_from_callback(shape, sharding, part)


def read_rows(source: Any, start: int, stop: int) -> np.ndarray:
    """Rows of a source that follow one another; a memory map's do not stay in memory."""
    # What is a part of a map does not know where in the file it begins.
    if isinstance(source, np.memmap) and isinstance(source.base, mmap.mmap):
        if source.flags.c_contiguous:
            return rows_of(source, start, stop)
    return np.asarray(source[start:stop])


def _width(source: Any) -> int:
    """The bytes of a row."""
    return int(np.prod(source.shape[1:], dtype=int)) * np.dtype(source.dtype).itemsize
