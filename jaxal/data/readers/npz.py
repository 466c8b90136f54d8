"""Archives of NumPy arrays, mapped into memory where they are not compressed."""

import contextlib
import math
import mmap
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib.npyio import NpzFile

from jaxal.checks import describe
from jaxal.data.readers.paths import find
from jaxal.data.readers.pictures import decode
from jaxal.data.readers.registry import Table, source

KEYS = (  # the first whose keys are all there
    ("inputs", "labels"),
    ("train_inputs", "train_labels", "test_inputs", "test_labels"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_test", "y_test"),
)
ENCODED = (
    *("train_jpeg", "train_offsets", "train_labels"),
    *("test_jpeg", "test_offsets", "test_labels"),
)

UNREADABLE = (ValueError, OSError, EOFError, MemoryError, NotImplementedError, RuntimeError)
UNREADABLE += (zipfile.BadZipFile, zlib.error)
"""What reading a damaged archive raises."""


@source("npz")
def read_npz(path: str, *, folder: Path | None = None) -> Table:
    """Reads an .npz file.

    What `numpy.savez` wrote stays on the disk until it is used; `savez_compressed` is read whole.

    Args:
      path: the file. It holds `inputs` and `labels`, or a test part of its own: `train_inputs`,
        `train_labels`, `test_inputs`, `test_labels`, or the same with `images`, or `x_train`,
        `y_train`, `x_test`, `y_test`. Or it holds images as the bytes of JPEG or PNG files, one
        after the other: `train_jpeg` uint8 [bytes], `train_offsets` [N + 1], where each begins and
        the last ends, `train_labels` [N], and the same with `test`. It may hold `class_names` [C].
      folder: where a relative path is looked for after the working directory.

    Returns:
      Its arrays.

    Raises:
      FileNotFoundError: no such file.
      ValueError: a file without the keys above, one that is no .npz archive, or damaged or pickled
        arrays; names the file.
    """
    file = find(path, folder)
    with archive_in(file) as archive:
        return _table(archive, file)


@contextlib.contextmanager
def archive_in(file: Path) -> Iterator[NpzFile]:
    """The archive in a file; raises ValueError if there is none."""
    with file.open("rb") as stream:  # of an archive that is damaged, NumPy would leave it open
        try:
            archive = NpzFile(stream, allow_pickle=False)
        except UNREADABLE as error:
            raise ValueError(f"{file}: expected an .npz archive, got {error}") from None
        with archive:
            yield archive


def _table(archive: NpzFile, file: Path) -> Table:
    """The arrays of the first of `KEYS` that are there, or the pictures."""
    names = None
    if "class_names" in archive.files:
        names = tuple(map(str, array_at(archive, "class_names", file)))
    for keys in KEYS:
        if set(keys) <= set(archive.files):
            arrays = [array_at(archive, key, file) for key in keys]
            train, *held_out = zip(arrays[::2], arrays[1::2], strict=True)
            return Table(train, held_out[0] if held_out else None, names)
    if set(ENCODED) <= set(archive.files):
        arrays = [array_at(archive, key, file) for key in ENCODED]
        train = _decoded(arrays[:3], f"{file} train")
        return Table(train, _decoded(arrays[3:], f"{file} test"), names)
    expected = "; or ".join(", ".join(keys) for keys in (*KEYS, ENCODED))
    got = ", ".join(archive.files) or "none"
    raise ValueError(f"{file}: expected the keys {expected}; got {got}")


def array_at(archive: Any, key: str, file: Path) -> np.ndarray:
    """An array of an archive, whose errors name the file and the key; nothing is unpickled."""
    expected = f"{file}: expected an array of numbers at {key!r}"
    try:
        mapped = _mapped(archive.zip, f"{key}.npy", file)
        array = archive[key] if mapped is None else mapped
    except UNREADABLE as error:
        raise ValueError(f"{expected}, got a damaged or pickled one: {error}") from None
    if not isinstance(array, np.ndarray):  # NumPy returns what is no array as bytes
        raise ValueError(f"{expected}, got {describe(array)}")
    return array


def _mapped(archive: zipfile.ZipFile, name: str, file: Path) -> np.ndarray | None:
    """An array that stays on the disk; None of one that is compressed, empty or of objects."""
    member = archive.getinfo(name) if name in archive.namelist() else None
    if member is None or member.compress_type != zipfile.ZIP_STORED or not member.file_size:
        return None
    with file.open("rb") as stream:
        # The local header's own lengths count: the directory's may differ.
        stream.seek(member.header_offset + 26)
        lengths = np.frombuffer(stream.read(4), "<u2")
        begin = member.header_offset + 30 + int(lengths.sum())
        stream.seek(begin)
        header = _header(stream)
        if header is None or header[2].hasobject or 0 in header[0]:
            return None
        shape, fortran, dtype = header
        offset = stream.tell()
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    if zlib.crc32(memoryview(mapped)[begin : begin + member.file_size]) != member.CRC:
        raise zipfile.BadZipFile(f"bad checksum of {name}")
    values = np.frombuffer(mapped, dtype, math.prod(shape), offset)
    return values.reshape(shape, order="F" if fortran else "C")


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype] | None:
    """Shape, order and type of an array in a file; None where NumPy alone can tell."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(stream)
    return None


def _decoded(arrays: Sequence[np.ndarray], where: str) -> tuple[np.ndarray, np.ndarray]:
    """Images [N, H, W, C] from the bytes of their files, and their labels."""
    blob, offsets, labels = arrays
    if blob.dtype != np.uint8 or offsets.ndim != 1 or not np.issubdtype(offsets.dtype, np.integer):
        raise ValueError(
            f"{where}: expected bytes uint8 and offsets [N + 1] of integers, "
            f"got {describe(blob)} and {describe(offsets)}"
        )
    if len(offsets) != len(labels) + 1 or (np.diff(offsets) < 0).any() or offsets[-1] > len(blob):
        raise ValueError(
            f"{where}: expected {len(labels) + 1} offsets, rising up to at most {len(blob)}"
        )
    rows = zip(offsets[:-1], offsets[1:], strict=True)
    files = ((f"{where} row {row}", blob[a:b].tobytes()) for row, (a, b) in enumerate(rows))
    return decode(files, len(labels)), labels
