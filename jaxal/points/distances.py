"""Squared distances to the nearest of many centers, folded in a few columns at a time.

By one matrix product where that is exact enough, and by differences where it is not: the product
loses every digit for points much closer to each other than to the origin.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxal.numerics import inner_products
from jaxal.points.embedding import Dense, Embedding
from jaxal.rows import in_tiles
from jaxal.targets import is_gpu

COLUMNS = 64  # centers to a product: memory is N x COLUMNS
GPU_COLUMNS = 256  # of a tile of the rows, where a kernel more costs more than a column
DIFFERENCES = 16  # centers to a difference: memory is Q x DIFFERENCES x D
TILE = 2**20  # distances at once where no center is asked for by name
CACHED = 2**19  # where the nearest one is: the reductions find them in a core's cache
GPU_CACHED = 2**22  # the same where there is none to speak of
GPU_COPIED = 2**22  # numbers of the points that are copied for it, where centers are few


def rounding_slack(points: Embedding) -> jax.Array:
    """How far above its computed value a nearest squared distance by product may lie, [N].

    The product errs by at most c (|x|^2 + |y|^2), c the `product_error`, and |y|^2 <= 2 |x|^2 +
    2 |x - y|^2. Points whose error is not known are taken to have none.
    """
    return 3.0 * (points.product_error or 0.0) * points.squared_norm()


def fold_nearest(
    distances: Callable[[jax.Array], jax.Array],
    start: jax.Array | int,
    end: jax.Array | int,
    nearest: jax.Array,
    columns: int,
) -> jax.Array:
    """The least of `nearest` [N] and of the columns from `start` to `end`, some at a time, [N].

    Args:
      distances: slots [columns] int32 -> [N, columns]; what it returns of slots past the end does
        not count.
      start: [] the first slot.
      end: [] past the last slot.
      nearest: [N].
      columns: how many slots at a time.

    Returns:
      [N]; the time is that of end - start columns, the memory that of `columns`.
    """

    def body(carry):
        slot, nearest = carry
        slots = slot + jnp.arange(columns, dtype=jnp.int32)
        some = jnp.where((slots < end)[None, :], distances(slots), jnp.inf)
        return slot + columns, jnp.minimum(nearest, jnp.min(some, axis=1))

    start = jnp.asarray(start, jnp.int32)
    return jax.lax.while_loop(lambda carry: carry[0] < end, body, (start, nearest))[1]


def nearest_center(
    points: Embedding, centers: Embedding, usable: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Squared distance to the nearest center by products, and which center it is.

    O(N M D) time, as matrix products of a tile of rows at a time; memory is a copy of the points
    and max(CACHED, 128 M) distances, on a GPU more.

    Args:
      points: N points.
      centers: M centers.
      usable: [M] bool, the centers that count.

    Returns:
      Squared distances [N] and positions [N] int32, ties to the first; inf and -1 where none is a
      number.
    """
    if isinstance(points, Dense) and isinstance(centers, Dense):
        return _nearest_of_dense(points, centers, usable)
    size = len(usable)
    usable = (usable & jnp.isfinite(centers.squared_norm()))[None, :]
    places = jnp.arange(size, dtype=jnp.int32)[None, :]

    def nearest(some, centers, usable, places) -> tuple[jax.Array, jax.Array]:
        squared = jnp.where(usable, some.squared_distance(centers), jnp.inf)
        least = jnp.min(squared, axis=1)
        # Two plain reductions take a third of the time of `argmin` on a CPU.
        place = jnp.min(jnp.where(squared == least[:, None], places, size), axis=1)
        found = least < jnp.inf
        return jnp.where(found, least, jnp.inf), jnp.where(found, place, -1)

    return in_tiles(nearest, points, _tile(size, points.width), centers, usable, places)


def _tile(centers: int, width: int) -> int:
    """Rows of so many numbers each whose distances to all centers are computed at once."""
    if is_gpu():
        return max(min(GPU_CACHED // centers, GPU_COPIED // width), 128)
    return max(CACHED // centers, 128)


def _nearest_of_dense(
    points: Dense, centers: Dense, usable: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """`nearest_center` of feature vectors, by a product that has the norms in it.

    The center that is nearest has the largest <x, c> - |c|^2 / 2, which is one product if the
    points have one more coordinate, of 1.
    """
    size = len(usable)
    features = centers.features
    half = jnp.sum(features**2, axis=1) / 2.0
    usable = usable & jnp.isfinite(half)
    # A number below all others, as an accelerator multiplies float32 in parts, and the parts of an
    # infinity are none.
    never = jnp.finfo(features.dtype).min / 4.0
    offsets = jnp.where(usable, -half, never)
    table = jnp.concatenate([jnp.where(usable[:, None], features, 0.0), offsets[:, None]], axis=1)
    ranks = size - jnp.arange(size, dtype=jnp.int32)[:, None]

    def nearest(some, table, ranks) -> tuple[jax.Array, jax.Array]:
        features = jnp.concatenate([some.features, jnp.ones_like(some.features[:, :1])], axis=1)
        # Rows along the last axis, so that a CPU reduces many of them at once.
        inner = inner_products(table, features)
        most = jnp.max(inner, axis=0)
        place = size - jnp.max(jnp.where(inner == most[None, :], ranks, 0), axis=0)
        found = most > never / 2.0
        squared = jnp.maximum(some.squared_norm() - 2.0 * most, 0.0)
        return jnp.where(found, squared, jnp.inf), jnp.where(found, place, -1)

    return in_tiles(nearest, points, _tile(size, points.width), table, ranks)
