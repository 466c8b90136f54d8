"""BatchBALD: the batch whose labels jointly have most mutual information with the model."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import Selection
from jaxal.checks import check_budget, check_integer, check_rank, check_rows
from jaxal.greedy.inside import Rule
from jaxal.greedy.lazy import LazyState, lazy_greedy
from jaxal.rows import in_tiles
from jaxal.scores._flat import FlatDraws
from jaxal.selection._outcomes import (
    CandidateRows,
    LabelOutcomes,
    candidate_rows,
    empty_outcomes,
    extend,
    gains,
)
from jaxal.threefry import short_key

_ROWS = 256  # whose first gains are computed at a time
_BLOCK = 64  # rows examined in a pass


class BatchBALDState(NamedTuple):
    """The gains of the pool, each as it was when it was computed last."""

    logits: jax.Array | FlatDraws  # [K, N, C], or laid flat
    gains: jax.Array  # [N]
    computed: jax.Array  # [N] int32, after how many picks
    outcomes: LabelOutcomes
    count: jax.Array  # [] rows picked so far


class BatchBALDBlock(NamedTuple):
    """The same of the rows of a block."""

    rows: CandidateRows
    gains: jax.Array  # [Q]
    computed: jax.Array  # [Q]
    outcomes: LabelOutcomes
    uniform: jax.Array  # [2, M] random numbers for the next pick
    count: jax.Array  # []


def _of_rows(logits: jax.Array | FlatDraws, rows: jax.Array) -> jax.Array:
    """The draws [K, Q, C] of rows [Q]."""
    return logits[rows].by_draw() if isinstance(logits, FlatDraws) else logits[:, rows]


def _load_block(state: BatchBALDState, rows: jax.Array) -> BatchBALDBlock:
    return BatchBALDBlock(
        candidate_rows(_of_rows(state.logits, rows)),
        state.gains[rows],
        state.computed[rows],
        state.outcomes,
        jnp.zeros((2, *state.outcomes.probs.shape), state.outcomes.probs.dtype),
        state.count,
    )


def _measure(key: jax.Array, block: BatchBALDBlock) -> BatchBALDBlock:
    # A gain up to date stays as it is: rounding depends on the place in the block, so that two rows
    # could send each other out of it for ever.
    fresh = gains(block.outcomes, block.rows)
    fresh = jnp.where(block.computed == block.count, block.gains, fresh)
    # The pick happens in one of two branches, into which no key may go.
    uniform = jax.random.uniform(
        jax.random.fold_in(short_key(key), block.count), block.uniform.shape, fresh.dtype
    )
    computed = jnp.full_like(block.computed, block.count)
    return block._replace(gains=fresh, computed=computed, uniform=uniform)


def _pick(block: BatchBALDBlock, position: jax.Array) -> BatchBALDBlock:
    outcomes = extend(block.uniform, block.outcomes, block.rows.probs[:, position])
    return block._replace(outcomes=outcomes, count=block.count + 1)


def _flush(state: BatchBALDState, block: BatchBALDBlock, rows: jax.Array) -> BatchBALDState:
    return state._replace(
        gains=state.gains.at[rows].set(block.gains),
        computed=state.computed.at[rows].set(block.computed),
        outcomes=block.outcomes,
        count=block.count,
    )


@entry.checked(
    key=entry.key,
    logits=entry.matrix("[K, N, C]"),
    available=entry.mask,
    budget=entry.budget,
    num_samples=entry.integer(1),
    block_size=entry.integer(1),
)
@partial(jax.jit, static_argnames=("budget", "num_samples", "block_size"))
def batch_bald(
    key: jax.Array,
    logits: jax.Array,
    available: jax.Array,
    budget: int,
    *,
    num_samples: int = 10_000,
    block_size: int = _BLOCK,
) -> Selection:
    """BatchBALD: greedily maximises the mutual information of a batch's labels and the model.

    Each pick is the row whose label adds most information about the model, given the labels of the
    rows already selected: greedy maximisation, within 1 - 1/e of the best batch, of the mutual
    information between the labels of a batch S and the model,

        score(S) = H(y_S) - sum_{i in S} mean_k H(p_ik),   P(y_S) = mean_k prod_{i in S} p_ik(y_i),

    exact while the outcomes C^t of the t labels picked so far are at most `num_samples`, so also
    its order, ties to the lowest row. After that, score(S) is estimated on `num_samples` outcomes
    drawn from P(y_S), the same for all candidates, each weighted by its exact posterior over the
    draws: without bias for a given row, and never below 0. Such estimates may grow by their noise
    from pick to pick, which the lazy evaluation takes for shrinking, so `block_size` then may
    decide between rows that are as good.

    Time O(min(C^t, num_samples) K C) as matrix products a gain at pick t: once for each of the N
    rows at t = 0, then for those rows only whose earlier gain does not rule them out, from
    block_size B to N B of them. Memory O(num_samples (K + C) + block_size K C) above the input in
    float32, whatever N is.

    Args:
      key: PRNG key, consumed; without effect while all outcomes fit.
      logits: [K, N, C], logits or log-probabilities; -inf is probability 0. Draw k must be the same
        model for all rows (one dropout mask, one ensemble member): the labels of rows whose draws
        are separate tell nothing of each other.
      available: [N] bool.
      budget: how many rows, 1 to N.
      num_samples: outcomes of the picked labels that are kept.
      block_size: rows examined in a pass. All of them are examined again after each pick, so a
        large budget wants a small block.

    Returns:
      `Selection` of distinct rows; a score is the marginal gain `score(S + i) - score(S)` in nats,
      BALD for the first, so that the cumulative sum is score(S). A row of which a draw holds NaN or
      +inf, or nothing but -inf, scores NaN and comes after all others.

    Raises:
      TypeError: if an array or a mask is none, or a number is not an integer.
      ValueError: if shapes disagree, there is no draw, fewer than two classes, no sample, or the
        budget is outside 1 to N.

    References:
      Kirsch, van Amersfoort and Gal, "BatchBALD: efficient and diverse batch acquisition for deep
      Bayesian active learning", NeurIPS 2019, algorithm 1 and section 3.3.

    Example:

    >>> votes = jnp.array([[0, 0, 0], [0, 0, 1], [1, 1, 0], [1, 1, 1]])  # row 1 repeats row 0
    >>> log_probs = jnp.log(jax.nn.one_hot(votes, 2))
    >>> batch_bald(jax.random.key(0), log_probs, jnp.ones(3, bool), 3).rows.tolist()
    [0, 2, 1]
    """
    return _batch_bald(key, logits, available, budget, num_samples, block_size)[0]


def _batch_bald(
    key, logits, available, budget, num_samples, block_size
) -> tuple[Selection, LazyState]:
    check_integer(1, num_samples=num_samples, block_size=block_size)
    state = nothing_known(logits, available, budget, num_samples)
    return lazy_greedy(rule_of(key), state, available, budget, block_size=block_size)


def rule_of(key: jax.Array) -> Rule:
    """The rule, with a PRNG key for the outcomes that it samples."""
    return Rule(
        bounds=lambda state: state.gains,
        load_block=_load_block,
        scores=lambda block: block.gains,
        pick=_pick,
        flush=_flush,
        measure=partial(_measure, key),
    )


def nothing_known(
    logits: jax.Array, available: jax.Array, budget: int, num_samples: int
) -> BatchBALDState:
    """The state before any pick, of arguments of `batch_bald`, which are checked."""
    check_rank("logits", logits, 3, "[K, N, C]")
    check_rank("available", available, 1, "[N]")
    _check_draws(logits)
    check_rows(**{"logits (axis 1)": logits[0], "available": available})
    check_budget(budget, logits.shape[1])
    return _before_any_pick(logits, budget, num_samples)


def _check_draws(logits: jax.Array | FlatDraws) -> None:
    draws, _, classes = logits.shape
    if draws < 1 or classes < 2:
        raise ValueError(
            f"logits: expected [K, N, C] with K at least 1 and C at least 2, got {logits.shape}"
        )


def _before_any_pick(
    logits: jax.Array | FlatDraws, budget: int, num_samples: int
) -> BatchBALDState:
    draws, rows, classes = logits.shape
    capacity = min(num_samples, classes ** (budget - 1))
    logits = logits.astype(float)
    return BatchBALDState(
        logits=logits,
        gains=_first_gains(logits, rows),
        computed=jnp.zeros(rows, jnp.int32),
        outcomes=empty_outcomes(capacity, draws),
        count=jnp.int32(0),
    )


def batch_bald_of(
    key: jax.Array, draws: FlatDraws, available: jax.Array, budget: int, num_samples: int
) -> Selection:
    """`batch_bald` of draws that are laid flat, in blocks of the default size.

    Args:
      key: PRNG key, consumed.
      draws: of N rows.
      available: [N] bool.
      budget: how many rows, at most N.
      num_samples: outcomes of the picked labels that are kept.

    Raises:
      ValueError: one class alone, or no draw.
    """
    _check_draws(draws)
    state = _before_any_pick(draws, budget, num_samples)
    return lazy_greedy(rule_of(key), state, available, budget, block_size=_BLOCK)[0]


def _first_gains(logits: jax.Array | FlatDraws, num: int) -> jax.Array:
    """BALD of N rows, by blocks of rows of one size: copies of a row tie wherever they are."""
    width = min(_ROWS, num)
    if isinstance(logits, FlatDraws):  # a pool's, of which each device has rows of its own
        return in_tiles(_bald, logits, width)
    # Rows past the end repeat the last one.
    blocks = jnp.minimum(jnp.arange(num + -num % width), num - 1).reshape(-1, width)
    return jax.lax.map(lambda rows: _bald(logits[:, rows]), blocks).reshape(-1)[:num]


def _bald(logits: jax.Array | FlatDraws) -> jax.Array:
    some = candidate_rows(logits.by_draw() if isinstance(logits, FlatDraws) else logits)
    return jnp.where(some.usable, jnp.mean(some.divergence, axis=0), jnp.nan)
