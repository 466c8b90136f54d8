"""What greedy picks are worth, and a bound on the best that there are, from stale gains."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.greedy.inside import Picks
from jaxal.rows import top_rows


class Value(NamedTuple):
    """What the picks so far are worth, and at most worth are the best `budget` rows.

    Of a submodular f with f(empty) = 0, the value of any rows T is at most the sum of their first
    gains. If f is monotone too, for all picks S,

        f(T) <= f(S + T) <= f(S) + sum_{j in T} (f(S + j) - f(S)),

    of which the last is at most the sum of the highest `budget` bounds on the gains, as lazy greedy
    has them, or `budget` times the gain of the next pick. The lowest of all that has been found so
    far is kept. It holds but for rounding.
    """

    value: float  # f of the picks
    optimum: float  # no `budget` available rows have a higher value

    @property
    def ratio(self) -> float:
        """The share of the best value that is reached, proved; 0 where none is."""
        if self.value >= self.optimum:
            return 1.0
        return max(self.value / self.optimum, 0.0) if self.optimum > 0 else 0.0


def highest(bounds: jax.Array, free: jax.Array, budget: int) -> jax.Array:
    """The sum of the highest bounds [N] of rows that are free [N], [], as far as above 0."""
    return jnp.sum(top_rows(jnp.where(free & (bounds > 0), bounds, 0.0), budget)[0])


def value_and_bound(
    picks: Picks, bounds: jax.Array, free: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The value of the picks [], and a bound on the best, if f is monotone submodular, [].

    Args:
      picks: whose scores were their gains, the highest at that time.
      bounds: [N] of the gains by now.
      free: [N] bool, available and not picked.
    """
    budget = len(picks.rows)
    picked = jnp.arange(budget, dtype=jnp.int32) < picks.count
    gains = jnp.where(picked & (picks.scores > -jnp.inf), picks.scores, 0.0)
    after = jnp.cumsum(gains)
    by_picks = jnp.where(picked, after - gains + budget * gains, jnp.inf)
    by_bounds = after[-1] + highest(bounds, free, budget)
    return after[-1], jnp.minimum(by_bounds, jnp.min(by_picks))
