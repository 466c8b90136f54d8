"""The nearest selected row of every row of the pool."""

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import Selection
from jaxal.points.distances import nearest_center
from jaxal.points.embedding import Points, as_embedding, check_points
from jaxal.points.placed import rewritten


@entry.checked(selection=entry.instance(Selection), features=check_points)
@jax.jit
def nearest_pick(selection: Selection, features: Points) -> jax.Array:
    """For every row of the pool, the picked row nearest to it.

    A pick stands for itself; other ties go to the earlier pick. How many rows a pick stands for is
    `jnp.bincount` of the result. Time O(N B D) as matrix products, a tile of rows at a time: memory
    is a copy of the points and O(B) distances.

    Args:
      selection: from any rule; its -1 are passed over.
      features: [N, D], or any `Embedding` of the N rows.

    Returns:
      [N] int32 rows of the pool; -1 for a row that is not finite, and for all rows if nothing was
      picked.

    Raises:
      TypeError: if the selection is none, or the features are not numbers.
      ValueError: if an array of features does not have shape [N, D].

    Example:

    >>> picks = Selection(jnp.array([3, 0]), jnp.zeros(2))
    >>> nearest_pick(picks, jnp.array([[0.0], [1.0], [7.0], [9.0]])).tolist()
    [0, 0, 3, 3]
    """
    points = as_embedding("features", features)
    usable = points.finite()
    frame, _ = points.frame(usable)
    placed = rewritten(type(points).placed, points, usable, frame)
    rows = selection.rows.astype(jnp.int32)
    picked = rows >= 0
    _, position = nearest_center(placed, placed.take(rows), picked & usable[rows])
    nearest = jnp.where(usable & (position >= 0), rows[position], -1)
    return nearest.at[jnp.where(picked, rows, len(nearest))].set(rows)
