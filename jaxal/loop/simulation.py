"""Whole experiments: the loop's rounds as one compiled program, or one by one on the host."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxal import data
from jaxal.base import Examples, Strategy
from jaxal.checks import check_positive, is_traced
from jaxal.loop import _acquire as acquisition
from jaxal.loop._acquire import ExampleSets
from jaxal.loop.state import RoundInfo, State, init, step
from jaxal.pools import devices
from jaxal.pools.memory import Pool, place
from jaxal.training.learner import AnyLearner


class Setting(NamedTuple):
    """A simulation's arguments, checked and placed."""

    pool: Pool
    test: Examples
    extras: ExampleSets
    capacity: int


def _examples(given: Any) -> Examples:
    inputs, labels = given
    return Examples(inputs, labels)


def prepare(
    learner: AnyLearner,
    pool: Any,
    test: Any,
    *,
    initial: int,
    budget: int,
    rounds: int,
    extras: ExampleSets = ExampleSets(),
    mesh: Mesh | None = None,
) -> Setting:
    """Checks the examples and the plan of a simulation, and puts the arrays on the devices.

    Raises:
      ValueError: initial + rounds x budget above the pool's rows (says how many rounds there are room
        for), a number below 1, labels outside [0, C) or unknown, NaN or infinite inputs, leading axes
        that disagree, a model whose outputs have the wrong shapes.
      TypeError: a model that does not return `Outputs`, or arrays of the wrong type.
    """
    check_positive(initial=initial, budget=budget, rounds=rounds)
    pool, test = _examples(pool), _examples(test)
    named = {"pool": pool, "test": test}
    named |= {name: given for name, given in extras._asdict().items() if given is not None}
    if not is_traced(named):
        one = jax.tree.map(lambda leaf: leaf[:1], pool.inputs)
        variables = jax.eval_shape(learner.model.init, jax.random.key(0), one)
        classes = acquisition.check_model(learner.model, variables, pool.inputs)
        acquisition.check_alike(pool.inputs, extras)
        for name, examples in named.items():
            data.check(examples, classes, name)
    rows = len(pool.labels)
    capacity = initial + rounds * budget
    if capacity > rows:
        raise ValueError(
            f"initial + rounds x budget = {initial} + {rounds} x {budget} = {capacity}, but the pool "
            f"has {rows} rows: at most {max(rows - initial, 0) // budget} rounds"
        )
    test, extras = devices.replicate((test, extras), mesh)
    return Setting(place(pool.inputs, pool.labels, mesh), test, extras, capacity)


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
      budget: rows labelled a round.
      rounds: how many times rows are picked; models are fitted `rounds + 1` times.
      balanced: draw as many initial rows of each class, as nearly as can be.
      query: `(inputs, labels)` of examples like those wanted, for strategies that take them.
      private: the same, of examples like those to avoid.
      validation: the same, held-out examples; also for a learner with `patience`.
      batch_size: rows that go through the model at once on a device.
      mesh: devices that share the pool's rows, and the seeds (`devices.make_mesh`).

    Returns:
      `run(key) -> (State, RoundInfo)`, the report's leaves [rounds + 1, ...]. `run` jits, vmaps and
      shards: `jax.vmap(run)(keys)` is many seeds in one program. It is a pytree that holds the arrays, so
      they are arguments of the program, never constants inside it. A loss that is not finite shows in
      `RoundInfo.train.loss`.

    Raises:
      ValueError, TypeError: as `prepare`.
    """
    extras = ExampleSets(query, private, validation)
    setting = prepare(
        learner,
        pool,
        test,
        initial=initial,
        budget=budget,
        rounds=rounds,
        extras=extras,
        mesh=mesh,
    )
    program = _Program(
        learner,
        strategy,
        initial,
        budget,
        rounds,
        setting.capacity,
        balanced,
        batch_size,
        mesh,
    )
    return jax.tree_util.Partial(program, setting.pool, setting.test, setting.extras)


class _Program(NamedTuple):
    """The static half of a simulation; equal ones share a compiled program."""

    learner: AnyLearner
    strategy: Strategy
    initial: int
    budget: int
    rounds: int
    capacity: int
    balanced: bool
    batch_size: int
    mesh: Mesh | None

    def __call__(self, pool, test, extras, key):
        return _run(self, pool, test, extras, key)


@partial(jax.jit, static_argnames="program")
def _run(program: _Program, pool, test, extras, key) -> tuple[State, RoundInfo]:
    def body(state, goes_on):
        return step(
            state,
            program.learner,
            program.strategy,
            pool,
            test,
            program.budget,
            extras,
            goes_on,
            batch_size=program.batch_size,
            mesh=program.mesh,
        )

    start = init(
        key,
        program.learner,
        pool,
        initial=program.initial,
        capacity=program.capacity,
        balanced=program.balanced,
    )
    return jax.lax.scan(body, start, jnp.arange(program.rounds + 1) < program.rounds)


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
    """The rounds of `simulate` one by one, on the host: the same steps, the same picks.

    Yields:
      The state after each round and its report, `rounds + 1` times.

    Raises:
      ValueError, TypeError: as `prepare`.
      FloatingPointError: the training loss is not finite; says in which round.
    """
    extras = ExampleSets(query, private, validation)
    setting = prepare(
        learner,
        pool,
        test,
        initial=initial,
        budget=budget,
        rounds=rounds,
        extras=extras,
        mesh=mesh,
    )
    start = jax.jit(init, static_argnames=("learner", "initial", "capacity", "balanced"))
    state = start(
        key,
        learner,
        setting.pool,
        initial=initial,
        capacity=setting.capacity,
        balanced=balanced,
    )
    for number in range(rounds + 1):
        state, info = step(
            state,
            learner,
            strategy,
            setting.pool,
            setting.test,
            budget,
            setting.extras,
            np.bool_(number < rounds),
            batch_size=batch_size,
            mesh=mesh,
        )
        check_loss(info.train.loss, number)
        yield state, info


def check_loss(loss: Any, number: int, hint: str = "lower the learning rate") -> None:
    """Raises FloatingPointError if a training loss, or any of several seeds', is not finite."""
    if not np.all(np.isfinite(loss)):
        raise FloatingPointError(f"the training loss is not finite in round {number}: {hint}")
