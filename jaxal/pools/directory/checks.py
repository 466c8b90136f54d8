"""What is looked at before rows are written to a pool on disk, and digests of what is there."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from jaxal.checks import as_integers, describe
from jaxal.data.checks import LARGEST_LABEL

CHUNK = 2**24
"""Bytes that are hashed at a time."""


def check_known(ids: Any, labels: Any, rows: int) -> None:
    """Checks what is known of N rows.

    Args:
      ids: [N] integers or bytes that differ, or None.
      labels: [N] integers of at least -1, or None.
      rows: N.
    """
    if rows == 0:
        raise ValueError("features: expected at least one row, got none")
    if labels is not None:
        labels = as_integers("labels", labels, "[N]")
        _check_count("labels", labels, rows)
        if (labels < -1).any():
            raise ValueError(f"labels: expected at least -1, got {labels.min()}")
        if (labels > LARGEST_LABEL).any():
            raise ValueError(f"labels: expected at most {LARGEST_LABEL}, got {labels.max()}")
    if ids is None:
        return
    kind = getattr(getattr(ids, "dtype", None), "kind", "")
    if not kind or kind not in "iuS":
        raise TypeError(f"ids: expected an array [N] of integers or bytes, got {describe(ids)}")
    _check_count("ids", ids, rows)
    if (twice := repeated(ids)) is not None:
        raise ValueError(f"ids: expected no two alike, got {twice!r} twice")


def not_finite(features: np.ndarray) -> int | None:
    """The first row of [n, ...] with a NaN or an infinity; None if there is none."""
    finite = np.isfinite(features.reshape(len(features), -1)).all(axis=1)
    return None if finite.all() else int(finite.argmin())


def digest_array(array: np.ndarray) -> str:
    """The SHA-256 of an array [...], its type and its shape, in hexadecimal digits."""
    digest = hashlib.sha256(f"{array.dtype} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _check_count(name: str, values: Any, rows: int) -> None:
    if np.shape(values) != (rows,):
        raise ValueError(f"{name}: expected {rows}, one for each row, got {np.shape(values)}")


def repeated(ids: np.ndarray) -> Any:
    """An id of [N] that comes twice; None if all differ."""
    ordered = np.sort(ids)
    twice = np.flatnonzero(ordered[1:] == ordered[:-1])
    return ordered[twice[0]] if len(twice) else None


def digest_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal digits.

    Of a folder, a zarr3 array, that of a line for each file in it, in the order of their names: the
    name, with slashes, a space, and the SHA-256 of the file.
    """
    digest = hashlib.sha256()
    if path.is_dir():
        names = sorted(one.relative_to(path).as_posix() for one in path.rglob("*") if one.is_file())
        for name in names:
            digest.update(f"{name} {digest_file(path / name)}\n".encode())
        return digest.hexdigest()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
