"""From what is to be shown to what is in the file: a dict for JSON, and arrays beside it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import numpy as np

from jaxal.report._text import printable
from jaxal.report.page import atlas, examples, lines, picks
from jaxal.report.page.arrays import Arrays, plain
from jaxal.report.page.shown import Shown


def collect(shown: Shown) -> tuple[dict[str, Any], Arrays]:
    """Everything on the page.

    Args:
      shown: what it is made of.

    Returns:
      What is put into the page as JSON, and the arrays that it refers to.
    """
    arrays = Arrays()
    records = list(shown.lines.values())
    found, notes = picks.limited(picks.groups(records))
    pool = shown.pool
    regression = any(summary.regression for summary in shown.summaries)
    classes = 0 if regression else _classes(shown)
    made: dict[str, Any] = {
        "title": printable(shown.title),
        "random": shown.random,
        "regression": regression,
        "classes": _names(shown, classes),
        "curves": lines.curves(shown),
        "comparison": lines.comparison(shown),
        "balance": {},
        "atlas": None,
        "examples": None,
    }
    if not regression:
        made["balance"] = picks.balance(records, pool and pool.labels, classes, arrays)
    rows = None
    if pool is not None:
        rows = atlas.shown_rows(pool, found)
        made["atlas"] = atlas.atlas(pool, rows, found, classes, arrays)
        made["examples"] = examples.examples(pool, found, arrays)
    made["picks"] = picks.table(found, rows, arrays)
    made["notes"] = [*shown.notes, *notes]
    made["configs"] = dict(shown.configs)
    made["facts"] = _facts(shown.facts)
    return plain(made), arrays


def _classes(shown: Shown) -> int:
    """How many classes there are, by labels, names and accuracies."""
    counts = [len(shown.class_names)]
    if shown.pool is not None and len(shown.pool.labels):
        counts.append(int(np.max(shown.pool.labels)) + 1)
    for records in shown.lines.values():
        counts.append(max(len(record.class_accuracy) for record in records))
    return max(counts)


def _names(shown: Shown, classes: int) -> list[str]:
    given = [printable(name) for name in shown.class_names[:classes]]
    return given + [str(number) for number in range(len(given), classes)]


def _facts(facts: Mapping[str, Any]) -> dict[str, str]:
    made = datetime.now(UTC).isoformat(timespec="seconds")
    by = f"jaxal {metadata.version('jaxal')}, {made}"
    return {name: printable(value) for name, value in facts.items()} | {"page made by": by}
