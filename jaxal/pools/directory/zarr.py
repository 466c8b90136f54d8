"""zarr3 arrays, read by tensorstore: features of a pool on disk that are no NumPy files.

A folder with a zarr.json is opened as a pool by itself, of which no hashes are known; or a manifest
names it where it would name a .npy file.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from jaxal.pools.directory.manifest import STORED, File, Manifest, Shard

METADATA = "zarr.json"
"""The file that makes a folder a zarr3 array."""


class ZarrRows:
    """The rows of a zarr3 array, read chunk by chunk, in the type that a manifest stores.

    A chunk that is not there is an error: zarr would say that it holds the fill value.

    Attributes:
      features: the name of their type, as in a manifest.
      shape: (N, ...).
      dtype: of what is read, bits of bfloat16 as uint16.
    """

    def __init__(self, path: Path):
        self.path, self._store = path, _opened(path)
        self.shape: tuple[int, ...] = tuple(self._store.shape)
        self.features = self._store.dtype.name
        if self.features not in STORED:
            raise ValueError(f"{path}: expected {', '.join(STORED)}, got {self.features}")
        if not self.shape or self.shape[0] < 1:
            raise ValueError(f"{path}: expected rows [N, ...], got an array {list(self.shape)}")
        self.dtype = np.dtype(STORED[self.features])

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Of all rows, before they are compressed."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Rows by a slice with step 1, or by integers [n]."""
        try:
            found = self._store[rows].read().result()
        except ValueError as error:
            raise OSError(f"{self.path}: {error}") from None
        return np.ascontiguousarray(found).view(self.dtype)


def _opened(path: Path) -> Any:
    try:
        import tensorstore
    except ModuleNotFoundError as error:
        if error.name != "tensorstore":
            raise
        raise ModuleNotFoundError(
            f"{path}: a zarr3 array needs the package tensorstore; pip install 'jaxal[zarr]'",
            name="tensorstore",
        ) from None
    wanted = {
        "driver": "zarr3",
        "kvstore": {"driver": "file", "path": f"{path.absolute()}/"},
        "fill_missing_data_reads": False,
    }
    try:
        return tensorstore.open(wanted, open=True, read=True).result()
    except ValueError as error:
        reason = str(error).partition(" [tensorstore_spec")[0]
        raise ValueError(f"{path}: expected a zarr3 array, got {reason}") from None


def is_zarr(path: Path) -> bool:
    """Whether a folder is a zarr3 array."""
    return (path / METADATA).is_file()


def alone(path: Path, rows: ZarrRows) -> Manifest:
    """The manifest of a zarr3 array that none names; its digest is that of `listing`."""
    if rows.features == "int8":
        raise ValueError(f"{path}: expected a manifest that says the scale of int8, got none")
    shard = Shard(len(rows), File(METADATA, listing(path)))
    return Manifest(rows.shape[1:], rows.features, (shard,))


def listing(path: Path) -> str:
    """The SHA-256 of the array's zarr.json and of the names and sizes of its files: no pass."""
    total = hashlib.sha256((path / METADATA).read_bytes())
    for file in sorted(path.rglob("*")):
        if file.is_file():
            total.update(f"{file.relative_to(path).as_posix()} {file.stat().st_size}\n".encode())
    return total.hexdigest()


def check_zarr(where: Path, shape: tuple[int, ...], dtype: str) -> ZarrRows:
    """The rows of a zarr3 array, once it is seen that it is the one of the manifest."""
    rows = ZarrRows(where)
    if rows.shape != shape or rows.features != dtype:
        raise ValueError(f"{where}: expected {dtype} {shape}, got {rows.features} {rows.shape}")
    return rows
