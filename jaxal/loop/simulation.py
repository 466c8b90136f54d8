"""Whole experiments: the rounds as one compiled program, or one by one on the host."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxal import processes
from jaxal.base import Strategy
from jaxal.loop.checked import checked_round
from jaxal.loop.plan import Plan, Prepared, example_sets, make_plan, prepare
from jaxal.loop.returned import check_strategy, strategy_name
from jaxal.loop.round import Round, RoundInfo, make_round, run_round, with_key, without_key
from jaxal.loop.sources import refuse_streamed
from jaxal.loop.state import State, init
from jaxal.loop.stop_set import stop_set_of
from jaxal.pools import devices
from jaxal.stopping.rules import Rule
from jaxal.stopping.watch import as_rules
from jaxal.stopping.watch import begin as begin_watch
from jaxal.training import AnyLearner
from jaxal.training.base import refuse_host_fit


def simulate(
    learner: AnyLearner,
    strategy: Strategy,
    pool: Any,
    test: Any,
    *,
    initial: Any,
    budget: int,
    rounds: int,
    balanced: bool = False,
    query: Any = None,
    private: Any = None,
    validation: Any = None,
    labeled_only: bool = False,
    skip_unlabeled: bool = False,
    stop: Any = None,
    stop_set: Any = None,
    batch_size: int = 1024,
    mesh: Mesh | None = None,
) -> Callable[[jax.Array], tuple[State, RoundInfo]]:
    """A whole active-learning experiment as one pure, compiled function of a key.

    Args:
      learner: the model and how it is fitted each round.
      strategy: the rule.
      pool: `Examples` or `(inputs, labels)`, inputs a pytree of arrays [N, ...], all labels known.
      test: the same, to measure on.
      initial: rows drawn at random and labelled before the first round; {class: count} draws so
        many of each class, and rows [n] are these themselves, the same for every key.
      budget: B, rows labelled a round.
      rounds: how often a batch is selected; models are fitted `rounds + 1` times.
      balanced: draw as many initial rows of each class, as nearly as can be.
      query: `(inputs, labels)` of examples like those wanted, for strategies that take them.
      private: the same, of examples like those to avoid, their labels -1 if they are of no class;
        or rows of the pool that change with the rounds: "labeled", those with labels, or "found",
        those that were picked and skipped.
      validation: the same, held-out examples; also for a learner with `patience`.
      labeled_only: leave out the rows of the pool whose label is -1, unknown, in place of refusing
        them; the others keep their numbers.
      skip_unlabeled: keep them instead, as rows that are out of distribution. One that is picked
        costs one of the budget, is not trained on and not picked again (`State.skipped`, as an
        answer of -1 in `tell`). `data.scenarios.out_of_distribution` makes such a pool.
      stop: when to stop before that: a rule or several, of `jaxal.stopping.rule` or by name. The
        first that holds ends the loop after a round, before a batch is labelled.
      stop_set: what rules over predictions look at: inputs, leaves [n, ...], or how many rows of
        the pool, 2,000 if not given; drawn once, the same for every key.
      batch_size: rows that go through the model at once on a device.
      mesh: devices that share the pool's rows, and the seeds (`devices.make_mesh`); also those of
        several processes, which all call this with the same arguments, and read the rows of their
        own devices. What they vmap over seeds, `jaxal.processes.to_host` makes whole in each.

    Returns:
      `run(key) -> (State, RoundInfo)`, the report's leaves [rounds + 1, ...]. `run` jits, vmaps and
      shards: `jax.vmap(run)(keys)` is many seeds in one program. It is a pytree that holds the
      arrays, so they are arguments of the program, never constants inside it. A loss that is not
      finite shows in `RoundInfo.train.loss`. With `stop`, shapes are the same: rounds after the one
      in which a rule held (`RoundInfo.stopped`) repeat its report and label nothing.

    Raises:
      ValueError, TypeError: as `loop.plan.prepare`: a plan that needs more rows than the pool has,
        labels outside [0, C) or unknown, inputs that are not finite, shapes that disagree; no
        strategy, or a learner that fits on the host.
    """
    check_strategy(strategy)
    refuse_host_fit(learner, "simulate")
    refuse_streamed(pool, "simulate")
    options = {"balanced": balanced, "batch_size": batch_size, "skip_unlabeled": skip_unlabeled}
    plan, initial_rows = make_plan(initial, budget, rounds, **options)
    sets, rules = example_sets(query, private, validation), as_rules(stop)
    rest = {"labeled_only": labeled_only, "initial_rows": initial_rows}
    rest["stop_set"] = stop_set_of(rules, stop_set, sets.validation)
    prepared = prepare(learner, pool, test, plan, sets, mesh, **rest)
    devices.check_same(mesh, strategy=strategy_name(strategy), stop=repr(rules))
    return jax.tree_util.Partial(_Simulation(learner, strategy, plan, rules), prepared)


def simulated(
    learner: AnyLearner, strategy: Strategy, plan: Plan, prepared: Prepared, key: jax.Array
) -> tuple[State, RoundInfo]:
    """The experiment of `simulate`, given what it prepares: pure, so that it vmaps over both."""
    return _run(_Simulation(learner, strategy, plan), prepared, key)


class _Simulation(NamedTuple):
    """The static half of a simulation; equal ones share a compiled program."""

    learner: AnyLearner
    strategy: Strategy
    plan: Plan
    stop: tuple[Rule, ...] = ()

    def __call__(self, prepared: Prepared, key: jax.Array) -> tuple[State, RoundInfo]:
        devices.check_same(prepared.pool.mesh, key=key)
        return processes.whole(_run(self, prepared, key))


@partial(jax.jit, static_argnames="simulation")
def _run(simulation: _Simulation, prepared: Prepared, key: jax.Array):
    learner, strategy, plan, stop = simulation
    stages = make_round(learner, strategy, plan.budget, stop)

    def body(state, select_batch):
        return run_round(stages, plan.budget, state, *prepared[:3], select_batch)

    start = begin(key, learner, prepared, plan, stop)
    selects = jnp.arange(plan.rounds + 1) < plan.rounds
    if not stop:
        return jax.lax.scan(body, start, selects)
    return _scan_until_stopped(body, start, selects)


def _scan_until_stopped(
    body: Callable[[State, jax.Array], tuple[State, RoundInfo]], start: State, selects: jax.Array
) -> tuple[State, RoundInfo]:
    """A scan over rounds; once a rule has held, the state stays, and its round's report repeats."""

    @jax.jit  # so that it is traced once, for the shapes and for the rounds
    def keyless(state, select_batch):
        state, info = body(with_key(state, start.key), select_batch)
        return without_key(state), info

    begun = without_key(start)
    shapes = jax.eval_shape(keyless, begun, selects[0])[1]
    empty = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

    def until(carry, select_batch):
        ended = carry[0].stop.stopped.rule >= 0
        carry = jax.lax.cond(
            ended,
            lambda state, info: (state, info),
            lambda state, _: keyless(state, select_batch),
            *carry,
        )
        return carry, carry[1]

    (state, _), history = jax.lax.scan(until, (begun, empty), selects)
    return with_key(state, start.key), history


