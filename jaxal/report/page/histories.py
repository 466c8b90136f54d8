"""A page of records from Python: of `from_history`, of `from_curve`, or as a file has them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxal.base import Examples
from jaxal.checks import check_name, describe
from jaxal.data.checks import check
from jaxal.experiment.predictions import OfPool
from jaxal.numerics import are_targets
from jaxal.records import Record
from jaxal.report.baseline import random_name
from jaxal.report.learning_curves import grouped
from jaxal.report.page._write import write
from jaxal.report.page.collecting import collect
from jaxal.report.page.shown import LAYOUTS, Shown, ShownPool
from jaxal.report.paired import paired_differences
from jaxal.report.summary import names, summarize


def write_page(
    records: Iterable[Record],
    path: str | Path,
    *,
    title: str = "",
    pool: Examples | None = None,
    features: Any = None,
    outputs: Mapping[str, Any] | None = None,
    class_names: Sequence[str] = (),
    layout: str = "auto",
) -> Path:
    """Writes one HTML file that shows what records say, and the pool as a map.

    Args:
      records: of one run, as of `from_history`.
      path: of the file, which is replaced.
      title: above the page; empty: the name of the file.
      pool: inputs [N, ...] and labels [N] of the pool that was picked from; None: there is no map.
      features: [N, D], what the map is made of; None: the inputs.
      outputs: by strategy, the logits [N, C] that its last model has for the pool's rows, or the
        predictions [N] of a regression, of the first seed: the map has colours of them.
      class_names: [C] names of the labels 0 to C - 1; those that are missing are numbers.
      layout: of the map: "pca", the plane of two principal components; "t-sne", which keeps near
        rows together, and in the plane where there are fewer than 10 rows or 3 components; "both",
        to choose on the page; "auto", both up to 100,000 rows and above these the plane.

    Returns:
      The path.

    Raises:
      ValueError: there is no record, a pool that does not hold a row that was picked, or outputs
        without a pool, of other rows, of no strategy of the records, or that are not finite.
      TypeError: something else than records.

    Cost: of the map O(N D) time, and for each strategy O(N P) for P picks.
    """
    check_name("layout", layout, LAYOUTS)
    if pool is None and outputs:
        raise ValueError("outputs: expected a pool beside them, got none")
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
        None
        if pool is None
        else _with_outputs(
            _pool(kept, pool, features)._replace(layout=layout), outputs or {}, [*lines]
        ),
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


def _with_outputs(pool: ShownPool, outputs: Mapping[str, Any], lines: Sequence[str]) -> ShownPool:
    if unknown := set(outputs) - set(lines):
        raise ValueError(f"outputs: expected some of {', '.join(lines)}, got {sorted(unknown)}")
    found = {}
    for line, strategy in enumerate(lines):
        if strategy in outputs:
            found[line] = _as_predictions(outputs[strategy], pool.labels, f"outputs[{strategy!r}]")
    return pool._replace(predicted=found)


def _as_predictions(given: Any, labels: np.ndarray, name: str) -> OfPool:
    made = np.asarray(given, np.float32)
    rank, shape = (1, "[N]") if are_targets(labels) else (2, "[N, C]")
    if made.ndim != rank or len(made) != len(labels):
        raise ValueError(f"{name}: expected {shape} of {len(labels)} rows, got {describe(given)}")
    # A class may be impossible, with the logit -inf.
    if not np.isfinite(made if rank == 1 else made.max(-1)).all():
        raise ValueError(f"{name}: expected numbers, got NaN or inf")
    if rank == 1:
        return OfPool(made, np.full(len(made), np.nan, np.float32))
    chances = np.exp(made - made.max(-1, keepdims=True))
    sure = chances.max(-1) / chances.sum(-1)
    return OfPool(made.argmax(-1).astype(np.int32), sure)


def check_rows(records: Iterable[Record], rows: int) -> None:
    """Raises ValueError if a pick is no row of the pool."""
    largest = max((max((*one.rows, *(one.initial or ()), 0)) for one in records), default=0)
    if largest >= rows:
        raise ValueError(f"pool: expected more than {rows} rows, as row {largest} was picked")
