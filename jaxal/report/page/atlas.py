"""The atlas: points, classes, and what each pick stands for, as the page draws them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxal.numerics import are_targets, is_known
from jaxal.report.page.arrays import Arrays
from jaxal.report.page.layout import layout, nearest, quantised
from jaxal.report.page.neighbours import neighbour_layout
from jaxal.report.page.picks import Group
from jaxal.report.page.predicted import ends, predicted, steps
from jaxal.report.page.shown import ShownPool

POINTS = 1_000_000
"""Rows on the map; a larger pool is drawn by a random part of it, and all picks."""

BOTH = 100_000
"""Rows up to which the map has both layouts, if nothing else is asked for."""

NEAREST = 1_500_000
"""Rows, over all lines, of which the page says which pick is nearest."""


def shown_rows(pool: ShownPool, found: Sequence[Group], most: int = POINTS) -> np.ndarray:
    """The pool rows that are points of the map, increasing; every pick is one."""
    known = np.flatnonzero(is_known(pool.labels)) if pool.left_out else np.arange(len(pool.labels))
    if len(known) <= most:
        return known
    picked = np.unique(np.concatenate([group.rows for group in found])) if found else known[:0]
    others = np.setdiff1d(known, picked, assume_unique=True)
    room = max(most - len(picked), 0)
    drawn = np.random.default_rng(0).choice(others, min(room, len(others)), replace=False)
    return np.sort(np.concatenate([picked, drawn]))


def atlas(
    pool: ShownPool, rows: np.ndarray, found: Sequence[Group], classes: int, arrays: Arrays
) -> dict[str, Any]:
    """The map.

    Args:
      pool: the pool.
      rows: of `shown_rows`.
      found: the picks that are shown.
      classes: C.
      arrays: of the page.

    Returns:
      Points, classes or the targets of a regression, row numbers where they are not 0 to N - 1, and
      for each line the nearest pick and the predictions of its first seed.
    """
    placed = layout(pool.inputs, rows, tokens=pool.tokens)
    made = {
        "points": len(rows),
        "pool": int(is_known(pool.labels).sum() if pool.left_out else len(pool.labels)),
        "explained": list(placed.explained[:2]),
        "components": placed.coordinates.shape[1],
        "words": pool.tokens,
        "layouts": _layouts(placed.coordinates, pool.layout, arrays),
        "nearest": _nearest(placed.coordinates, rows, found, arrays),
        "predicted": predicted(
            pool.predicted or {}, rows, pool.labels, found[0].seed if found else 0, arrays
        ),
    }
    if are_targets(pool.labels):
        made["values"] = _values(np.asarray(pool.labels)[rows], arrays)
    else:
        labels = np.where(pool.labels[rows] < 0, classes, pool.labels[rows])
        made["classes"] = arrays.add(labels.astype(np.uint8 if classes < 256 else np.uint16))
    if len(rows) < len(pool.labels):
        made["steps"] = arrays.add(np.diff(rows, prepend=0).astype(np.uint32))
    return made


def _layouts(coordinates: np.ndarray, asked: str, arrays: Arrays) -> dict[str, Any]:
    """Where the rows lie, by each layout that was asked for; the first is the one that is seen."""
    if asked == "auto":
        asked = "both" if len(coordinates) <= BOTH else "pca"
    near = None if asked == "pca" else neighbour_layout(coordinates)
    found = {"pca": coordinates, "t-sne": near}
    if asked == "t-sne" and near is not None:
        del found["pca"]
    return {name: arrays.add(quantised(own)) for name, own in found.items() if own is not None}


def _values(targets: np.ndarray, arrays: Arrays) -> dict[str, Any]:
    """Targets as steps from the lowest to the highest, and where the colours begin and end."""
    low, high = ends(targets)
    known = targets[np.isfinite(targets)]
    return {
        "low": low,
        "high": high,
        # A few that are far out do not make all others look alike.
        "ends": np.quantile(known, (0.02, 0.98)) if len(known) else [0.0, 0.0],
        "steps": arrays.add(steps(targets, low, high)),
    }


def _nearest(
    coordinates: np.ndarray, rows: np.ndarray, found: Sequence[Group], arrays: Arrays
) -> dict[str, Any]:
    """By line: the place of the nearest pick, in the order of the picks, and how many rows it has.

    Of a large pool every `every`-th row is stored; the counts are of all rows.
    """
    first: dict[int, list[Group]] = {}
    for group in found:
        if group.seed == found[0].seed:
            first.setdefault(group.line, []).append(group)
    every = -(-len(rows) * len(first) // NEAREST) or 1
    lines = {}
    for line, groups in first.items():
        picks = np.searchsorted(rows, np.concatenate([group.rows for group in groups]))
        if len(picks) > 65_535:
            continue
        owner, kind = nearest(coordinates, picks), np.uint8 if len(picks) < 256 else np.uint16
        lines[line] = {
            "owners": arrays.add(owner[::every].astype(kind)),
            "counts": arrays.add(np.bincount(owner, minlength=len(picks)).astype(np.int32)),
        }
    return {"every": every, "seed": found[0].seed if found else 0, "lines": lines}