def begin(
    key: jax.Array,
    learner: AnyLearner,
    prepared: Prepared,
    plan: Plan,
    stop: tuple[Rule, ...] = (),
) -> State:
    """The state of a planned experiment before the first round."""
    initial: Any = plan.initial if prepared.initial_rows is None else prepared.initial_rows
    state = init(
        key,
        learner,
        prepared.pool,
        initial=dict(plan.per_class) or initial,
        capacity=plan.capacity,
        balanced=plan.balanced,
        skips=plan.skips,
    )
    if not stop:
        return state
    apply, rows = learner.model.apply, jax.tree.leaves(prepared.sets.stop_set)
    classes = jax.eval_shape(apply, state.variables, prepared.pool.first()).logits.shape[-1]
    return state._replace(stop=begin_watch(stop, rows[0].shape[0] if rows else 0, classes))


def has_ended(state: State) -> bool:
    """Whether a stopping rule has held, of every seed."""
    return state.stop is not None and bool(np.all(processes.to_host(state.stop.stopped.rule) >= 0))


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
      The state after each round and its report, `rounds + 1` times less `first`, or until a
      stopping rule has held of every seed.

    Raises:
      ValueError, FloatingPointError: as `loop.checked.checked_round`.
    """
    stages = checked_round(stages, name)
    for number in range(first, plan.rounds + 1):
        if has_ended(state):
            return
        select_batch = number < plan.rounds
        state, info = run_round(stages, plan.budget, state, *prepared[:3], select_batch)
        yield state, info
