"""D^2 sampling (the seeding of k-means++), exact, in few passes over the pool.

The sequential law draws each row with probability proportional to its squared distance to the rows drawn
before. A pass draws Q candidates from the distances as they were at its start and accepts each, in turn,
with probability (distance now) / (distance then): as distances only shrink, what is accepted follows the
sequential law exactly. One matrix product a pass then brings the pool up to date.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.base import Selection
from jaxal.greedy.take import fill
from jaxal.numerics import num_rows
from jaxal.points.distances import COLUMNS
from jaxal.points.embedding import Embedding


class D2State(NamedTuple):
    """What a pass hands the next."""

    squared: jax.Array  # [N] squared distance to the nearest pick; 0 where it cannot be drawn
    rows: jax.Array  # [B] int32
    scores: jax.Array  # [B]
    count: jax.Array  # []
    passes: jax.Array  # []


def sample_rows(key: jax.Array, weights: jax.Array, num: int) -> jax.Array:
    """D2State `num` rows with replacement, row i with probability weights[i] / sum, [num] int32.

    Inverts the cumulative sum in two levels, so that no float32 sum runs over more than about sqrt(N)
    terms: O(N + num sqrt(N)).
    """
    width = max(1, round(len(weights) ** 0.5))
    table = jnp.pad(weights, (0, -len(weights) % width)).reshape(-1, width)
    ends = jnp.cumsum(jnp.sum(table, axis=1))
    target = jax.random.uniform(key, (num,)) * ends[-1]
    line = jnp.minimum(jnp.searchsorted(ends, target, side="right"), len(ends) - 1)
    rest = target - jnp.where(line > 0, ends[line - 1], 0.0)
    within = jnp.cumsum(table[line], axis=1)
    place = jnp.sum(within <= rest[:, None], axis=1)
    return jnp.minimum(line * width + jnp.minimum(place, width - 1), len(weights) - 1)


def _accept(
    draws: D2State, rows: jax.Array, between: jax.Array, uniform: jax.Array
) -> tuple[jax.Array, jax.Array, D2State]:
    """Goes through the candidates in turn; returns which were accepted, their order, and the draws."""
    then = draws.squared[rows]
    budget, size = len(draws.rows), len(rows)

    def body(turn, carry):
        now, order, accepted, rows_out, scores_out = carry
        wins = (uniform[turn] * then[turn] < now[turn]) & (draws.count + accepted < budget)
        slot = jnp.where(wins, draws.count + accepted, budget)  # past the end: dropped
        order = order.at[jnp.where(wins, accepted, size)].set(turn)
        rows_out = rows_out.at[slot].set(rows[turn])
        scores_out = scores_out.at[slot].set(now[turn])
        now = jnp.where(wins, jnp.minimum(now, between[turn]), now)
        return now, order, accepted + wins, rows_out, scores_out

    start = (then, jnp.zeros(size, jnp.int32), jnp.int32(0), draws.rows, draws.scores)
    _, order, accepted, rows_out, scores_out = jax.lax.fori_loop(0, size, body, start)
    draws = draws._replace(rows=rows_out, scores=scores_out, count=draws.count + accepted)
    return order, accepted, draws


def _nearest(points: Embedding, centers: Embedding, count: jax.Array) -> jax.Array:
    """Squared distance to the nearest of the first `count` centers, [N], a few columns at a time."""
    size = num_rows(centers)
    columns = min(COLUMNS, size)

    def body(chunk, nearest):
        slots = chunk * columns + jnp.arange(columns)
        squared = points.squared_distance(centers.take(jnp.minimum(slots, size - 1)))
        squared = jnp.where((slots < count)[None, :], squared, jnp.inf)
        return jnp.minimum(nearest, jnp.min(squared, axis=1))

    rows = num_rows(points)
    return jax.lax.fori_loop(0, -(-count // columns), body, jnp.full(rows, jnp.inf))


def d2_sampling(
    key: jax.Array,
    points: Embedding,
    first: jax.Array,
    available: jax.Array,
    budget: int,
    *,
    block_size: int,
) -> tuple[Selection, D2State]:
    """D2State `budget` distinct available rows by the sequential D^2 law, beginning with row `first`.

    Rows at distance 0 from the picks are drawn only when nothing else is left, uniformly.

    Args:
      key: random key, consumed.
      points: N points, any `Embedding`.
      first: [] the first pick, an available row (ignored if there is none).
      available: [N] bool.
      budget: how many rows.
      block_size: Q, candidates drawn in a pass.

    Returns:
      `Selection`, whose scores are squared distances to the nearest earlier pick (the squared norm for
      the first), and the last `D2State`.
    """
    block_size = min(block_size, max(16, 2 * budget))
    key_passes, key_rest = jax.random.split(key)
    most = jnp.minimum(budget, jnp.sum(available))

    def flush(squared, picked, count):
        squared = jnp.minimum(squared, _nearest(points, points.take(picked), count))
        slots = jnp.arange(len(picked))
        squared = squared.at[jnp.where(slots < count, picked, len(squared))].set(0.0)
        return jnp.where(available & (squared > 0), squared, 0.0)  # NaN is never drawn

    def one_pass(draws: D2State) -> D2State:
        key_draw, key_accept = jax.random.split(jax.random.fold_in(key_passes, draws.passes))
        rows = sample_rows(key_draw, draws.squared, block_size)
        block = points.take(rows)
        between = block.squared_distance(block)
        between = jnp.where(rows[:, None] == rows[None, :], 0.0, between)
        uniform = jax.random.uniform(key_accept, (block_size,))
        order, accepted, draws = _accept(draws, rows, between, uniform)
        squared = flush(draws.squared, rows[order], accepted)
        return draws._replace(squared=squared, passes=draws.passes + 1)

    any_row = most > 0
    draws = D2State(
        squared=flush(jnp.full(len(available), jnp.inf), first[None], any_row.astype(jnp.int32)),
        rows=jnp.full(budget, -1, jnp.int32).at[0].set(jnp.where(any_row, first, -1)),
        scores=jnp.full(budget, -jnp.inf)
        .at[0]
        .set(jnp.where(any_row, points.take(first[None]).squared_norm()[0], -jnp.inf)),
        count=any_row.astype(jnp.int32),
        passes=jnp.int32(0),
    )
    draws = jax.lax.while_loop(
        lambda draws: (draws.count < most) & (jnp.max(draws.squared) > 0),
        one_pass,
        draws,
    )
    noise = jax.random.uniform(key_rest, available.shape)
    picked = Selection(draws.rows, draws.scores)
    return fill(picked, draws.count, noise, available), draws
