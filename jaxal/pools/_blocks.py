"""The rows of sources on their way to the devices: block after block, read ahead."""

import functools
import math
import mmap
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding

from jaxal.base import PyTree
from jaxal.numerics import num_rows
from jaxal.pools._read_ahead import read_ahead
from jaxal.pools.directory.reader import Directory, read_into
from jaxal.pools.memory import batch_rows
from jaxal.rows import DATA, SHARED

IN_FLIGHT = 2
"""Blocks that a device may have received and not worked on yet."""


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
        self._rooms = Rooms()

    def fold(self, step: Callable[[Any, Place, PyTree], tuple[Any, jax.Array]], found: Any) -> Any:
        """What comes of all blocks, each read while those before are computed on.

        Args:
          step: (found, place, block) -> found, and an array that is there once the block has been
            used.
          found: before the first.
        """
        waiting = deque()

        def wait() -> None:
            jax.block_until_ready(waiting.popleft())
            self.release()

        for place, block in zip(self.places, self, strict=True):
            found, done = step(found, place, block)
            # JAX would queue all blocks at once, and so keep them all.
            waiting.append(done)
            if len(waiting) > IN_FLIGHT:
                wait()
        while waiting:
            wait()
        return found

    def __iter__(self) -> Iterator[PyTree]:
        return read_ahead(self._block, self.places)

    def release(self) -> None:
        """Gives the memory of the first block that has not been released to one that is to come.

        Whatever was computed from it is finished by then: on CPUs its arrays are this memory.
        """
        self._rooms.release()

    def _block(self, place: Place) -> PyTree:
        self._rooms.next_block()
        return jax.tree.map(partial(self._placed, place.start), self.sources)

    def _placed(self, start: int, source: Any) -> jax.Array:
        @functools.cache  # devices that share seeds hold the same rows
        def read(shard: int) -> np.ndarray:
            first, stop = shard * self.own + start, shard * self.own + self.own
            stop = min(first + self.size, stop, self.real)
            room = self._rooms.take((self.size, *source.shape[1:]), np.dtype(source.dtype))
            count = max(stop - first, 0)
            read_rows(room[:count], source, first)
            room[count:] = 0
            return room

        def part(index: Any) -> np.ndarray:
            return read((index[0].start or 0) // self.size)

        if self.mesh is None:
            return jax.device_put(read(0))
        shape = (self.size * self.shards, *source.shape[1:])
        sharding = NamedSharding(self.mesh, SHARED)
        return jax.make_array_from_callback(shape, sharding, part)


class Rooms:
    """Memory of the host that blocks are read into, and again: new one takes longer than reading.

    The thread that reads takes rooms, block after block, and another gives them back.
    """

    def __init__(self) -> None:
        self._free: dict[Any, list[np.ndarray]] = defaultdict(list)
        self._taken: deque[list[np.ndarray]] = deque()

    def next_block(self) -> None:
        """What is taken from now on is of the next block."""
        self._taken.append([])

    def take(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """An array with any contents."""
        free = self._free[shape, dtype]
        room = free.pop() if free else _empty(shape, dtype)
        self._taken[-1].append(room)
        return room

    def release(self) -> None:
        """Gives back what the first of the blocks has taken."""
        for room in self._taken.popleft():
            self._free[room.shape, room.dtype].append(room)


def _empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Pages of its own, which the system has back once nothing needs them.

    They are aligned, so that JAX takes them over uncopied on CPUs. What came from the heap would
    stay there.
    """
    size = math.prod(shape) * dtype.itemsize
    return np.frombuffer(mmap.mmap(-1, max(size, 1)), np.uint8, size).view(dtype).reshape(shape)


def read_rows(found: np.ndarray, source: Any, start: int) -> None:
    """Reads rows that follow one another into an array; a memory map's do not stay in memory.

    Raises:
      ValueError: the source gives something else than so many of its rows.
    """
    if not len(found):
        return
    if isinstance(source, Directory):
        source.read_into(found, start)
    # What is a part of a map does not know where in the file it begins.
    elif (
        isinstance(source, np.memmap)
        and isinstance(source.base, mmap.mmap)
        and source.flags.c_contiguous
    ):
        read_into(found, source, start)
    else:
        stop = start + len(found)
        given = np.asarray(source[start:stop])
        if given.shape != found.shape:
            raise ValueError(
                f"pool inputs: expected {found.shape} for rows {start} to {stop - 1}, "
                f"got {given.shape}"
            )
        np.copyto(found, given)


def _width(source: Any) -> int:
    """The bytes of a row."""
    return int(np.prod(source.shape[1:], dtype=int)) * np.dtype(source.dtype).itemsize
