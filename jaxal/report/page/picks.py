"""The picks: which rows each round bought, of what classes, and how each class is learnt."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxal.records import Record
from jaxal.report.page.arrays import Arrays

INITIAL = -1
"""The round of the rows that were labelled before the first one."""

MOST = 300_000
"""Picks on a page; of more, those of the last seeds are left out."""


class Group(NamedTuple):
    """What one round of one seed bought."""

    line: int
    seed: int
    round: int
    rows: np.ndarray


def groups(lines: Sequence[Sequence[Record]]) -> list[Group]:
    """The picks of all rounds, those of the first seeds first, in the order of the rounds."""
    found = []
    for line, records in enumerate(lines):
        for record in records:
            # Of earlier versions, the initial rows are not known.
            for number, rows in ((INITIAL, record.initial or ()), (record.round, record.rows)):
                kept = np.array(rows, np.int64).reshape(-1)
                if (kept := kept[kept >= 0]).size:
                    found.append(Group(line, record.seed, number, kept))
    return sorted(found, key=lambda group: (group.seed, group.line, group.round))


def limited(found: Sequence[Group], most: int = MOST) -> tuple[list[Group], list[str]]:
    """The picks of as many seeds as there is room for, of the first one in any case."""
    sizes: dict[int, int] = {}
    for group in found:
        sizes[group.seed] = sizes.get(group.seed, 0) + len(group.rows)
    totals = np.cumsum(list(sizes.values()))
    kept = {seed for seed, total in zip(sizes, totals, strict=True) if total <= most}
    kept |= set(list(sizes)[:1])
    notes = []
    if len(kept) < len(sizes):
        notes = [f"the picks of {len(kept)} of {len(sizes)} seeds are shown"]
    return [group for group in found if group.seed in kept], notes


def table(found: Sequence[Group], points: np.ndarray | None, arrays: Arrays) -> dict[str, Any]:
    """The groups as arrays.

    Args:
      found: the groups that are shown.
      points: the pool rows that are points of the map, increasing; None: there is no map.
      arrays: of the page.
    """
    rows = np.concatenate([group.rows for group in found]) if found else np.zeros(0, np.int64)
    heads = [(group.line, group.seed, group.round, len(group.rows)) for group in found]
    made = {
        "groups": arrays.add(np.array(heads, np.int32).reshape(-1, 4)),
        "rows": arrays.add(rows.astype(np.int32)),
    }
    if points is not None:
        made["points"] = arrays.add(np.searchsorted(points, rows).astype(np.int32))
    return made


def balance(
    lines: Sequence[Sequence[Record]], labels: np.ndarray | None, classes: int, arrays: Arrays
) -> dict[str, Any]:
    """Picks by class and round, over all seeds, and the accuracy by class.

    Args:
      lines: the records of each line.
      labels: [N] of the pool, -1: of no class; None: not known.
      classes: C.
      arrays: of the page.

    Returns:
      `picked` [L, R, C + 1], means over seeds of what each round bought of each class, of none in
      the last column; the first round is that of the initial rows, if they are known; `pool`, the
      same of the pool; `accuracy` [L, R, C], means over seeds. Each only if it is known.
    """
    made: dict[str, Any] = {}
    rounds = 1 + max(record.round for records in lines for record in records)
    if labels is not None:
        bought = np.zeros((len(lines), rounds + 1, classes + 1), np.float32)
        for group in groups(lines):
            own = np.where(labels[group.rows] < 0, classes, labels[group.rows])
            bought[group.line, group.round + 1] += np.bincount(own, minlength=classes + 1)
        seeds = [len({record.seed for record in records}) for records in lines]
        bought /= np.array(seeds, np.float32)[:, None, None]
        made["picked"] = arrays.add(bought)
        made["pool"] = np.bincount(np.where(labels < 0, classes, labels), minlength=classes + 1)
    if classes and any(len(record.class_accuracy) for records in lines for record in records):
        made["accuracy"] = arrays.add(_class_accuracy(lines, rounds, classes))
    return made


def _class_accuracy(lines: Sequence[Sequence[Record]], rounds: int, classes: int) -> np.ndarray:
    total, count = np.zeros((2, len(lines), rounds, classes))
    for line, records in enumerate(lines):
        for record in records:
            own = np.full(classes, np.nan)
            own[: len(record.class_accuracy)] = record.class_accuracy
            known = np.isfinite(own)
            total[line, record.round, known] += own[known]
            count[line, record.round, known] += 1
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
