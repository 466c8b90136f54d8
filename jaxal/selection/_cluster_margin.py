"""Cluster-Margin: the most uncertain rows, taken in turn from their clusters."""

from functools import partial

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import Selection
from jaxal.checks import check_integer
from jaxal.greedy.take import take_top
from jaxal.selection import _rows


@entry.checked(
    scores=entry.matrix("[N]"),
    clusters=_rows.clusters,
    available=entry.mask,
    budget=entry.budget,
    num_candidates=entry.integer(1),
)
def cluster_margin(
    scores: jax.Array,
    clusters: jax.Array,
    available: jax.Array,
    budget: int,
    *,
    num_candidates: int,
) -> Selection:
    """Cluster-Margin: the highest scores in turn from each cluster, the smallest clusters first.

    Of the `num_candidates` available rows of highest score, ties to the lowest row, one of each
    cluster is selected, then the next of each, clusters with fewer candidates first (ties: the
    lowest number) and in each the highest score first. The paper draws a candidate of the cluster
    at random; the most uncertain one makes the rule deterministic.

    Time O(N) and a sort of the candidates.

    Args:
      scores: [N], higher is more uncertain, as `scores.margin`; NaN comes last.
      clusters: [N] integers from 0 to N - 1, the cluster of each row.
      available: [N] bool.
      budget: how many rows, 1 to N.
      num_candidates: how many rows take part, at least the budget; all available ones if there are
        fewer.

    Returns:
      `Selection`; rows are -1, with scores -inf, past the last candidate.

    Raises:
      TypeError: if an array or a mask is none, or a number is not an integer.
      ValueError: if shapes disagree, the budget is above the available rows, there are fewer
        candidates than the budget, or a cluster is outside 0 to N - 1.

    References:
      Citovsky et al., "Batch active learning at scale", NeurIPS 2021, algorithm 1.

    Example:

    >>> scores = jnp.array([0.9, 0.8, 0.7, 0.1])
    >>> rows = cluster_margin(
    ...     scores, jnp.array([0, 0, 1, 1]), jnp.ones(4, bool), 2, num_candidates=3
    ... ).rows
    >>> rows.tolist()
    [2, 0]
    """
    _rows.check_free(budget, available, None, scores=scores, clusters=clusters)
    check_integer(budget, num_candidates=num_candidates)
    return _cluster_margin(scores, clusters, available, budget, min(num_candidates, len(scores)))


@partial(jax.jit, static_argnames=("budget", "num_candidates"))
def _cluster_margin(scores, clusters, available, budget, num_candidates) -> Selection:
    candidates = take_top(scores, available, num_candidates)
    there = candidates.rows >= 0
    # Candidates that are missing are a cluster of their own, which sorts last.
    group = jnp.where(there, clusters[candidates.rows], len(clusters)).astype(jnp.int32)
    order = jnp.argsort(group).astype(jnp.int32)  # stable: the highest scores of a cluster first
    first = jnp.searchsorted(group[order], group).astype(jnp.int32)
    size = jnp.searchsorted(group[order], group, side="right").astype(jnp.int32) - first
    places = jnp.arange(num_candidates, dtype=jnp.int32)
    rank = jnp.zeros_like(places).at[order].set(places) - first
    turn = jnp.lexsort((group, size, rank, ~there))[:budget]
    return Selection(candidates.rows[turn], candidates.scores[turn])
