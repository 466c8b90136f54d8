"""Lloyd's iteration for k-means: assign the rows, move the centers, until these rest."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.numerics import group_means, running_sum
from jaxal.points.distances import nearest_center, rounding_slack
from jaxal.points.embedding import Dense
from jaxal.points.placed import TILE
from jaxal.rows import in_tiles, top_rows


class Clusters(NamedTuple):
    """Centers, and the rows of each."""

    centers: jax.Array  # [K, D]
    assigned: jax.Array  # [N] int32, position of the nearest center; K where not usable or taken
    squared: jax.Array  # [N] squared distance to it; inf where not usable
    inertia: jax.Array  # [] sum of the squared distances
    steps: jax.Array  # [] how often the centers were moved


def assign(
    points: jax.Array,
    usable: jax.Array,
    centers: jax.Array,
    valid: jax.Array,
    taken: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """The nearest valid center of each row, by products.

    Args:
      points: [N, D].
      usable: [N] bool, the rows that count.
      centers: [K, D].
      valid: [K] bool, the centers that count.
      taken: as `lloyd`.

    Returns:
      Squared distances [N], inf where not usable, and positions [N] int32, K where not usable or
      taken.
    """
    squared, assigned = nearest_center(Dense(points), Dense(centers), valid)
    usable = usable & (assigned >= 0)
    squared = jnp.where(usable, squared, jnp.inf)
    assigned = jnp.where(usable, assigned, len(centers))
    if taken is None:
        return squared, assigned
    return jnp.minimum(squared, taken), jnp.where(taken <= squared, len(centers), assigned)


def _reseed(
    points: jax.Array, squared: jax.Array, centers: jax.Array, empty: jax.Array
) -> jax.Array:
    """Moves the centers of empty clusters to the rows farthest from their centers, one each.

    Rows that lie on their center but for rounding do not count: with fewer distinct points than
    centers, some clusters stay empty, and their centers where they are.
    """
    away = (squared < jnp.inf) & (squared > rounding_slack(Dense(points)))
    farthest, rows = top_rows(jnp.where(away, squared, -1.0), len(centers))
    place = running_sum(empty.astype(points.dtype)).astype(jnp.int32) - 1
    moves = empty & (farthest[place] > 0)
    return jnp.where(moves[:, None], points[rows[place]], centers)


def move(
    points: jax.Array,
    squared: jax.Array,
    assigned: jax.Array,
    centers: jax.Array,
    valid: jax.Array,
) -> jax.Array:
    """The centers, each moved to the mean of the rows assigned to it, [K, D]."""
    means, counts = group_means(points, assigned, len(centers))
    centers = jnp.where(counts[:, None] > 0, means, centers)
    empty = valid & (counts == 0)
    return jax.lax.cond(
        jnp.any(empty),
        lambda: _reseed(points, squared, centers, empty),
        lambda: centers,
    )


def _squared_to(rows: tuple[jax.Array, jax.Array], centers: jax.Array) -> jax.Array:
    """Squared distances [n] of points [n, D] to the centers assigned to them, by differences."""
    points, assigned = rows
    return jnp.sum((points - centers.at[assigned].get(mode="clip")) ** 2, axis=-1)


def lloyd(
    points: jax.Array,
    usable: jax.Array,
    centers: jax.Array,
    valid: jax.Array,
    *,
    max_steps: int | jax.Array,
    tolerance: float | jax.Array,
    taken: jax.Array | None = None,
) -> Clusters:
    """Moves centers to the means of their rows until they rest.

    Time O(N K D) a step, as a matrix product, the means O(N D) more; no [N, K] array is held. A GPU
    adds the rows of a mean up in no fixed order, so that its last digits may differ from run to
    run.

    Args:
      points: [N, D], best centred: distances are by products. Rows that are not usable are zero.
      usable: [N] bool, the rows that count, finite ones.
      centers: [K, D], K at most N.
      valid: [K] bool, the centers that count.
      max_steps: moves at most.
      tolerance: the centers rest once their squared shifts add up to at most that, in units of the
        mean variance of the features.
      taken: [N] squared distances to the nearest of further centers, which stay where they are and
        keep the rows that are at least as near to them; None if there are none.

    Returns:
      `Clusters` of the last centers, whose squared distances are by differences.
    """
    variance = mean_variance(points, usable)

    def goes_on(carry):
        return ~carry[-1]

    def step(carry):
        # The rows are assigned once more after the last move: `rests` is that of the step before.
        centers, _, rests, steps, _ = carry
        squared, assigned = assign(points, usable, centers, valid, taken)
        moved = move(points, squared, assigned, centers, valid)
        shift = jnp.sum((moved - centers) ** 2)
        steps += (~rests).astype(steps.dtype)
        moved = jnp.where(rests, centers, moved)
        return moved, assigned, (shift <= tolerance * variance) | (steps >= max_steps), steps, rests

    nothing = jnp.full(len(points), len(centers), jnp.int32)
    start = (centers, nothing, jnp.bool_(False), jnp.int32(0), jnp.bool_(False))
    centers, assigned, _, steps, _ = jax.lax.while_loop(goes_on, step, start)
    return settled(points, usable, centers, assigned, steps, taken)


def mean_variance(points: jax.Array, usable: jax.Array) -> jax.Array:
    """The variance of a feature over the usable rows, in the mean of all features, [].

    Args:
      points: [N, D], zeros in rows that are not usable.
      usable: [N] bool.
    """
    count = jnp.maximum(jnp.sum(usable, dtype=jnp.int32), 1).astype(points.dtype)
    mean = jnp.sum(points, axis=0, keepdims=True) / count
    away = jnp.where(usable[:, None], points - mean, 0.0)
    return jnp.sum(away**2) / (count * points.shape[1])


def settled(
    points: jax.Array,
    usable: jax.Array,
    centers: jax.Array,
    assigned: jax.Array,
    steps: jax.Array,
    taken: jax.Array | None,
) -> Clusters:
    """`Clusters` of centers that rest, with squared distances by differences.

    Args:
      points: [N, D].
      usable: [N] bool, the rows that count.
      centers: [K, D].
      assigned: [N] int32, the position of each row's center; K where it has none.
      steps: [] how often the centers were moved.
      taken: as `lloyd`.
    """
    size = max(TILE // points.shape[1], 128)
    squared = in_tiles(_squared_to, (points, assigned), size, centers)
    counted = assigned < len(centers)
    if taken is not None:
        squared = jnp.minimum(jnp.where(counted, squared, jnp.inf), taken)
        counted = usable
    return Clusters(
        centers,
        assigned,
        jnp.where(counted, squared, jnp.inf),
        jnp.sum(jnp.where(counted, squared, 0.0)),
        steps,
    )
