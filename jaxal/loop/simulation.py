"""Whole experiments: the rounds as one compiled program, or one by one on the host."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxal.base import Strategy
from jaxal.checks import check_key
from jaxal.loop.checked import check_loss, check_strategies, checked_round
from jaxal.loop.plan import ExampleSets, Plan, Prepared, prepare
from jaxal.loop.returned import check_strategy, strategy_name
from jaxal.loop.round import Round, RoundInfo, compiled_round, make_round, run_round
from jaxal.loop.state import State, init
from jaxal.training import AnyLearner
from jaxal.training.base import refuse_host_fit


def simulate(
    learner: AnyLearner,
    strategy: Strategy,
    pool: Any,
    test: Any,
    *,
    initial: int,
    budget: int,
    rounds: int,
    balanced: bool = False,
    query: Any = None,
    private: Any = None,
    validation: Any = None,
    labeled_only: bool = False,
    batch_size: int = 1024,
    mesh: Mesh | None = None,
) -> Callable[[jax.Array], tuple[State, RoundInfo]]:
    """A whole active-learning experiment as one pure, compiled function of a key.

    Args:
      learner: the model and how it is fitted each round.
      strategy: the rule.
      pool: `Examples` or `(inputs, labels)`, inputs a pytree of arrays [N, ...], all labels known.
      test: the same, to measure on.
      initial: rows drawn at random and labelled before the first round.
      budget: B, rows labelled a round.
      rounds: how often a batch is selected; models are fitted `rounds + 1` times.
      balanced: draw as many initial rows of each class, as nearly as can be.
      query: `(inputs, labels)` of examples like those wanted, for strategies that take them.
      private: the same, of examples like those to avoid.
      validation: the same, held-out examples; also for a learner with `patience`.
      labeled_only: leave out the rows of the pool whose label is -1, unknown, in place of refusing
        them; the others keep their numbers.
      batch_size: rows that go through the model at once on a device.
      mesh: devices that share the pool's rows, and the seeds (`devices.make_mesh`).

    Returns:
      `run(key) -> (State, RoundInfo)`, the report's leaves [rounds + 1, ...]. `run` jits, vmaps and
      shards: `jax.vmap(run)(keys)` is many seeds in one program. It is a pytree that holds the
      arrays, so they are arguments of the program, never constants inside it. A loss that is not
      finite shows in `RoundInfo.train.loss`.

    Raises:
      ValueError, TypeError: as `loop.plan.prepare`: a plan that needs more rows than the pool has,
        labels outside [0, C) or unknown, inputs that are not finite, shapes that disagree; no
        strategy, or a learner that fits on the host.
    """
    check_strategy(strategy)
    refuse_host_fit(learner, "simulate")
    plan = Plan(initial, budget, rounds, balanced, batch_size)
    sets = ExampleSets(query, private, validation)
    prepared = prepare(learner, pool, test, plan, sets, mesh, labeled_only=labeled_only)
    return jax.tree_util.Partial(_Simulation(learner, strategy, plan), prepared)


class _Simulation(NamedTuple):
    """The static half of a simulation; equal ones share a compiled program."""

    learner: AnyLearner
    strategy: Strategy
    plan: Plan

    def __call__(self, prepared: Prepared, key: jax.Array) -> tuple[State, RoundInfo]:
        return _run(self, prepared, key)


@partial(jax.jit, static_argnames="simulation")
def _run(simulation: _Simulation, prepared: Prepared, key: jax.Array):
    learner, strategy, plan = simulation
    stages = make_round(learner, strategy, plan.budget)

    def body(state, select_batch):
        return run_round(stages, plan.budget, state, *prepared, select_batch)

    start = begin(key, learner, prepared, plan)
    return jax.lax.scan(body, start, jnp.arange(plan.rounds + 1) < plan.rounds)


def begin(key: jax.Array, learner: AnyLearner, prepared: Prepared, plan: Plan) -> State:
    """The state of a planned experiment before the first round."""
    return init(
        key,
        learner,
        prepared.pool,
        initial=plan.initial,
        capacity=plan.capacity,
        balanced=plan.balanced,
        skips=0,
    )


def run_rounds(
    stages: Round,
    state: State,
    prepared: Prepared,
    plan: Plan,
    name: str = "strategy",
    *,
    first: int = 0,
) -> Iterator[tuple[State, RoundInfo]]:
    """The rounds of a plan on the host, one by one; what they return is checked.

    Args:
      stages: compiled, or compiled and vmapped over seeds.
      state: from `begin`; of several seeds where the stages are vmapped.
      prepared: the examples.
      plan: how many rounds there are.
      name: the strategy's, for messages.
      first: the round that the state is of.

    Yields:
      The state after each round and its report, `rounds + 1` times less `first`.

    Raises:
      ValueError, FloatingPointError: as `loop.checked.checked_round`.
    """
    stages = checked_round(stages, name)
    for number in range(first, plan.rounds + 1):
        select_batch = number < plan.rounds
        state, info = run_round(stages, plan.budget, state, *prepared, select_batch)
        yield state, info


def iterate(
    key: jax.Array,
    learner: AnyLearner,
    strategy: Strategy,
    pool: Any,
    test: Any,
    *,
    initial: int,
    budget: int,
    rounds: int,
    balanced: bool = False,
    query: Any = None,
    private: Any = None,
    validation: Any = None,
    labeled_only: bool = False,
    batch_size: int = 1024,
    mesh: Mesh | None = None,
) -> Iterator[tuple[State, RoundInfo]]:
    """The rounds of `simulate` one by one, on the host: the same stages, the same picks.

    Args:
      key: random key; it stays in the state.
      learner: the model and how it is fitted each round.
      strategy: the rule.
      pool: `Examples` or `(inputs, labels)`, inputs a pytree of arrays [N, ...], all labels known.
      test: the same, to measure on.
      initial: rows drawn at random and labelled before the first round.
      budget: B, rows labelled a round.
      rounds: how often a batch is selected; models are fitted `rounds + 1` times.
      balanced: draw as many initial rows of each class, as nearly as can be.
      query: `(inputs, labels)` of examples like those wanted, for strategies that take them.
      private: the same, of examples like those to avoid.
      validation: the same, held-out examples; also for a learner with `patience`.
      labeled_only: leave out the rows of the pool whose label is -1, unknown, in place of refusing
        them; the others keep their numbers.
      batch_size: rows that go through the model at once on a device.
      mesh: devices that share the pool's rows.

    Yields:
      The state after each round and its report, `rounds + 1` times.

    Raises:
      ValueError, TypeError: as `simulate`, but a learner may fit on the host; a strategy that
        returns rows twice, rows that are not available, or none while some are. Says in which round
        and which strategy.
      FloatingPointError: the training loss, the variables or what the strategy observes are not
        finite; says in which round.
    """
    check_key(key)
    check_strategy(strategy)
    plan = Plan(initial, budget, rounds, balanced, batch_size)
    sets = ExampleSets(query, private, validation)
    prepared = prepare(learner, pool, test, plan, sets, mesh, labeled_only=labeled_only)
    name = strategy_name(strategy)
    check_strategies(learner, {name: strategy}, prepared, plan)
    stages = compiled_round(learner, strategy, budget)
    state = _begin(key, learner, prepared, plan)
    rounds_of_plan = run_rounds(stages, state, prepared, plan, name)
    for number, (state, info) in enumerate(rounds_of_plan):
        check_loss(info.train.loss, number)
        yield state, info


_begin = jax.jit(begin, static_argnames=("learner", "plan"))
