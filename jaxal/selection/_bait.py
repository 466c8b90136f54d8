"""BAIT: the batch after which the Fisher information of the pool is learned best."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import Selection
from jaxal.greedy.take import priority
from jaxal.numerics import gather, matmul
from jaxal.points.fisher import FISHERS, Factors, fisher_factors
from jaxal.rows import best_row, row_at, without
from jaxal.selection import _rows

REFRESHED = 64  # steps after which the sums are made anew, before rounding adds up


class Design(NamedTuple):
    """What rows are worth, given those that the matrix M holds."""

    matrix: jax.Array  # [R D, R D], M
    inverse: jax.Array  # [R D, R D]
    a: jax.Array  # [n, R, R], V_i M^-1 V_i^T
    b: jax.Array  # [n, R, R], V_i M^-1 F M^-1 V_i^T
    steps: jax.Array  # [] since M was inverted


def _design(factors: Factors, matrix: jax.Array, fisher: jax.Array) -> Design:
    """What rows are worth, from M and F alone."""
    eye = jnp.eye(len(matrix), dtype=matrix.dtype)
    inverse = jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(matrix, lower=True), eye)
    between = matmul(matmul(inverse, fisher), inverse)
    a, b = factors.quadratic(inverse), factors.quadratic(between)
    return Design(matrix, inverse, a, b, jnp.int32(0))


def _change(
    design: Design, factors: Factors, fisher: jax.Array, row: Factors, sign: float
) -> Design:
    """The design with a row's information added, sign 1, or taken away, sign -1. O(n D R^2)."""
    columns = row.dense().T  # [R D, R]
    solved = matmul(design.inverse, columns)
    small = sign * jnp.eye(columns.shape[1], dtype=columns.dtype) + matmul(columns.T, solved)
    back = jnp.linalg.inv(small)
    through = matmul(fisher, solved)
    p, q = factors.times(solved), factors.times(matmul(design.inverse, through))
    p_back = matmul(p, back)
    p_back_t = jnp.swapaxes(p_back, 1, 2)
    crossed = matmul(q, p_back_t)
    twice = matmul(matmul(p_back, matmul(solved.T, through)), p_back_t)
    return Design(
        design.matrix + sign * matmul(columns, columns.T),
        design.inverse - matmul(matmul(solved, back), solved.T),
        design.a - matmul(p_back, jnp.swapaxes(p, 1, 2)),
        design.b - crossed - jnp.swapaxes(crossed, 1, 2) + twice,
        design.steps + 1,
    )


def _refreshed(design: Design, factors: Factors, fisher: jax.Array) -> Design:
    return jax.lax.cond(
        design.steps >= REFRESHED,
        lambda: _design(factors, design.matrix, fisher),
        lambda: design,
    )


def _changes(design: Design, sign: float) -> jax.Array:
    """By how much each row, added or taken away, changes tr(M^-1 F), [n]."""
    rank = design.a.shape[1]
    left = jnp.eye(rank, dtype=design.a.dtype)[None] + sign * design.a

    def eliminate(j, carry):
        # Gauss-Jordan without pivots: the matrices are positive definite.
        left, right = carry
        pivot = left[:, j, :] / left[:, j, j][:, None]
        moved = right[:, j, :] / left[:, j, j][:, None]
        factor = left[:, :, j].at[:, j].set(0.0)
        left = (left - factor[:, :, None] * pivot[:, None, :]).at[:, j, :].set(pivot)
        right = (right - factor[:, :, None] * moved[:, None, :]).at[:, j, :].set(moved)
        return left, right

    _, solved = jax.lax.fori_loop(0, rank, eliminate, (left, design.b))
    return jnp.trace(solved, axis1=1, axis2=2)


@entry.checked(
    logits=entry.matrix("[N, C]"),
    features=entry.matrix("[N, D]"),
    available=entry.mask,
    budget=entry.budget,
    labeled=entry.mask,
    fisher=entry.one_of(FISHERS),
    ridge=entry.positive,
)
def bait(
    logits: jax.Array,
    features: jax.Array,
    available: jax.Array,
    budget: int,
    *,
    labeled: jax.Array | None = None,
    fisher: str = "binary",
    ridge: float | jax.Array = 1.0,
) -> Selection:
    """BAIT: selects the batch that leaves the least of the pool's Fisher information unknown.

    With I_i the Fisher information of the last layer's weights in row i, F its mean over all rows
    that are available or labelled, n of them labelled, the batch S of B rows is to minimise

        tr(M(S)^-1 F),   M(S) = ridge I + (sum of I_i over labelled rows + B sum over S) / (n + B)

    by 2 B greedy picks, or as many as there are, of which the least useful are then taken away one
    by one. "binary" is I_i = q (1 - q) h h^T for the largest probability q and features h, of rank
    one; "full" is (diag p - p p^T) (x) h h^T; "gaussian" is h h^T, of a regression. No bias is
    appended to the features.

    With R = 1 or C and P = R D: time O(N R^2 (D + R) + P^2 R) a step, and O(N D^2 R^2 + P^3) once
    in 64 steps, where sums are made anew; memory O(N (D + R^2) + P^2), so that "full" is for few
    classes.

    Args:
      logits: [N, C], logits or log-probabilities; -inf is probability 0.
      features: [N, D], the input of the last layer.
      available: [N] bool; a labelled row is never picked.
      budget: how many rows, 1 to N.
      labeled: [N] bool, the rows that are labelled already; none if not given.
      fisher: "binary", "full" or "gaussian", for which the logits need but be finite.
      ridge: above 0. Float32 wants it above a millionth of the largest eigenvalue of F.

    Returns:
      `Selection` in the order of picking; a score is by how much the trace fell when the row was
      picked. Rows with a NaN or an infinity count for nothing and come last, with scores -inf.

    Raises:
      TypeError: if an array or a mask is none, or the budget is not an integer.
      ValueError: if shapes disagree, the budget is above the rows that may be picked, the form of
        the information unknown or the ridge not above 0.

    References:
      Ash et al., "Gone fishing: neural active learning with Fisher embeddings", NeurIPS 2021.
      Huseljic et al., "Fast Fishing: approximating BAIT for efficient and scalable deep active
      image classification", ECML 2024.

    Example:

    >>> features = jnp.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
    >>> bait(jnp.zeros((3, 2)), features, jnp.ones(3, bool), 2).rows.tolist()
    [1, 0]
    """
    _rows.check_free(budget, available, labeled, logits=logits, features=features)
    if logits.shape[1] < 2 and fisher != "gaussian":
        raise ValueError(f"logits: expected at least 2 classes, got shape {logits.shape}")
    return _bait(logits, features, available, budget, labeled, fisher, ridge)


