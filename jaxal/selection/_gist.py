"""GIST: useful rows that keep a distance from each other."""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import Selection
from jaxal.greedy.take import priority
from jaxal.points.distances import COLUMNS
from jaxal.points.embedding import Dense
from jaxal.points.placed import Placed, rewritten
from jaxal.rows import best_row, row_at, without
from jaxal.selection import _rows
from jaxal.targets import is_gpu


class Spread(NamedTuple):
    """A set of rows that are at least so far from each other."""

    rows: jax.Array  # [B] int32, -1 past the last
    utility: jax.Array  # [], of all
    diversity: jax.Array  # [], least distance between two; inf for fewer


def _farthest_pair(
    points: Dense, placed: Placed, scale: jax.Array, usable: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The two usable rows that are farthest apart [2], and their distance []. O(N^2 D)."""
    size = len(usable)

    def body(carry):
        start, farthest = carry
        slots = jnp.minimum(start + jnp.arange(COLUMNS, dtype=jnp.int32), size - 1)
        squared = placed.squared_distance(placed.take(slots))
        squared = jnp.where(usable[slots][None, :], squared, -jnp.inf)
        return start + COLUMNS, jnp.maximum(farthest, jnp.max(squared, axis=1))

    start = jnp.int32(0), jnp.full_like(points.features[:, 0], -jnp.inf)
    _, farthest = jax.lax.while_loop(lambda carry: carry[0] < size, body, start)
    first = best_row(priority(farthest, usable)).astype(jnp.int32)
    # The pair is found by products; its distance is by differences.
    squared = points.difference(points.take(first[None]), scale)[:, 0]
    second = best_row(priority(squared, usable)).astype(jnp.int32)
    rows = jnp.sort(jnp.stack([first, second]))
    return rows, jnp.sqrt(row_at(squared, second))


def _greedy(
    least: jax.Array,
    points: Dense,
    scale: jax.Array,
    utilities: jax.Array,
    usable: jax.Array,
    budget: int,
) -> Spread:
    """The most useful row at a distance of `least` [] or more from all picks, again and again."""

    def goes_on(carry):
        return carry[-1]

    def pick(carry):
        found, near, free, count, _ = carry
        row = best_row(priority(utilities, free & (near >= least))).astype(jnp.int32)
        fits, gap, utility = row_at((free & (near >= least), near, utilities), row)
        slot = jnp.where(fits, count, budget)
        found = Spread(
            found.rows.at[slot].set(row),
            found.utility + jnp.where(fits, utility, 0.0),
            jnp.where(fits, jnp.minimum(found.diversity, gap), found.diversity),
        )
        distance = jnp.sqrt(points.difference(points.take(row[None]), scale)[:, 0])
        near = jnp.where(fits, jnp.minimum(near, distance), near)
        count += fits.astype(jnp.int32)
        return found, near, without(free, row), count, fits & (count < budget)

    none = jnp.zeros_like(utilities, shape=())
    found = Spread(jnp.full(budget, -1, jnp.int32), none, none + jnp.inf)
    start = found, jnp.full_like(utilities, jnp.inf), usable, jnp.int32(0), jnp.bool_(True)
    return jax.lax.while_loop(goes_on, pick, start)[0]


def _in_units(points: Dense, scale: jax.Array) -> Dense:
    return Dense(points.features / scale)


@entry.checked(
    features=entry.matrix("[N, D]"),
    utilities=entry.matrix("[N]"),
    available=entry.mask,
    budget=entry.budget,
    trade_off=entry.at_least(0.0),
    epsilon=entry.positive,
)
def gist(
    features: jax.Array,
    utilities: jax.Array,
    available: jax.Array,
    budget: int,
    *,
    trade_off: float | jax.Array,
    epsilon: float = 0.1,
) -> Selection:
    """GIST: the rows of most utility, plus `trade_off` times the least distance of two of them.

    For each of about log(2 / epsilon) / log(1 + epsilon) distances, the rows of highest utility are
    taken greedily that keep that distance; the best of these sets, of the greedy set that keeps
    none and of the pair that is farthest apart is returned: at least 1/2 - epsilon of the best
    value for utilities of at least 0. It may be smaller than the budget.

    Time O(N^2 D) for the farthest pair, as matrix products, and O(N B D) for each of the distances
    T, side by side: memory O(N T).

    Args:
      features: [N, D].
      utilities: [N], what each row is worth; best at least 0.
      available: [N] bool.
      budget: how many rows at most, 1 to N.
      trade_off: what a unit of distance is worth, at least 0.
      epsilon: by which factor, less 1, the distances differ; above 0 and at most 2.

    Returns:
      `Selection` in the order of picking, -1 past the end of the set; a score is the utility. Rows
      with a NaN or an infinity, in the features or the utility, are not picked.

    Raises:
      TypeError: if an array or a mask is none, or a number is of another type.
      ValueError: if shapes disagree, the budget is above the available rows, or a number out of
        range.

    References:
      Fahrbach et al., "GIST: greedy independent set thresholding for max-min diversification with
      submodular utility", NeurIPS 2025, algorithm 1.

    Example:

    >>> points = jnp.array([[0.0], [0.1], [5.0]])
    >>> utilities = jnp.array([1.0, 0.9, 0.5])
    >>> gist(points, utilities, jnp.ones(3, bool), 2, trade_off=1.0).rows.tolist()
    [0, 2]
    """
    _rows.check_free(budget, available, None, features=features, utilities=utilities)
    if not epsilon <= 2:
        raise ValueError(f"epsilon: expected a number above 0 and at most 2, got {epsilon!r}")
    return _gist(features, utilities, available, budget, trade_off, float(epsilon))


@partial(jax.jit, static_argnames=("budget", "epsilon"))
def _gist(features, utilities, available, budget, trade_off, epsilon) -> Selection:
    points = Dense(jnp.asarray(features).astype(float))
    utilities = jnp.asarray(utilities).astype(points.features.dtype)
    usable = available & points.finite() & jnp.isfinite(utilities)
    utilities = jnp.where(usable, utilities, 0.0)
    frame, scale = points.masked(usable).frame(usable)
    unit = scale
    if is_gpu():
        # In place of the points, of which a loop would keep a copy; by a power of two, so exact.
        points, unit = rewritten(_in_units, points, usable, scale), jnp.ones_like(scale)
        frame = frame[0], unit
    else:
        points = points.masked(usable)
    placed = Placed(points, usable, frame)
    # Every pick reads all points, which a GPU places on the way.
    placed = placed.copied_if_small() if is_gpu() else placed.copied()
    pair, diameter = _farthest_pair(points, placed, unit, usable)
    number = 1 + math.floor(math.log(2 / epsilon) / math.log1p(epsilon) + 1e-9)
    powers = [0.0, *(epsilon / 2 * (1 + epsilon) ** i for i in range(number))]
    least = jnp.asarray(powers, points.features.dtype) * diameter
    # Distances are in units of the scale.
    found = jax.vmap(lambda one: _greedy(one, points, unit, utilities, usable, budget))(least)
    value = found.utility + trade_off * scale * jnp.minimum(found.diversity, diameter)
    rows = found.rows
    if budget >= 2:
        apart = jnp.full((1, budget), -1, jnp.int32).at[0, :2].set(pair)
        both = pair[0] != pair[1]
        worth = utilities[pair].sum() + trade_off * scale * diameter
        worth = jnp.where(both, worth, -jnp.inf)[None]
        # Of sets that are as good the first wins: the pair is second.
        rows = jnp.concatenate([rows[:1], apart, rows[1:]])
        value = jnp.concatenate([value[:1], worth, value[1:]])
    best = rows[jnp.argmax(value)]
    scores = jnp.where(best >= 0, utilities[best], -jnp.inf)
    return Selection(best, scores.astype(jnp.float32))
