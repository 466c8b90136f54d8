"""One round of active learning, written once: fit, measure, observe, select, label.

`simulate` scans it, `iterate` loops over it on the host, the experiments of the command line time
its stages, and `ask` does the first part for labels that people give.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxal import processes
from jaxal.base import Examples, PyTree, Selection, Strategy
from jaxal.checks import is_key, is_traced
from jaxal.loop import decision
from jaxal.loop.decision import Observed
from jaxal.loop.plan import ExampleSets, RowsSoFar
from jaxal.loop.returned import explained
from jaxal.loop.state import State, available_rows, known_labels, reveal, round_keys
from jaxal.numerics import are_targets, gather, is_known, key_data
from jaxal.pools import Pool, devices
from jaxal.pools.memory import map_rows
from jaxal.stopping.rules import Rule, Seen
from jaxal.stopping.watch import Stopped, check_of_regression, look, needs, unless_stopped
from jaxal.training import AnyLearner, FitInfo, Metrics, evaluate
from jaxal.training.base import as_fitted, fits_on_host

_HOST_FIT = (
    "iterate and ask take CustomLearner(model, fit, fit_on_host=True), which is not traced; a "
    "compiled simulation cannot run it"
)


class RoundInfo(NamedTuple):
    """What a round reports and no later round needs."""

    labels: jax.Array  # [] int32, how many the model was trained on
    epochs: jax.Array  # [] int32
    train: Metrics  # of the labelled rows, after training
    test: Metrics  # with the accuracy of each class
    rows: jax.Array  # [B] int32, what was selected next; -1 in the last round of a run
    scores: jax.Array  # [B]
    skipped: jax.Array  # [] int32, how many picks so far had no label; each cost one of the budget
    stopped: Stopped | None = None  # whether a stopping rule has held, in a loop that has some


class Round(NamedTuple):
    """The stages of a round as pure functions, to be traced into one program or run one by one."""

    fit: Callable[..., tuple[State, FitInfo]]  # (state, pool, sets)
    measure: Callable[..., tuple[Metrics, Metrics]]  # (state, pool, test, fitted) -> train, test
    observe: Callable[..., Observed]  # (state, pool, sets)
    select: Callable[..., tuple[State, Selection]]  # (state, pool, observed) -> next state, picks
    watch: Callable[..., State] | None = None  # (state, pool, sets, tested) -> state, rules asked


def fit(
    state: State, pool: Pool, sets: ExampleSets, *, learner: AnyLearner
) -> tuple[State, FitInfo]:
    """Fits the learner's model to the labelled rows, given the validation examples as well."""
    inputs = processes.whole(pool.take(jnp.maximum(state.rows, 0)))
    together = fits_on_host(learner) and devices.is_shared(pool.mesh)
    with processes.agreed(together):
        state, info = fit_rows(state, inputs, sets, learner=learner)
    if together:
        variables = state.variables
        devices.check_same(pool.mesh, **{"learner.fit: variables": variables})
        state = state._replace(variables=devices.replicate(variables, pool.mesh))
    return state, info


def fit_rows(
    state: State, inputs: PyTree, sets: ExampleSets, *, learner: AnyLearner
) -> tuple[State, FitInfo]:
    """`fit`, given the inputs of the labelled rows, leaves [M, ...]."""
    labels = state.labels
    # What follows the labelled rows is room for more: of any class or target.
    filled = (
        jnp.where(is_known(labels), labels, 0) if are_targets(labels) else jnp.maximum(labels, 0)
    )
    with explained("learner.fit", _HOST_FIT):
        fitted = learner.fit(
            round_keys(state).fit,
            state.variables,
            inputs,
            filled,
            state.weights,
            state.count,
            sets.validation,
        )
        variables, info = as_fitted(fitted)
    # Of several seeds, some may have ended; a fit on the host is of one, and is not called then.
    if state.stop is not None and not fits_on_host(learner):
        variables = unless_stopped(state.stop, state.variables, variables)
    return state._replace(variables=variables), info


def measure(
    state: State, pool: Pool, test: Examples, fitted: FitInfo, *, learner: AnyLearner
) -> tuple[Metrics, Metrics]:
    """The metrics of the labelled rows and of the test examples, after a fit.

    A loss that was not finite in training is reported as it was, whatever the model says now.
    """
    inputs, size = pool.take(jnp.maximum(state.rows, 0)), pool.batch_size
    return measure_rows(state, inputs, test, fitted, learner=learner, batch_size=size)


