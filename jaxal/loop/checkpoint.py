"""Checkpoints: what a loop hands its next round, saved by Orbax and loaded bit for bit."""

import contextlib
import errno
import json
import logging
import math
import os
import shutil
import time
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxal import processes
from jaxal.base import PyTree
from jaxal.checks import is_key
from jaxal.files import claimed, written_whole
from jaxal.loop.identity import check_identity
from jaxal.numerics import key_data
from jaxal.pools import placing

KEPT = 2
"""How many of the newest checkpoints stay: one is left if the other cannot be read."""

_PART = "part"  # of a name that no checkpoint has
_ABOUT, _ARRAYS = "about.json", "arrays"
_OVERHEAD = 2**16  # bytes beside the arrays
_FIRST = 0.2  # seconds that saving is thought to take before it was done once


class Checkpoints:
    """The newest checkpoints of a loop, in a folder that no other process writes to.

    Args:
      folder: is made when the first one is saved.
      identity: JSON values that have to be equal if the loop is to go on, by name.
      share: of the time since now, the most that may go into saving: what would be more is not
        saved. By default everything is.
      together: whether all processes do the same with theirs: then the first of them reads and
        writes, and the others are told what it read.
    """

    def __init__(
        self,
        folder: Path,
        identity: Mapping[str, Any],
        share: float = math.inf,
        *,
        together: bool = False,
    ):
        self.folder, self._identity, self._share = folder, dict(identity), share
        self._together = together
        self._opened, self._spent, self._last = time.monotonic(), 0.0, _FIRST
        if self._writes:
            shutil.rmtree(folder / _PART, ignore_errors=True)  # of a process that was killed

    @property
    def _writes(self) -> bool:
        return processes.is_first() or not self._together

    def save(self, number: int, tree: PyTree, where: Any) -> None:
        """Saves a tree of arrays, unless that would take more than its share of the time.

        Args:
          number: larger than that of any before.
          tree: of arrays and random keys.
          where: a JSON value that `newest` returns with it.

        Raises:
          OSError: it could not be written; the ones before are as they were.
        """
        if not processes.from_first(self._is_due, self._together):
            return
        whole = processes.whole(jax.tree.map(key_data, jax.tree.leaves(tree)))
        with processes.agreed(self._together):
            if self._writes:
                self._write(number, [*map(np.asarray, whole)], where)

    def _is_due(self) -> bool:
        return self._spent + self._last <= self._share * (time.monotonic() - self._opened)

    def _write(self, number: int, arrays: list[np.ndarray], where: Any) -> None:
        start = time.monotonic()
        orbax = _orbax()
        imported = time.monotonic()
        path, part = self.folder / f"{number:08}", self.folder / _PART
        part.mkdir(parents=True, exist_ok=True)
        _check_space(part, sum(array.nbytes for array in arrays))
        about = {"identity": self._identity, "where": where}
        try:
            with _context(orbax), _quiet():
                # Orbax knows no empty arrays.
                kept = {str(place): array for place, array in enumerate(arrays) if array.size}
                _save(orbax, (part / _ARRAYS).absolute(), kept)
            about["files"] = _checksums(part / _ARRAYS)
            with written_whole(part / _ABOUT) as file:
                file.write_text(json.dumps(about))
            shutil.rmtree(path, ignore_errors=True)
            os.rename(part, path)
        except Exception as error:  # tensorstore raises errors of many types
            shutil.rmtree(part, ignore_errors=True)
            raise OSError(f"{path}: the checkpoint cannot be written: {_line(error)}") from error
        for old in self._saved()[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
        end = time.monotonic()
        self._spent, self._last = self._spent + end - start, end - imported

    def newest(
        self, template: PyTree, usable: Callable[[Any], bool] = lambda where: True
    ) -> tuple[Any, PyTree] | None:
        """The newest checkpoint that can be read; those that cannot are dropped, with a warning.

        Args:
          template: a tree of arrays of the same shapes and dtypes, placed as the result is to be.
          usable: tells by `where` it was saved whether a checkpoint serves.

        Returns:
          `where` and the tree, or None if there is none.

        Raises:
          ValueError: it was saved by another loop; says what differs.
        """
        found = processes.from_first(lambda: self._read(usable), self._together)
        return found and (found[0], _placed(found[1], template))

    def _read(self, usable: Callable[[Any], bool]) -> tuple[Any, dict[str, np.ndarray]] | None:
        """`newest`, on the host."""
        for path in reversed(self._saved()):
            try:
                about = json.loads((path / _ABOUT).read_bytes())
                if _checksums(path / _ARRAYS) != about["files"]:
                    raise ValueError("its files are not as they were written")
            except (OSError, ValueError, KeyError, TypeError) as error:
                warnings.warn(
                    f"{path}: this checkpoint cannot be read, and is dropped: {_line(error)}",
                    stacklevel=2,
                )
                shutil.rmtree(path)
                continue
            check_identity(self.folder, about["identity"], self._identity)
            if usable(about["where"]):
                orbax = _orbax()
                with _context(orbax):
                    arrays = orbax.load((path / _ARRAYS).absolute())
                return about["where"], {place: np.asarray(one) for place, one in arrays.items()}
        return None

    def clear(self) -> None:
        """Deletes all."""
        if self._writes:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _saved(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("*") if path.name.isdigit())


@contextlib.contextmanager
def claimed_together(folder: Path, together: bool) -> Iterator[None]:
    """`files.claimed`, for all processes by the first of them if they go together.

    After a block without an error, all go on once the folder is free again.
    """
    with contextlib.ExitStack() as held:
        with processes.agreed(together):
            if processes.is_first() or not together:
                held.enter_context(claimed(folder))
        yield
        with processes.agreed(together):
            held.close()


def _check_space(folder: Path, size: int) -> None:
    """Raises OSError if the disk is too full: Orbax, on a full disk, waits for minutes."""
    if shutil.disk_usage(folder).free < size + _OVERHEAD:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def _save(orbax: Any, path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Has Orbax write arrays, by this process alone."""
    if not processes.are_several():
        orbax.save(path, arrays)
        return
    # `save` of version 1 waits for all processes even if told that one is active: that of 0 does
    # not, and writes what both read.
    from orbax.checkpoint import Checkpointer, PyTreeCheckpointHandler
    from orbax.checkpoint.options import MultiprocessingOptions

    number = jax.process_index()
    alone = MultiprocessingOptions(number, {number}, barrier_sync_key_prefix=f"jaxal_{number}")
    handler = PyTreeCheckpointHandler(multiprocessing_options=alone)
    Checkpointer(handler, multiprocessing_options=alone).save(path, arrays)


def _context(orbax: Any) -> Any:
    context = orbax.Context()
    context.asynchronous.create_directories_asynchronously = False
    context.asynchronous.timeout_secs = 120  # not the twenty minutes of its default
    if processes.are_several():  # or Orbax would wait for the others
        context.multiprocessing.primary_host = jax.process_index()
        context.multiprocessing.active_processes = {jax.process_index()}
    return context


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the traces of Orbax's threads to itself: what failed is raised in one line."""
    logger = logging.getLogger("absl")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _placed(arrays: dict[str, np.ndarray], template: PyTree) -> PyTree:
    """The arrays in the tree of the template, on its devices."""
    leaves, structure = jax.tree.flatten(template)
    placed = []
    for place, leaf in enumerate(leaves):
        empty = np.zeros(leaf.shape, jnp.float32 if is_key(leaf) else leaf.dtype)
        array = arrays.get(str(place), empty)
        if is_key(leaf):
            impl = jax.random.key_impl(leaf)
            array = jax.random.wrap_key_data(jnp.asarray(array), impl=impl)
        if (array.shape, array.dtype) != (leaf.shape, leaf.dtype):
            raise ValueError(
                f"expected {leaf.dtype}{list(leaf.shape)}, got {array.dtype}{list(array.shape)}"
            )
        # An array that is bound to no device stays so, and finds the program compiled for it.
        bound = leaf.committed
        placed.append(placing.put(array, leaf.sharding) if bound else jnp.asarray(array))
    return jax.tree.unflatten(structure, placed)


def _checksums(folder: Path) -> dict[str, int]:
    """The CRC-32 of every file in a folder: Orbax does not notice a bit that flipped."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): zlib.crc32(path.read_bytes()) for path in files}


def _line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _orbax() -> Any:
    # Takes a fifth of a second to import: only who saves waits for it.
    import orbax.checkpoint.experimental.v1 as orbax

    return orbax
