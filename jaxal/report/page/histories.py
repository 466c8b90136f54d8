"""A page of records from Python: of `from_history`, of `from_curve`, or as a file has them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxal.base import Examples
from jaxal.checks import describe
from jaxal.data.checks import check
from jaxal.records import Record
from jaxal.report.baseline import random_name
from jaxal.report.learning_curves import grouped
from jaxal.report.page._write import write
from jaxal.report.page.collecting import collect
from jaxal.report.page.shown import Shown, ShownPool
from jaxal.report.paired import paired_differences
from jaxal.report.summary import names, summarize


def write_page(
    records: Iterable[Record],
    path: str | Path,
    *,
    title: str = "",
    pool: Examples | None = None,
    features: Any = None,
    class_names: Sequence[str] = (),
) -> Path:
    """Writes one HTML file that shows what records say, and the pool as a map.

    Args:
      records: of one run, as of `from_history`.
      path: of the file, which is replaced.
      title: above the page; empty: the name of the file.
      pool: inputs [N, ...] and labels [N] of the pool that was picked from; None: there is no map.
      features: [N, D], what the map is made of; None: the inputs.
      class_names: [C] names of the labels 0 to C - 1; those that are missing are numbers.

    Returns:
      The path.

    Raises:
      ValueError: there is no record, or a pool that does not hold a row that was picked.
      TypeError: something else than records.

    Cost: of the map O(N D) time, and for each strategy O(N P) for P picks.
    """
    path = Path(path)
    lines = grouped("records", records)
    kept = [record for own in lines.values() for record in own]
    summaries = summarize(kept)
    shown = Shown(
        title or path.stem,
        dict(zip(names(summaries), lines.values(), strict=True)),
        summaries,
        paired_differences(kept),
        random_name(lines),
        [],
        [str(name) for name in class_names],
        None if pool is None else _pool(kept, pool, features),
        {},
        {},
    )
    write(*collect(shown), path)
    return path


def _pool(records: Sequence[Record], pool: Examples, features: Any) -> ShownPool:
    inputs, labels = (np.asarray(part) for part in pool)
    check((inputs, labels), name="pool", allow_unknown=True)
    check_rows(records, len(labels))
    if features is None:
        return ShownPool(inputs, labels)
    made = np.asarray(features)
    if made.ndim != 2 or len(made) != len(labels):
        raise ValueError(f"features: expected [{len(labels)}, D], got {describe(features)}")
    return ShownPool(made, labels, raw=inputs)


def check_rows(records: Iterable[Record], rows: int) -> None:
    """Raises ValueError if a pick is no row of the pool."""
    largest = max((max((*one.rows, *(one.initial or ()), 0)) for one in records), default=0)
    if largest >= rows:
        raise ValueError(f"pool: expected more than {rows} rows, as row {largest} was picked")
