"""The manifest of a pool on disk: which files hold its rows, in which order, with their hashes.

    {
      "format": "jaxal pool", "version": 1,
      "rows": 1000000, "row_shape": [64], "dtype": "float32",
      "shards": [
        {"rows": 500000,
         "features": {"file": "features-00000.npy", "sha256": "..."},
         "ids": {"file": "ids-00000.npy", "sha256": "..."}},
        ...
      ],
      "labels": {"file": "labels.npy", "sha256": "..."},
      "encoder": {"name": "clip-vit-b32", "revision": "3d74acf"}
    }

The number of a row is its place in the order of the shards, for ever. `ids`, `labels` and `encoder`
may be absent. A dtype of int8 comes with `scale` and `offset`, a number for each entry of a row:
the features are `offset + scale * stored`. Files of bfloat16, which NumPy does not know, hold its
bits as uint16. In place of a .npy file the features of a shard may be a folder, a zarr3 array of
the dtype itself; `checks.digest_file` says what its SHA-256 is of.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxal.checks import check_name
from jaxal.files import written_whole

MANIFEST = "manifest.json"
FORMAT, VERSION = "jaxal pool", 1
STORED = {"float32": "<f4", "float16": "<f2", "bfloat16": "<u2", "int8": "|i1", "uint8": "|u1"}
"""How NumPy names the numbers in the files, by dtype of the features."""


@dataclass(frozen=True)
class File:
    """A file of the directory, and the SHA-256 of its bytes."""

    file: str
    sha256: str


@dataclass(frozen=True)
class Shard:
    """Rows that lie in one file, or in two with their ids."""

    rows: int
    features: File
    ids: File | None = None


@dataclass(frozen=True)
class Manifest:
    """What is in a pool on disk; see the module for its JSON."""

    row_shape: tuple[int, ...]
    dtype: str  # of the features: a key of `STORED`
    shards: tuple[Shard, ...]
    labels: File | None = None
    encoder: Mapping[str, str] | None = None  # name, revision
    scale: tuple[float, ...] | None = None  # of int8
    offset: tuple[float, ...] | None = None

    @property
    def rows(self) -> int:
        """N."""
        return sum(shard.rows for shard in self.shards)

    @property
    def files(self) -> tuple[File, ...]:
        """All files but the manifest."""
        parts = [file for shard in self.shards for file in (shard.features, shard.ids)]
        return tuple(file for file in (*parts, self.labels) if file is not None)

    @property
    def digest(self) -> str:
        """The SHA-256 of the manifest, which stands for all that it lists."""
        return hashlib.sha256(json.dumps(_to_json(self), sort_keys=True).encode()).hexdigest()


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Writes the file, whole or not at all."""
    with written_whole(folder / MANIFEST) as part:
        part.write_text(json.dumps(_to_json(manifest), indent=1) + "\n", encoding="utf-8")


def _to_json(manifest: Manifest) -> dict[str, Any]:
    def present(**values: Any) -> dict[str, Any]:
        return {name: value for name, value in values.items() if value is not None}

    def of_file(file: File | None) -> dict[str, str] | None:
        return None if file is None else vars(file)

    shards = [
        present(rows=one.rows, features=of_file(one.features), ids=of_file(one.ids))
        for one in manifest.shards
    ]
    return present(
        format=FORMAT,
        version=VERSION,
        rows=manifest.rows,
        row_shape=list(manifest.row_shape),
        dtype=manifest.dtype,
        scale=None if manifest.scale is None else list(manifest.scale),
        offset=None if manifest.offset is None else list(manifest.offset),
        shards=shards,
        labels=of_file(manifest.labels),
        encoder=None if manifest.encoder is None else dict(manifest.encoder),
    )


def read_manifest(folder: Path) -> Manifest:
    """Reads and checks the manifest of a directory; the files that it lists are not looked at.

    Raises:
      FileNotFoundError: no manifest.
      ValueError: a manifest that is none, of another version, or that contradicts itself; says the
        file and the key.
    """
    path = folder / MANIFEST
    text = path.read_text(encoding="utf-8")
    try:
        given = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON, got {error}") from None
    try:
        return _from_json(given)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from None


KEYS = {"format", "version", "rows", "row_shape", "dtype", "scale", "offset", "shards", "labels"}
KEYS |= {"encoder"}


def _from_json(given: Any) -> Manifest:
    if not isinstance(given, dict) or given.get("format") != FORMAT:
        raise ValueError(f'format: expected "{FORMAT}"')
    if given.get("version") != VERSION:
        raise ValueError(f"version: expected {VERSION}, got {given.get('version')!r}")
    for key in given:
        check_name("key", key, KEYS)
    shape, shards = given.get("row_shape"), given.get("shards")
    if not (isinstance(shape, list) and all(_is_count(size) for size in shape)):
        raise ValueError(f"row_shape: expected a list of integers from 1, got {shape!r}")
    if not (isinstance(shards, list) and shards):
        raise ValueError("shards: expected a list of at least one")
    check_name("dtype", given.get("dtype", ""), STORED)
    encoder = given.get("encoder")
    if encoder is not None and not _is_encoder(encoder):
        raise ValueError(f"encoder: expected an object with texts, got {encoder!r}")
    manifest = Manifest(
        tuple(shape),
        given["dtype"],
        tuple(_shard(f"shards[{i}]", shard) for i, shard in enumerate(shards)),
        _file("labels", given.get("labels")),
        encoder,
        _numbers("scale", given, math.prod(shape)),
        _numbers("offset", given, math.prod(shape)),
    )
    if given.get("rows") != manifest.rows:
        raise ValueError(f"rows: expected {manifest.rows}, as the shards have, got {given['rows']}")
    names = [file.file for file in manifest.files]
    if len(set(names)) < len(names):
        twice = max(names, key=names.count)
        raise ValueError(f"shards: expected each file once, got {twice!r} more often")
    if len({shard.ids is None for shard in manifest.shards}) > 1:
        raise ValueError("ids: expected of every shard or of none")
    return manifest


def _shard(where: str, given: Any) -> Shard:
    if not isinstance(given, dict) or not _is_count(given.get("rows")):
        raise ValueError(f"{where} rows: expected an integer from 1")
    features = _file(f"{where} features", given.get("features"))
    if features is None:
        raise ValueError(f"{where} features: expected a file")
    return Shard(given["rows"], features, _file(f"{where} ids", given.get("ids")))


def _file(where: str, given: Any) -> File | None:
    if given is None:
        return None
    if not (isinstance(given, dict) and set(given) == {"file", "sha256"} and _are_texts(given)):
        raise ValueError(f'{where}: expected {{"file": ..., "sha256": ...}}, got {given!r}')
    if Path(given["file"]).name != given["file"]:
        raise ValueError(f"{where}: expected the name of a file here, got {given['file']!r}")
    return File(**given)


def _numbers(key: str, given: Mapping[str, Any], count: int) -> tuple[float, ...] | None:
    """What int8 is scaled by; None of other types."""
    values = given.get(key)
    if given["dtype"] != "int8":
        if values is not None:
            raise ValueError(f"{key}: expected none, as the dtype is {given['dtype']}")
        return None
    if not isinstance(values, list) or len(values) != count or not all(map(_is_number, values)):
        raise ValueError(f"{key}: expected {count} finite numbers, one for each entry of a row")
    return tuple(map(float, values))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _are_texts(values: Mapping[Any, Any]) -> bool:
    return all(isinstance(value, str) for value in values.values())


def _is_encoder(given: Any) -> bool:
    return isinstance(given, dict) and _are_texts(given)
