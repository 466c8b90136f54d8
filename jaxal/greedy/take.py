"""From scores to rows: the masked top-k that every rule selects through, and random forms of it."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxal.base import Selection
from jaxal.checks import (
    as_numbers,
    check_at_least,
    check_budget,
    check_key,
    check_mask,
    check_name,
    check_rank,
    check_rows,
)
from jaxal.rows import top_rows
from jaxal.threefry import short_key

STOCHASTIC_KINDS = ("power", "softmax", "softrank")


def priority(scores: jax.Array, available: jax.Array) -> jax.Array:
    """Maps scores to floats whose order is the order of picking; -inf where not available.

    Any number beats NaN and any available row beats a used one, so that neither the sign of a NaN
    nor a score of -inf decides (`lax.top_k` ranks NaN by its sign bit, `argmax` always first).

    Args:
      scores: [N] floats.
      available: [N] bool.

    Returns:
      [N], finite or inf where available.
    """
    # The two lowest floats stand for NaN and for -inf.
    lowest = jnp.finfo(scores.dtype).min
    above = jnp.nextafter(lowest, jnp.zeros_like(lowest))
    ranked = jnp.where(jnp.isnan(scores), lowest, jnp.maximum(scores, above))
    return jnp.where(available, ranked, -jnp.inf)


def take_top(scores: jax.Array, available: jax.Array, budget: int) -> Selection:
    """Selects the `budget` available rows with the highest scores; ties go to the lowest row.

    Args:
      scores: [N] floats; NaN ranks below every number, -inf included.
      available: [N] bool; only these rows are picked.
      budget: how many rows, 1 to N.

    Returns:
      `Selection`; rows are -1, with scores -inf, past the last available row.

    Raises:
      TypeError: scores that are not numbers, or a mask that is not bool.
      ValueError: if the shapes disagree or the budget is outside 1 to N.

    Example:

    >>> take_top(jnp.array([1.0, 3.0, 2.0]), jnp.array([True, False, True]), 2).rows.tolist()
    [2, 0]
    """
    # Cast before anything is compared: NumPy scores may be float64 where JAX has float32 alone.
    scores, available = _checked(scores, available)
    check_budget(budget, scores.shape[0])
    best, rows = top_rows(priority(scores, available), budget)
    found = best > -jnp.inf
    taken = jnp.where(found, scores[rows], -jnp.inf).astype(jnp.float32)
    return Selection(jnp.where(found, rows, -1).astype(jnp.int32), taken)


def _checked(scores: Any, available: Any) -> tuple[jax.Array, jax.Array]:
    scores = as_numbers("scores", scores, "[N]").astype(float)
    available = as_numbers("available", available, "[N]")
    check_rank("scores", scores, 1, "[N]")
    check_mask("available", available)
    check_rows(scores=scores, available=available)
    return scores, available


def fill(
    selection: Selection, count: jax.Array, order: jax.Array, available: jax.Array
) -> Selection:
    """Adds rows where a rule picked fewer than its budget: the highest of `order`, at score 0.

    Args:
      selection: [B], whose first `count` rows were picked; what follows is replaced.
      count: [] how many.
      order: [N] floats, a random draw for rows at random; NaN comes last.
      available: [N] bool; picks need not be taken out.

    Returns:
      `Selection`; rows are -1, with scores -inf, past the last available row.
    """
    rows, scores = selection.rows, selection.scores
    slot = jnp.arange(len(rows), dtype=jnp.int32)
    missing = slot >= count
    # Slots that are missing mark one row past the end.
    used = jnp.zeros(len(available) + 1, bool).at[jnp.where(missing, -1, rows)].set(True)
    rest = take_top(order, available & ~used[:-1], len(rows)).rows
    rows = jnp.where(missing, rest[jnp.maximum(slot - count, 0)], rows)
    added = jnp.where(rows >= 0, 0.0, -jnp.inf).astype(scores.dtype)
    return Selection(rows, jnp.where(missing, added, scores))


def take_balanced(
    key: jax.Array, labels: jax.Array, available: jax.Array, budget: int
) -> jax.Array:
    """Draws a class-balanced sample: class counts differ by one at most, until a class runs out.

    Args:
      key: PRNG key, consumed.
      labels: [N] integers; rows of a label below 0 are not drawn.
      available: [N] bool.
      budget: how many rows, 1 to N.

    Returns:
      [B] int32 rows, one of each class, then the next of each; -1 past the last one.

    Raises:
      ValueError: if the shapes disagree or the budget is outside 1 to N.

    Example:

    >>> labels = jnp.array([0, 0, 0, 0, 1, 2])
    >>> rows = take_balanced(jax.random.key(0), labels, jnp.ones(6, bool), 4)
    >>> jnp.bincount(labels[rows]).tolist()
    [2, 1, 1]
    """
    check_rank("labels", labels, 1, "[N]")
    check_rows(labels=labels, available=available)
    check_budget(budget, len(labels))
    within, between = jax.random.uniform(short_key(key), (2, len(labels)))
    available &= labels >= 0
    # The first of every class, in random order, then the second of every class, ...
    place = jnp.where(available, places_in_groups(within, labels, available), len(labels))
    rows = jnp.lexsort((between, place))[:budget]
    return jnp.where(available[rows], rows, -1).astype(jnp.int32)


def take_per_class(
    key: jax.Array, labels: jax.Array, available: jax.Array, counts: Mapping[int, int]
) -> jax.Array:
    """Draws so many rows of each class.

    Args:
      key: PRNG key, consumed.
      labels: [N] integers.
      available: [N] bool.
      counts: class -> how many rows; of other classes none are drawn.

    Returns:
      [B] int32 rows in random order, B the sum of the counts; -1 where a class has too few.

    Example:

    >>> labels = jnp.array([0, 0, 0, 0, 1, 2])
    >>> rows = take_per_class(jax.random.key(0), labels, jnp.ones(6, bool), {0: 2, 2: 1})
    >>> jnp.bincount(labels[rows], length=3).tolist()
    [2, 0, 1]
    """
    check_rank("labels", labels, 1, "[N]")
    check_rows(labels=labels, available=available)
    classes = jnp.array(sorted(counts), labels.dtype)
    asked = jnp.array([counts[number] for number in sorted(counts)], jnp.int32)
    within, between = jax.random.uniform(short_key(key), (2, len(labels)))
    nearest = jnp.minimum(jnp.searchsorted(classes, labels), len(classes) - 1)
    wanted = jnp.where(classes[nearest] == labels, asked[nearest], 0)
    drawn = available & (places_in_groups(within, labels, available) < wanted)
    return take_top(between, drawn, sum(counts.values())).rows


def places_in_groups(noise: jax.Array, labels: jax.Array, available: jax.Array) -> jax.Array:
    """The place of each available row among those of its label, by the noise, from 0 on.

    Args:
      noise: [N], the least comes first; ties to the lowest row.
      labels: [N] integers >= 0.
      available: [N] bool.

    Returns:
      [N] int32; of rows that are not available, their place among these.
    """
    groups = jnp.where(available, labels, -1)
    # Classes side by side, shuffled inside; a row's place in its class is its distance to the
    # first row of the class.
    order = jnp.lexsort((noise, groups))
    first = jnp.searchsorted(groups[order], groups[order]).astype(jnp.int32)
    place = jnp.arange(len(labels), dtype=jnp.int32) - first
    return jnp.zeros(len(labels), jnp.int32).at[order].set(place)


def take_stochastic(
    key: jax.Array,
    scores: jax.Array,
    available: jax.Array,
    budget: int,
    *,
    kind: str = "power",
    coldness: float = 1.0,
) -> Selection:
    """Samples `budget` available rows without replacement, better scores more often.

    The next row is i with probability proportional to s_i^coldness (power; rows with s_i <= 0 come
    after all others, in random order), exp(coldness * s_i) (softmax) or rank_i^-coldness (softrank;
    rank 1 is the highest score), by the Gumbel top-k trick: one pass, O(N), softrank O(N log N).

    Args:
      key: PRNG key, consumed.
      scores: [N] floats, higher is better; NaN comes last.
      available: [N] bool.
      budget: how many rows, 1 to N.
      kind: "power", "softmax" or "softrank".
      coldness: beta >= 0; 0 is uniform sampling, infinity would be `take_top`.

    Returns:
      `Selection` in the order drawn, with the unperturbed scores.

    Raises:
      TypeError: no PRNG key, scores that are not numbers, or a mask that is not bool.
      ValueError: unknown kind, negative coldness, shapes or budget as in `take_top`.

    References:
      Kirsch et al., "Stochastic batch acquisition: a simple baseline for deep active learning",
      TMLR 2023, section 3.
    """
    check_name("kind", kind, STOCHASTIC_KINDS)
    check_at_least(0, coldness=coldness)
    check_key(key)
    scores, available = _checked(scores, available)
    check_budget(budget, scores.shape[0])
    if kind == "power":
        possible = scores > 0
        log_weight = jnp.log(jnp.where(possible, scores, 1.0))
    elif kind == "softmax":
        possible = scores > -jnp.inf
        top = jnp.max(jnp.where(available & possible, scores, -jnp.inf))
        log_weight = jnp.where(possible, scores, 0.0) - jnp.where(jnp.isfinite(top), top, 0.0)
    else:
        possible = ~jnp.isnan(scores)
        best_first = jnp.argsort(priority(scores, available), descending=True)
        ranks = jnp.arange(1, len(scores) + 1, dtype=scores.dtype)
        log_weight = -jnp.log(jnp.zeros_like(scores).at[best_first].set(ranks))
    gumbel = jax.random.gumbel(short_key(key), scores.shape)
    perturbed = coldness * log_weight + gumbel
    # Rows of probability zero are still drawn once the others run out, uniformly: below all other
    # rows, in the order of exponential waiting times (Gumbel noise is minus the log of one).
    floor = jnp.min(jnp.where(possible & available, perturbed, jnp.inf), initial=0.0)
    perturbed = jnp.where(possible, perturbed, floor - 1.0 - jnp.exp(-gumbel))
    rows = take_top(jnp.where(jnp.isnan(scores), jnp.nan, perturbed), available, budget).rows
    return Selection(rows, jnp.where(rows >= 0, scores[rows], -jnp.inf).astype(jnp.float32))
