"""Orthogonal matching pursuit: few weighted gradients that add up to that of a whole set."""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_factor, cho_solve

from jaxal import entry
from jaxal.base import Selection
from jaxal.checks import check_at_least
from jaxal.greedy.take import fill, priority
from jaxal.numerics import matmul
from jaxal.points.gradient import GRADIENT_KINDS
from jaxal.points.losses import Loss, check_loss
from jaxal.rows import best_row, row_at, without
from jaxal.selection.gradient_matching._grad_match import matching
from jaxal.selection.gradient_matching._gradients import (
    LABELED,
    POOL,
    Gradients,
    LabeledRows,
    Rows,
)
from jaxal.threefry import short_key

NOISE = 16.0  # times the rounding unit: inner products that small, relative to the norms, are 0


class Problem(NamedTuple):
    """Least squares over w >= 0 by its normal equations: w.G w / 2 - q.w over the slots in use."""

    gram: jax.Array  # [B, B], G: inner products of the picks, plus the ridge
    aim: jax.Array  # [B], q: their inner products with the target
    used: jax.Array  # [B] bool
    noise: jax.Array  # [B], slopes that are 0 but for rounding


class Fit(NamedTuple):
    """A step of the active-set method."""

    weights: jax.Array  # [B], >= 0
    passive: jax.Array  # [B] bool, the weights that are not held at 0
    done: jax.Array  # [] bool
    steps: jax.Array  # []


def non_negative(problem: Problem, weights: jax.Array, passive: jax.Array) -> Fit:
    """Minimises by the active-set method of Lawson and Hanson, from a feasible start.

    The weights that are not held at 0 move to the minimum without bounds, or until the first of
    them meets 0 and is held there; at such a minimum the held weight of the largest slope is let
    go. In place of a proof against rounding: at most 3 B + 10 steps, each O(B^3), and an end where
    G cannot be factored; the weights are feasible at all times.
    """
    gram, aim, used, noise = problem
    size = len(aim)
    # Equal rows have a singular G: the least that rounding resolves keeps it positive.
    lifted = gram * (1.0 + NOISE * jnp.finfo(gram.dtype).eps * jnp.eye(size))

    def body(fit: Fit) -> Fit:
        weights, passive = fit.weights, fit.passive
        both = passive[:, None] & passive[None, :]
        factor = cho_factor(jnp.where(both, lifted, jnp.eye(size)), lower=True)
        free = cho_solve(factor, jnp.where(passive, aim, 0.0))
        meets = passive & ~(free > 0)
        share = jnp.where(meets, weights / jnp.maximum(weights - free, 1e-30), jnp.inf)
        first = jnp.min(share)
        moved = weights + jnp.minimum(first, 1.0) * (free - weights)
        held = meets & (share <= first)
        weights = jnp.where(passive & ~held, jnp.maximum(moved, 0.0), 0.0)
        passive &= ~held
        slope = aim - matmul(gram, weights)
        slope = jnp.where(used & ~passive, slope - noise, -jnp.inf)
        at_minimum = ~jnp.any(meets)
        let_go = jnp.argmax(slope)
        rises = at_minimum & (slope[let_go] > 0)
        passive = passive.at[let_go].set(passive[let_go] | rises)
        moved_on = Fit(weights, passive, at_minimum & ~rises, fit.steps + 1)
        stuck = fit._replace(passive=fit.weights > 0, done=jnp.bool_(True))
        solved = jnp.all(jnp.isfinite(free))
        return jax.tree.map(partial(jnp.where, solved), moved_on, stuck)

    start = Fit(weights, passive, jnp.bool_(False), jnp.int32(0))
    return jax.lax.while_loop(lambda fit: ~fit.done & (fit.steps < 3 * size + 10), body, start)


class PursuitState(NamedTuple):
    """What a pick hands the next."""

    residual: jax.Array  # as the target, of which the picks' weighted gradients are taken away
    problem: Problem
    fit: Fit
    available: jax.Array  # [N] bool
    rows: jax.Array  # [B] int32
    scores: jax.Array  # [B]
    count: jax.Array  # []
    best: jax.Array  # [] the row picked next
    score: jax.Array  # [] its inner product with the residual


