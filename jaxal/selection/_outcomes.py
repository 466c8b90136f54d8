"""Joint label outcomes of the picked rows, each with its posterior over the draws of the model.

Labels y_S of picked rows are independent given the draw k of the model. Row m of the table is one
outcome of all of them, with its probability P(y_S) and the posterior over draws, w_k in proportion
to p(y_S | k). The marginal gain of a row in BatchBALD is then its BALD score under that posterior,
on average:

    H(y_S, y_j) - H(y_S) - mean_k H(p_jk) = I(y_j; k | y_S)
                                          = sum_m P_m [H(sum_k w_mk p_jk) - sum_k w_mk H(p_jk)]

which never takes the difference of two joint entropies. The table holds every outcome while there
is room for all, and a sample of them after that.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.greedy.d2 import sample_rows
from jaxal.numerics import matmul
from jaxal.rows import rows_over

_ELEMENTS = 1 << 19  # mixture probabilities held at a time
_LANES = 16  # the rows of a block are filled up to a multiple of it


class LabelOutcomes(NamedTuple):
    """Joint outcomes of the labels of the rows picked so far; `count` of the M slots are in use."""

    posterior: jax.Array  # [M, K], rows sum to 1
    probs: jax.Array  # [M], 0 where not in use
    count: jax.Array  # []
    sampled: jax.Array  # [] bool


class CandidateRows(NamedTuple):
    """Predictions of rows, relative to the mean over the draws."""

    probs: jax.Array  # [K, Q, C]
    mean: jax.Array  # [Q, C]
    excess: jax.Array  # [K, Q, C], p / mean - 1
    divergence: jax.Array  # [K, Q], KL(p_k || mean)
    usable: jax.Array  # [Q] bool, False where a draw is not a distribution


def empty_outcomes(capacity: int, draws: int) -> LabelOutcomes:
    """The one outcome of no labels, under which all K draws are as likely; room for M."""
    return LabelOutcomes(
        jnp.full((capacity, draws), 1 / draws),
        jnp.where(jnp.arange(capacity) == 0, 1.0, 0.0),
        jnp.int32(1),
        jnp.bool_(False),
    )


def candidate_rows(logits: jax.Array) -> CandidateRows:
    """Prepares logits [K, Q, C] for `gains`; rows that are not usable count as uniform."""
    probs = jax.nn.softmax(logits)
    usable = jnp.isfinite(jnp.sum(probs, axis=(0, 2)))
    probs = jnp.where(usable[None, :, None], probs, 1 / probs.shape[-1])
    mean = jnp.mean(probs, axis=0, keepdims=True)
    possible = mean >= jnp.finfo(mean.dtype).tiny
    excess = jnp.where(possible, (probs - mean) / jnp.where(possible, mean, 1.0), 0.0)
    # Draws that differ by rounding alone tell exactly nothing.
    excess = jnp.where(jnp.abs(excess) > _rounding(excess), excess, 0.0)
    divergence = jnp.sum(mean * _relative(excess), axis=-1)
    return CandidateRows(probs, mean[0], excess, divergence, usable)


def gains(outcomes: LabelOutcomes, rows: CandidateRows) -> jax.Array:
    """I(y_j; k | y_S) of each candidate, [Q] nats, at least 0; NaN where not usable.

    With f(v) = v log v - v + 1, the mean prediction q and v = p / q this is

        sum_m P_m sum_c q_jc [sum_k w_mk f(v_kjc) - f(sum_k w_mk v_kjc)],

    where no term is below 0, and all are as small as the draws are close or as the draw is settled.
    Time O(count K Q C) as two matrix products; no temporary exceeds 2^19 numbers, or K Q C if that
    is more.

    Args:
      outcomes: of the labels picked so far.
      rows: Q candidates.

    Returns:
      [Q] floats.
    """
    draws, num, _ = rows.excess.shape
    # What does not fill a vector may be rounded in another way; copies of a row are to tie.
    filling = (0, -num % _LANES), (0, 0)
    mean = jnp.pad(rows.mean, filling)
    excess = jnp.pad(rows.excess, ((0, 0), *filling)).reshape(draws, -1)
    convex = _relative(excess)
    capacity, columns = len(outcomes.probs), mean.size
    chunks = -(-capacity // max(_ELEMENTS // columns, 1))
    chunk = -(-capacity // chunks)

    def add(index, total):
        # The last chunk begins where it ends with the table; what it has in common with the one
        # before was counted there.
        start = jnp.minimum(index * chunk, capacity - chunk)
        some = jax.lax.dynamic_slice_in_dim(outcomes.posterior, start, chunk)
        weight = jax.lax.dynamic_slice_in_dim(outcomes.probs, start, chunk)
        slots = start + jnp.arange(chunk, dtype=jnp.int32)
        weight = jnp.where(slots >= index * chunk, weight, 0.0)
        # Jensen's gap of f under the posterior of each outcome, on average over the outcomes.
        left = matmul(weight, matmul(some, convex) - _relative(matmul(some, excess)))
        return total + jnp.sum(mean * left.reshape(mean.shape), axis=-1)

    used = (outcomes.count + chunk - 1) // chunk
    gain = jax.lax.fori_loop(0, used, add, jnp.zeros(len(mean), mean.dtype))[:num]
    # Without this, rounding would order the rows once the outcomes have settled which draw it is.
    least = _rounding(gain) * jnp.mean(rows.divergence, axis=0)
    return jnp.where(rows.usable, jnp.where(gain > least, gain, 0.0), jnp.nan)


def extend(uniform: jax.Array, outcomes: LabelOutcomes, probs: jax.Array) -> LabelOutcomes:
    """Adds the label of one more row.

    Where M slots hold all `count * C` outcomes, these; otherwise M equally likely ones: stratified
    draws from the exact table the first time, each continued by a label drawn from its own
    predictive distribution. Sums over the table estimate those over all outcomes without bias.
    Time O(M K C).

    Args:
      uniform: [2, M] random numbers in [0, 1), without effect while all outcomes fit.
      outcomes: of the labels before.
      probs: [K, C] predictions of the row.

    Returns:
      `LabelOutcomes` with that label.
    """
    capacity, classes = len(outcomes.probs), probs.shape[-1]
    slots = jnp.arange(capacity, dtype=jnp.int32)
    jitter, level = uniform
    sampled = outcomes.sampled | (outcomes.count > capacity // classes)

    def stratify():
        # One draw from each of M equal parts of the cumulative probability.
        strata = (slots.astype(jitter.dtype) + jitter) / capacity
        with rows_over(None):
            drawn = sample_rows(strata, outcomes.probs)
        return jnp.minimum(drawn, outcomes.count - 1)

    # Each slot continues an outcome of the labels before: while all fit, outcome m by each of its C
    # labels in slots m C to m C + C - 1; the first time they do not, outcomes drawn from the exact
    # table; after that the one already in the slot.
    parent = jax.lax.cond(sampled & ~outcomes.sampled, stratify, lambda: slots)
    parent = jnp.where(sampled, parent, slots // classes)
    posterior = outcomes.posterior[parent]
    # Its label: the slot's, or drawn from the predictive distribution given the labels before.
    ladder = matmul(posterior, jnp.cumsum(probs, axis=-1))
    drawn = jnp.argmax(ladder > (level * ladder[:, -1])[:, None], axis=-1).astype(jnp.int32)
    label = jnp.where(sampled, drawn, slots % classes)
    # Bayes' rule: the draws are weighed by how likely they made that label.
    joint = posterior * probs.T[label]
    likelihood = jnp.sum(joint, axis=-1)
    possible = (likelihood > 0)[:, None]
    total = jnp.where(possible, likelihood[:, None], 1.0)
    posterior = jnp.where(possible, joint / total, posterior)
    count = jnp.where(sampled, capacity, outcomes.count * classes)
    exact = jnp.where(slots < count, outcomes.probs[parent] * likelihood, 0.0)
    return LabelOutcomes(posterior, jnp.where(sampled, 1 / capacity, exact), count, sampled)


def _relative(excess: jax.Array) -> jax.Array:
    """v log v - v + 1 for v = 1 + excess: without first-order error near 1, where it is 0."""
    ratio = jnp.maximum(1.0 + excess, 0.0)
    tiny = jnp.finfo(ratio.dtype).tiny
    return ratio * jnp.log(jnp.maximum(ratio, tiny)) - (ratio - 1.0)


def _rounding(x: jax.Array) -> float:
    return 16 * float(jnp.finfo(x.dtype).eps)
