"""Lloyd's iteration for k-means, from centers given: assign the rows, move the centers, until they rest."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.points.distances import nearest_center, rounding_slack
from jaxal.points.embedding import Dense


class Clusters(NamedTuple):
    """Centers, and the rows of each."""

    centers: jax.Array  # [K, D]
    assigned: jax.Array  # [N] int32, position of the nearest center; K where not usable
    squared: jax.Array  # [N] squared distance to it; inf where not usable
    inertia: jax.Array  # [] sum of the squared distances
    steps: jax.Array  # [] how often the centers were moved


def assign(
    points: jax.Array, usable: jax.Array, centers: jax.Array, live: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Squared distance to the nearest live center, and its position, as in `Clusters`, by products."""
    squared, assigned = nearest_center(Dense(points), Dense(centers), live)
    usable = usable & (assigned >= 0)
    return (
        jnp.where(usable, squared, jnp.inf),
        jnp.where(usable, assigned, len(centers)),
    )


def _reseed(
    points: jax.Array, squared: jax.Array, centers: jax.Array, empty: jax.Array
) -> jax.Array:
    """Moves the centers of empty clusters to the rows farthest from their centers, one each.

    Rows that lie on their center but for rounding do not count: with fewer distinct points than
    centers, some clusters stay empty, and their centers where they are.
    """
    away = (squared < jnp.inf) & (squared > rounding_slack(Dense(points)))
    farthest, rows = jax.lax.top_k(jnp.where(away, squared, -1.0), len(centers))
    turn = jnp.cumsum(empty) - 1
    moves = empty & (farthest[turn] > 0)
    return jnp.where(moves[:, None], points[rows[turn]], centers)


def step(points: jax.Array, usable: jax.Array, centers: jax.Array, live: jax.Array) -> jax.Array:
    """The centers, each moved to the mean of the rows nearest to it, [K, D]."""
    squared, assigned = assign(points, usable, centers, live)
    size = len(centers)
    counts = jax.ops.segment_sum(jnp.ones_like(squared), assigned, size)
    sums = jax.ops.segment_sum(points, assigned, size)
    means = sums / jnp.maximum(counts, 1.0)[:, None]
    centers = jnp.where((counts > 0)[:, None], means, centers)
    empty = live & (counts == 0)
    return jax.lax.cond(
        jnp.any(empty),
        lambda: _reseed(points, squared, centers, empty),
        lambda: centers,
    )


def lloyd(
    points: jax.Array,
    usable: jax.Array,
    centers: jax.Array,
    live: jax.Array,
    *,
    max_steps: int,
    tolerance: float,
) -> Clusters:
    """Moves centers to the means of their rows until they rest.

    Time O(N K D) a step, as a matrix product, the means O(N D) more; no [N, K] array is held. A GPU adds
    the rows of a mean up in no fixed order, so that its last digits may differ from run to run.

    Args:
      points: [N, D], best centred: distances are by products.
      usable: [N] bool, the rows that count, finite ones.
      centers: [K, D], K at most N.
      live: [K] bool, the centers that count.
      max_steps: moves at most.
      tolerance: the centers rest once their squared shifts add up to at most that, in units of the
        mean variance of the features.

    Returns:
      `Clusters` of the last centers, whose squared distances are by differences.
    """
    mask = usable[:, None]
    count = jnp.maximum(jnp.sum(usable), 1)
    mean = jnp.sum(jnp.where(mask, points, 0.0), axis=0, keepdims=True) / count
    variance = jnp.sum(jnp.where(mask, points - mean, 0.0) ** 2) / (count * points.shape[1])

    def moves_on(carry):
        _, shift, steps = carry
        return (shift > tolerance * variance) & (steps < max_steps)

    def move(carry):
        centers, _, steps = carry
        moved = step(points, usable, centers, live)
        return moved, jnp.sum((moved - centers) ** 2), steps + 1

    start = (centers, jnp.full((), jnp.inf), jnp.int32(0))
    centers, _, steps = jax.lax.while_loop(moves_on, move, start)
    _, assigned = assign(points, usable, centers, live)
    squared = jnp.sum((points - centers.at[assigned].get(mode="clip")) ** 2, axis=-1)
    counted = assigned < len(centers)
    return Clusters(
        centers,
        assigned,
        jnp.where(counted, squared, jnp.inf),
        jnp.sum(jnp.where(counted, squared, 0.0)),
        steps,
    )
