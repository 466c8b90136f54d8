"""Strategies made of another: sampling by its scores, and selection in parts of the pool."""

import math

import jax
import jax.numpy as jnp

from jaxal import selection
from jaxal.base import Selection, Strategy, View
from jaxal.checks import check_at_least, check_budget, check_integer, check_name
from jaxal.greedy.take import STOCHASTIC_KINDS
from jaxal.selection._partitions import split
from jaxal.strategies.registry import register
from jaxal.strategies.scoring import TopScores


@register
def stochastic(
    strategy: Strategy | str = "bald", *, kind: str = "power", coldness: float = 1.0
) -> Strategy:
    """Stochastic batch acquisition: samples the batch by another strategy's scores.

    Args:
      strategy: one that scores examples one by one, or its name.
      kind: probabilities proportional to s^coldness ("power"), exp(coldness s) ("softmax") or
        rank^-coldness ("softrank"); see `selection.take_stochastic`.
      coldness: >= 0; 0 samples uniformly, and the larger it is, the greedier.

    Raises:
      TypeError: a strategy that chooses its batch as a whole.
      ValueError: unknown kind, a coldness out of range, or power sampling by scores below 0.

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
        key_scores, key_rows = jax.random.split(key) if rule.uses_key else (key, key)
        return selection.take_stochastic(
            key_rows,
            rule.scores(key_scores, view),
            view.available,
            budget,
            kind=kind,
            coldness=coldness,
        )

    return Strategy(strategy.observe, select, strategy.reads_labels)


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
    """Partitioned selection: another strategy within each part of the pool, or GreeDi.

    For rules whose cost grows faster than the pool. A rule that reads the labelled rows
    (`Strategy.reads_labels`) sees them in every part, or as many as a part has rows. Weights that a
    rule gives its picks are kept.

    Args:
      strategy: the rule, or its name.
      num_partitions: P, at most the budget.
      shuffle: parts at random, with sizes and budgets that differ by at most one; if False, the
        available rows are cut in order and the budget is rounded up along them, as in DISTIL.
      merge: "none": each part has its share of the budget (every part selects the largest share;
        only its first picks are used). "greedi": each part proposes rows, and the rule selects
        among all of these, which comes close to the rule on the full pool.
      oversampling: rows proposed for each that is queried, >= 1; P if None, a whole batch from
        every part.

    Raises:
      TypeError: not a strategy, or a number of parts that is no integer.
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
        rows = len(view.available)
        keys = jax.random.split(key, num_partitions + 1 + rows)
        # Keys are random words: the last of them are the noise, so that one call gives all.
        words = jax.random.key_data(keys[num_partitions + 1 :])[:, 0]
        noise = (words >> 8).astype(jnp.float32) * 2.0**-24
        parts, budgets = split(noise if shuffle else None, view.available, num_partitions, budget)
        # What the rule reads but may not pick: as many labelled rows as a part has rows.
        labeled = jnp.zeros(0, jnp.int32)
        if strategy.reads_labels:
            labeled = _first(noise, view.labeled, parts.shape[1])
        # Cut in order, a part has a row more than its share at most.
        share = -(-budget // num_partitions) + (not shuffle)
        if merge == "greedi":
            share = math.ceil(oversampling * budget / num_partitions)
        share = min(share, budget, parts.shape[1])

        def propose(key, rows):
            return select_rows(key, strategy, view, rows, labeled, share)

        proposed = jax.vmap(propose)(keys[:num_partitions], parts)
        if merge == "greedi":
            among, key_merge = proposed.rows.reshape(-1), keys[num_partitions]
            return select_rows(key_merge, strategy, view, among, labeled, budget)
        return _first_picks(proposed, budgets, budget)

    return Strategy(strategy.observe, select, strategy.reads_labels)


def _first_picks(proposed: Selection, budgets: jax.Array, budget: int) -> Selection:
    """The first `budgets` [P] picks of each part, leaves [P, ...], as one selection of `budget`."""
    share = proposed.rows.shape[1]
    kept = (jnp.arange(share)[None, :] < budgets[:, None]) & (proposed.rows >= 0)
    # A stable sort moves what is kept to the front, part by part and in the order picked.
    front = jnp.argsort(~kept.reshape(-1))[:budget]

    def gather(values, missing):
        return jnp.where(kept, values, missing).reshape(-1)[front]

    weights = None if proposed.weights is None else gather(proposed.weights, 0.0)
    return Selection(gather(proposed.rows, -1), gather(proposed.scores, -jnp.inf), weights)


def _first(noise: jax.Array, mask: jax.Array, count: int) -> jax.Array:
    """The rows of the mask, [count] int32, at random where there are more; -1 past the last."""
    drawn, rows = jax.lax.top_k(jnp.where(mask, noise, -1.0), count)
    return jnp.where(drawn >= 0, rows, -1).astype(jnp.int32)


def select_rows(
    key: jax.Array,
    strategy: Strategy,
    view: View,
    rows: jax.Array,
    labeled: jax.Array,
    budget: int,
) -> Selection:
    """The strategy's decision in a pool of these available and labelled rows; -1 is no row."""
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
