"""Greedy maximisation of set functions pass by pass, with a bound on what any picks could reach."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import Selection
from jaxal.checks import check_budget
from jaxal.greedy.lazy import LazyState, before_any_pick, pick_by_bounds, unfinished
from jaxal.pools.devices import mesh_of
from jaxal.rows import rows_over
from jaxal.selection.anytime.progress import Measured, Progress, passes, settled
from jaxal.selection.anytime.value import Value, highest, value_and_bound
from jaxal.submodular.function import SetFunction, check_function, rows_at_once
from jaxal.submodular.optimizers import lazy_rule, lazy_start


class Maximizing(NamedTuple):
    """What a pass hands the next."""

    lazy: LazyState
    optimum: jax.Array  # [], the lowest bound found, without the function's offset


@entry.checked(
    function=check_function,
    available=entry.mask,
    budget=entry.budget,
    block_size=entry.integer(1),
)
def maximize(
    function: SetFunction, available: jax.Array, budget: int, *, block_size: int = 256
) -> Iterator[Progress]:
    """`submodular.maximize` by its lazy optimizer, which can be left after any pass over the pool.

    All passes are one compiled program, of the time of those of the whole decision and of a search
    for the `budget` highest bounds. Before the first, bounds of all gains are computed, which may
    take longer than a pass.

    Args:
      function: over N rows, submodular. If `function.monotone` does not tell that it is monotone,
        only the first gains bound the optimum.
      available: [N] bool, may be picked.
      budget: how many rows at most, 1 to N.
      block_size: rows whose gains are brought up to date at a time.

    Returns:
      An iterator of `Progress`, whose `bound` is a `Value`.

    Raises:
      ValueError: a function that is not submodular, `available` not [N], or a number out of range.
      TypeError: no set function, a mask that is not bool, or an argument of another type.

    References:
      Minoux, "Accelerated greedy algorithms for maximizing submodular set functions", 1978.
      Nemhauser, Wolsey and Fisher, "An analysis of approximations for maximizing submodular set
      functions", Mathematical Programming 1978, section 4. Leskovec et al., "Cost-effective
      outbreak detection in networks", KDD 2007, section 3.2, the online bound.

    Example:

    >>> from jaxal.submodular import set_cover
    >>> concepts = jnp.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    >>> *_, last = maximize(set_cover(concepts), jnp.ones(4, bool), 2)
    >>> last.selection.rows.tolist(), last.bound.value, last.bound.optimum
    ([0, 1], 3.0, 4.0)
    """
    if not function.submodular:
        name = type(function).__name__
        raise ValueError(
            f"function: expected a submodular one, as gains bound no other, got {name}"
        )
    if len(available) != function.size:
        raise ValueError(f"available: expected {function.size} rows, got {len(available)}")
    check_budget(budget, function.size)
    available = jnp.asarray(available)
    mesh = mesh_of((function, available))
    with rows_over(mesh):
        start = _start(function, available, budget)
    step = partial(_step, function, available, block_size=min(block_size, rows_at_once(function)))
    return passes(start, step, Value, mesh)


@partial(jax.jit, static_argnames="budget")
def _start(function: SetFunction, available: jax.Array, budget: int) -> Maximizing:
    start = lazy_start(function, budget)
    lazy = before_any_pick(start, available, budget, start.bounds.dtype)
    lazy = settled(lazy, len(available))
    return Maximizing(lazy, highest(start.bounds, available, budget))


@partial(jax.jit, static_argnames="block_size")
def _step(
    function: SetFunction, available: jax.Array, before: Maximizing, *, block_size: int
) -> tuple[Maximizing, Measured]:
    lazy = pick_by_bounds(lazy_rule(function), before.lazy, block_size)
    lazy = settled(lazy, len(available))
    rows, scores, count = lazy.picks
    value, lowest = value_and_bound(lazy.picks, lazy.state.bounds, lazy.available)
    optimum = jnp.where(function.monotone, jnp.minimum(before.optimum, lowest), before.optimum)
    selection = Selection(rows, scores.astype(jnp.float32))
    bound = value, optimum
    if function.offset is not None:
        first = selection.scores.at[0].add(jnp.asarray(function.offset, jnp.float32))
        selection = selection._replace(scores=first)
        bound = jnp.where(count > 0, value + function.offset, 0.0), optimum + function.offset
    found = Measured(selection, count, lazy.passes, bound, ~unfinished(lazy))
    return Maximizing(lazy, optimum), found
