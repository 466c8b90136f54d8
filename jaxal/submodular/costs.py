"""What rows cost, and what is left to spend on them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.checks import check_rank

ROUNDING = 1e-6  # of the budget, by which the picks may pass it


class Knapsack(NamedTuple):
    """Rows with a cost each under one budget. A row that no longer fits never fits again."""

    costs: jax.Array  # [N]
    prices: jax.Array  # [N], what gains are divided by to compare them
    left: jax.Array  # []

    def fits(self) -> jax.Array:
        """The rows that can be paid for, [N]; none whose cost is NaN or not above 0."""
        return (self.costs > 0) & (self.costs <= self.left)

    def take(self, rows: jax.Array) -> "Knapsack":
        """The same for rows [Q] alone."""
        return Knapsack(self.costs[rows], self.prices[rows], self.left)

    def per_price(self, gains: jax.Array) -> jax.Array:
        """What rows are compared by, gains [N] over prices."""
        return gains / self.prices

    def spend(self, row: jax.Array) -> "Knapsack":
        """What is left once a row [] is paid for."""
        return self._replace(left=self.left - self.costs[row])


def make_knapsack(
    size: int,
    costs: jax.Array | None,
    cost_budget: jax.Array | float | None,
    cost_sensitive: bool,
) -> Knapsack | None:
    """The knapsack of a call, None if no costs are given.

    Args:
      size: the number of rows, N.
      costs: [N].
      cost_budget: [], what the picks may cost together.
      cost_sensitive: compare gains per cost; if not, gains.

    Raises:
      ValueError: one of costs and budget without the other, or costs that are not [N].
    """
    if (costs is None) != (cost_budget is None):
        given, missing = "costs", "cost_budget"
        if costs is None:
            given, missing = missing, given
        raise ValueError(f"{missing}: needed with {given}")
    if costs is None or cost_budget is None:
        return None
    costs = jnp.asarray(costs).astype(float)
    check_rank("costs", costs, 1, "[N]")
    if len(costs) != size:
        raise ValueError(f"costs: expected {size} rows, got {len(costs)}")
    left = jnp.asarray(cost_budget, float)
    check_rank("cost_budget", left, 0, "[]")
    prices = costs if cost_sensitive else jnp.ones_like(costs)
    return Knapsack(costs, prices, left * (1 + ROUNDING))
