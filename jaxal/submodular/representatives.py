"""Seed sets: the rows that stand best for all, before there is a model or a label."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxal import entry
from jaxal.points.embedding import Points, as_embedding, check_points
from jaxal.submodular._maximize import maximize
from jaxal.submodular.coverage import facility_location


@entry.checked(features=check_points, budget=entry.integer(1), available=entry.mask)
def representatives(
    features: Points,
    budget: int,
    *,
    available: Any = None,
    classes: Any = None,
    metric: str = "cosine",
    shifted: bool = False,
) -> np.ndarray:
    """The rows with the highest facility location, as an initial set for `simulate(initial=rows)`.

    A budget of rows takes one pass of lazy greedy: O(N^2 D) time at most, O(N) memory.

    Args:
      features: [N, D], as those of a pretrained model, or an `Embedding`.
      budget: how many rows.
      available: [N] bool, the rows that there are; all, if not given.
      classes: [N] integers: the budget is shared evenly by the classes, of which those with lower
        numbers take one more where it does not divide, and each is represented by itself. So DISTIL
        makes its seed sets; it takes the labels of the whole pool.
      metric: "cosine" or "euclidean".
      shifted: similarities (s + 1) / 2 in place of s.

    Returns:
      [B] int32 rows in the order picked, of one class after the other if there are some.

    Raises:
      TypeError: arguments of another type.
      ValueError: more rows than there are, in a class if there are some, or unknown names.

    >>> points = jnp.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    >>> representatives(points, 2).tolist()
    [1, 2]
    """
    size = as_embedding("features", features).size
    there = np.ones(size, bool) if available is None else np.asarray(available)
    if len(there) != size:
        raise ValueError(f"available: expected {size} rows, got {len(there)}")
    parts, shares = [there], [budget]
    if classes is not None:
        entry.integers("classes", classes)
        if len(classes) != size:
            raise ValueError(f"classes: expected {size} rows, got {len(classes)}")
        labels = np.asarray(classes)
        names = np.unique(labels[there])
        parts = [there & (labels == name) for name in names]
        shares = [budget // len(names) + (n < budget % len(names)) for n in range(len(names))]
    picks = []
    for part, share in zip(parts, shares, strict=True):
        if share > part.sum():
            of = "" if classes is None else " of one class"
            raise ValueError(f"budget: expected at most {part.sum()} rows{of}, got {share}")
        if share:
            mask = jnp.asarray(part)
            function = facility_location(features, metric=metric, shifted=shifted, usable=mask)
            picks.append(jax.device_get(maximize(function, mask, share).rows))
    return np.concatenate(picks)
