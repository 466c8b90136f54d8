"""Which pick stands for which row of the pool."""

import jax
import jax.numpy as jnp

from jaxal.base import Selection
from jaxal.checks import check_rank
from jaxal.points.distances import centred, nearest_center
from jaxal.points.embedding import Dense, Embedding


@jax.jit
def nearest_pick(selection: Selection, features: jax.Array | Embedding) -> jax.Array:
    """For every row of the pool, the picked row nearest to it.

    A pick stands for itself; other ties go to the earlier pick. How many rows a pick stands for is
    `jnp.bincount` of the result. Time O(N B D) as matrix products, a tile of rows at a time: memory is a
    copy of the features and O(B) distances.

    Args:
      selection: from any rule; its -1 are passed over.
      features: [N, D], or an `Embedding` of the N rows.

    Returns:
      [N] int32 rows of the pool; -1 for a row whose distances are not numbers, and for all rows if
      nothing was picked.

    Raises:
      ValueError: if an array of features does not have shape [N, D].

    >>> picks = Selection(jnp.array([3, 0]), jnp.zeros(2))
    >>> nearest_pick(picks, jnp.array([[0.0], [1.0], [7.0], [9.0]])).tolist()
    [0, 0, 3, 3]
    """
    if isinstance(features, Embedding):
        points = features
    else:
        check_rank("features", features, 2, "[N, D]")
        features = features.astype(float)
        origin, scale = centred(features, jnp.ones(len(features), bool))
        points = Dense((features - origin) / scale)
    picked = selection.rows >= 0
    _, position = nearest_center(points, points.take(selection.rows), picked)
    nearest = jnp.where(position >= 0, selection.rows[position], -1)
    itself = jnp.where(picked, selection.rows, len(nearest))
    return nearest.at[itself].set(selection.rows)
