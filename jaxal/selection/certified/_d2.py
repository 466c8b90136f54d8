"""D^2 sampling from a compressed pool, exact: rows are proposed by bounds, and accepted once read.

A pass proposes Q rows by upper bounds u of their squared distances to the picks, reads them, and
accepts each in turn with probability m / u, where m is its distance by now, of the rows themselves.
What is accepted follows the law of m, as in `greedy/d2.py`, whose bounds are the distances at the
start of the pass. The rows that were read are known exactly from then on.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.base import Selection
from jaxal.greedy.d2 import (
    FIRST,
    Candidates,
    D2State,
    accept_candidates,
    candidates_of_a_pass,
    draw_candidates,
    fresh_state,
)
from jaxal.pools import devices
from jaxal.rows import rows_over
from jaxal.selection._badge import as_squared_distances
from jaxal.selection.certified._points import Copy, Points, apart, between, nearest_of


class Drawing(NamedTuple):
    """What a pass hands the next; the state's squared distances are upper bounds."""

    state: D2State
    centers: Points  # [B], the picks so far


def sample(
    key: jax.Array,
    copy: Copy,
    first: jax.Array | None,
    middle: jax.Array,
    available: jax.Array,
    budget: int,
    *,
    block_size: int,
    advance: Callable[[int], None] | None,
) -> Selection:
    """Draws rows by the sequential D^2 law; `copy` reads those that are proposed.

    Args:
      key: PRNG key, consumed.
      copy: N points.
      first: [] int32 the first pick; None: drawn uniformly from the usable rows.
      middle: [D] features from which the score of the first pick is measured.
      available: [N] bool.
      budget: how many rows.
      block_size: Q, rows that a pass proposes.
      advance: is told after each pass how many rows are picked.
    """
    drawing, begins = start(key, copy, first, available, budget)
    size = candidates_of_a_pass(block_size, budget)
    picks = min(budget, int(jnp.sum(available)))
    while int(drawing.state.count) < picks:
        candidates = propose(copy, drawing.state, begins, num=size)
        read = copy.read(candidates.rows)
        drawing = one_pass(copy, drawing, candidates, read, middle)
        if advance is not None:
            advance(int(drawing.state.count))
    state = drawing.state
    selection = Selection(state.rows, state.scores)
    return as_squared_distances(selection, jnp.minimum(copy.unit * copy.weight, 2.0**127))


@partial(jax.jit, static_argnames="budget")
def start(key, copy: Copy, first, available, budget) -> tuple[Drawing, jax.Array]:
    """Before any pick, and the rows that the first may be, [N] bool."""
    mesh = copy.pool.mesh
    rows = jnp.arange(len(available), dtype=jnp.int32)
    state = fresh_state(key, available, budget, jnp.float32)
    state = state._replace(squared=devices.share_rows(state.squared, mesh))
    centers = copy.zeros(budget)
    begins = copy.usable if first is None else devices.share_rows(rows == first, mesh)
    return Drawing(state, centers), begins


@partial(jax.jit, static_argnames="num")
def propose(copy: Copy, state: D2State, begins, *, num) -> Candidates:
    """Rows drawn by the bounds."""
    with rows_over(copy.pool.mesh):
        found = draw_candidates(state, begins, copy.usable, num, finely=True)
    # Of several that the first pick may be the first is taken: the others need not be read.
    return found._replace(rows=jnp.where(found.tier == FIRST, found.rows[0], found.rows))


@partial(jax.jit, donate_argnums=1)
def one_pass(
    copy: Copy, drawing: Drawing, candidates: Candidates, read: Points, middle: jax.Array
) -> Drawing:
    """What is accepted of rows that were read, and the bounds of all after that."""
    state, centers = drawing
    points = copy.exact(candidates.rows, read)
    nearest = nearest_of(points, centers, state.count)
    after, accepted = accept_candidates(
        state,
        candidates,
        jnp.minimum(nearest, candidates.drawn),
        between(points),
        apart(points, _of_features(middle / copy.unit, points))[:, 0],
    )
    order = jnp.argsort(~accepted)  # those accepted first, in their order
    places = jnp.arange(len(order), dtype=jnp.int32)
    num = after.count - state.count
    slots = jnp.where(places < num, state.count + places, len(state.rows))
    chosen = jax.tree.map(lambda leaf: leaf[order], points)
    centers = jax.tree.map(lambda leaf, new: leaf.at[slots].set(new), centers, chosen)
    squared = state.squared.at[candidates.rows].min(nearest)
    with rows_over(copy.pool.mesh):
        squared = copy.lowered(squared, chosen, num)
    return Drawing(after._replace(squared=squared), centers)


def _of_features(features: jax.Array, points: Points) -> Points:
    """A point of these features [D], and of no residual."""
    residuals = points.residuals
    return Points(None if residuals is None else jnp.zeros_like(residuals[:1]), features[None])
