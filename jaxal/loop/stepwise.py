"""One round at a time: `ask`, where people label, and `step`, where the pool knows the labels."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxal import data, processes
from jaxal.base import Examples, Selection, Strategy
from jaxal.checks import check_budget, check_flag, is_traced
from jaxal.loop.checked import check_fitted, check_loss, check_observed, check_picks
from jaxal.loop.copied import are_copies
from jaxal.loop.plan import (
    OF_NO_CLASS,
    ExampleSets,
    check_pool,
    check_same_shapes,
    example_sets,
    unknown_labels,
)
from jaxal.loop.returned import check_strategy, strategy_name
from jaxal.loop.round import RoundInfo, choose, make_round, run_round
from jaxal.loop.sources import refuse_streamed
from jaxal.loop.state import State, check_state, pool_size
from jaxal.loop.streamed import choose_from_copies, round_of
from jaxal.numerics import are_targets, is_known
from jaxal.pools import Pool, devices
from jaxal.training import AnyLearner
from jaxal.training.base import check_learner, refuse_host_fit


def ask(
    state: State,
    learner: AnyLearner,
    strategy: Strategy,
    pool: Pool,
    budget: int,
    *,
    query: Any = None,
    private: Any = None,
    validation: Any = None,
) -> tuple[State, Selection]:
    """Fits the model to the labels told so far and selects the rows to label next.

    A row that was skipped (`tell`) is not asked for again. Before the first label is told nothing
    is fitted, and the strategy sees the model as it was initialised.

    Args:
      state: from `init` or `tell`.
      learner: the model and how it is fitted.
      strategy: the rule.
      pool: from `jaxal.place` or `jaxal.pools.stream`, the one that the state began with.
      budget: B, how many rows; -1 past the last available one.
      query: `(inputs, labels)` of examples like those wanted.
      private: `(inputs, labels)` of examples like those to avoid; or the rows of the pool that are
        "labeled", or that were asked for and skipped, "found".
      validation: `(inputs, labels)` of held-out examples.

    Returns:
      The state with the fitted model, and the `Selection` to be labelled and told, with weights if
      the strategy weighs its picks; `tell` takes these as well.

    Raises:
      TypeError, ValueError: arguments of another type, another pool, further examples that cannot
        be used, or a strategy that returns what it may not; says which, and in which round.
      FloatingPointError: a loss, variables or an observation that is not finite.
    """
    sets = example_sets(query, private, validation)
    stages = round_of(pool, learner, strategy, budget)
    if is_traced(state, pool, sets):
        state, _ = stages.fit(state, pool, sets)
        observed = stages.observe(state, pool, sets)
        return state, choose(state, pool, observed, strategy=strategy, budget=budget)
    _check(state, learner, strategy, pool, budget, sets)
    sets = devices.replicate(sets, pool.mesh)
    number, name = int(state.round), strategy_name(strategy)
    if state.count:
        state, fitted = stages.fit(state, pool, sets)
        check_loss(fitted.loss, number)
        check_fitted(state, fitted.loss)
    observed = stages.observe(state, pool, sets)
    check_observed(name, state, pool, observed)
    choosing = choose_from_copies if are_copies(observed.pool) else _choose
    selection = choosing(state, pool, observed, strategy=strategy, budget=budget)
    check_picks(name, state, pool, selection)
    return processes.whole((state, selection))


_choose = jax.jit(choose, static_argnames=("strategy", "budget"))


def _check(
    state: State,
    learner: AnyLearner,
    strategy: Strategy,
    pool: Pool,
    budget: int,
    sets: ExampleSets,
    **more: Any,
) -> None:
    check_pool(pool)
    check_strategy(strategy)
    given = {"strategy": strategy_name(strategy), **sets._asdict(), **more}
    devices.check_same(pool.mesh, state=state, budget=budget, **given)
    check_learner(learner)
    check_state(state)
    if jnp.ndim(state.round):
        raise ValueError("state: expected that of one seed; jax.vmap takes several")
    check_budget(budget, len(pool))
    size = int(pool_size(pool))
    if size != state.pool_rows:
        raise ValueError(
            f"pool: expected the {int(state.pool_rows)} rows that the state began with, got {size}"
        )
    for name, examples in (sets.given() | more).items():
        unknown = name in OF_NO_CLASS
        data.check(examples, int(state.num_classes), name, allow_unknown=unknown)
    check_same_shapes(pool.first(), sets.given() | more)


@partial(jax.jit, static_argnames=("learner", "strategy", "budget"))
def _step(state, learner, strategy, pool, test, budget, sets, select_batch):
    stages = make_round(learner, strategy, budget)
    return run_round(stages, budget, state, pool, test, sets, select_batch)


def step(
    state: State,
    learner: AnyLearner,
    strategy: Strategy,
    pool: Pool,
    test: Any,
    budget: int,
    *,
    query: Any = None,
    private: Any = None,
    validation: Any = None,
    select_batch: jax.Array | bool = True,
) -> tuple[State, RoundInfo]:
    """One simulated round as one program: fit, measure, observe, select, and label from the pool.

    Args:
      state: from `init` or an earlier `step`.
      learner: the model and how it is fitted.
      strategy: the rule.
      pool: from `jaxal.place`, all labels known, or placed with `labeled_only=True`.
      test: held-out `(inputs, labels)` to measure on.
      budget: B, how many rows; -1 past the last available one.
      query: `(inputs, labels)` of examples like those wanted.
      private: `(inputs, labels)` of examples like those to avoid; or the rows of the pool that are
        "labeled", or that were asked for and skipped, "found".
      validation: `(inputs, labels)` of held-out examples.
      select_batch: [] bool, whether to select a batch after fitting; if not, the state keeps its
        round.

    Returns:
      The next state and the report of this round. A loss that is not finite shows in its
      `train.loss`.

    Raises:
      TypeError, ValueError: as `ask`, or a pool with unknown labels.
    """
    refuse_host_fit(learner, "step")
    refuse_streamed(pool, "step")
    sets, before = example_sets(query, private, validation), state
    if is_traced(state, pool, test, sets):
        examples = Examples(*test)
        return _step(state, learner, strategy, pool, examples, budget, sets, select_batch)
    _check(state, learner, strategy, pool, budget, sets, test=test)
    sets, test = devices.replicate((sets, Examples(*test)), pool.mesh)
    if not isinstance(select_batch, jax.Array):
        check_flag(select_batch=select_batch)
    if unknown := int(_unknown(pool)):
        option = "place(..., labeled_only=True)"
        what = "NaN" if are_targets(pool.labels) else "-1"
        raise ValueError(unknown_labels(unknown, int(state.pool_rows), option, what))
    state, info = _step(
        state, learner, strategy, pool, test, budget, sets, jnp.asarray(select_batch)
    )
    if not is_traced(select_batch) and select_batch:
        picks = Selection(info.rows, info.scores)
        check_picks(strategy_name(strategy), before, pool, picks)
    return processes.whole((state, info))


@jax.jit
def _unknown(pool: Pool) -> jax.Array:
    return jnp.sum(pool.valid & ~is_known(pool.labels))
