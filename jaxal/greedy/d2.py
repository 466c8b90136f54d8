"""D^2 sampling (the seeding of k-means++), exact, in few passes over the pool.

The sequential law draws each row with probability proportional to its squared distance to the rows
drawn before. A pass draws Q candidates from the distances as they were at its start and accepts
each, in order, with probability (distance by now) / (distance at the start): as distances only
shrink, what is accepted follows the sequential law exactly. One matrix product a pass gives the
distances of all rows to the candidates.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxal.base import Selection
from jaxal.numerics import next_uniforms, running_sum
from jaxal.points.embedding import Embedding
from jaxal.points.placed import Placed
from jaxal.rows import LINE, largest, line_sums

# The tiers that rows are drawn from: a tier is empty before the next lower one is drawn from.
_TAKEN, _NOT_FINITE, _COVERED, _DISTANT, FIRST = map(np.int8, range(-1, 4))


class D2Pool(NamedTuple):
    """What all passes draw from."""

    points: Placed
    norms: jax.Array  # [N] squared
    begins: jax.Array  # [N] bool, rows that the first pick may be


class D2State(NamedTuple):
    """What a pass hands the next."""

    squared: jax.Array  # [N] squared distance to the nearest pick
    free: jax.Array  # [N] bool, available and not picked
    rows: jax.Array  # [B] int32
    scores: jax.Array  # [B]
    count: jax.Array  # [] rows picked so far
    left: jax.Array  # [] bool, whether the last pass found a row that was free
    key: jax.Array
    passes: jax.Array  # []


class Candidates(NamedTuple):
    """Rows drawn, of which some are accepted in turn."""

    rows: jax.Array  # [Q] int32, with replacement
    drawn: jax.Array  # [Q] the weights by which they were
    limit: jax.Array  # [Q] a row is accepted if its weight, at its turn, is above
    tier: jax.Array  # [] int8, that of all of them
    key: jax.Array  # the next


COARSE = 2**13
"""Lines from which on one number of 24 bits is too coarse to choose among them."""

BLOCK = 2**9
"""Lines that are then chosen among at once: [Q, BLOCK] numbers, and N / LINE / BLOCK blocks."""


def sample_rows(
    uniform: jax.Array, weights: jax.Array, inside: jax.Array | None = None
) -> jax.Array:
    """Draws rows with replacement, row i with probability weights[i] / sum, [num] int32.

    Inverts the cumulative sum in two levels, of lines of LINE rows, so that no float32 sum is long:
    O(N + num N / LINE) time, and on several devices N / LINE numbers are exchanged. The same draws
    come of any number of devices.

    Args:
      uniform: [num] numbers in [0, 1), a draw of each.
      weights: [N] floats >= 0.
      inside: [2, num] numbers as `uniform`, which choose inside a line, and which line of a block
        where there are more than COARSE; what `uniform` leaves does if not given. It has 24 bits in
        all, which are few where there are as many rows.

    Returns:
      [num] int32; a row of weight 0 only if all are 0, or by rounding.
    """
    sums = line_sums(weights)
    if inside is not None and len(sums) > COARSE:
        blocks = jnp.pad(sums, (0, -len(sums) % BLOCK)).reshape(-1, BLOCK)
        block, rest = _invert(uniform, running_sum(jnp.sum(blocks, axis=1)))
        ends = running_sum(blocks[block])
        line = block * BLOCK + _first_above(ends, inside[1] * ends[:, -1])
    else:
        line, rest = _invert(uniform, running_sum(sums))
    rest = rest if inside is None else inside[0] * sums[line]
    rows = line[:, None] * LINE + jnp.arange(LINE, dtype=jnp.int32)[None, :]
    some = weights.at[rows].get(mode="fill", fill_value=0.0)
    return line * LINE + _first_above(running_sum(some), rest)


def _invert(uniform: jax.Array, ends: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Where draws [num] end among cumulative sums [M], int32, and what they leave of the last."""
    target = uniform * ends[-1]
    place = _first_above(ends[None, :], target)
    return place, target - jnp.where(place > 0, ends[place - 1], 0.0)


def _first_above(ends: jax.Array, target: jax.Array) -> jax.Array:
    """The first of cumulative sums [num or 1, M] above each target [num], int32."""
    return jnp.argmax(ends > target[:, None], axis=1).astype(jnp.int32)


