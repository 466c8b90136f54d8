"""Any strategy on part of the pool: on candidates, which a cheaper rule or chance has chosen."""

from typing import Any, cast

import jax

from jaxal.base import Strategy
from jaxal.checks import check_budget, check_integer
from jaxal.factories import cached_factory
from jaxal.strategies import filters
from jaxal.strategies.copies import refuse_copy
from jaxal.strategies.filters import Filter, Request
from jaxal.strategies.observations import observe_all, views_of_each
from jaxal.strategies.registry import register


@register
def candidates(
    strategy: Strategy | str = "badge",
    *,
    kind: str = "uniform",
    size: int = 10_000,
    max_labeled: int | None = None,
    **hyper: Any,
) -> Strategy:
    """Candidates: another strategy among some rows, drawn at random or chosen by a cheaper rule.

    For rules whose cost on the whole pool is too high: theirs is that on so many rows, and the
    candidates take O(N) where nothing else is said. The model runs once for all rules. Scores and
    weights are those of the strategy.

    Args:
      strategy: the rule that selects, or its name.
      kind: how candidates are chosen among the available rows, with options of its own:

        - "uniform": at random.
        - "top": the highest scores of `by`, a strategy that scores rows one by one ("margin").
        - "neighbours": of each labelled row, the `num_neighbours` (100) nearest by the model's
          features, or those in `lists` [N, k] (SEALS).
        - "greedi": what the strategy selects within `num_partitions` (4) parts of the pool.
        - "progressive": what `rules` ("random", "margin", "badge") select from random subsets of
          what is left, `depth` (5) times over, in `num_batches` (100) batches; the subsets have
          `subset` (5,000) rows, and later a `share` (0.4) of what is left (REFINE).
      size: m, how many candidates at most, at least the budget.
      max_labeled: labelled rows shown to a rule that reads them, at random where there are more;
        as many as the size if None.
      **hyper: options of the kind.

    Raises:
      TypeError: not a strategy, one in `by` that chooses its batch as a whole, or an option of
        another type.
      ValueError: an unknown kind or option, a number out of range, or, when it selects, a budget
        above the size.

    References:
      Coleman et al., "Similarity search for efficient active learning and search of rare concepts",
      AAAI 2022; Mirzasoleiman et al., "Distributed submodular maximization", NeurIPS 2013; Huseljic
      et al., "Cleaning the pool: progressive filtering of unlabeled pools in deep active learning",
      CVPR 2026.
    """
    check_integer(1, size=size)
    if max_labeled is not None:
        check_integer(1, max_labeled=max_labeled)
    made = cast(Strategy, strategy)  # of a name by now
    refuse_copy("strategy", made)
    return _among(made, filters.make(kind, **hyper), size, max_labeled or size)


@cached_factory
def _among(strategy: Strategy, chosen: Filter, size: int, max_labeled: int) -> Strategy:
    reads_labels = strategy.reads_labels or chosen.reads_labels

    def select(key, view, budget):
        total = len(view.available)
        check_budget(budget, total)
        if size < budget:
            raise ValueError(f"size: expected at least {budget} (the budget), got {size}")
        key_find, key_labeled, key_select = jax.random.split(key, 3)
        own, *others = views_of_each(view)
        labeled = filters.draw(key_labeled, view.labeled, min(max_labeled, total))
        request = Request(
            strategy, own, tuple(others), filters.in_order(labeled), min(size, total), budget
        )
        # In the pool's order, so that ties go to the lowest row.
        rows = filters.in_order(chosen.find(key_find, request))
        return filters.select_among(key_select, strategy, own, rows, request.labeled, budget)

    # The rules of a filter, as "top" has them, may need classes.
    regresses = strategy.regresses and not chosen.observers
    observe = observe_all((strategy.observe, *chosen.observers))
    return Strategy(observe, select, reads_labels, regresses=regresses)
