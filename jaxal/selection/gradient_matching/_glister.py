"""GLISTER: the batch that, by a gradient step a row, most lowers the loss on an evaluation set."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import Selection
from jaxal.checks import (
    check_at_least,
    check_budget,
    check_fraction,
    check_name,
    check_positive,
)
from jaxal.greedy.take import fill
from jaxal.numerics import matmul
from jaxal.points.gradient import GradientEmbedding
from jaxal.points.losses import Loss, check_loss, residuals
from jaxal.rows import row_at, without
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
from jaxal.selection.gradient_matching._regularizers import (
    Diversity,
    Nothing,
    Regularizer,
    coverage,
)
from jaxal.threefry import short_key

REGULARIZERS = ("none", "random", "facility_location", "diversity")


@entry.checked(
    key=entry.key,
    pool=entry.parts(*POOL),
    labeled=entry.parts(*LABELED),
    available=entry.mask,
    budget=entry.budget,
    validation=entry.parts(*LABELED),
    loss=check_loss,
)
def glister(
    key: jax.Array,
    pool: Rows,
    labeled: LabeledRows,
    available: jax.Array,
    budget: int,
    *,
    learning_rate: float,
    validation: LabeledRows | None = None,
    regularizer: str = "none",
    strength: float | None = None,
    loss: Loss | None = None,
) -> Selection:
    """Greedily selects rows whose gradient agrees most with that of the evaluation set's loss.

    With g_i the last-layer gradient (bias and weights) of a pool row under its pseudo-label, the
    predicted class, Z the logits of the evaluation set E, and v the mean gradient of E at Z,

        Z <- Z - learning_rate x (step of the last layer along the labelled rows' summed gradient)
        B times:  pick the row of largest g_i . v + r_i
                  Z <- Z - learning_rate x (step along its gradient)

    E is `validation`; without it the available rows, under their predicted classes, and the
    labelled ones.
    The regularizer r_i is

        none               0
        random             0, and the last round(strength x budget) picks are drawn at random
        facility_location  strength x sum_j max(m_j - |g_i - g_j|^2, 0) over the available rows j,
                           m_j the squared distance to the nearest pick (at first the largest
                           between any two)
        diversity          -strength x sum over the picks s of exp(-|g_i - g_s|^2 / 2)

    Time O((N + |E|) C D) a pick, as matrix products of the factors of g; memory
    O((N + |E|) (C + D)).
    facility_location adds the largest distance, O(N^2 (C + D)) at worst, once.

    Args:
      key: PRNG key, consumed; without effect unless the regularizer is random.
      pool: logits [N, C] and features [N, D], the input of the last layer.
      labeled: logits [M, C], features [M, D], labels [M] and a mask [M]; M may be 0.
      available: [N] bool.
      budget: how many rows, 1 to N.
      learning_rate: of the steps, above 0; the labelled gradients are summed, not averaged.
      validation: as `labeled`; a negative label stands for the predicted class.
      regularizer: "none", "random", "facility_location" or "diversity".
      strength: of the regularizer; at least 0, and strictly between 0 and 1 for random.
      loss: (logits [n, C], labels [n]) -> [n], of pool and evaluation set; the cross-entropy if
        None.

    Returns:
      `Selection` in pick order; a score is the regularized gain when the row was picked, for random
      picks the gain after the others. Rows with NaN or infinities score NaN, come last, and do not
      count in E.

    Raises:
      ValueError: shapes that disagree, an empty `validation`, an unknown regularizer, a strength
        that is missing, or a number out of range.

    References:
      Killamsetty et al., "GLISTER: generalization based data subset selection for efficient and
      robust learning", AAAI 2021, section 3 and algorithm 2.

    >>> logits, features = jnp.array([[0.1, 0.0], [0.0, 0.1], [3.0, 0.0]]), jnp.ones((3, 1))
    >>> validation = jnp.zeros((1, 2)), jnp.ones((1, 1)), jnp.array([1]), jnp.ones(1, bool)
    >>> picked = glister(
    ...     jax.random.key(0), (logits, features), validation, jnp.ones(3, bool), 2,
    ...     learning_rate=0.1, validation=validation,
    ... )
    >>> picked.rows.tolist()
    [1, 2]
    """
    check_pool(pool, available)
    check_labeled("labeled", labeled, pool)
    check_budget(budget, len(available))
    check_positive(learning_rate=learning_rate)
    check_regularizer(regularizer, strength)
    if validation is not None:
        check_labeled("validation", validation, pool, at_least=1)
    num_random = round((strength or 0.0) * budget) if regularizer == "random" else 0
    return _glister(
        key,
        pool,
        labeled,
        available,
        validation,
        learning_rate,
        strength,
        regularizer=regularizer,
        budget=budget,
        num_random=num_random,
        loss=loss,
    )


def check_regularizer(regularizer: str, strength: float | None) -> None:
    """Raises ValueError for an unknown regularizer, or a strength missing or out of range."""
    check_name("regularizer", regularizer, REGULARIZERS)
    if regularizer == "none":
        return
    if strength is None:
        raise ValueError(f"strength: expected a number, as {regularizer} needs one, got None")
    if regularizer == "random":
        check_fraction(strength=strength)
    check_at_least(0, strength=strength)


class Evaluation(NamedTuple):
    """The evaluation set, examples last, along which products with few rows run.

    Features are as they come, so that a pool that is its own evaluation set has them once.
    """

    logits: jax.Array  # [C, E]
    targets: jax.Array  # [C, E] one-hot labels; [E] labels where the loss is no cross-entropy
    points: GradientEmbedding  # [E]
    counts: jax.Array  # [E] bool
    number: jax.Array  # [] of those that count

    def gradient(self, logits: jax.Array, loss: Loss | None) -> jax.Array:
        """The mean gradient at some logits [C, E], [C, 1 + D]."""
        if loss is None:
            slopes = jax.nn.softmax(logits, axis=0) - self.targets
        else:
            slopes = residuals(logits.T, self.targets, loss).T
        slopes = jnp.where(self.counts[None, :], slopes, 0.0)
        bias = jnp.sum(slopes, axis=1, keepdims=True)
        return jnp.concatenate([bias, matmul(slopes, self.points.features)], axis=1) / self.number


def _evaluation(examples: Gradients, step: jax.Array, loss: Loss | None) -> Evaluation:
    """The evaluation set after the last layer has moved by minus [C, 1 + D]."""
    targets = examples.labels
    if loss is None:
        # Examples that do not count have logits and gradient 0, so their residual stays 0.
        targets = (jax.nn.softmax(examples.logits) - examples.points.residuals).T
    logits = examples.logits.T - _along(step, examples.points)
    return Evaluation(logits, targets, examples.points, examples.counts, examples.number())


def _along(direction: jax.Array, points: GradientEmbedding) -> jax.Array:
    """Products of matrices [C, 1 + D] with the features of bias and weights, [C, N]."""
    return matmul(direction[:, 1:], points.features.T) + direction[:, :1]


class GlisterState(NamedTuple):
    """What a pick hands the next."""

    logits: jax.Array  # [C, E] of the evaluation set
    regularizer: Regularizer
    available: jax.Array  # [N] bool
    rows: jax.Array  # [B] int32
    scores: jax.Array  # [B]


@partial(jax.jit, static_argnames=("regularizer", "budget", "num_random", "loss"))
def _glister(
    key: jax.Array,
    pool: Rows,
    labeled: LabeledRows,
    available: jax.Array,
    validation: LabeledRows | None,
    learning_rate: jax.Array,
    strength: jax.Array | None,
    *,
    regularizer: str,
    budget: int,
    num_random: int,
    loss: Loss | None,
) -> Selection:
    kind = "bias_linear"
    rows = gradients(of_pool(pool, available), kind, loss)
    known = gradients(labeled, kind, loss)
    if validation is None:
        examples = jax.tree.map(lambda *parts: jnp.concatenate(parts), rows, known)
    else:
        examples = gradients(validation, kind, loss)
    evaluation = _evaluation(examples, learning_rate * known.points.total(), loss)
    own = rows.points.residuals.T

    def gains(logits: jax.Array) -> jax.Array:
        along = _along(evaluation.gradient(logits, loss), rows.points)
        return jnp.where(rows.finite, jnp.sum(along * own, axis=0), jnp.nan)

    def pick(i: jax.Array, state: GlisterState) -> GlisterState:
        spread, row, totals = state.regularizer.best(gains(state.logits), state.available)
        # A step along one gradient, residual (x) features, moves every logit by their products.
        picked = learning_rate * rows.points.take(row[None]).total()
        return GlisterState(
            state.logits - _along(picked, evaluation.points),
            spread.add(row),
            without(state.available, row),
            state.rows.at[i].set(row.astype(jnp.int32)),
            state.scores.at[i].set(row_at(totals, row)),
        )

    start = GlisterState(
        evaluation.logits,
        _regularizer(regularizer, rows, strength),
        available,
        jnp.full(budget, -1, jnp.int32),
        jnp.full(budget, -jnp.inf),
    )
    greedy = budget - num_random
    most = jnp.minimum(greedy, jnp.sum(available, dtype=jnp.int32))
    end = jax.lax.fori_loop(0, most, pick, start)
    picked = Selection(end.rows, end.scores.astype(jnp.float32))
    if not num_random:
        return picked
    order = jnp.where(rows.finite, jax.random.uniform(short_key(key), available.shape), jnp.nan)
    return _filled(picked, greedy, order, available, gains(end.logits))


def _filled(
    picked: Selection, greedy: int, order: jax.Array, available: jax.Array, gains: jax.Array
) -> Selection:
    """The greedy picks, and after them the highest available rows of an order [N].

    Args:
      picked: [B], of which the first `greedy` were picked.
      greedy: how many.
      order: [N].
      available: [N] bool.
      gains: [N], which are the scores of the rows that fill up.
    """
    filled = fill(picked, jnp.int32(greedy), order, available).rows
    drawn = (jnp.arange(len(filled), dtype=jnp.int32) >= greedy) & (filled >= 0)
    scores = jnp.where(drawn, gains[filled].astype(jnp.float32), picked.scores)
    return Selection(filled, scores)


def _regularizer(name: str, rows: Gradients, strength: jax.Array | None) -> Regularizer:
    if strength is not None and name == "diversity":
        return Diversity(rows.points, strength, jnp.zeros_like(rows.points.residuals[:, 0]))
    if strength is not None and name == "facility_location":
        return coverage(rows, strength)
    return Nothing()
