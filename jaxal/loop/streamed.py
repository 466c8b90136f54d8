"""The round of a pool whose rows are read: what is between reading and reading is compiled.

The same functions as in memory: rows are read, and then `fit_rows`, `measure_rows`, the strategy's
`observe` on batches of the same rows, and `select`. So the picks are those of the pool in memory.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxal.base import Examples, Selection, Strategy
from jaxal.loop import round
from jaxal.loop.copied import observe_copied, rule_of, select_copied
from jaxal.loop.decision import Observed, Observer, check_task, observe_sets
from jaxal.loop.plan import ExampleSets
from jaxal.loop.returned import explained, strategy_name
from jaxal.loop.round import (
    Round,
    compiled_round,
    fit_rows,
    measure_rows,
    watch_rows,
    with_rows_so_far,
)
from jaxal.loop.state import State, known_labels, round_keys
from jaxal.pools import Pool, StreamedPool
from jaxal.stopping.rules import Rule
from jaxal.stopping.watch import needs
from jaxal.training import AnyLearner, FitInfo, Metrics
from jaxal.training.base import fits_on_host


def round_of(
    pool: Any, learner: AnyLearner, strategy: Strategy, budget: int, stop: tuple[Rule, ...] = ()
) -> Round:
    """The stages of a round, compiled as far as the pool allows."""
    if isinstance(pool, StreamedPool):
        return streamed_round(learner, strategy, budget, stop)
    return compiled_round(learner, strategy, budget, stop)


def streamed_round(
    learner: AnyLearner,
    strategy: Strategy,
    budget: int,
    stop: tuple[Rule, ...] = (),
    *,
    seeds: bool = False,
) -> Round:
    """The stages of a round over a `StreamedPool`; equal learners and strategies share programs.

    Args:
      learner: the model and how it is fitted.
      strategy: the rule.
      budget: B.
      stop: stopping rules.
      seeds: whether the state is that of several seeds, [S, ...]. A pass over the pool then serves
        all of them.
    """
    options = {"learner": learner, "seeds": seeds}
    observer = Observer(strategy, learner.model, seeds)

    def fit(state: State, pool: StreamedPool, sets: ExampleSets) -> tuple[State, FitInfo]:
        inputs = _labeled(state, pool)
        if fits_on_host(learner):
            return fit_rows(state, inputs, sets, learner=learner)
        return _fit(state, inputs, sets, **options)

    def measure(
        state: State, pool: StreamedPool, test: Examples, fitted: FitInfo
    ) -> tuple[Metrics, Metrics]:
        inputs, size = _labeled(state, pool), pool.batch_size
        return _measure(state, inputs, test, fitted, batch_size=size, **options)

    def watch(state: State, pool: StreamedPool, sets: ExampleSets, tested: Metrics) -> State:
        inputs, size = _labeled(state, pool) if needs(stop, "labelled") else None, pool.batch_size
        return _watch(state, inputs, sets, tested, batch_size=size, stop=stop, **options)

    choosing = {"strategy": strategy, "budget": budget, "stop": stop, "seeds": seeds}
    copies = rule_of(strategy) is not None
    return Round(
        fit,
        measure,
        partial(_observe_copies if copies else _observe, observer=observer),
        partial(_select_from_copies if copies else _select, **choosing),
        watch if stop else None,
    )


def _labeled(state: State, pool: StreamedPool) -> Any:
    """The inputs of the labelled rows, in a buffer of constant size."""
    return pool.take(jnp.maximum(state.rows, 0))


def _observe(
    state: State, pool: StreamedPool, sets: ExampleSets, *, observer: Observer
) -> Observed:
    """`round.observe`: the rows are read block by block, once for all seeds."""
    check_task(observer.strategy, pool.labels)
    seeds = observer.seeds
    key, labels = _known(state, pool, seeds=seeds)
    with explained(f"{strategy_name(observer.strategy)}: observe"):
        observed = pool.map(observer, (key, state.variables), labels)
    if seeds:
        observed = jax.tree.map(_seeds_first, observed)
    return _with_sets(state, observed, sets, key, observer=observer, batch_size=pool.batch_size)


_seeds_first = jax.jit(lambda leaf: jnp.moveaxis(leaf, 1, 0))


def _over(seeds: bool, function: Callable, axes: Any, out_axes: Any = 0) -> Callable:
    return jax.vmap(function, axes, out_axes) if seeds else function


@partial(jax.jit, static_argnames=("learner", "seeds"))
def _fit(state, inputs, sets, *, learner, seeds):
    return _over(seeds, partial(fit_rows, learner=learner), (0, 0, None))(state, inputs, sets)


@partial(jax.jit, static_argnames=("learner", "batch_size", "seeds"))
def _measure(state, inputs, test, fitted, *, learner, batch_size, seeds):
    function = partial(measure_rows, learner=learner, batch_size=batch_size)
    return _over(seeds, function, (0, 0, None, 0))(state, inputs, test, fitted)


@partial(jax.jit, static_argnames=("learner", "stop", "batch_size", "seeds"))
def _watch(state, inputs, sets, tested, *, learner, stop, batch_size, seeds):
    function = partial(watch_rows, learner=learner, stop=stop, batch_size=batch_size)
    return _over(seeds, function, (0, 0, None, 0))(state, inputs, sets, tested)


@partial(jax.jit, static_argnames="seeds")
def _known(state, pool, *, seeds):
    """The key to observe by, and the labels told so far, [N] or, of several seeds, [N, S]."""

    def known(state):
        return round_keys(state).observe, known_labels(state, pool)

    return _over(seeds, known, 0, (0, 1))(state._replace(variables=()))


@partial(jax.jit, static_argnames=("observer", "batch_size"))
def _with_sets(state, observed, sets, key, *, observer, batch_size) -> Observed:
    """What was observed, of the further examples too."""
    own = Observer(observer.strategy, observer.model)

    def whole(state, observed, key):
        found = observe_sets(own, (key, state.variables), sets, batch_size) if sets.given() else {}
        return with_rows_so_far(state, Observed(observed, found), sets)

    return _over(observer.seeds, whole, 0)(state, observed, key)


@partial(jax.jit, static_argnames=("strategy", "budget", "stop", "seeds"))
def _select(state, pool, observed, *, strategy, budget, stop, seeds):
    function = partial(round.select, strategy=strategy, budget=budget, stop=stop)
    return _over(seeds, function, (0, None, 0))(state, pool, observed)


def _observe_copies(
    state: State, pool: StreamedPool, sets: ExampleSets, *, observer: Observer
) -> Observed:
    """What is kept where a strategy decides from copies: of each seed one, and a pass for each."""
    (key, labels), strategy = _known(state, pool, seeds=observer.seeds), observer.strategy
    shared, alone = (key, state.variables), Observer(strategy, observer.model)
    if not observer.seeds:
        return Observed((observe_copied(strategy, alone, shared, pool, labels),), {})
    copies = []
    for seed in range(len(key)):
        own = _at(shared, seed)
        copies.append(observe_copied(strategy, alone, own, pool, labels[:, seed]))
    return Observed(tuple(copies), {})


def _at(tree: Any, seed: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[seed], tree)


def _select_from_copies(state, pool, observed, *, strategy, budget, stop, seeds):
    """`round.select`, of which only the choice is made on the host, seed by seed."""
    selection = choose_from_copies(
        state, pool, observed, strategy=strategy, budget=budget, seeds=seeds
    )
    return _label(state, pool, selection, stop=stop, seeds=seeds)


def choose_from_copies(
    state: State,
    pool: Pool,
    observed: Observed,
    *,
    strategy: Strategy,
    budget: int,
    seeds: bool = False,
) -> Selection:
    """`round.choose` of what was observed as copies, one for each seed."""
    given = _to_choose(state, pool, seeds=seeds)
    if not seeds:
        key, labels, available = given
        return select_copied(key, strategy, observed.pool[0], labels, available, budget)
    picked = []
    for seed, copied in enumerate(observed.pool):
        key, labels, available = _at(given, seed)
        picked.append(select_copied(key, strategy, copied, labels, available, budget))
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *picked)


@partial(jax.jit, static_argnames="seeds")
def _to_choose(state, pool, *, seeds):
    return _over(seeds, round.to_choose, (0, None))(state._replace(variables=()), pool)


@partial(jax.jit, static_argnames=("stop", "seeds"))
def _label(state, pool, selection, *, stop, seeds):
    return _over(seeds, partial(round.label, stop=stop), (0, None, 0))(state, pool, selection)
