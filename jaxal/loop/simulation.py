"""Whole experiments: the rounds as one compiled program, or one by one on the host."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxal.base import Strategy
from jaxal.loop.plan import ExampleSets, Plan, Prepared, prepare
from jaxal.loop.round import Round, RoundInfo, compiled_round, make_round, run_round
from jaxal.loop.state import State, init
from jaxal.training import AnyLearner


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
      batch_size: rows that go through the model at once on a device.
      mesh: devices that share the pool's rows, and the seeds (`devices.make_mesh`).

    Returns:
      `run(key) -> (State, RoundInfo)`, the report's leaves [rounds + 1, ...]. `run` jits, vmaps and
      shards: `jax.vmap(run)(keys)` is many seeds in one program. It is a pytree that holds the
      arrays, so they are arguments of the program, never constants inside it. A loss that is not
      finite shows in `RoundInfo.train.loss`.

    Raises:
      ValueError, TypeError: as `loop.plan.prepare`: a plan that needs more rows than the pool has,
        labels outside [0, C), inputs that are not finite, shapes that disagree.
    """
    plan = Plan(initial, budget, rounds, balanced, batch_size)
    sets = ExampleSets(query, private, validation)
    prepared = prepare(learner, pool, test, plan, sets, mesh)
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
    )


def run_rounds(
    stages: Round, state: State, prepared: Prepared, plan: Plan
) -> Iterator[tuple[State, RoundInfo]]:
    """The rounds of a plan on the host, one by one.

    Args:
      stages: compiled, or compiled and vmapped over seeds.
      state: from `begin`; of several seeds where the stages are vmapped.
      prepared: the examples.
      plan: how many rounds there are.

    Yields:
      The state after each round and its report, `rounds + 1` times.
    """
    for number in range(plan.rounds + 1):
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
      batch_size: rows that go through the model at once on a device.
      mesh: devices that share the pool's rows.

    Yields:
      The state after each round and its report, `rounds + 1` times.

    Raises:
      ValueError, TypeError: as `simulate`.
      FloatingPointError: the training loss is not finite; says in which round.
    """
    plan = Plan(initial, budget, rounds, balanced, batch_size)
    prepared = prepare(learner, pool, test, plan, ExampleSets(query, private, validation), mesh)
    stages = compiled_round(learner, strategy, budget)
    rounds_of_plan = run_rounds(stages, _begin(key, learner, prepared, plan), prepared, plan)
    for number, (state, info) in enumerate(rounds_of_plan):
        check_loss(info.train.loss, number)
        yield state, info


_begin = jax.jit(begin, static_argnames=("learner", "plan"))


def check_loss(loss: Any, number: int, hint: str = "lower the learning rate") -> None:
    """Raises FloatingPointError if a training loss, or any of several seeds', is not finite."""
    if not np.all(np.isfinite(loss)):
        raise FloatingPointError(f"the training loss is not finite in round {number}: {hint}")
