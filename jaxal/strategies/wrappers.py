"""Strategies made of another: sampling by its scores, and selection in parts of the pool."""

import math

import jax
import jax.numpy as jnp

from jaxal import selection
from jaxal.base import Selection, Strategy
from jaxal.checks import check_at_least, check_budget, check_integer, check_name
from jaxal.greedy.take import STOCHASTIC_KINDS
from jaxal.selection._partitions import at_random, budgets_of, in_order, shape_of
from jaxal.strategies.copies import refuse_copy
from jaxal.strategies.registry import register
from jaxal.strategies.scoring import TopScores
from jaxal.strategies.subpool import (
    only_real,
    pool_rows,
    rows_numbered,
    select_in_blocks,
    some_labeled,
)


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

    return Strategy(strategy.observe, select, strategy.reads_labels, regresses=strategy.regresses)


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
    (`Strategy.reads_labels`) sees them in every part, or as many as a part has rows, at random.
    Weights that a rule gives its picks are kept. Parts come one after another: memory is that of
    one.

    Devices that share the pool share each part. Random parts are drawn within blocks of
    `max(128, 4 P)` rows, rounded up to a power of two: where devices have whole blocks, as those of
    a large pool do for P up to 32, no row is sent; else every device gets each part whole. Parts
    cut in order, and labelled rows, are sent in small blocks: over the whole decision each device
    receives about as much as the pool holds.

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
    refuse_copy("strategy", strategy)
    check_integer(1, num_partitions=num_partitions)
    check_name("merge", merge, MERGES)
    oversampling = num_partitions if oversampling is None else oversampling
    check_at_least(1, oversampling=oversampling)

    def select(key, view, budget):
        rows = len(view.available)
        check_budget(budget, rows)
        if num_partitions > budget:
            raise ValueError(
                f"num_partitions: expected 1 to {budget} (the budget), got {num_partitions}"
            )
        keys = jax.random.split(key, num_partitions + 2)
        words = jax.random.bits(keys[-1], (rows,), jnp.uint32)
        shape = shape_of(rows, num_partitions)
        sizes, budgets = budgets_of(view.available, num_partitions, budget, shuffle=shuffle)
        if shuffle:
            cut = at_random(words, view.available, num_partitions)
        else:
            cut = in_order(sizes, view.available)
        pool = pool_rows(view)
        known = some_labeled(words, pool, view.labeled, shape) if strategy.reads_labels else None
        # Cut in order, a part has a row more than its share at most.
        share = -(-budget // num_partitions) + (not shuffle)
        if merge == "greedi":
            share = math.ceil(oversampling * budget / num_partitions)
        share = min(share, budget, shape.blocks * shape.slots)

        def propose(each):
            data, part = each
            own = jax.random.wrap_key_data(data, impl=jax.random.key_impl(key))
            free = only_real(*cut.rows_of(pool, part))
            return select_in_blocks(own, strategy, view, free, known, share)

        # One part after another, so that memory is that of one. Under vmap, a loop over keys
        # themselves is taken for one that uses them twice.
        data = jax.random.key_data(keys[:num_partitions])
        proposed = jax.lax.map(propose, (data, cut.parts))
        if merge == "greedi":
            blocks = 1 if known is None else shape.blocks
            among = rows_numbered(pool, proposed.rows.reshape(-1), blocks)
            return select_in_blocks(keys[-2], strategy, view, among, known, budget)
        return _first_picks(proposed, budgets, budget)

    return Strategy(strategy.observe, select, strategy.reads_labels, regresses=strategy.regresses)


def _first_picks(proposed: Selection, budgets: jax.Array, budget: int) -> Selection:
    """The first `budgets` [P] picks of each part, leaves [P, ...], as one selection of `budget`."""
    share = proposed.rows.shape[1]
    kept = (jnp.arange(share, dtype=jnp.int32)[None, :] < budgets[:, None]) & (proposed.rows >= 0)
    # A stable sort moves what is kept to the front, part by part and in the order picked.
    front = jnp.argsort(~kept.reshape(-1))[:budget]

    def gather(values, missing):
        return jnp.where(kept, values, missing).reshape(-1)[front]

    weights = None if proposed.weights is None else gather(proposed.weights, 0.0)
    return Selection(gather(proposed.rows, -1), gather(proposed.scores, -jnp.inf), weights)
