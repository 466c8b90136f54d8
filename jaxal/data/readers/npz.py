"""Archives of NumPy arrays."""

import zipfile
from pathlib import Path

import numpy as np

from jaxal.data.readers.registry import Table, source

KEYS = (  # the first whose keys are all there
    ("inputs", "labels"),
    ("train_inputs", "train_labels", "test_inputs", "test_labels"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_test", "y_test"),
)


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
      ValueError: a file without the keys above, or that is no .npz archive.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"no such file: {file}")
    if not zipfile.is_zipfile(file):
        raise ValueError(f"{file}: expected an .npz archive")
    with np.load(file, allow_pickle=False) as archive:
        for keys in KEYS:
            if set(keys) <= set(archive.files):
                arrays = [archive[key] for key in keys]
                return Table(*zip(arrays[::2], arrays[1::2], strict=True))
        expected = "; or ".join(", ".join(keys) for keys in KEYS)
        raise ValueError(f"{file}: expected the keys {expected}; got {', '.join(archive.files)}")