def initial_state(residual: jax.Array, available: jax.Array, budget: int) -> PursuitState:
    """The state before any pick, but for the row picked next."""
    zeros = jnp.zeros(budget, residual.dtype)
    return PursuitState(
        residual,
        Problem(jnp.zeros((budget, budget), residual.dtype), zeros, zeros > 0, zeros),
        Fit(zeros, zeros > 0, jnp.bool_(True), jnp.int32(0)),
        available,
        jnp.full(budget, -1, jnp.int32),
        jnp.full(budget, -jnp.inf),
        jnp.int32(0),
        jnp.int32(0),
        jnp.zeros((), residual.dtype),
    )


@entry.checked(
    key=entry.key,
    pool=entry.parts(*POOL),
    available=entry.mask,
    budget=entry.budget,
    validation=entry.parts(*LABELED),
    kind=entry.one_of(GRADIENT_KINDS),
    loss=check_loss,
)
def orthogonal_matching_pursuit(
    key: jax.Array,
    pool: Rows,
    available: jax.Array,
    budget: int,
    *,
    validation: LabeledRows | None = None,
    kind: str = "bias_linear",
    ridge: float = 0.0,
    tolerance: float = 1e-4,
    loss: Loss | None = None,
) -> tuple[Selection, jax.Array]:
    """Greedily selects the row most aligned with the residual, and weighs all picks anew.

    Orthogonal matching pursuit with weights of at least 0. With g_i the last-layer gradient of a
    pool row under its pseudo-label, the predicted class, and T the summed gradient of the matched
    examples (those of `validation` or, without it, the available rows), r = T at first, then

        pick the row of largest g_i . r, if that is above 0
        w = argmin_{w >= 0} |T - sum over the picks of w_i g_i|^2 + ridge |w|^2
        r = T - sum over the picks of w_i g_i

    until |r| < tolerance |T| or the budget is used up. Rows to fill a batch up are drawn at random,
    with weight 1. Products that are 0 but for rounding count as 0.

    Time O((N + B) C D + B^3) a pick, B^3 a few times where weights meet 0; memory
    O(N (C + D) + B^2).

    Args:
      key: PRNG key, consumed; for the rows that fill up.
      pool: logits [N, C] and features [N, D], the input of the last layer.
      available: [N] bool.
      budget: how many rows, 1 to N.
      validation: logits [M, C], features [M, D], labels [M] (negative: the predicted class), mask
        [M].
      kind: gradient in the "bias", the "linear" weights, or both, "bias_linear".
      ridge: the price of large weights, at least 0.
      tolerance: the share of |T| that may be missing, at least 0.
      loss: (logits [n, C], labels [n]) -> [n]; the cross-entropy if None.

    Returns:
      `Selection` in pick order and weights [B]; a score is the row's g_i . r when it was picked, 0
      for rows that fill up. The weights are at least 0 and add up to about the number of matched
      examples; some may be 0, as are those past the last available row. Rows with NaN or infinities
      come last and are not matched.

    Raises:
      ValueError: shapes that disagree, an empty `validation`, an unknown kind, a number out of
        range.

    References:
      Killamsetty et al., "GRAD-MATCH: gradient matching based data subset selection for efficient
      deep model training", ICML 2021, algorithm 2. Lawson and Hanson, "Solving least squares
      problems", 1974, chapter 23.

    >>> logits, features = jnp.array([[1.0, 0.0], [0.0, 2.0], [9.0, 0.0]]), jnp.ones((3, 1))
    >>> picked, weights = orthogonal_matching_pursuit(
    ...     jax.random.key(0), (logits, features), jnp.ones(3, bool), 1
    ... )
    >>> print(picked.rows, weights.round(2))
    [0] [0.56]
    """
    check_at_least(0.0, ridge=ridge, tolerance=tolerance)
    options = {"budget": budget, "kind": kind, "loss": loss}
    return _pursue(key, pool, available, validation, ridge, tolerance, **options)


