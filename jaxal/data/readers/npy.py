"""NumPy arrays in files of their own, mapped into memory."""

from pathlib import Path

import numpy as np

from jaxal.data.readers.npz import KEYS, UNREADABLE
from jaxal.data.readers.paths import find
from jaxal.data.readers.registry import Table, source


@source("npy")
def read_npy(path: str, *, folder: Path | None = None, labels: str | None = None) -> Table:
    """Reads .npy files; they stay on the disk until they are used.

    Args:
      path: a folder with `inputs.npy` and `labels.npy`, or with `train_inputs.npy` and so on, by
        the keys of the source `npz`; or the file of the inputs.
      folder: where a relative path is looked for after the working directory.
      labels: the file of the labels, if `path` is that of the inputs; None: `labels.npy` beside it.

    Returns:
      Their arrays.

    Raises:
      FileNotFoundError: a file is not there.
      ValueError: a file that is no array of numbers; names it.
    """
    if path.endswith(".npy"):
        inputs = find(path, folder)
        beside = str(inputs.parent / "labels.npy")
        given = find(beside if labels is None else labels, folder)
        return Table((_array(inputs), _array(given)))
    if labels is not None:
        raise ValueError(f"labels: expected none, as {path} is a folder, got {labels!r}")
    place = find(path, folder, is_folder=True)
    for keys in KEYS:
        files = [place / f"{key}.npy" for key in keys]
        if all(file.is_file() for file in files):
            arrays = [_array(file) for file in files]
            train, *held_out = zip(arrays[::2], arrays[1::2], strict=True)
            return Table(train, held_out[0] if held_out else None)
    expected = "; or ".join(", ".join(f"{key}.npy" for key in keys) for keys in KEYS)
    got = ", ".join(sorted(file.name for file in place.glob("*.npy"))) or "none"
    raise FileNotFoundError(f"{place}: expected {expected}; got {got}")


def _array(file: Path) -> np.ndarray:
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except UNREADABLE as error:
        raise ValueError(f"{file}: expected an array of numbers, got {error}") from None
    if not isinstance(array, np.ndarray):
        array.close()
        raise ValueError(f"{file}: expected an array, got an archive; its source is npz:{file}")
    return array.view(np.ndarray)
