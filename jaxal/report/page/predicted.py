"""What the last models say of the rows on the map: their predictions, and how sure they are."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxal.experiment.predictions import OfPool
from jaxal.numerics import are_targets
from jaxal.report.page.arrays import Arrays

MOST = 1_500_000
"""Rows, over all lines, of which the page has the predictions."""

LEVELS = 63
"""Steps of a probability; finer ones would be noise that no compression makes smaller."""

STEPS = 65_534
"""Of targets, from the lowest to the highest; one more where they are not known."""


def predicted(
    found: Mapping[int, OfPool], rows: np.ndarray, labels: np.ndarray, seed: int, arrays: Arrays
) -> dict[str, Any] | None:
    """Predictions by line, of every `every`-th row of the map.

    Args:
      found: by line, of the whole pool.
      rows: the pool's rows that are on the map, increasing.
      labels: [N] of the pool, classes or the targets of a regression.
      seed: whose models they are.
      arrays: of the page.

    Returns:
      None where there are none. Of classes the probabilities are steps from `low` to 1; values of a
      regression are steps of the targets, those further out at their ends, and `error` is where the
      colours of errors end.
    """
    if not found:
        return None
    every = -(-len(rows) * len(found) // MOST) or 1
    some = rows[::every]
    own = {line: OfPool(*(part[some] for part in one)) for line, one in found.items()}
    if are_targets(labels):
        low, high = ends(labels)
        errors = np.concatenate([np.abs(one.values - labels[some]) for one in own.values()])
        known = errors[np.isfinite(errors)]
        lines = {
            line: {"values": arrays.add(steps(one.values.clip(low, high), low, high))}
            for line, one in own.items()
        }
        error = float(np.quantile(known, 0.98)) if len(known) else 0.0
        return {"every": every, "seed": seed, "lines": lines, "error": error}
    low = min(float(one.probabilities.min(initial=1.0)) for one in own.values())
    lines = {line: _of_classes(one, low, arrays) for line, one in own.items()}
    return {"every": every, "seed": seed, "lines": lines, "low": low}


def _of_classes(found: OfPool, low: float, arrays: Arrays) -> dict[str, Any]:
    levels = np.rint((found.probabilities - low) / ((1 - low) or 1.0) * LEVELS)
    kind = np.uint8 if found.values.max(initial=0) < 256 else np.uint16
    return {
        "values": arrays.add(found.values.astype(kind)),
        "sure": arrays.add(levels.clip(0, LEVELS).astype(np.uint8)),
    }


def ends(targets: np.ndarray) -> tuple[float, float]:
    """The lowest and the highest of the targets that are known."""
    known = targets[np.isfinite(targets)]
    return (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)


def steps(targets: np.ndarray, low: float, high: float) -> np.ndarray:
    """Targets [n] as uint16 from the lowest to the highest."""
    share = (targets.astype(float) - low) / ((high - low) or 1.0)
    return np.where(np.isfinite(share), np.rint(share * STEPS), STEPS + 1).astype(np.uint16)
