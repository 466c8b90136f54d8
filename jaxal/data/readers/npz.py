"""Archives of NumPy arrays."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from jaxal.checks import describe
from jaxal.data.readers.registry import Table, source

KEYS = (  # the first whose keys are all there
    ("inputs", "labels"),
    ("train_inputs", "train_labels", "test_inputs", "test_labels"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_test", "y_test"),
)


UNREADABLE = (ValueError, OSError, EOFError, MemoryError, NotImplementedError, RuntimeError)
UNREADABLE += (zipfile.BadZipFile, zlib.error)
"""What reading a damaged archive raises."""


@source("npz")
def read_npz(path: str) -> Table:
    """Reads an .npz file.

    Args:
      path: the file. It holds `inputs` and `labels`, or a test part of its own: `train_inputs`,
        `train_labels`, `test_inputs`, `test_labels`, or the same with `images`, or `x_train`,
        `y_train`, `x_test`, `y_test`.

    Returns:
      Its arrays.

    Raises:
      FileNotFoundError: no such file.
      ValueError: a file without the keys above, one that is no .npz archive, or damaged or pickled
        arrays; names the file.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"no such file: {file}")
    if not zipfile.is_zipfile(file):
        raise ValueError(f"{file}: expected an .npz archive")
    try:
        archive = np.load(file, allow_pickle=False)
    except UNREADABLE as error:
        raise ValueError(f"{file}: expected an .npz archive, got {error}") from None
    with archive:
        for keys in KEYS:
            if set(keys) <= set(archive.files):
                arrays = [_array(archive, key, file) for key in keys]
                return Table(*zip(arrays[::2], arrays[1::2], strict=True))
        expected = "; or ".join(", ".join(keys) for keys in KEYS)
        got = ", ".join(archive.files) or "none"
        raise ValueError(f"{file}: expected the keys {expected}; got {got}")


def _array(archive: Any, key: str, file: Path) -> np.ndarray:
    """An array of an archive, whose errors name the file and the key; nothing is unpickled."""
    expected = f"{file}: expected an array of numbers at {key!r}"
    try:
        array = archive[key]
    except UNREADABLE as error:
        raise ValueError(f"{expected}, got a damaged or pickled one: {error}") from None
    if not isinstance(array, np.ndarray):  # NumPy returns what is no array as bytes
        raise ValueError(f"{expected}, got {describe(array)}")
    return array
