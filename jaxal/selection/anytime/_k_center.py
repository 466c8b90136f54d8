"""Greedy k-center pass by pass, with the radius covered and what no other picks could cover."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import Selection
from jaxal.greedy.lazy import LazyState, before_any_pick, pick_by_bounds, refreshed, unfinished
from jaxal.points.embedding import Embedding, Points, check_points
from jaxal.pools.devices import mesh_of
from jaxal.rows import largest, rows_over
from jaxal.selection._k_center import (
    RULE,
    as_distances,
    as_embeddings,
    block_rows,
    no_center,
    uncovered,
)
from jaxal.selection.anytime.progress import Measured, Progress, passes


class Radius(NamedTuple):
    """How well the picks so far cover the available rows, in the units of the points.

    The row that is farthest from the centers and picks is as far from all of them, at least, as
    these are from each other: any other `count` rows, or points, leave two of these `count` + 1
    with one nearest center, so that one of both is half as far from it (Gonzalez 1985).
    """

    radius: float  # no available row is farther from its nearest center or pick
    optimum: float  # nor do any other `count` picks bring all rows nearer than that


@entry.checked(
    features=check_points,
    available=entry.mask,
    budget=entry.budget,
    centers=check_points,
    center_mask=entry.mask,
    block_size=entry.integer(1),
)
def k_center(
    features: Points,
    available: jax.Array,
    budget: int,
    *,
    centers: Points | None = None,
    center_mask: jax.Array | None = None,
    block_size: int = 256,
) -> Iterator[Progress]:
    """`selection.k_center`, which can be left after any pass over the pool.

    All passes are one compiled program. Each picks up to `block_size` rows and then measures how
    far the farthest row is: the time of the whole decision, and of one measurement more. Memory is
    that of the decision and of a few more numbers a row.

    Args:
      features: [N, D], or any `Embedding` of N rows.
      available: [N] bool.
      budget: how many rows, 1 to N.
      centers: [M, D], or an `Embedding` of the points' kind, covered already.
      center_mask: [M] bool, which of them count; all if not given.
      block_size: rows examined in a pass: a smaller block makes shorter passes, and more of them.

    Returns:
      An iterator of `Progress`, whose `bound` is a `Radius`: the picks so far are within twice the
      best radius of as many. Rows with a NaN or an infinity are not covered by anything, and left
      out of it.

    Raises:
      TypeError, ValueError: as `selection.k_center`, at once.

    References:
      Gonzalez, "Clustering to minimize the maximum intercluster distance", Theoretical Computer
      Science 1985, section 2. Hochbaum and Shmoys, "A best possible heuristic for the k-center
      problem", Mathematics of Operations Research 1985.

    Example:

    >>> points = jnp.array([[0.0], [1.0], [5.0], [9.0]])
    >>> for progress in k_center(points, jnp.ones(4, bool), 2):
    ...     if progress.bound.radius < 4.5:
    ...         break
    >>> progress.count, round(progress.bound.radius, 3), round(progress.bound.optimum, 3)
    (2, 4.0, 2.0)
    """
    points, some = as_embeddings(features, centers)
    mesh = mesh_of((points, available))
    with rows_over(mesh):
        lazy = _start(points, available, budget, some, center_mask)
    step = partial(_step, points, some, block_size=block_rows(block_size, budget))
    return passes(lazy, step, Radius, mesh)


@partial(jax.jit, static_argnames="budget")
def _start(points, available, budget, centers, center_mask) -> LazyState:
    state = uncovered(points, available, budget, centers, center_mask)
    return _with(
        refreshed(RULE, before_any_pick(state, available, budget, state.squared.dtype)), None, None
    )


@partial(jax.jit, static_argnames="block_size")
def _step(
    points: Embedding, centers: Embedding | None, lazy: LazyState, *, block_size: int
) -> tuple[LazyState, Measured]:
    lazy = _with(lazy, points, no_center(points) if centers is None else centers)
    # The whole decision refreshes before it picks: the same, and the radius here is that of now.
    lazy = refreshed(RULE, pick_by_bounds(RULE, lazy, block_size))
    rows, scores, count = lazy.picks
    selection = as_distances(Selection(rows, scores.astype(jnp.float32)), lazy.state.scale)
    found = Measured(selection, count, lazy.passes, _radius(lazy), ~unfinished(lazy))
    return _with(lazy, None, None), found


def _with(lazy: LazyState, points: Embedding | None, centers: Embedding | None) -> LazyState:
    """The state with the points given, or without any: what a program returns is a copy."""
    covering = lazy.state.covering._replace(points=points, centers=centers)
    return lazy._replace(state=lazy.state._replace(covering=covering))


def _radius(lazy: LazyState) -> tuple[jax.Array, jax.Array]:
    """The farthest of the rows that are left, with what rounding may have done to it."""
    state = lazy.state
    left = lazy.available & state.covering.usable
    highest = state.squared + jnp.where(state.precise, 0.0, state.slack)
    # A bound has had the slack added, to a product that may have been too high by as much.
    lowest = state.squared - jnp.where(state.precise, 2.0, 1.0) * state.slack
    highest, lowest = _largest_root(highest, left), _largest_root(lowest, left)
    return highest * state.scale, 0.5 * lowest * state.scale


def _largest_root(squared: jax.Array, of: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.maximum(largest(jnp.where(of, squared, 0.0)), 0.0))
