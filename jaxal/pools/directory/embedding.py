"""Features written to a pool on disk by any encoder; what was cut off goes on where it was."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxal import entry, processes
from jaxal.base import PyTree
from jaxal.data.checks import check_structure
from jaxal.numerics import num_rows
from jaxal.pools._read_ahead import read_ahead
from jaxal.pools.directory.checks import check_known, not_finite
from jaxal.pools.directory.manifest import MANIFEST
from jaxal.pools.directory.reader import Directory, open_directory
from jaxal.pools.directory.writer import (
    BEGUN,
    SHARD_ROWS,
    begin,
    finish,
    read_marker,
    write_shard,
)


@entry.checked(batch_size=entry.integer(1), shard_rows=entry.integer(1))
def embed(
    encoder: Callable[[PyTree], Any],
    inputs: PyTree,
    path: str | Path,
    *,
    ids: Any = None,
    labels: Any = None,
    batch_size: int = 1024,
    shard_rows: int = SHARD_ROWS,
    about: Mapping[str, str] | None = None,
    advance: Callable[[int], None] | None = None,
) -> Directory:
    """Writes the features of examples to a pool on disk, file by file.

    Called again after whatever ended it, it goes on with the first file that is not finished; once
    all are, it computes nothing. The next batches are read while one is encoded. Memory is that of
    one file of features and of a few batches.

    Several processes, one program started by `jax.distributed`, all call this with the same
    arguments and a folder that they share: each encodes every P-th file on its own devices, and the
    first writes the manifest. As many or others may go on after one was ended.

    Args:
      encoder: inputs [batch_size, ...] -> features [batch_size, ...], each row by itself; NumPy's
        or JAX's arrays. Batches have all the same size: the last is filled up with its last row.
      inputs: pytree of what has a length and is sliced by rows: arrays, memory maps; or a pool on
        disk.
      path: the folder, made if need be.
      ids: [N] integers or bytes by which others know the rows.
      labels: [N] integers, -1 where unknown.
      batch_size: rows that are encoded at once.
      shard_rows: rows of a file.
      about: the encoder, as {"name": ..., "revision": ...}. An unfinished pool of another is
        refused.
      advance: is told how many rows are done, after each batch and each file that was there.

    Returns:
      The pool, opened.

    Raises:
      TypeError, ValueError: inputs, ids or labels that cannot be used; an encoder that returns
        something else than a row for each row, or NaN or infinity, and says for which row; a folder
        that holds the pool of other rows, ids or labels, or of another encoder. Of several
        processes, arguments that differ or a folder of one's own; all raise what one finds wrong.
    """
    path = Path(path)
    with processes.agreed():
        if not isinstance(inputs, Directory):
            check_structure((inputs, None), "embed")
        rows = num_rows(inputs)
        check_known(ids, labels, rows)
    if processes.are_several():
        sizes = {"batch_size": batch_size, "shard_rows": shard_rows}
        processes.check_same(inputs=rows, about=repr(about), ids=ids, labels=labels, **sizes)

    def begun() -> bool:
        if (path / MANIFEST).exists():
            return False
        begin(path, rows, shard_rows, about, ids=ids, labels=labels)
        return True

    if not processes.from_first(begun):
        with processes.agreed():
            return _found(path, rows, about, ids, labels)
    with processes.agreed():
        if not (path / BEGUN).exists():
            raise ValueError(f"{path}: expected a folder that all processes share")
        for number, rows_here in own_shards(rows, shard_rows).items():
            if read_marker(path, number) is None:
                parts = [*_encoded(encoder, inputs, rows_here, batch_size, advance)]
                some = None if ids is None else ids[rows_here.start : rows_here.stop]
                write_shard(path, number, np.concatenate(parts), ids=some)
            elif advance is not None:
                advance(len(rows_here))

    def finished() -> None:
        finish(path, -(-rows // shard_rows), labels=labels, encoder=about)

    processes.from_first(finished)
    with processes.agreed():
        return open_directory(path)


def own_shards(rows: int, shard_rows: int) -> dict[int, range]:
    """The files that this process writes: their numbers, and the rows of each.

    Args:
      rows: N.
      shard_rows: rows of a file.
    """
    numbers = range(jax.process_index(), -(-rows // shard_rows), jax.process_count())
    return {
        number: range(number * shard_rows, min((number + 1) * shard_rows, rows))
        for number in numbers
    }


def _found(
    path: Path, rows: int, about: Mapping[str, str] | None, ids: Any, labels: Any
) -> Directory:
    """The pool that is there, if it is the one that was to be written."""
    pool = open_directory(path)
    known = np.arange(rows) if ids is None else ids
    same = len(pool) == rows and dict(pool.manifest.encoder or {}) == dict(about or {})
    if not (same and np.array_equal(pool.ids(), known) and _are_alike(pool.labels, labels)):
        raise ValueError(
            f"{path}: holds another pool, of {len(pool)} rows by {pool.manifest.encoder}, or with "
            "other ids or labels"
        )
    return pool


def _are_alike(labels: Any, others: Any) -> bool:
    if labels is None or others is None:
        return labels is others
    return np.array_equal(labels, others)


def _encoded(
    encoder: Callable[[PyTree], Any],
    inputs: PyTree,
    rows: range,
    batch_size: int,
    advance: Callable[[int], None] | None,
) -> Iterator[np.ndarray]:
    """The features of rows that follow one another, batch by batch."""

    def read(start: int) -> PyTree:
        stop = min(start + batch_size, rows.stop)

        def one(leaf: Any) -> np.ndarray:
            some = np.asarray(leaf[start:stop])
            filling = np.repeat(some[-1:], batch_size - len(some), axis=0)
            return np.concatenate([some, filling]) if len(filling) else some

        return jax.tree.map(one, inputs)

    starts = range(rows.start, rows.stop, batch_size)
    for start, batch in zip(starts, read_ahead(read, starts), strict=True):
        count = min(batch_size, rows.stop - start)
        features = np.asarray(encoder(batch))
        if features.shape[:1] != (batch_size,):
            raise ValueError(
                f"encoder: expected features [{batch_size}, ...], got {features.shape}"
            )
        if (row := not_finite(features[:count])) is not None:
            raise ValueError(
                f"encoder: expected finite features, got NaN or inf of row {start + row}"
            )
        yield features[:count]
        if advance is not None:
            advance(count)
