"""Exact nearest neighbours of rows, a block of them at a time."""

from functools import partial

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.points.embedding import Embedding, Points, as_embedding, check_points
from jaxal.rows import in_tiles, top_rows

BLOCK = 2**22
"""Distances at once where every row's neighbours are listed."""


def squared_to_others(points: Embedding, rows: jax.Array, usable: jax.Array) -> jax.Array:
    """Squared distances by products of all points to some of them, [N, M]; inf to themselves.

    Args:
      points: N points, `conditioned`, zero where they are not usable.
      rows: [M] int32.
      usable: [N] bool; rows outside it are at inf.
    """
    squared = points.squared_distance(points.take(rows))
    itself = jnp.arange(len(usable), dtype=jnp.int32)[:, None] == rows[None, :]
    return jnp.where(usable[:, None] & ~itself, squared, jnp.inf)


def nearest_of_each(squared: jax.Array, num: int) -> tuple[jax.Array, jax.Array]:
    """The least distances of each column with their rows, ties to the lowest: [N, M] -> [M, num].

    Where devices share the rows, each sends `num` of its own a column.
    """
    least, rows = jax.vmap(lambda column: top_rows(-column, num), in_axes=1)(squared)
    return -least, rows


@entry.checked(features=check_points, num_neighbours=entry.integer(1))
@partial(jax.jit, static_argnames="num_neighbours")
def nearest_rows(features: Points, num_neighbours: int) -> jax.Array:
    """The nearest other rows of every row in Euclidean distance, nearest first.

    Exact up to the rounding of float32 products; ties go to the lowest row. O(N^2 D) time, a block
    of rows at a time; memory is a copy of the points and some 2^22 distances. Lists of a million
    rows and more are made faster, and nearly the same, by an index such as those of the packages
    hnswlib, faiss or pynndescent.

    Args:
      features: [N, D], or any `Embedding` of the N rows.
      num_neighbours: k, 1 to N - 1.

    Returns:
      [N, k] int32. Rows that are not finite are nobody's neighbours and have none; -1 stands where
      there are fewer than k.

    Raises:
      TypeError: if the features are not numbers, or k is not an integer.
      ValueError: if an array of features does not have shape [N, D], or k is out of range.

    Example:

    >>> nearest_rows(jnp.array([[0.0], [1.0], [7.0], [9.0]]), 2).tolist()
    [[1, 2], [0, 2], [3, 1], [2, 1]]
    """
    points = as_embedding("features", features)
    if num_neighbours >= points.size:
        raise ValueError(
            f"num_neighbours: expected 1 to {points.size - 1} (the other rows), "
            f"got {num_neighbours}"
        )
    usable = points.finite()
    (placed,), _ = points.conditioned(usable)

    def nearest(some: jax.Array, placed: Embedding, usable: jax.Array) -> jax.Array:
        squared, rows = nearest_of_each(squared_to_others(placed, some, usable), num_neighbours)
        return jnp.where((squared < jnp.inf) & usable[some][:, None], rows, -1)

    every = jnp.arange(points.size, dtype=jnp.int32)
    size = max(BLOCK // points.size, 1)
    return in_tiles(nearest, every, size, placed.masked(usable), usable)