def measure_rows(
    state: State,
    inputs: PyTree,
    test: Examples,
    fitted: FitInfo,
    *,
    learner: AnyLearner,
    batch_size: int,
) -> tuple[Metrics, Metrics]:
    """`measure`, given the inputs of the labelled rows, leaves [M, ...]."""
    measured = partial(evaluate, learner.model, state.variables, batch_size=batch_size)
    train = measured(inputs, state.labels)
    loss = jnp.where(jnp.isfinite(fitted.loss), train.loss, fitted.loss)
    return train._replace(loss=loss), measured(test.inputs, test.labels, by_class=True)


def observe(
    state: State, pool: Pool, sets: ExampleSets, *, learner: AnyLearner, strategy: Strategy
) -> Observed:
    """What the strategy needs of every pool row, and of the further examples."""
    observed = decision.observe(
        round_keys(state).observe,
        strategy,
        learner.model,
        state.variables,
        pool,
        known_labels(state, pool),
        sets,
    )
    return with_rows_so_far(state, observed, sets)


def with_rows_so_far(state: State, observed: Observed, sets: ExampleSets) -> Observed:
    """Adds what was observed of the private examples, where these are rows of the pool."""
    if not isinstance(sets.private, RowsSoFar):
        return observed
    # Rows of the pool are observed already, those that are labelled with their labels.
    rows = state.rows if sets.private.kind == "labeled" else state.skipped
    private = gather(observed.pool, jnp.maximum(rows, 0))
    return observed._replace(
        sets={**observed.sets, "private": private, "private_usable": rows >= 0}
    )


def choose(
    state: State, pool: Pool, observed: Observed, *, strategy: Strategy, budget: int
) -> Selection:
    """The strategy's decision on what it observed, among the rows neither labelled nor skipped."""
    key, labels, available = to_choose(state, pool)
    return decision.select(key, strategy, observed, labels, available, budget, pool.mesh)


