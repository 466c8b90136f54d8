"""Rows to label first, before there is a model: those that stand for the pool."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxal import entry
from jaxal.checks import as_integers
from jaxal.points.embedding import Points, as_embedding, check_points
from jaxal.points.similarity import METRICS
from jaxal.submodular._maximize import maximize
from jaxal.submodular.coverage import facility_location


@entry.checked(features=check_points, count=entry.integer(1), metric=entry.one_of(METRICS))
def seed_rows(
    features: Points, count: int, *, labels: Any = None, metric: str = "cosine"
) -> jax.Array:
    """A seed set by facility location: the rows that represent all others best.

    With labels, as many rows of each class as of any other, as nearly as can be, each class
    represented by its own: such a set says what a start could be, as its classes were known. The
    first rows of a seed set are the seed set of as many rows. In more than 16,384 rows a sample of
    8,192 is represented, always the same.

    Args:
      features: [N, D] of any kind, as those of a network trained on other data, or an `Embedding`.
      count: rows, from 1 to N, or to the number of known labels.
      labels: [N] integers, -1 where unknown; of these rows none is taken. Not for use inside jit.
      metric: "cosine" or "euclidean".

    Returns:
      [count] int32, in the order picked; with labels one of each class in turn.

    Raises:
      TypeError: features or labels that are no arrays of numbers, or a count that is no integer.
      ValueError: shapes that disagree, a count out of range, or an unknown metric.

    References:
      Wei et al., "Submodularity in data subset selection and active learning", ICML 2015.

    >>> points = jnp.array([[1.0, 0.0], [0.9, 0.1], [0.8, 0.3], [0.0, 1.0]])
    >>> seed_rows(points, 2).tolist()
    [2, 3]
    >>> seed_rows(points, 2, labels=[0, 1, 1, 1]).tolist()
    [0, 2]
    """
    size = as_embedding("features", features).size
    known = np.zeros(size, int) if labels is None else as_integers("labels", labels, "[N]")
    if len(known) != size:
        raise ValueError(f"labels: expected {size} rows, got {len(known)}")
    classes = np.unique(known[known >= 0])
    rows = np.sum(known >= 0)
    if count > rows:
        raise ValueError(f"count: expected 1 to {rows} (the rows to take), got {count}")
    # In turn: of each class the first pick, then the second, as long as it has one.
    turns = [(turn, label) for label in classes for turn in range(np.sum(known == label))]
    turns = sorted(turns)[:count]
    most = 1 + max(turn for turn, _ in turns)
    picked = {}
    for label in classes:
        own = jnp.asarray(known == label)
        function = facility_location(features, usable=own, metric=metric)
        picked[label] = maximize(function, own, most).rows
    return jnp.stack([picked[label][turn] for turn, label in turns])
