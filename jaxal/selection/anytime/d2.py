"""D^2 sampling pass by pass, with the share of the squared distance that the picks explain."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import Selection
from jaxal.checks import check_budget
from jaxal.greedy.d2 import D2Pool, D2State, before_any_draw, draw_by_distance, unfinished
from jaxal.numerics import running_sum
from jaxal.points.embedding import Embedding, Points, as_embedding, check_points
from jaxal.pools.devices import mesh_of
from jaxal.rows import line_sums, rows_over
from jaxal.selection._badge import as_squared_distances, gradients, largest_first
from jaxal.selection._k_means_plus_plus import centered
from jaxal.selection.anytime.progress import Measured, Progress, passes, settled


class Potential(NamedTuple):
    """How near the picks are to the available rows: the sum phi of squared distances to them.

    In expectation the sequential law, which the picks follow, has a phi of at most 8 (ln k + 2)
    times that of the best k centers, if the first pick is uniform (Arthur and Vassilvitskii 2007,
    theorem 1.1).
    """

    potential: float  # phi, the sum over rows of the squared distance to the nearest pick
    initial: float  # what it was after the first pick
    explained: float  # 1 - potential / initial, from 0 after the first pick to 1


class Drawing(NamedTuple):
    """What a pass hands the next."""

    state: D2State
    initial: jax.Array  # [], the potential after the first pick, in the frame


@entry.checked(
    key=entry.key,
    features=check_points,
    available=entry.mask,
    budget=entry.budget,
    block_size=entry.integer(1),
)
def k_means_plus_plus(
    key: jax.Array,
    features: Points,
    available: jax.Array,
    budget: int,
    *,
    block_size: int = 64,
) -> Iterator[Progress]:
    """`selection.k_means_plus_plus`, which can be left after any pass over the pool.

    All passes are one compiled program, of the time of those of the whole decision and of a sum
    over the rows. The first draws one row, each further one up to `block_size`.

    Args:
      key: PRNG key, consumed.
      features: [N, D], or any `Embedding` of N rows.
      available: [N] bool.
      budget: how many rows, 1 to N.
      block_size: candidates drawn in a pass.

    Returns:
      An iterator of `Progress`, whose `bound` is a `Potential`. Rows with a NaN or an infinity are
      left out of it.

    Raises:
      TypeError, ValueError: as `selection.k_means_plus_plus`, at once.

    References:
      Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.

    Example:

    >>> points = jnp.array([[0.0], [0.0], [8.0], [8.0]])
    >>> draws = k_means_plus_plus(jax.random.key(0), points, jnp.ones(4, bool), 3)
    >>> [progress.bound for progress in draws][:2]
    [Potential(potential=128.0, initial=128.0, explained=0.0), \
Potential(potential=0.0, initial=128.0, explained=1.0)]
    """
    points = as_embedding("features", features, narrow=True)
    check_budget(budget, points.size)
    return _passes(centered, key, points, available, budget, block_size)


@entry.checked(
    key=entry.key,
    residuals=entry.matrix("[N, C]"),
    features=entry.matrix("[N, D]"),
    available=entry.mask,
    budget=entry.budget,
    block_size=entry.integer(1),
)
def badge(
    key: jax.Array,
    residuals: jax.Array,
    features: jax.Array,
    available: jax.Array,
    budget: int,
    *,
    block_size: int = 64,
) -> Iterator[Progress]:
    """`selection.badge`, which can be left after any pass over the pool.

    Args:
      key: PRNG key, consumed.
      residuals: [N, C], softmax minus the one-hot predicted class.
      features: [N, D], the input of the last layer.
      available: [N] bool.
      budget: how many rows, 1 to N.
      block_size: candidates drawn in a pass.

    Returns:
      As `k_means_plus_plus`, of squared distances between gradients.

    Raises:
      TypeError, ValueError: as `selection.badge`, at once.

    References:
      Ash et al., "Deep batch active learning by diverse, uncertain gradient lower bounds", ICLR
      2020, algorithm 1.
    """
    points = gradients(residuals, features, available, budget)
    return _passes(largest_first, key, points, available, budget, block_size)


def _passes(place, key, points, available, budget, block_size) -> Iterator[Progress]:
    mesh = mesh_of((points, available))
    with rows_over(mesh):
        pool, scale, drawing = _start(place, key, points, available, budget)
    step = partial(_step, points, pool, scale, block_size=block_size)
    return passes(drawing, step, Potential, mesh)


@partial(jax.jit, static_argnames=("place", "budget"))
def _start(place, key, points, available, budget) -> tuple[D2Pool, jax.Array, Drawing]:
    placed, first, scale = place(points, available)
    pool, state = before_any_draw(key, placed, first, available, budget)
    if pool.points is placed:
        # What a program returns is a copy.
        pool = pool._replace(points=placed._replace(points=None))
    return pool, scale, Drawing(settled(state, len(available)), jnp.zeros_like(scale))


@partial(jax.jit, static_argnames="block_size")
def _step(
    points: Embedding, pool: D2Pool, scale: jax.Array, before: Drawing, *, block_size: int
) -> tuple[Drawing, Measured]:
    if pool.points.points is None:
        pool = pool._replace(points=pool.points._replace(points=points))
    state = settled(draw_by_distance(pool, before.state, block_size), len(pool.norms))
    # What is picked is at no distance, to which rounding may add.
    left = jnp.where(state.free & pool.points.usable, state.squared, 0.0)
    potential = running_sum(line_sums(left))[-1]
    initial = jnp.where(before.state.count == 0, potential, before.initial)
    explained = jnp.where(initial > 0, 1.0 - potential / initial, 1.0)
    selection = Selection(state.rows, state.scores.astype(jnp.float32))
    found = Measured(
        as_squared_distances(selection, scale),
        state.count,
        state.passes,
        (potential * scale * scale, initial * scale * scale, explained),
        ~unfinished(state),
    )
    return Drawing(state, initial), found
