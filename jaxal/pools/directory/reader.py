"""Pools on disk, read: rows by slices and by numbers, ids, labels, and the check of all bytes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from jaxal.checks import as_integers
from jaxal.pools.directory.checks import digest_file, repeated
from jaxal.pools.directory.manifest import MANIFEST, STORED, File, Manifest, read_manifest
from jaxal.pools.directory.zarr import METADATA, ZarrRows, alone, check_zarr, is_zarr, listing


class Directory:
    """A pool on disk. Reading takes the memory of what is read, and nothing stays in it.

        pool = jaxal.pools.open("pool")
        pool.shape            # (1_000_000, 64)
        pool[:1000]           # the first thousand rows, [1000, 64]
        pool[[5, 3, 999_999]]

    Attributes:
      path: the folder.
      manifest: what it lists.
      labels: [N] int32, -1 where unknown; None if the pool has none.
    """

    def __init__(self, path: Path, manifest: Manifest, arrays: list[Any], ids: Any):
        self.path, self.manifest = path, manifest
        self._arrays, self._ids = arrays, ids
        self._ends = np.cumsum([shard.rows for shard in manifest.shards])
        self.labels: np.ndarray | None = None

    def __len__(self) -> int:
        return self.manifest.rows

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, ...), as of an array of the features."""
        return (len(self), *self.manifest.row_shape)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype:
        """Of the features as they are read: float32 where int8 is stored."""
        name = self.manifest.dtype
        return np.dtype({"int8": "float32", "bfloat16": ml_dtypes.bfloat16}.get(name, name))

    @property
    def digest(self) -> str:
        """The SHA-256 of the manifest, which stands for the rows, the ids and the labels."""
        return self.manifest.digest

    @property
    def nbytes(self) -> int:
        """Bytes of the features as they are stored."""
        return sum(array.nbytes for array in self._arrays)

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Reads rows.

        Args:
          rows: a slice with step 1, or integers [n] from 0, in any order.

        Returns:
          [n, ...].

        Raises:
          IndexError: a row that is not in the pool.
          TypeError: no slice and no integers.
          ValueError: a slice with another step.
        """
        return self._decoded(self._read(self._arrays, rows))

    def read_into(self, found: np.ndarray, start: int) -> None:
        """Reads the rows from `start` on into an array [n, ...] of their type, in C order."""
        if self.manifest.dtype == "int8":  # which is stored otherwise than it is given
            found[:] = self[start : start + len(found)]
        else:
            stored = np.dtype(STORED[self.manifest.dtype])
            self._slice_into(found.view(stored), self._arrays, start)

    def ids(self, rows: Any = slice(None)) -> np.ndarray:
        """The ids of rows [n], integers or bytes; the row's numbers where the pool has no ids.

        Args:
          rows: as of `pool[rows]`; all if not given.
        """
        if self._ids is not None:
            return self._read(self._ids, rows)
        if isinstance(rows, slice):
            return np.arange(*_bounds(rows, len(self)))
        return _checked(rows, len(self))

    def check(self, advance: Callable[[str], None] | None = None) -> None:
        """Reads every byte and compares it with the manifest; ids have to differ.

        Args:
          advance: is told the name of each file before it is read.

        Raises:
          ValueError: a file that has changed, or an id that comes twice; says which.
        """
        for file in self.manifest.files:
            if advance is not None:
                advance(file.file)
            where = self.path / file.file
            # Of a zarr3 array without a manifest the names and sizes of its files are known.
            digest = listing(self.path) if file.file == METADATA else digest_file(where)
            if digest != file.sha256:
                raise ValueError(
                    f"{self.path / file.file}: has changed since the manifest was written, or is "
                    "damaged: its SHA-256 differs"
                )
        if self._ids is not None and (twice := repeated(self.ids())) is not None:
            raise ValueError(f"{self.path}: expected ids that differ, got {twice!r} twice")

    def _read(self, arrays: list[Any], rows: Any) -> np.ndarray:
        if isinstance(rows, slice):
            return self._slice(arrays, *_bounds(rows, len(self)))
        rows = _checked(rows, len(self))
        shards = np.searchsorted(self._ends, rows, side="right")
        found = np.empty((len(rows), *arrays[0].shape[1:]), arrays[0].dtype)
        for shard in np.unique(shards):
            here = shards == shard
            found[here] = rows_at(arrays[shard], rows[here] - self._begin(shard))
        return found

    def _slice(self, arrays: list[Any], start: int, stop: int) -> np.ndarray:
        found = np.empty((stop - start, *arrays[0].shape[1:]), arrays[0].dtype)
        self._slice_into(found, arrays, start)
        return found

    def _slice_into(self, found: np.ndarray, arrays: list[Any], start: int) -> None:
        for shard, array in enumerate(arrays):
            first = self._begin(shard)
            low, high = max(start, first), min(start + len(found), first + len(array))
            if low < high:
                read_into(found[low - start : high - start], array, low - first)

    def _begin(self, shard: int) -> int:
        return int(self._ends[shard]) - self.manifest.shards[shard].rows

    def _decoded(self, stored: np.ndarray) -> np.ndarray:
        if self.manifest.dtype == "bfloat16":
            return stored.view(ml_dtypes.bfloat16)
        if self.manifest.dtype != "int8":
            return stored
        scale, offset = (
            np.asarray(values, np.float32).reshape(self.manifest.row_shape)
            for values in (self.manifest.scale, self.manifest.offset)
        )
        return offset + scale * stored


def _bounds(rows: slice, total: int) -> tuple[int, int]:
    """The first row of a slice, and the one past the last."""
    start, stop, step = rows.indices(total)
    if step != 1:
        raise ValueError(f"rows: expected a slice with step 1, got {step}")
    return start, max(start, stop)


def _checked(rows: Any, total: int) -> np.ndarray:
    """Numbers of rows [n], each from 0 to total - 1."""
    rows = as_integers("rows", rows, "[n]")
    wrong = (rows < 0) | (rows >= total)
    if wrong.any():
        raise IndexError(f"rows: expected 0 to {total - 1}, got {rows[wrong][0]}")
    return rows


def read_into(found: np.ndarray, array: Any, start: int) -> None:
    """Rows that follow one another, read from the file: mapped pages would stay in memory.

    Args:
      found: [n, ...] in C order, what they are read into.
      array: [N, ...] in C order; a memory map is the whole of one, and no part.
      start: the first row.
    """
    if not isinstance(array, np.memmap) or array.filename is None:
        found[:] = array[start : start + len(found)]
        return
    bytes_of: Any = found.reshape(-1).view(np.uint8)
    with open(array.filename, "rb", buffering=0) as file:
        file.seek(array.offset + start * array[:1].nbytes)
        while len(bytes_of):
            count = file.readinto(bytes_of)
            if not count:
                raise OSError(f"{array.filename}: ends before row {start + len(found) - 1}")
            bytes_of = bytes_of[count:]


def rows_at(array: Any, rows: np.ndarray) -> np.ndarray:
    """Rows by their numbers [n], read from the file one by one: each would map 64 KiB around it.

    Args:
      array: [N, ...] in C order; a memory map is the whole of one, and no part.
      rows: [n] integers.
    """
    if not isinstance(array, np.memmap) or array.filename is None:
        return array[rows]
    found = np.empty((len(rows), *array.shape[1:]), array.dtype)
    width = array[:1].nbytes
    with open(array.filename, "rb", buffering=0) as file:
        rows_of_bytes: Any = found.reshape(len(rows), -1).view(np.uint8)
        for row, into in zip(rows.tolist(), rows_of_bytes, strict=True):
            file.seek(array.offset + row * width)
            if file.readinto(into) != width:
                raise OSError(f"{array.filename}: expected {width} bytes of row {row}, got fewer")
    return found


def open_directory(path: str | Path) -> Directory:
    """Opens a pool on disk, as `pools.create` or any other tool wrote it, or a zarr3 array.

    The sizes and types of all files are looked at, their bytes are not: `Directory.check` does. A
    zarr3 array without a manifest has no labels and no ids, and is known again by its zarr.json and
    the names and sizes of its files.

    Args:
      path: the folder. zarr3 arrays, by themselves or in a manifest, need the extra `zarr`.

    Returns:
      `Directory`, whose rows are read when they are asked for.

    Raises:
      FileNotFoundError: no manifest, or a file that is not there; names it.
      ValueError: a manifest or a file that is damaged, or that differ; names the file.
      ModuleNotFoundError: a zarr3 array, and no package that reads it.
    """
    path = Path(path)
    if is_zarr(path):
        rows = ZarrRows(path)
        return Directory(path, alone(path, rows), [rows], None)
    if not (path / MANIFEST).exists():
        raise FileNotFoundError(f"{path}: expected a pool, but there is no {MANIFEST}")
    manifest = read_manifest(path)
    stored = np.dtype(STORED[manifest.dtype])
    features, ids = [], []
    for shard in manifest.shards:
        shape = (shard.rows, *manifest.row_shape)
        where = path / shard.features.file
        if where.is_dir():
            features.append(check_zarr(where, shape, manifest.dtype))
        else:
            features.append(_mapped(path, shard.features, shape, stored))
        if shard.ids is not None:
            ids.append(_ids(path, shard.ids, shard.rows))
    if len({array.dtype for array in ids}) > 1:
        raise ValueError(f"{path}: expected ids of one type in all shards")
    pool = Directory(path, manifest, features, ids or None)
    if manifest.labels is not None:
        pool.labels = _mapped(path, manifest.labels, (len(pool),), np.dtype("<i4"))
    return pool


def _ids(path: Path, file: File, rows: int) -> np.ndarray:
    array = _mapped(path, file, (rows,), None)
    if array.dtype.kind not in "iuS":
        raise ValueError(f"{path / file.file}: expected integers or bytes, got {array.dtype}")
    return array


def _mapped(path: Path, file: File, shape: tuple[int, ...], dtype: np.dtype | None) -> np.ndarray:
    """An array that stays in its file, once it is seen that it is the one of the manifest."""
    where = path / file.file
    try:
        array = np.load(where, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise FileNotFoundError(f"{where}: is in the manifest, but not there") from None
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{where}: expected an array in a .npy file, got {error}") from None
    expected = f"{dtype or 'ids'} {shape}"
    if not isinstance(array, np.memmap) or not array.flags.c_contiguous:
        raise ValueError(f"{where}: expected {expected} in C order")
    if array.shape != shape or (dtype is not None and array.dtype != dtype):
        raise ValueError(f"{where}: expected {expected}, got {array.dtype} {array.shape}")
    size, wanted = where.stat().st_size, array.offset + array.nbytes
    if size != wanted:
        raise ValueError(f"{where}: expected {wanted} bytes, got {size}")
    return array
