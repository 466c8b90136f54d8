"""One round of active learning, written once: fit, measure, observe, select, label.

`simulate` scans it, `iterate` loops over it on the host, the experiments of the command line time
its stages, and `ask` does the first part for labels that people give.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal import processes
from jaxal.base import Examples, PyTree, Selection, Strategy
from jaxal.checks import is_traced
from jaxal.loop import decision
from jaxal.loop.decision import Observed
from jaxal.loop.plan import ExampleSets, RowsSoFar
from jaxal.loop.returned import explained
from jaxal.loop.state import State, available_rows, known_labels, reveal, round_keys
from jaxal.numerics import are_targets, gather, is_known
from jaxal.pools import Pool, devices
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


class Round(NamedTuple):
    """The stages of a round as pure functions, to be traced into one program or run one by one."""

    fit: Callable[..., tuple[State, FitInfo]]  # (state, pool, sets)
    measure: Callable[..., tuple[Metrics, Metrics]]  # (state, pool, test, fitted) -> train, test
    observe: Callable[..., Observed]  # (state, pool, sets)
    select: Callable[..., tuple[State, Selection]]  # (state, pool, observed) -> next state, picks


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
    labels = known_labels(state, pool)
    available = available_rows(state, pool, labels)
    key = round_keys(state).select
    return decision.select(key, strategy, observed, labels, available, budget, pool.mesh)


def select(
    state: State, pool: Pool, observed: Observed, *, strategy: Strategy, budget: int
) -> tuple[State, Selection]:
    """`choose`, and the next state, labelled from what the pool knows."""
    selection = choose(state, pool, observed, strategy=strategy, budget=budget)
    return reveal(state, pool, selection), selection


def make_round(learner: AnyLearner, strategy: Strategy, budget: int) -> Round:
    """The stages of a round, not compiled."""
    return Round(
        partial(fit, learner=learner),
        partial(measure, learner=learner),
        partial(observe, learner=learner, strategy=strategy),
        partial(select, strategy=strategy, budget=budget),
    )


_fit = jax.jit(fit, static_argnames="learner")
_measure = jax.jit(measure, static_argnames="learner")
_observe = jax.jit(observe, static_argnames=("learner", "strategy"))
_select = jax.jit(select, static_argnames=("strategy", "budget"))


def compiled_round(learner: AnyLearner, strategy: Strategy, budget: int) -> Round:
    """The stages of a round, each compiled; equal learners and strategies share programs.

    A learner with `fit_on_host` is not compiled: it is given arrays, whose values it may look at.
    """
    return Round(
        partial(fit if fits_on_host(learner) else _fit, learner=learner),
        partial(_measure, learner=learner),
        partial(_observe, learner=learner, strategy=strategy),
        partial(_select, strategy=strategy, budget=budget),
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
      select_batch: whether to select a batch after fitting; if not, the state keeps its round.

    Returns:
      The next state and the report of this round.
    """
    state, fitted = stages.fit(state, pool, sets)
    train, tested = stages.measure(state, pool, test, fitted)
    skipped = jnp.sum(state.skipped >= 0, axis=-1, dtype=jnp.int32)

    def go_on(state):
        after, selection = stages.select(state, pool, stages.observe(state, pool, sets))
        return after, selection.rows, selection.scores

    def stay(state):
        shape = (*state.count.shape, budget)  # several seeds may run together
        return state, jnp.full(shape, -1, jnp.int32), jnp.full(shape, -jnp.inf, jnp.float32)

    if is_traced(select_batch):
        after, rows, scores = jax.lax.cond(select_batch, go_on, stay, state)
    else:
        after, rows, scores = (go_on if select_batch else stay)(state)
    return after, RoundInfo(state.count, fitted.epochs, train, tested, rows, scores, skipped)
