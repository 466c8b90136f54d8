"""GradMatch: the batch whose gradients add up to that of a whole set."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import Selection
from jaxal.checks import check_budget, check_name
from jaxal.greedy.take import priority
from jaxal.points.gradient import GRADIENT_KINDS
from jaxal.points.losses import Loss, check_loss
from jaxal.rows import best_row, row_at, without
from jaxal.selection.gradient_matching._gradients import (
    LABELED,
    POOL,
    Gradients,
    LabeledRows,
    Rows,
    check_labeled,
    check_pool,
    gradients,
    of_pool,
)

TARGETS = ("budget", "pool")


class GradMatchState(NamedTuple):
    """What a pick hands the next."""

    residual: jax.Array  # as `GradientEmbedding.total`, the picks' gradients minus the target
    inner: jax.Array  # [N], of each gradient with the residual
    available: jax.Array  # [N] bool
    rows: jax.Array  # [B] int32
    scores: jax.Array  # [B]


@entry.checked(
    pool=entry.parts(*POOL),
    available=entry.mask,
    budget=entry.budget,
    validation=entry.parts(*LABELED),
    kind=entry.one_of(GRADIENT_KINDS),
    target=entry.one_of(TARGETS),
    loss=check_loss,
)
@partial(jax.jit, static_argnames=("budget", "kind", "target", "loss"))
def grad_match(
    pool: Rows,
    available: jax.Array,
    budget: int,
    *,
    validation: LabeledRows | None = None,
    kind: str = "bias_linear",
    target: str = "budget",
    loss: Loss | None = None,
) -> Selection:
    """Greedily selects rows whose summed last-layer gradient comes closest to a target T.

    Each pick minimises |sum over the picks of g_i - T|, with g_i the last-layer gradient of a pool
    row under its pseudo-label, the predicted class, and T a multiple of the summed gradient of the
    matched examples, those of `validation` or, without it, the available rows:

        budget   T = (budget / number matched) x sum: the batch has the same mean gradient
        pool     T = (available rows / number matched) x sum: the batch alone stands for the pool,
                 as in DISTIL's code; picks are the rows most aligned with the sum

    Time O(N C D) once and O(N (C + D)) a pick: |r + g_i|^2 = |r|^2 + 2 g_i . r + |g_i|^2, and a
    pick s adds g_i . g_s to g_i . r. Memory O(N (C + D)).

    Args:
      pool: logits [N, C] and features [N, D], the input of the last layer.
      available: [N] bool.
      budget: how many rows, 1 to N.
      validation: logits [M, C], features [M, D], labels [M] (negative: the predicted class), mask
        [M].
      kind: gradient in the "bias", the "linear" weights, or both, "bias_linear".
      target: "budget" or "pool".
      loss: (logits [n, C], labels [n]) -> [n]; the cross-entropy if None.

    Returns:
      `Selection` in pick order; a score is minus the distance |sum - T| after the pick. Rows with
      NaN or infinities come last, score NaN, and are not matched.

    Raises:
      ValueError: shapes that disagree, an empty `validation`, an unknown kind or target, a budget
        outside 1 to N.

    References:
      Killamsetty et al., "GRAD-MATCH: gradient matching based data subset selection for efficient
      deep model training", ICML 2021, section 3.

    >>> logits, features = jnp.array([[1.0, 0.0], [0.0, 2.0], [9.0, 0.0]]), jnp.ones((3, 1))
    >>> grad_match((logits, features), jnp.ones(3, bool), 2).rows.tolist()
    [2, 0]
    """
    check_name("target", target, TARGETS)
    rows, matched = matching(pool, available, budget, validation, kind, loss)
    number = float(budget) if target == "budget" else rows.number()
    residual = -(number / matched.number()) * matched.points.total()
    norms = jnp.where(rows.finite, rows.points.squared_norm(), jnp.nan)

    def pick(i, state: GradMatchState) -> GradMatchState:
        # |r|^2 is the same for all rows: the smallest rest of |r + g_i|^2 is picked.
        row = best_row(priority(-(norms + 2.0 * state.inner), state.available))
        picked = rows.points.take(row[None])
        inner = rows.points.inner(picked)[:, 0]
        residual = state.residual + picked.total()
        score = -jnp.sqrt(jnp.sum(residual**2))
        return GradMatchState(
            residual,
            state.inner + inner,
            without(state.available, row),
            state.rows.at[i].set(row.astype(jnp.int32)),
            state.scores.at[i].set(jnp.where(row_at(rows.finite, row), score, jnp.nan)),
        )

    start = GradMatchState(
        residual,
        rows.points.along(residual),
        available,
        jnp.full(budget, -1, jnp.int32),
        jnp.full(budget, -jnp.inf),
    )
    most = jnp.minimum(budget, jnp.sum(available, dtype=jnp.int32))
    end = jax.lax.fori_loop(0, most, pick, start)
    return Selection(end.rows, end.scores.astype(jnp.float32))


def matching(
    pool: Rows,
    available: jax.Array,
    budget: int,
    validation: LabeledRows | None,
    kind: str,
    loss: Loss | None,
) -> tuple[Gradients, Gradients]:
    """The gradients of the pool and those to be matched, after the checks."""
    check_name("kind", kind, GRADIENT_KINDS)
    check_pool(pool, available)
    check_budget(budget, len(available))
    rows = gradients(of_pool(pool, available), kind, loss)
    if validation is None:
        return rows, rows
    check_labeled("validation", validation, pool, at_least=1)
    return rows, gradients(validation, kind, loss)