def to_choose(state: State, pool: Pool) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What a decision is made by: the key, the labels that are known, [N], and a mask of rows."""
    labels = known_labels(state, pool)
    return round_keys(state).select, labels, available_rows(state, pool, labels)


def select(
    state: State,
    pool: Pool,
    observed: Observed,
    *,
    strategy: Strategy,
    budget: int,
    stop: tuple[Rule, ...] = (),
) -> tuple[State, Selection]:
    """`choose`, and the next state, labelled from what the pool knows.

    Where a stopping rule has held, or holds of these scores, nothing is picked.
    """
    selection = choose(state, pool, observed, strategy=strategy, budget=budget)
    return label(state, pool, selection, stop=stop)


def label(
    state: State, pool: Pool, selection: Selection, *, stop: tuple[Rule, ...] = ()
) -> tuple[State, Selection]:
    """The next state, labelled from what the pool knows; as it was where a stopping rule holds."""
    after = reveal(state, pool, selection)
    if state.stop is None:
        return after, selection
    watched = state.stop
    if needs(stop, "scores"):
        watched = look(stop, watched, Seen(scores=selection.scores))
    apart = {"key": (), "variables": (), "stop": None}  # these are not changed by labels
    kept = unless_stopped(watched, state._replace(**apart), after._replace(**apart))
    nothing = Selection(*stay(selection.rows.shape))
    if selection.weights is not None:
        nothing = nothing._replace(weights=jnp.zeros_like(selection.weights))
    picks = unless_stopped(watched, nothing, selection)
    return kept._replace(key=state.key, variables=state.variables, stop=watched), picks


def stay(shape: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """Rows and scores where nothing is picked."""
    return jnp.full(shape, -1, jnp.int32), jnp.full(shape, -jnp.inf, jnp.float32)


def watch(
    state: State,
    pool: Pool,
    sets: ExampleSets,
    tested: Metrics,
    *,
    learner: AnyLearner,
    stop: tuple[Rule, ...],
) -> State:
    """Has the stopping rules look at a round after its fit; in the state is what they say."""
    inputs = pool.take(jnp.maximum(state.rows, 0)) if needs(stop, "labelled") else None
    size = pool.batch_size
    return watch_rows(state, inputs, sets, tested, learner=learner, stop=stop, batch_size=size)


def watch_rows(
    state: State,
    inputs: PyTree,
    sets: ExampleSets,
    tested: Metrics,
    *,
    learner: AnyLearner,
    stop: tuple[Rule, ...],
    batch_size: int,
) -> State:
    """`watch`, given the inputs of the labelled rows, leaves [M, ...], if a rule needs them."""
    model, variables = learner.model, state.variables
    bought = state.count + jnp.sum(state.skipped >= 0, dtype=jnp.int32)
    if tested.accuracy is None:
        check_of_regression(stop)
    seen = Seen(labels=bought, test_accuracy=tested.accuracy)
    if needs(stop, "stop_set"):
        outputs = map_rows(model.apply, variables, sets.stop_set, batch_size=batch_size)
        seen = seen._replace(logits=outputs.logits)
    if needs(stop, "labelled"):
        outputs = map_rows(model.apply, variables, inputs, batch_size=batch_size)
        seen = seen._replace(
            features=outputs.features,
            known=jnp.maximum(state.labels, 0),
            count=state.count,
            num_classes=outputs.logits.shape[-1],
        )
    if needs(stop, "validation"):
        found = evaluate(model, variables, *sets.validation, batch_size=batch_size)
        seen = seen._replace(validation_accuracy=found.accuracy)
    return state._replace(stop=look(stop, state.stop, seen))


def make_round(
    learner: AnyLearner, strategy: Strategy, budget: int, stop: tuple[Rule, ...] = ()
) -> Round:
    """The stages of a round, not compiled."""
    return Round(
        partial(fit, learner=learner),
        partial(measure, learner=learner),
        partial(observe, learner=learner, strategy=strategy),
        partial(select, strategy=strategy, budget=budget, stop=stop),
        partial(watch, learner=learner, stop=stop) if stop else None,
    )


_fit = jax.jit(fit, static_argnames="learner")
_measure = jax.jit(measure, static_argnames="learner")
_observe = jax.jit(observe, static_argnames=("learner", "strategy"))
_select = jax.jit(select, static_argnames=("strategy", "budget", "stop"))
_watch = jax.jit(watch, static_argnames=("learner", "stop"))


def compiled_round(
    learner: AnyLearner, strategy: Strategy, budget: int, stop: tuple[Rule, ...] = ()
) -> Round:
    """The stages of a round, each compiled; equal learners and strategies share programs.

    A learner with `fit_on_host` is not compiled: it is given arrays, whose values it may look at.
    """
    return Round(
        partial(fit if fits_on_host(learner) else _fit, learner=learner),
        partial(_measure, learner=learner),
        partial(_observe, learner=learner, strategy=strategy),
        partial(_select, strategy=strategy, budget=budget, stop=stop),
        partial(_watch, learner=learner, stop=stop) if stop else None,
    )


def run_round(
    stages: Round,
    budget: int,
    state: State,
    pool: Pool,
    test: Examples,
    sets: ExampleSets,
    select_batch: jax.Array | bool,
) -> tuple[State, RoundInfo]:
    """One simulated round.

    Args:
      stages: from `make_round`, or the same functions compiled, vmapped or timed.
      budget: B, as in the stages.
      state: before.
      pool: whose labels are known, but for rows that are skipped when they are selected.
      test: held-out examples.
      sets: further examples.
      select_batch: whether to select a batch after fitting; if not, the state keeps its round, as
        it does where a stopping rule holds.

    Returns:
      The next state and the report of this round.
    """
    state, fitted = stages.fit(state, pool, sets)
    train, tested = stages.measure(state, pool, test, fitted)
    skipped = jnp.sum(state.skipped >= 0, axis=-1, dtype=jnp.int32)
    if stages.watch is not None:
        state = stages.watch(state, pool, sets, tested)
        going = state.stop.stopped.rule < 0
        if is_traced(going):
            select_batch = going & select_batch
        else:  # of several seeds, those that have ended are kept as they are
            select_batch = bool(np.any(processes.to_host(going))) and select_batch

    def go_on(state):
        after, selection = stages.select(state, pool, stages.observe(state, pool, sets))
        return after, selection.rows, selection.scores

    def keep(state):
        return state, *stay((*state.count.shape, budget))  # several seeds may run together

    if is_traced(select_batch):
        key = state.key

        def unwrapped(state):
            after, *picks = go_on(with_key(state, key))
            return without_key(after), *picks

        after, rows, scores = jax.lax.cond(select_batch, unwrapped, keep, without_key(state))
        after = with_key(after, key)
    else:
        after, rows, scores = (go_on if select_batch else keep)(state)
    stopped = None if stages.watch is None else after.stop.stopped
    info = RoundInfo(state.count, fitted.epochs, train, tested, rows, scores, skipped, stopped)
    return after, info


def without_key(state: State) -> State:
    """The state with its key as numbers: a choice between two states, under vmap, reads keys."""
    return state._replace(key=key_data(state.key))


def with_key(state: State, like: jax.Array) -> State:
    """The state of `without_key` with its key as it was, of the kind of another."""
    if not is_key(like):
        return state
    return state._replace(key=jax.random.wrap_key_data(state.key, impl=jax.random.key_impl(like)))