@partial(jax.jit, static_argnames=("budget", "kind", "loss"))
def _pursue(
    key: jax.Array,
    pool: Rows,
    available: jax.Array,
    validation: LabeledRows | None,
    ridge: jax.Array,
    tolerance: jax.Array,
    *,
    budget: int,
    kind: str,
    loss: Loss | None,
) -> tuple[Selection, jax.Array]:
    rows, matched = matching(pool, available, budget, validation, kind, loss)
    end = pursue(rows, matched.points.total(), available, budget, budget, ridge, tolerance)
    order = jnp.where(rows.finite, jax.random.uniform(short_key(key), available.shape), jnp.nan)
    picked = Selection(end.rows, end.scores.astype(jnp.float32))
    selection = fill(picked, end.count, order, available)
    filled = (jnp.arange(budget, dtype=jnp.int32) >= end.count) & (selection.rows >= 0)
    return selection, jnp.where(filled, 1.0, end.fit.weights).astype(jnp.float32)


def _extended(
    problem: Problem,
    slot: jax.Array,
    column: jax.Array,
    ridge: float | jax.Array,
    aim: jax.Array,
    noise: jax.Array,
) -> Problem:
    """The problem with one pick more.

    Args:
      problem: of the picks before.
      slot: [] where it goes.
      column: [B] its inner products with the picks, itself included; anything in later slots.
      ridge: the price of large weights.
      aim: [] its inner product with the target.
      noise: [] below which that is nothing.
    """
    used = jnp.arange(len(column), dtype=jnp.int32) <= slot
    column = jnp.where(used, column, 0.0)
    gram = problem.gram.at[slot].set(column).at[:, slot].set(column)
    return Problem(
        gram.at[slot, slot].add(ridge),
        problem.aim.at[slot].set(aim),
        used,
        problem.noise.at[slot].set(noise),
    )


def pursue(
    rows: Gradients,
    target: jax.Array,
    available: jax.Array,
    budget: int,
    limit: int | jax.Array,
    ridge: float | jax.Array,
    tolerance: float | jax.Array,
) -> PursuitState:
    """The picks that pursue any target.

    Args:
      rows: gradients of N pool rows.
      target: [C, D], or [C, 1 + D], as `GradientEmbedding.total`.
      available: [N] bool.
      budget: the size of the state, B.
      limit: how many rows at most, up to the budget; may vary from call to call.
      ridge: the price of large weights.
      tolerance: the share of |target| that may be missing.

    Returns:
      The state after the last pick.
    """
    points = rows.points
    length = jnp.sqrt(jnp.sum(target**2))
    toward_target = points.along(target)
    # An inner product that rounding alone could make is 0, or it would be picked for nothing.
    noise = NOISE * jnp.finfo(target.dtype).eps
    noise = noise * length * jnp.sqrt(points.squared_norm())

    def aim(state: PursuitState) -> PursuitState:
        inner = jnp.where(rows.finite, points.along(state.residual), jnp.nan)
        row = best_row(priority(inner, state.available)).astype(jnp.int32)
        return state._replace(best=row, score=row_at(inner, row))

    def goes_on(state: PursuitState) -> jax.Array:
        far = jnp.sqrt(jnp.sum(state.residual**2)) > tolerance * length
        available, least = row_at((state.available, noise), state.best)
        helps = available & (state.score > least)
        return (state.count < limit) & far & helps

    def pick(state: PursuitState) -> PursuitState:
        row, slot = state.best, state.count
        picks = state.rows.at[slot].set(row)
        some = jnp.maximum(picks, 0)
        picked = points.take(some)
        column = points.take(row[None]).inner(picked)[0]
        of_row = row_at((toward_target, noise), row)
        problem = _extended(state.problem, slot, column, ridge, *of_row)
        passive = state.fit.passive.at[slot].set(True)
        # From the weights so far, which are feasible, with the new one at 0.
        fit = non_negative(problem, state.fit.weights, passive)
        weighted = replace(picked, residuals=picked.residuals * fit.weights[:, None])
        return aim(
            state._replace(
                residual=target - weighted.total(),
                problem=problem,
                fit=fit,
                available=without(state.available, row),
                rows=picks,
                scores=state.scores.at[slot].set(state.score),
                count=state.count + 1,
            )
        )

    start = aim(initial_state(target, available, budget))
    return jax.lax.while_loop(goes_on, pick, start)
