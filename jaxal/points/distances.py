"""Squared distances to the nearest of many centers, folded in a few columns at a time.

By one matrix product where that is exact enough, and by differences where it is not: the product loses
every digit for points much closer to each other than to the origin.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxal.base import PyTree
from jaxal.numerics import inner_products, num_rows
from jaxal.points.embedding import Embedding
from jaxal.points.embedding import centred as centred

COLUMNS = 64  # centers to a product: memory is N x COLUMNS
DIFFERENCES = 16  # centers to a difference: memory is Q x DIFFERENCES x D
TILE = 2**20  # distances at once where the nearest center is asked for by name


def rounding_slack(points: jax.Array) -> jax.Array:
    """How far above its computed value a nearest squared distance by product may lie, [N].

    The product errs by at most c (|x|^2 + |y|^2), with c from the usual bound on a sum of D terms, and
    |y|^2 <= 2 |x|^2 + 2 |x - y|^2.
    """
    relative = jnp.finfo(points.dtype).eps * (8.0 + 2.0 * points.shape[1] ** 0.5)
    return 3.0 * relative * jnp.sum(points**2, axis=-1)


def fold_product(
    points: jax.Array, centers: jax.Array, order: jax.Array, count: jax.Array
) -> jax.Array:
    """Squared distance to the nearest of `centers[order[:count]]` by products, [N]; inf for none.

    O(N D count) time, as matrix products, and O(N) memory.
    """
    columns = min(COLUMNS, len(order))
    norms = jnp.sum(points**2, axis=-1)

    def body(chunk, nearest):
        slots = chunk * columns + jnp.arange(columns)
        some = centers[order.at[slots].get(mode="clip")]
        cross = jnp.sum(some**2, axis=-1)[None, :] - 2.0 * inner_products(points, some)
        cross = jnp.where((slots < count)[None, :], cross, jnp.inf)
        return jnp.minimum(nearest, jnp.min(cross, axis=1))

    nearest = jnp.full(points.shape[:1], jnp.inf)
    nearest = jax.lax.fori_loop(0, -(-count // columns), body, nearest)
    return jnp.maximum(nearest + norms, 0.0)


def fold_difference(
    points: jax.Array, centers: jax.Array, order: jax.Array, count: jax.Array
) -> jax.Array:
    """As `fold_product`, exact to rounding of the distances themselves; for few points [Q, D]."""
    columns = min(DIFFERENCES, len(order))

    def body(chunk, nearest):
        slots = chunk * columns + jnp.arange(columns)
        some = centers[order.at[slots].get(mode="clip")]
        squared = jnp.sum((points[:, None, :] - some[None, :, :]) ** 2, axis=-1)
        squared = jnp.where((slots < count)[None, :], squared, jnp.inf)
        return jnp.minimum(nearest, jnp.min(squared, axis=1))

    nearest = jnp.full(points.shape[:1], jnp.inf)
    return jax.lax.fori_loop(0, -(-count // columns), body, nearest)


def pairwise_difference(points: jax.Array) -> jax.Array:
    """Squared distances of few points to each other by differences, [Q, D] -> [Q, Q]."""
    return jax.lax.map(lambda one: jnp.sum((points - one[None, :]) ** 2, axis=-1), points)


def nearest_center(
    points: Embedding, centers: Embedding, usable: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Squared distance to the nearest center by products, and which center it is, a tile of rows at a time.

    O(N M D) time, as matrix products; memory is a copy of the points and max(TILE, 128 M) distances.

    Args:
      points: N points.
      centers: M centers.
      usable: [M] bool, the centers that count.

    Returns:
      Squared distances [N] and positions [N] int32, ties to the first; inf and -1 where none is a number.
    """
    total, size = num_rows(points), len(usable)
    usable = (usable & jnp.isfinite(centers.squared_norm()))[None, :]
    places = jnp.arange(size)[None, :]

    def nearest(some: Embedding) -> tuple[jax.Array, jax.Array]:
        squared = jnp.where(usable, some.squared_distance(centers), jnp.inf)
        least = jnp.min(squared, axis=1)
        # Two plain reductions take a third of the time of `argmin` on a CPU.
        place = jnp.min(jnp.where(squared == least[:, None], places, size), axis=1)
        found = least < jnp.inf
        return jnp.where(found, least, jnp.inf), jnp.where(found, place, -1)

    return _in_tiles(nearest, points, -(-total // max(TILE // size, 128)))


def _in_tiles(function: Callable[[Embedding], PyTree], points: Embedding, tiles: int) -> PyTree:
    """Applies a function of each row by itself to all, a tile of them at a time.

    A tile is every `tiles`-th row: where devices share the rows, each has its part of every tile.
    """
    if tiles == 1:
        return function(points)
    total = num_rows(points)
    rows = -(-total // tiles)
    rows += -rows % 128  # so that devices can share it

    def spread(leaf):
        widths = [(0, rows * tiles - total)] + [(0, 0)] * (leaf.ndim - 1)
        return jnp.pad(leaf, widths).reshape(rows, tiles, *leaf.shape[1:])

    table = jax.tree.map(spread, points)

    def tile(turn):
        return function(
            jax.tree.map(
                lambda leaf: jax.lax.dynamic_index_in_dim(leaf, turn, axis=1, keepdims=False),
                table,
            )
        )

    found = jax.lax.map(tile, jnp.arange(tiles))
    return jax.tree.map(lambda leaf: leaf.T.reshape(-1)[:total], found)
