"""Greedy maximisation of set functions: naive, block-lazy, stochastic, and lazier than lazy."""

import math
import warnings
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import Selection
from jaxal.checks import check_budget
from jaxal.submodular.costs import make_knapsack
from jaxal.submodular.function import SetFunction, check_function
from jaxal.submodular.optimizers import (
    Best,
    GreedyState,
    best_of_all,
    best_of_sample,
    best_of_sample_lazily,
    block_lazy,
    one_by_one,
)

OPTIMIZERS = ("naive", "lazy", "stochastic", "lazier_than_lazy")
ROUNDING = 1e-6  # gains are zero within this share of the largest


@entry.checked(
    function=check_function,
    available=entry.mask,
    budget=entry.budget,
    optimizer=entry.one_of(OPTIMIZERS),
    key=entry.key,
    epsilon=entry.fraction,
    block_size=entry.integer(1),
    costs=entry.matrix("[N]"),
    cost_budget=entry.at_least(0.0),
    cost_sensitive=entry.flag,
    stop_if_zero_gain=entry.flag,
    stop_if_negative_gain=entry.flag,
)
@partial(
    jax.jit,
    static_argnames=(
        "budget",
        "optimizer",
        "epsilon",
        "block_size",
        "cost_sensitive",
        "stop_if_zero_gain",
        "stop_if_negative_gain",
    ),
)
def maximize(
    function: SetFunction,
    available: jax.Array,
    budget: int,
    *,
    optimizer: str = "lazy",
    key: jax.Array | None = None,
    epsilon: float = 0.1,
    block_size: int = 256,
    costs: jax.Array | None = None,
    cost_budget: jax.Array | float | None = None,
    cost_sensitive: bool = True,
    stop_if_zero_gain: bool = False,
    stop_if_negative_gain: bool = False,
) -> Selection:
    """Greedily selects the available row that adds most to the function; ties to the lowest row.

        naive             all gains anew for every pick
        lazy              the same picks, rounding of equal gains aside; only gains whose stale
                          value, an upper bound, could still win
        stochastic        the best of N / B ln(1 / epsilon) random rows for every pick
        lazier_than_lazy  the same picks as stochastic, with stale gains as in lazy

    Naive takes N B gains, lazy a small multiple of N, stochastic N ln(1 / epsilon). The stale gains
    of a function that is not submodular (`function.submodular` tells) bound nothing: naive greedy
    maximises it whatever was asked, with a warning, when traced, in place of an optimizer that
    samples.

    With costs, rows that what is left of `cost_budget` does not pay for are passed over, and the
    best row is that with the highest gain per cost. On its own this can be as bad as any, as one
    cheap row may keep out all that is good; the better of it and of `cost_sensitive=False` reaches
    (1 - 1/e) / 2 of the best value, if f is monotone and submodular and the budget of rows does not
    bind.

    Args:
      function: over N rows.
      available: [N] bool, may be picked; the function's own sums run over all rows.
      budget: how many rows at most, 1 to N.
      optimizer: "naive", "lazy", "stochastic" or "lazier_than_lazy".
      key: PRNG key, consumed, for the two that sample.
      epsilon: they reach (1 - 1/e - epsilon) of the best value in expectation, if f is monotone and
        there are no costs.
      block_size: rows whose gains are brought up to date at a time, in lazy.
      costs: [N], what each row costs, > 0; a row whose cost is not above 0 is never picked.
      cost_budget: [], what the picks may cost together, within rounding; finite and at least 0.
      cost_sensitive: compare gains per cost; if not, gains.
      stop_if_zero_gain: end before the first pick that adds nothing; -1 from there on.
      stop_if_negative_gain: end before the first pick that takes away.

    Returns:
      `Selection`; a score is the gain when the row was picked, -inf for rows that are not usable,
      which come last; rows are -1 past the last one.

    Raises:
      ValueError: unknown optimizer, no key for one that samples, `available` or `costs` not [N],
        costs or their budget without the other, or a number out of range.
      TypeError: no set function, a mask that is not bool, or an argument of another type.

    References:
      Minoux, "Accelerated greedy algorithms for maximizing submodular set functions", 1978.
      Mirzasoleiman et al., "Lazier than lazy greedy", AAAI 2015.
      Leskovec et al., "Cost-effective outbreak detection in networks", KDD 2007, section 3.

    >>> from jaxal.submodular import facility_location
    >>> points = jnp.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    >>> maximize(facility_location(points), jnp.ones(3, bool), 2).rows.tolist()
    [1, 2]
    >>> costs = {"costs": jnp.array([1.0, 3.0, 1.0]), "cost_budget": 2.0}
    >>> maximize(facility_location(points), jnp.ones(3, bool), 3, **costs).rows.tolist()
    [0, 2, -1]
    """
    if len(available) != function.size:
        raise ValueError(f"available: expected {function.size} rows, got {len(available)}")
    check_budget(budget, function.size)
    knapsack = make_knapsack(function.size, costs, cost_budget, cost_sensitive)
    samples = optimizer in ("stochastic", "lazier_than_lazy")
    if samples and not function.submodular:
        name = type(function).__name__
        warnings.warn(f"{name} is not submodular: naive greedy", stacklevel=2)
    if not function.submodular:
        optimizer, samples = "naive", False
    if optimizer == "lazy":
        selection, _ = block_lazy(function, available, budget, knapsack, block_size)
    else:
        best = best_of_all
        if samples:
            best = _sampling(optimizer, key, epsilon, function.size, budget)
        selection = one_by_one(function, available, budget, knapsack, best)
    if function.offset is not None:
        scores = selection.scores.at[0].add(jnp.asarray(function.offset, jnp.float32))
        selection = selection._replace(scores=scores)
    return _stop(selection, stop_if_zero_gain, stop_if_negative_gain)


def _sampling(
    optimizer: str, key: jax.Array | None, epsilon: float, rows: int, budget: int
) -> Callable[[SetFunction, GreedyState], Best]:
    """How an optimizer that samples finds its next row."""
    if key is None:
        raise ValueError(f"key: {optimizer} samples and needs one")
    sample = min(math.ceil(rows / budget * math.log(1 / epsilon)), rows)
    best = best_of_sample if optimizer == "stochastic" else best_of_sample_lazily
    return partial(best, key=key, sample=sample)


def _stop(selection: Selection, zero: bool, negative: bool) -> Selection:
    """The picks before the first that gains nothing, or less."""
    if not (zero or negative):
        return selection
    rows, scores = selection.rows, selection.scores
    tolerance = ROUNDING * jnp.max(jnp.abs(jnp.where(jnp.isfinite(scores), scores, 0.0)))
    ends = scores <= tolerance if zero else scores < -tolerance
    kept = jnp.cumsum(ends) == 0
    return Selection(jnp.where(kept, rows, -1), jnp.where(kept, scores, -jnp.inf))
