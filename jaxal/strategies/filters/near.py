"""Candidates near what is labelled: SEALS."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxal.base import Selection, View
from jaxal.checks import check_integer, check_rank
from jaxal.greedy.take import fill, take_top
from jaxal.points.embedding import as_embedding
from jaxal.points.neighbours import nearest_of_each, squared_to_others
from jaxal.rows import index_of, set_rows
from jaxal.strategies.filters.base import Filter, Request
from jaxal.strategies.registry import by_name

TILE = 16
"""Labelled rows at once: memory is that of so many distances a row of the pool."""


@by_name
def neighbours(*, num_neighbours: int = 100, lists: Any = None) -> Filter:
    """The available rows among the nearest neighbours of the labelled ones (SEALS).

    Neighbours are those in the space of the model's features, among all rows that are labelled or
    available; where they are more than the size, the nearest stay, which are most like what is
    labelled, so that a size with room for all is better. As long as nothing is labelled, candidates
    are drawn at random, and where neighbours are fewer than the budget, so is the rest of it.
    Exact: O(N L D) time for L labelled rows, as products of 16 of them at a time; memory is that of
    16 distances a row.

    Args:
      num_neighbours: k, of each labelled row.
      lists: [N, k] integers, the neighbours of every row of the pool, nearest first, -1 for none,
        as `points.nearest_rows` or an approximate index lists them, in a space of your own; found
        in the features each round if None. Rows that are early in a list come first. They are part
        of the compiled program, and a strategy with lists is equal to itself alone: make it once.

    Raises:
      TypeError: a number that is no integer, or lists that are not integers.
      ValueError: a number below 1, lists that are not [N, k], or, when it selects, of more rows
        than the pool has.

    References:
      Coleman et al., "Similarity search for efficient active learning and search of rare concepts",
      AAAI 2022.
    """
    check_integer(1, num_neighbours=num_neighbours)
    if lists is not None:
        check_rank("lists", lists, 2, "[N, k]")
        if not jnp.issubdtype(lists.dtype, jnp.integer):
            raise TypeError(f"lists: expected integers [N, k], got dtype {lists.dtype}")
        lists = np.asarray(lists, np.int32)

    def find(key, request):
        view = request.view
        if lists is None:
            remoteness = _distances(request.views[0], num_neighbours)
        else:
            remoteness = _places(lists, view)
        is_near = view.available & (remoteness < jnp.inf)
        return _nearest_first(key, remoteness, is_near, request)

    return Filter(find, (_features,) if lists is None else (), reads_labels=True)


def _features(key, model, variables, inputs, labels):
    return model.apply(variables, inputs).features


def _nearest_first(
    key: jax.Array, remoteness: jax.Array, is_near: jax.Array, request: Request
) -> jax.Array:
    """The rows that are near [m] int32; at random those that a batch needs, or all, if none is."""
    view, size = request.view, request.size
    near = take_top(-remoteness, is_near, size)
    count = jnp.sum(near.rows >= 0, dtype=jnp.int32)
    noise = jax.random.uniform(key, view.available.shape)
    filled: Selection = fill(near, count, noise, view.available)
    needed = jnp.where(jnp.any(view.labeled), request.budget, size)
    kept = jnp.arange(size, dtype=jnp.int32) < jnp.maximum(count, needed)
    return jnp.where(kept, filled.rows, -1)


def _distances(view: View, num_neighbours: int) -> jax.Array:
    """Squared distance of each row to the nearest labelled row whose neighbour it is, or inf."""
    points = as_embedding("features", view.observation)
    usable = (view.labeled | view.available) & points.finite()
    (points,), _ = points.conditioned(usable)
    points, num = points.masked(usable), min(num_neighbours, len(usable))

    def nearer(rows, nearest):
        squared = squared_to_others(points, rows, usable)
        # All that are as near as the k-th: which of several that tie is in a list is of no account.
        limit = nearest_of_each(squared, num)[0][:, -1]
        near = squared <= jnp.where(rows < 0, -1.0, limit)[None, :]
        return jnp.minimum(nearest, jnp.min(jnp.where(near, squared, jnp.inf), axis=1))

    start = jnp.full_like(points.squared_norm(), jnp.inf)
    return _over_labeled(nearer, view.labeled & usable, start)


def _places(lists: np.ndarray, view: View) -> jax.Array:
    """The first place of each row in the list of a labelled row [N], or inf."""
    total, (rows, width) = len(view.available), lists.shape
    if rows > total:
        raise ValueError(f"lists: expected those of up to {total} rows (the pool's), got {rows}")
    place = jnp.broadcast_to(jnp.arange(width, dtype=float), (TILE, width))

    def nearer(some, nearest):
        listed = jnp.asarray(lists)[jnp.clip(some, 0, rows - 1)]
        is_known = (listed >= 0) & ((some >= 0) & (some < rows))[:, None]
        return nearest.at[jnp.where(is_known, listed, total)].min(place, mode="drop")

    return _over_labeled(nearer, view.labeled, jnp.full(total, jnp.inf))


def _over_labeled(
    nearer: Callable[[jax.Array, jax.Array], jax.Array], labeled: jax.Array, start: jax.Array
) -> jax.Array:
    """Folds a function of labelled rows [TILE], -1 past the last, and of the result so far [N]."""
    index, count = index_of(labeled), jnp.sum(labeled, dtype=jnp.int32)

    def body(carry):
        slot, nearest = carry
        slots = slot + jnp.arange(TILE, dtype=jnp.int32)
        rows = jnp.where(slots < count, set_rows(index, slots), -1)
        return slot + TILE, nearer(rows, nearest)

    return jax.lax.while_loop(lambda carry: carry[0] < count, body, (jnp.int32(0), start))[1]
