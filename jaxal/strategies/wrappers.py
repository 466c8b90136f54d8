"""Strategies made of another strategy: sampling by its scores, and selection in parts of the pool."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxal import selection
from jaxal.base import Selection, Strategy, View
from jaxal.checks import check_at_least, check_budget, check_integer, check_name
from jaxal.greedy.take import STOCHASTIC_KINDS
from jaxal.numerics import derive_keys
from jaxal.strategies.registry import register
from jaxal.strategies.scoring import TopScores


@register
def stochastic(
    strategy: Strategy | str = "bald", *, kind: str = "power", coldness: float = 1.0
) -> Strategy:
    """Samples rows by another strategy's scores: power, softmax or softrank, the colder the greedier.

    References:
      Kirsch et al., "Stochastic batch acquisition: a simple baseline for deep active learning",
      TMLR 2023.
    """
    if not (isinstance(strategy, Strategy) and isinstance(strategy.select, TopScores)):
        raise TypeError(
            "stochastic: expected a strategy that scores rows one by one, as bald or entropy "
            "do; this one chooses its batch as a whole"
        )
    rule = strategy.select
    check_name("kind", kind, STOCHASTIC_KINDS)
    check_at_least(0, coldness=coldness)
    if kind == "power" and not rule.nonnegative:
        raise ValueError(
            "kind: 'power' needs scores of at least 0, and this strategy's are below; "
            "take 'softmax' or 'softrank'"
        )

    def select(key, view, budget):
        key_scores, key_rows = key, derive_keys(key, jnp.uint32(2))  # epig derives 1
        return selection.take_stochastic(
            key_rows,
            rule.scores(key_scores, view),
            view.available,
            budget,
            kind=kind,
            coldness=coldness,
        )

    return Strategy(strategy.observe, select)


MERGES = ("none", "greedi")


@register
def partition(
    strategy: Strategy | str = "badge",
    *,
    num_partitions: int = 4,
    shuffle: bool = True,
    merge: str = "none",
    oversampling: float | None = None,
) -> Strategy:
    """Queries by another strategy within each part of the pool, or again among what the parts propose.

    For rules whose cost grows faster than the pool. A rule that looks at the labelled rows sees
    them in every part, or as many as a part has rows. Weights that a rule gives its picks are kept.

    Args:
      strategy: the rule, by itself or by name.
      num_partitions: P, at most the budget.
      shuffle: parts at random, with sizes and budgets that differ by at most one; if False, the
        available rows are cut in order and the budget is rounded up along them, as in DISTIL.
      merge: "none": each part has its share of the budget (it is asked for the largest share, and
        the first picks are kept). "greedi": each part proposes rows, and the rule selects among all
        of these, which comes close to the rule on the whole pool.
      oversampling: rows proposed for each that is queried, >= 1; P if None, a whole batch from
        every part.

    Raises:
      ValueError: unknown merge, a number out of range, or, when it selects, a budget below P.

    References:
      Mirzasoleiman et al., "Distributed submodular maximization: identifying representative
      elements in massive data", NeurIPS 2013.
    """
    if not isinstance(strategy, Strategy):
        raise TypeError(f"strategy: expected a Strategy, got {strategy!r}")
    check_integer(1, num_partitions=num_partitions)
    check_name("merge", merge, MERGES)
    oversampling = num_partitions if oversampling is None else oversampling
    check_at_least(1, oversampling=oversampling)

    def select(key, view, budget):
        check_budget(budget, len(view.available))
        if num_partitions > budget:
            raise ValueError(
                f"num_partitions: expected 1 to {budget} (the budget), got {num_partitions}"
            )
        key_order, key_merge, *keys = jax.random.split(key, num_partitions + 2)
        noise = jax.random.uniform(key_order, view.available.shape)
        parts, budgets = split(noise if shuffle else None, view.available, num_partitions, budget)
        labeled = jnp.zeros(0, jnp.int32)
        if _looks_at_labels(strategy, view, budget):
            labeled = _first(noise, view.labeled, parts.shape[1])
        # Cut in order, a part has a row more than its share at most.
        share = -(-budget // num_partitions) + (not shuffle)
        if merge == "greedi":
            share = math.ceil(oversampling * budget / num_partitions)
        share = min(share, budget, parts.shape[1])

        def propose(key, rows):
            return _select_among(key, strategy, view, rows, labeled, share)

        proposed = jax.vmap(propose)(jnp.stack(keys), parts)
        if merge == "greedi":
            rows = proposed.rows.reshape(-1)
            return _select_among(key_merge, strategy, view, rows, labeled, budget)
        kept = (jnp.arange(share)[None, :] < budgets[:, None]) & (proposed.rows >= 0)
        first = jnp.argsort(~kept.reshape(-1))[:budget]
        rows = jnp.where(kept, proposed.rows, -1).reshape(-1)[first]
        scores = jnp.where(kept, proposed.scores, -jnp.inf).reshape(-1)[first]
        weights = proposed.weights
        if weights is not None:
            weights = jnp.where(kept, weights, 0.0).reshape(-1)[first]
        return Selection(rows, scores, weights)

    return Strategy(strategy.observe, select)


def split(
    noise: jax.Array | None, available: jax.Array, num_partitions: int, budget: int
) -> tuple[jax.Array, jax.Array]:
    """Cuts the available rows into parts, and the budget with them.

    Args:
      noise: [N] in [0, 1), the order of the rows; their own order if None.
      available: [N] bool.
      num_partitions: P.
      budget: B.

    Returns:
      [P, ceil(N / P)] int32 rows of each part, in order, then -1; and [P] how many rows to pick of
      each: B in all, or all that are available.
    """
    rows, num = len(available), jnp.sum(available)
    budget_left = jnp.minimum(budget, num)
    if noise is None:
        order = jnp.argsort(~available)
        ends, picked = ends_in_order(num, num_partitions, budget_left)
        sizes, budgets = jnp.diff(ends, prepend=0), jnp.diff(picked, prepend=0)
    else:
        order = jnp.argsort(jnp.where(available, noise, 1.0))
        part = jnp.arange(num_partitions)
        sizes, budgets = (
            count // num_partitions + (part < count % num_partitions).astype(count.dtype)
            for count in (num, budget_left)
        )
    slots = jnp.arange(-(-rows // num_partitions))[None, :]
    at = (jnp.cumsum(sizes) - sizes)[:, None] + slots
    parts = jnp.where(slots < sizes[:, None], order.at[at].get(mode="clip"), rows)
    # In order, so that ties go to the lowest row; places past the last one are at the end.
    parts = jnp.sort(parts, axis=1)
    return jnp.where(parts < rows, parts, -1).astype(jnp.int32), budgets


def ends_in_order(
    num_rows: jax.Array | int, num_partitions: int, budget: jax.Array | int
) -> tuple[Any, Any]:
    """Where parts of N rows end when cut in order, and how many of B rows to pick up to there, [P] each.

    end_p = ceil(N (p + 1) / P) and ceil(B end_p / N), exactly, in integers no larger than B P.
    """
    part = np.arange(1, num_partitions + 1)
    each, rest = num_rows // num_partitions, num_rows % num_partitions
    ends = each * part - (-rest * part // num_partitions)
    # B end_p / N = (B (p + 1) + B above / N) / P, where end_p P = N (p + 1) + above.
    above = -rest * part % num_partitions
    above = -(-budget * above // (num_rows + (num_rows == 0)))
    return ends, -(-(budget * part + above) // num_partitions)


def _first(noise: jax.Array, mask: jax.Array, count: int) -> jax.Array:
    """The rows of the mask, [count] int32, at random where there are more; -1 past the last."""
    drawn, rows = jax.lax.top_k(jnp.where(mask, noise, -1.0), count)
    return jnp.where(drawn >= 0, rows, -1).astype(jnp.int32)


def _looks_at_labels(strategy: Strategy, view: View, budget: int) -> bool:
    """Whether the decision reads which rows are labelled: if not, parts can do without those."""

    def decide(labels, labeled):
        view_of_both = view._replace(labels=labels, labeled=labeled)
        return strategy.select(jax.random.key(0), view_of_both, budget)

    program = jax.make_jaxpr(decide)(view.labels, view.labeled).jaxpr
    read = [variable for equation in program.eqns for variable in equation.invars]
    return any(variable in read for variable in program.invars)


def _select_among(
    key: jax.Array,
    strategy: Strategy,
    view: View,
    rows: jax.Array,
    labeled: jax.Array,
    budget: int,
) -> Selection:
    """The strategy's decision where the pool is these available and these labelled rows; -1 is no row."""
    rows = jnp.concatenate([rows, labeled])
    known = jnp.arange(len(rows)) >= len(rows) - len(labeled)
    real = rows >= 0
    part = view._replace(
        observation=jax.tree.map(lambda leaf: leaf[rows], view.observation),
        labels=jnp.where(real & known, view.labels[rows], -1),
        labeled=real & known,
        available=real & ~known,
    )
    picked = strategy.select(key, part, budget)
    found = picked.rows >= 0
    return picked._replace(rows=jnp.where(found, rows[picked.rows], -1))
