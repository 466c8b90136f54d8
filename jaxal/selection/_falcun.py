"""FALCUN: rows drawn by their margin and by how far their prediction is from those of the picks."""

from functools import partial

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import Selection
from jaxal.greedy.d2 import sample_rows
from jaxal.rows import best_row, largest, row_at, without
from jaxal.scores.uncertainty import as_logits, margin
from jaxal.selection import _rows
from jaxal.threefry import short_key


@entry.checked(
    key=entry.key,
    logits=entry.matrix("[N, C]"),
    available=entry.mask,
    budget=entry.budget,
    gamma=entry.at_least(0),
)
def falcun(
    key: jax.Array,
    logits: jax.Array,
    available: jax.Array,
    budget: int,
    *,
    gamma: float | jax.Array = 10.0,
) -> Selection:
    """FALCUN: draws rows in proportion to (uncertainty + diversity)^gamma, one after the other.

    Uncertainty is 1 less the lead of the likeliest class. Diversity is the least of it and of the
    L1 distances from the row's class probabilities to those of the picks, shifted and scaled to
    [0, 1] over the rows that are left.

    Time O(N C) a pick, memory O(N C).

    Args:
      key: PRNG key, consumed.
      logits: [N, C], logits or log-probabilities. Rows that hold NaN or +inf come last.
      available: [N] bool.
      budget: how many rows, 1 to N.
      gamma: at least 0; 0 draws uniformly, and the larger it is, the greedier.

    Returns:
      `Selection`; scores are uncertainty + diversity of each row as it was picked, from 0 to 2.

    Raises:
      TypeError: if an array or a mask is none, or gamma no number.
      ValueError: if shapes disagree, the budget is above the available rows, or gamma is below 0.

    References:
      Gilhuber et al., "FALCUN: a simple and efficient deep active learning strategy", ECML 2024.

    Example:
      >>> unsure = [[0.1, 0.0, -9.0], [0.1, 0.0, -9.0], [-9.0, 0.0, 0.1]]
      >>> logits = jnp.array([*unsure, [9.0, 0.0, 0.0]])
      >>> rows = falcun(jax.random.key(0), logits, jnp.ones(4, bool), 2, gamma=99.0).rows
      >>> sorted(rows.tolist()) in ([0, 2], [1, 2])  # and not the copies 0 and 1
      True
    """
    logits = as_logits("logits", logits, "[N, C]")
    _rows.check_free(budget, available, None, logits=logits)
    return _falcun(key, logits, available, budget, gamma)


@partial(jax.jit, static_argnames="budget")
def _falcun(key, logits, available, budget, gamma) -> Selection:
    uncertainty = 1.0 + margin(logits)
    usable = jnp.isfinite(uncertainty)
    uncertainty = jnp.where(usable, uncertainty, 0.0)
    probs = jnp.where(usable[:, None], jax.nn.softmax(logits), 0.0)
    draws = jax.random.uniform(short_key(key), (budget, 1), logits.dtype)
    blank = jnp.full(budget, -1, jnp.int32), jnp.full(budget, -jnp.inf, logits.dtype)

    def pick(place, carry):
        rows, scores, free, distance = carry
        some = free & usable
        high, low = (largest(jnp.where(some, sign * distance, -jnp.inf)) for sign in (1, -1))
        low = -low
        spread = jnp.where(high > low, high - low, 1.0)
        worth = jnp.where(some, uncertainty + (distance - low) / spread, 0.0)
        top = largest(worth)
        # Divided by the largest, so that no power of all rows underflows.
        weights = jnp.where(top > 0, (worth / jnp.where(top > 0, top, 1.0)) ** gamma, 1.0)
        weights = jnp.where(largest(some), jnp.where(some, weights, 0.0), jnp.where(free, 1.0, 0.0))
        row = sample_rows(draws[place], weights)[0]
        # By rounding, a draw may end on a row that has no weight.
        row = jnp.where(row_at(weights, row) > 0, row, best_row(weights).astype(jnp.int32))
        left = row_at(free, row)
        moved = jnp.sum(jnp.abs(probs - row_at(probs, row)[None, :]), axis=1)
        return (
            rows.at[place].set(jnp.where(left, row, -1)),
            scores.at[place].set(jnp.where(left, row_at(worth, row), -jnp.inf)),
            without(free, row),
            jnp.minimum(distance, moved),
        )

    start = (*blank, available, uncertainty)
    rows, scores, _, _ = jax.lax.fori_loop(0, budget, pick, start)
    return Selection(rows, scores.astype(jnp.float32))
