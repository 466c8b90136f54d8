"""Greedy selection by any rule, pass by pass, with a bound on the score of the next pick."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import PyTree, Selection
from jaxal.checks import check_budget, check_mask
from jaxal.greedy.lazy import (
    LazyState,
    Rule,
    before_any_pick,
    pick_by_bounds,
    refreshed,
    unfinished,
)
from jaxal.greedy.take import priority
from jaxal.pools.devices import mesh_of
from jaxal.rows import largest, rows_over
from jaxal.selection.anytime.progress import Measured, Progress, passes, settled


class Next(NamedTuple):
    """What is left to pick."""

    score: float  # no row that is left has a higher score; -inf: none is left


@entry.checked(
    rule=entry.instance(Rule),
    available=entry.mask,
    budget=entry.budget,
    block_size=entry.integer(1),
)
def lazy_greedy(
    rule: Rule, state: PyTree, available: jax.Array, budget: int, *, block_size: int
) -> Iterator[Progress]:
    """`selection.lazy_greedy`, which can be left after any pass over the pool.

    All passes are one compiled program, for as long as the rule is the same: one whose functions
    are made anew is compiled anew. A pass copies the rule's state.

    Args:
      rule: the scores in incremental form.
      state: the rule's state before any pick, of arrays.
      available: [N] bool.
      budget: how many rows, 1 to N.
      block_size: Q, rows brought up to date in a pass.

    Returns:
      An iterator of `Progress`, whose `bound` is a `Next`.

    Raises:
      TypeError: no `Rule`, a mask that is not bool, or a number that is not an integer.
      ValueError: a mask that has not as many rows as bounds, a budget outside 1 to N, or a
        block_size below 1.
    """
    available = jnp.asarray(available)
    check_mask("available", available, len(jax.eval_shape(rule.bounds, state)))
    check_budget(budget, len(available))
    mesh = mesh_of((state, available))
    with rows_over(mesh):
        lazy = _start(rule, state, available, budget)
    return passes(lazy, partial(_step, rule, block_size=block_size), Next, mesh)


@partial(jax.jit, static_argnames=("rule", "budget"))
def _start(rule: Rule, state: PyTree, available: jax.Array, budget: int) -> LazyState:
    lazy = before_any_pick(state, available, budget, rule.bounds(state).dtype)
    return settled(refreshed(rule, lazy), len(available))


@partial(jax.jit, static_argnames=("rule", "block_size"))
def _step(rule: Rule, lazy: LazyState, *, block_size: int) -> tuple[LazyState, Measured]:
    lazy = settled(refreshed(rule, pick_by_bounds(rule, lazy, block_size)), len(lazy.available))
    rows, scores, count = lazy.picks
    left = lazy.available & rule.feasible(lazy.state)
    bound = largest(priority(rule.bounds(lazy.state), left))
    selection = Selection(rows, scores.astype(jnp.float32))
    return lazy, Measured(selection, count, lazy.passes, (bound,), ~unfinished(lazy))