@partial(jax.jit, static_argnames=("budget", "fisher"))
def _bait(logits, features, available, budget, labeled, fisher, ridge) -> Selection:
    logits, features = jnp.asarray(logits).astype(float), jnp.asarray(features).astype(float)
    free, labeled, counted = _rows.free_and_counted(available, labeled)
    finite = jnp.isfinite(jnp.max(logits, axis=1)) & ~jnp.any(jnp.isnan(logits), axis=1)
    finite &= jnp.all(jnp.isfinite(features), axis=1)
    factors = fisher_factors(logits, features, fisher, finite & counted)
    known = jnp.sum(labeled & finite, dtype=jnp.int32).astype(features.dtype)
    total = jnp.sum(counted & finite, dtype=jnp.int32).astype(features.dtype)

    def information(rows: tuple[jax.Array, jax.Array]) -> jax.Array:
        mask, number = rows
        return factors.total((mask & finite).astype(features.dtype) / number)

    # One after the other: side by side, each would take a copy of the features.
    numbers = jnp.stack([jnp.maximum(total, 1.0), known + budget])
    fisher_matrix, matrix = jax.lax.map(information, (jnp.stack([counted, labeled]), numbers))
    matrix += ridge * jnp.eye(len(matrix), dtype=matrix.dtype)
    # A pick counts B / (n + B).
    factors = factors._replace(loadings=factors.loadings * jnp.sqrt(budget / (known + budget)))
    picks = _forward(factors, matrix, fisher_matrix, free, finite, min(2 * budget, len(free)))
    rows, scores, kept = _backward(factors, fisher_matrix, picks, budget)
    order = jnp.argsort(~kept)[:budget]  # stable: in the order of picking
    rows = jnp.where(kept[order], rows[order], -1)
    return Selection(rows, jnp.where(kept[order], scores[order], -jnp.inf).astype(jnp.float32))


class Picks(NamedTuple):
    """What the forward pass has found."""

    design: Design
    free: jax.Array  # [N] bool
    rows: jax.Array  # [capacity] int32
    scores: jax.Array  # [capacity]
    count: jax.Array  # []


def _forward(
    factors: Factors,
    matrix: jax.Array,
    fisher: jax.Array,
    free: jax.Array,
    finite: jax.Array,
    capacity: int,
) -> Picks:
    """Greedy picks, as many as `capacity` and as there are free rows."""
    total = jnp.minimum(capacity, jnp.sum(free, dtype=jnp.int32))

    def pick(picks: Picks) -> Picks:
        design = _refreshed(picks.design, factors, fisher)
        gains = jnp.where(finite, _changes(design, 1.0), -jnp.inf)
        row = best_row(priority(gains, picks.free)).astype(jnp.int32)
        one, gain = row_at((factors, gains), row)
        return Picks(
            _change(design, factors, fisher, one, 1.0),
            without(picks.free, row),
            picks.rows.at[picks.count].set(row),
            picks.scores.at[picks.count].set(gain),
            picks.count + 1,
        )

    none = jnp.full_like(factors.features, -jnp.inf, shape=(capacity,))
    start = Picks(
        _design(factors, matrix, fisher),
        free,
        jnp.full(capacity, -1, jnp.int32),
        none,
        jnp.int32(0),
    )
    return jax.lax.while_loop(lambda picks: picks.count < total, pick, start)


def _backward(
    factors: Factors, fisher: jax.Array, picks: Picks, budget: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The rows and scores of the picks, and which of them stay, [capacity]."""
    there = picks.rows >= 0
    chosen = gather(factors, jnp.maximum(picks.rows, 0))
    design = _design(chosen, picks.design.matrix, fisher)

    def drop(_, carry):
        design, kept = carry
        design = _refreshed(design, chosen, fisher)
        losses = _changes(design, -1.0)
        place = jnp.argmax(priority(-losses, kept))
        one = jax.tree.map(lambda leaf: leaf[place], chosen)
        return _change(design, chosen, fisher, one, -1.0), kept.at[place].set(False)

    surplus = jnp.maximum(picks.count - budget, 0)
    _, kept = jax.lax.fori_loop(0, surplus, drop, (design, there))
    return picks.rows, picks.scores, kept
