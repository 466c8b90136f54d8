"""Pools on disk, written: shard by shard, so that what was cut off goes on where it was."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxal import entry
from jaxal.checks import check_integer, describe
from jaxal.files import written_whole
from jaxal.pools.directory.checks import check_known, digest_array, digest_file, not_finite
from jaxal.pools.directory.manifest import MANIFEST, STORED, File, Manifest, Shard, write_manifest
from jaxal.pools.directory.reader import Directory, open_directory

BEGUN = "unfinished.json"
"""Says what an unfinished pool is to hold."""

SHARD_ROWS = 2**18
"""Rows of a file where nothing else is asked for."""


class Written(NamedTuple):
    """A shard that is finished, as its marker says."""

    shard: Shard
    dtype: str
    row_shape: tuple[int, ...]


@entry.checked(shard_rows=entry.integer(1), resume=entry.flag)
def create(
    path: str | Path,
    features: Any,
    *,
    ids: Any = None,
    labels: Any = None,
    shard_rows: int = SHARD_ROWS,
    encoder: Mapping[str, str] | None = None,
    resume: bool = False,
) -> Directory:
    """Writes a pool on disk.

    A file is written at a time, and the manifest last: until then there is no pool. Memory is that
    of one file.

    Args:
      path: the folder, made if need be.
      features: [N, ...], whatever has a length and is sliced by rows: an array, a memory map, a
        `Directory`; float32, float16, bfloat16 or uint8.
      ids: [N] integers or bytes by which others know the rows, no two alike; without them, a row
        is known by its number.
      labels: [N] integers, -1 where unknown.
      shard_rows: rows of a file.
      encoder: what made the features, as {"name": ..., "revision": ...}.
      resume: keep the files that an unfinished `create` left in the folder. It is for the caller to
        see to it that the features are the same.

    Returns:
      The pool, opened.

    Raises:
      FileExistsError: the folder holds a pool, or, without `resume`, an unfinished one.
      TypeError: features of another type, or ids or labels that are none.
      ValueError: no rows, ids or labels of another number, ids that come twice, labels below -1;
        features with a NaN or an infinity, and says where; with `resume`, another pool than
        the one that was begun.
    """
    path = Path(path)
    if not hasattr(features, "dtype"):
        raise TypeError(f"features: expected an array [N, ...], got {describe(features)}")
    _dtype(features)
    rows = len(features)
    check_known(ids, labels, rows)
    if (path / MANIFEST).exists():
        raise FileExistsError(f"{path}: holds a pool already")
    if not resume and (path / BEGUN).exists():
        raise FileExistsError(f"{path}: holds an unfinished pool; resume=True goes on with it")
    begin(path, rows, shard_rows, encoder, ids=ids, labels=labels)
    for number, start in enumerate(range(0, rows, shard_rows)):
        stop = min(start + shard_rows, rows)
        if read_marker(path, number) is None:
            some = None if ids is None else ids[start:stop]
            write_shard(path, number, features[start:stop], ids=some)
    return finish(path, -(-rows // shard_rows), labels=labels, encoder=encoder)


def begin(
    path: Path,
    rows: int,
    shard_rows: int,
    encoder: Mapping[str, str] | None,
    *,
    ids: Any,
    labels: Any,
) -> None:
    """Makes the folder of a pool, and says in it what is to be written.

    Args:
      path: the folder.
      rows: N.
      shard_rows: rows of a file.
      encoder: what makes the features, or None.
      ids: [N], or None.
      labels: [N], or None.

    Raises:
      ValueError: another pool was begun there; says what differs.
    """
    wanted = {"rows": rows, "shard_rows": shard_rows, "encoder": encoder and dict(encoder)}
    for name, values in {"ids": ids, "labels": labels}.items():
        digest = values if values is None else digest_array(np.asarray(values))
        wanted[f"SHA-256 of the {name}"] = digest
    path.mkdir(parents=True, exist_ok=True)
    if not (path / BEGUN).exists():
        with written_whole(path / BEGUN) as part:
            part.write_text(json.dumps(wanted), encoding="utf-8")
        return
    begun = json.loads((path / BEGUN).read_text(encoding="utf-8"))
    for key, value in wanted.items():
        if begun.get(key) != value:
            raise ValueError(
                f"{path}: holds an unfinished pool whose {key} is {begun.get(key)!r}, not {value!r}"
            )


def write_shard(path: str | Path, number: int, features: Any, *, ids: Any = None) -> None:
    """Writes one file of a pool, and a marker beside it once it is whole.

    Different processes may write different shards of one pool; one of them calls `finish`.

    Args:
      path: the folder, made if need be.
      number: of the shard, from 0: its place in the order of the rows.
      features: [n, ...].
      ids: [n] integers or bytes, or None.

    Raises:
      TypeError, ValueError: features or ids that cannot be written, as of `create`.
    """
    path = Path(path)
    check_known(ids, None, len(features))
    path.mkdir(parents=True, exist_ok=True)
    features = np.asarray(features)
    dtype = _dtype(features)
    if (row := not_finite(features)) is not None:
        raise ValueError(
            f"features: expected finite numbers, got NaN or inf in row {row} of shard {number}"
        )
    files = {"features": _write(path, f"features-{number:05d}.npy", _as_stored(features, dtype))}
    if ids is not None:
        files["ids"] = _write(path, f"ids-{number:05d}.npy", np.asarray(ids))
    marker = {"rows": len(features), "dtype": dtype, "row_shape": features.shape[1:]}
    marker |= {name: vars(file) for name, file in files.items()}
    with written_whole(_marker(path, number)) as part:
        part.write_text(json.dumps(marker), encoding="utf-8")


def read_marker(path: Path, number: int) -> Written | None:
    """The shard, if it is finished."""
    if not _marker(path, number).exists():
        return None
    given = json.loads(_marker(path, number).read_text(encoding="utf-8"))
    ids = File(**given["ids"]) if "ids" in given else None
    shard = Shard(given["rows"], File(**given["features"]), ids)
    return Written(shard, given["dtype"], tuple(given["row_shape"]))


def finish(
    path: str | Path,
    shards: int,
    *,
    labels: Any = None,
    encoder: Mapping[str, str] | None = None,
) -> Directory:
    """Writes the manifest of a pool whose shards are all there, and takes their markers away.

    Args:
      path: the folder.
      shards: how many there are.
      labels: [N] integers, -1 where unknown, or None.
      encoder: what made the features, as {"name": ..., "revision": ...}.

    Returns:
      The pool, opened.

    Raises:
      TypeError: labels that are no integers.
      ValueError: a shard that is not there (says which), shards that differ in the type or shape of
        their rows, or labels that are not those of so many rows.
    """
    check_integer(1, shards=shards)
    path = Path(path)
    written = []
    for number in range(shards):
        one = read_marker(path, number)
        if one is None:
            raise ValueError(f"{path}: expected {shards} shards, but number {number} is not there")
        written.append(one)
    kinds = {(one.dtype, one.row_shape) for one in written}
    if len(kinds) > 1:
        raise ValueError(f"{path}: expected shards of one type and shape, got {sorted(kinds)}")
    check_known(None, labels, sum(one.shard.rows for one in written))
    file = None
    if labels is not None:
        file = _write(path, "labels.npy", np.asarray(labels).astype("<i4"))
    ((dtype, row_shape),) = kinds
    manifest = Manifest(row_shape, dtype, tuple(one.shard for one in written), file, encoder)
    write_manifest(manifest, path)
    for number in range(shards):
        _marker(path, number).unlink(missing_ok=True)
    (path / BEGUN).unlink(missing_ok=True)
    return open_directory(path)


def _marker(path: Path, number: int) -> Path:
    return path / f"features-{number:05d}.json"


def _write(path: Path, name: str, array: np.ndarray) -> File:
    with written_whole(path / name) as part:
        np.save(part, np.ascontiguousarray(array))
        digest = digest_file(part)
    return File(name, digest)


def _dtype(array: Any) -> str:
    """The name of the features' type in a manifest."""
    name = str(array.dtype)
    if name == "int8" or name not in STORED:
        kinds = ", ".join(sorted(set(STORED) - {"int8"}))
        raise TypeError(f"features: expected {kinds}, got {name}")
    return name


def _as_stored(array: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "bfloat16":
        return array.view(np.uint16)
    return array.astype(STORED[dtype], copy=False)
