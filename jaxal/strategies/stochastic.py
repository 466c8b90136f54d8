"""Batches sampled by score: the remedy for top-k batches of near-duplicates, at no cost."""

import math

import jax

from jaxal import selection
from jaxal.base import Strategy, check_name
from jaxal.selection.take import STOCHASTIC_KINDS
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
    if not 0 <= coldness < math.inf:
        raise ValueError(f"coldness: expected a finite number >= 0, got {coldness!r}")
    if kind == "power" and not rule.nonnegative:
        raise ValueError(
            "kind: 'power' needs scores of at least 0, and this strategy's are below; "
            "take 'softmax' or 'softrank'"
        )

    def select(key, view, budget):
        key_scores, key_rows = jax.random.split(key)
        return selection.take_stochastic(
            key_rows,
            rule.scores(key_scores, view),
            view.available,
            budget,
            kind=kind,
            coldness=coldness,
        )

    return Strategy(strategy.observe, select)
