"""What strategies share that decide from a short copy of a pool that is read."""

from typing import Any

import jax
import numpy as np

from jaxal.base import Strategy
from jaxal.checks import check_name
from jaxal.pools import size_class
from jaxal.pools.compression import PRECISIONS, CompressedPool

KEPT = ("float32", *PRECISIONS)
"""In which features may be kept; in float32 there is no copy."""


def check_precision(precision: Any) -> None:
    """Raises ValueError unless features can be kept so."""
    check_name("precision", precision, KEPT)


def features_of_labeled(pool: CompressedPool, labeled: jax.Array) -> np.ndarray | None:
    """The features of the labelled rows [N], read again: [M, D], or None if there are none.

    Some come twice, so that a program serves several numbers of rows.
    """
    rows = np.flatnonzero(np.asarray(labeled))
    if not len(rows):
        return None
    return np.asarray(pool.features(np.resize(rows, size_class(len(rows)))))


def refuse_copy(name: str, strategy: Strategy) -> None:
    """Raises ValueError if a strategy that another calls is to decide from a copy of the pool."""
    if strategy.copy is not None:
        raise ValueError(
            f"{name}: expected a strategy of all features, precision='float32', as it decides in "
            f"part of the pool, got one of precision={strategy.copy.precision!r}"
        )