def _accept(now: jax.Array, limit: jax.Array, between: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Goes through the candidates in order, each accepted if its weight is above its limit.

    Args:
      now: [Q] weights before any is accepted.
      limit: [Q] uniform in [0, the weight by which it was drawn).
      between: [Q, Q] what a candidate's weight falls to, at most, once another is picked.

    Returns:
      Which are accepted [Q] bool, and the weights that they had at their turn [Q].
    """
    places = jnp.arange(len(now), dtype=jnp.int32)
    earlier = places[:, None] < places[None, :]

    def step(carry):
        accepted, _, _ = carry
        falls = jnp.where(accepted[:, None] & earlier, between, jnp.inf)
        worth = jnp.minimum(now, jnp.min(falls, axis=0))
        again = limit < worth
        return again, worth, jnp.any(again != accepted)

    # Each step is right of one candidate more at least, and of all once nothing changes: a few
    # steps where going through them one by one would be Q.
    start = jnp.ones_like(places, bool), now, jnp.bool_(True)
    accepted, worth, _ = jax.lax.while_loop(lambda carry: carry[2], step, start)
    return accepted, worth


def _weigh(state: D2State, begins: jax.Array, usable: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The tier to draw from [] int8, and the weights of its rows [N].

    Args:
      state: before a pass.
      begins: [N] bool, rows that the first pick may be.
      usable: [N] bool, rows that have distances.
    """
    # A distance that is below the normal numbers would be accepted with probability 0.
    distant = state.squared >= jnp.finfo(state.squared.dtype).tiny
    tier = jnp.where(distant, _DISTANT, _COVERED)
    tier = jnp.where(begins & (state.count == 0), FIRST, jnp.where(usable, tier, _NOT_FINITE))
    tier = jnp.where(state.free, tier, _TAKEN)
    top = largest(tier)
    weights = jnp.where(top == _DISTANT, state.squared, jnp.ones_like(state.squared))
    return top, jnp.where(state.free & (tier == top), weights, 0.0)


def before_any_draw(
    key: jax.Array,
    points: Embedding | Placed,
    first: jax.Array | None,
    available: jax.Array,
    budget: int,
) -> tuple[D2Pool, D2State]:
    """What the first pass begins with; arguments as `d2_sampling`."""
    if not isinstance(points, Placed):
        usable = points.finite()
        points = Placed(points.masked(usable), usable, None)
    points = points.copied_if_small()
    usable, norms = points.usable, points.everything().squared_norm()
    rows = jnp.arange(available.shape[0], dtype=jnp.int32)
    begins = usable if first is None else rows == first
    return D2Pool(points, norms, begins), fresh_state(key, available, budget, norms.dtype)


def fresh_state(key: jax.Array, available: jax.Array, budget: int, dtype: DTypeLike) -> D2State:
    """Before any pick: all rows are as far as can be."""
    size = available.shape[0]
    return D2State(
        # Distances of any size add up to a finite sum.
        squared=jnp.full(size, jnp.finfo(dtype).max / (4 * size), dtype),
        free=available,
        rows=jnp.full(budget, -1, jnp.int32),
        scores=jnp.full(budget, -jnp.inf, dtype),
        count=jnp.int32(0),
        left=jnp.bool_(True),
        key=key,
        passes=jnp.int32(0),
    )


def draw_candidates(
    state: D2State, begins: jax.Array, usable: jax.Array, num: int, *, finely: bool = False
) -> Candidates:
    """Draws rows by the weights of the state, which may be above what they are.

    Args:
      state: before a pass; its squared distances are the weights.
      begins: [N] bool, rows that the first pick may be.
      usable: [N] bool, rows that have distances.
      num: Q, how many.
      finely: draw inside a line of rows by numbers of its own, as of more than BLOCK lines anyway.
    """
    key, (draw, accept) = next_uniforms(state.key, num, state.squared.dtype)
    inside = None
    if finely or len(usable) > COARSE * LINE:
        key, inside = next_uniforms(key, num, state.squared.dtype)
    tier, weights = _weigh(state, begins, usable)
    rows = sample_rows(draw, weights, inside)
    drawn = weights[rows]
    return Candidates(rows, drawn, accept * drawn, tier, key)


def accept_candidates(
    state: D2State,
    candidates: Candidates,
    now: jax.Array,
    between: jax.Array,
    norms: jax.Array,
) -> tuple[D2State, jax.Array]:
    """Goes through the candidates in order: what is accepted follows the law of the weights `now`.

    Args:
      state: by which they were drawn.
      candidates: Q of them.
      now: [Q] their squared distances, none above that by which it was drawn.
      between: [Q, Q] their squared distances to each other.
      norms: [Q] the scores of a first pick.

    Returns:
      The state, but for the squared distances to what was accepted, and what was, [Q] bool.
    """
    rows, first = candidates.rows, candidates.tier == FIRST
    budget = len(state.rows)
    # Of the first tier one row is picked; in those without distances, each row once.
    by_distance = candidates.tier == _DISTANT
    between = jnp.where(by_distance, between, jnp.where(first, 0.0, jnp.inf))
    between = jnp.where(rows[:, None] == rows[None, :], 0.0, between)
    now = jnp.where(by_distance, now, candidates.drawn)
    accepted, worth = _accept(now, candidates.limit, between)
    worth = jnp.where(by_distance, worth, jnp.where(first, norms, 0.0))
    # Slots that are not filled, and those past the budget, lie beyond the end and are dropped.
    order = state.count + running_sum(accepted.astype(norms.dtype)).astype(jnp.int32)
    slot = jnp.where(accepted, order - 1, budget)
    accepted &= slot < budget
    after = D2State(
        squared=state.squared,
        free=state.free.at[jnp.where(accepted, rows, len(state.free))].set(False),
        rows=state.rows.at[slot].set(rows),
        scores=state.scores.at[slot].set(worth),
        count=jnp.minimum(order[-1], budget),
        left=candidates.tier > _TAKEN,
        key=candidates.key,
        passes=state.passes + 1,
    )
    return after, accepted


def draw_by_distance(pool: D2Pool, state: D2State, block_size: int) -> D2State:
    """A pass: up to `block_size` candidates, and what is accepted of them."""
    points = pool.points
    block_size = candidates_of_a_pass(block_size, len(state.rows))
    drawn = draw_candidates(state, pool.begins, points.usable, block_size)
    candidates = points.take(drawn.rows)
    between = candidates.squared_distance(candidates)
    norms = pool.norms[drawn.rows]
    after, accepted = accept_candidates(state, drawn, drawn.drawn, between, norms)
    return after._replace(
        squared=points.fold_centers(state.squared, candidates, accepted, end=block_size)
    )


def candidates_of_a_pass(block_size: int, budget: int) -> int:
    """How many are drawn at once: no more than a small budget could take."""
    return min(block_size, max(16, 2 * budget))


def unfinished(state: D2State) -> jax.Array:
    """Whether a further pass could draw a row, [] bool."""
    return (state.count < len(state.rows)) & state.left


def d2_sampling(
    key: jax.Array,
    points: Embedding | Placed,
    first: jax.Array | None,
    available: jax.Array,
    budget: int,
    *,
    block_size: int,
) -> tuple[Selection, D2State]:
    """Draws `budget` distinct available rows by the sequential D^2 law.

    Rows at distance 0 from the picks are drawn only when nothing else is left, uniformly, and rows
    that are not usable only after these. Memory is O(N) above the points.

    Args:
      key: PRNG key, consumed.
      points: N points, placed so that their squared distances neither overflow nor underflow; an
        `Embedding` is taken as it is, its rows that are not finite as zeros.
      first: [] int32 the first pick, an available row (ignored if there is none); None: drawn
        uniformly from the usable rows.
      available: [N] bool.
      budget: how many rows.
      block_size: Q, candidates drawn in a pass.

    Returns:
      `Selection`, whose scores are squared distances to the nearest earlier pick (the squared norm
      for the first), and the last `D2State`.
    """
    pool, start = before_any_draw(key, points, first, available, budget)
    state = jax.lax.while_loop(
        unfinished, lambda state: draw_by_distance(pool, state, block_size), start
    )
    return Selection(state.rows, state.scores.astype(jnp.float32)), state
