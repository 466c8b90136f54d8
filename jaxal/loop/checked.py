"""A round whose results are looked at on the host, stage by stage."""

from typing import Any

import jax
import numpy as np

from jaxal import processes
from jaxal.base import Selection, Strategy
from jaxal.loop.copied import are_copies
from jaxal.loop.decision import Observed
from jaxal.loop.plan import Plan, Prepared
from jaxal.loop.returned import (
    are_free,
    check_observation,
    check_selection,
    flawed_row,
    is_finite,
)
from jaxal.loop.round import Round, compiled_round
from jaxal.loop.state import State, available_rows, init, known_labels
from jaxal.pools import Pool, StreamedPool
from jaxal.training import AnyLearner


def checked_round(stages: Round, name: str) -> Round:
    """The same stages, which raise where a fit or a strategy returned what it may not.

    Args:
      stages: compiled, or compiled and vmapped over seeds.
      name: the strategy's, for messages.
    """

    def measure(state, pool, test, fitted):
        check_fitted(state, fitted.loss)
        return stages.measure(state, pool, test, fitted)

    def observe(state, pool, sets):
        observed = stages.observe(state, pool, sets)
        check_observed(name, state, pool, observed)
        return observed

    def select(state, pool, observed):
        after, selection = stages.select(state, pool, observed)
        stopped = None if after.stop is None else after.stop.stopped.rule
        check_picks(name, state, pool, selection, stopped)
        return after, selection

    return stages._replace(measure=measure, observe=observe, select=select)


def check_strategies(
    learner: AnyLearner, strategies: dict[str, Strategy], prepared: Prepared, plan: Plan
) -> None:
    """Traces what every strategy does, so that one which cannot work says so before any has begun.

    Nothing is run or compiled; what is traced is found again by `compiled_round`.

    Args:
      learner: the model and how it is fitted.
      strategies: by name.
      prepared: the examples.
      plan: of the rounds.

    Raises:
      ValueError, TypeError: as the strategies do, as where bald meets a model without dropout.
    """

    def start(key, pool):
        room, skips = plan.capacity, plan.skips
        return init(key, learner, pool, initial=plan.initial, capacity=room, skips=skips)

    pool, _, sets, _ = prepared
    if isinstance(pool, StreamedPool):  # traced as the same pool in memory
        pool = pool.outline()
    state = jax.eval_shape(start, jax.random.key(0), pool)
    for strategy in strategies.values():
        stages = compiled_round(learner, strategy, plan.budget)
        observed = jax.eval_shape(stages.observe, state, pool, sets)
        jax.eval_shape(stages.select, state, pool, observed)


def check_fitted(state: State, loss: Any) -> None:
    """Raises FloatingPointError if a fit with a finite loss left variables that are not finite."""
    if np.all(np.isfinite(processes.to_host(loss))) and not _is_finite(state.variables):
        raise FloatingPointError(
            f"learner.fit: the variables are NaN or infinite after round {_round(state)}"
        )


def check_observed(name: str, state: State, pool: Pool, observed: Observed) -> None:
    """Raises FloatingPointError if a strategy observed NaN or inf of a model that is finite."""
    if are_copies(observed.pool):
        rows = np.array([int(copied.flawed_row()) for copied in observed.pool])
    else:
        look = _flawed_row if state.round.ndim == 0 else _flawed_rows
        rows = np.ravel(processes.to_host(look(observed.pool, pool.valid)))
    if (rows >= 0).any() and _is_finite(state.variables):
        check_observation(f"{name}, round {_round(state)}", rows.max())


def check_picks(
    name: str, state: State, pool: Pool, selection: Selection, stopped: Any = None
) -> None:
    """Raises ValueError if a strategy's rows are not available, come twice, or are all missing.

    Args:
      name: the strategy's.
      state: of the round, before it is told; of several seeds if they run together.
      pool: N rows.
      selection: rows [B], or [seeds, B].
      stopped: which stopping rule has held, [] or [seeds], -1 for none: else nothing was picked.
    """
    rows, weights = processes.to_host((selection.rows, selection.weights))
    look = _free if state.round.ndim == 0 else _free_by_seed
    free, left = processes.to_host(look(state._replace(variables=()), pool, selection.rows))
    ended = np.zeros(len(np.atleast_2d(rows)), bool)
    if stopped is not None:
        ended = np.ravel(processes.to_host(stopped)) >= 0
    for seed, picked in enumerate(np.atleast_2d(rows)):
        if ended[seed]:
            continue
        check_selection(
            f"{name}, round {_round(state)}",
            picked,
            np.atleast_2d(free)[seed],
            int(np.ravel(left)[seed]),
            None if weights is None else np.atleast_2d(weights)[seed],
        )


def check_loss(loss: Any, number: int, hint: str = "lower the learning rate") -> None:
    """Raises FloatingPointError if a training loss, or any of several seeds', is not finite."""
    if not np.all(np.isfinite(processes.to_host(loss))):
        raise FloatingPointError(f"the training loss is not finite in round {number}: {hint}")


def _round(state: State) -> int:
    return int(np.ravel(processes.to_host(state.round))[0])  # seeds go together


_is_finite = jax.jit(is_finite)
_flawed_row = jax.jit(flawed_row)
_flawed_rows = jax.jit(jax.vmap(flawed_row, (0, None)))


@jax.jit
def _free(state: State, pool: Pool, rows: jax.Array) -> tuple[jax.Array, jax.Array]:
    return are_free(rows, available_rows(state, pool, known_labels(state, pool)))


_free_by_seed = jax.jit(jax.vmap(_free, (0, None, 0)))
