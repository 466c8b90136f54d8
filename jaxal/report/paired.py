"""Strategies compared seed by seed: by how much one is above another, and whether that is known."""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jaxal.checks import check_at_least, check_fraction
from jaxal.records import Record
from jaxal.report.baseline import random_name
from jaxal.report.learning_curves import Curves, area, carried_on, curves_by_seed, grouped

POWER = 0.8
"""The chance to tell two strategies apart that `Paired.seeds_needed` asks for."""

ROUNDING = 1e-12
"""Areas are sums in float64: what is smaller than this is no difference between them."""


class Paired(NamedTuple):
    """The area under the learning curve of one strategy less that of another, over seeds.

    A difference of areas is one of mean test accuracy over the labels, as a fraction. One that is
    not 0 and the same in every seed says nothing of how it varies: its interval has no ends, and
    its probabilities are NaN. Of a regression it is by how much the mean logarithm of the test RMSE
    is lower.
    """

    strategy: str
    against: str
    seeds: int  # that both have finished: each is a pair
    difference: float  # the mean over seeds; above 0 the strategy is ahead
    low: float  # an interval of it; all intervals of one table hold together
    high: float
    p_value: float  # of the two-sided paired t-test, times the comparisons of the table
    worse: float  # probability that the true difference is below -region,
    same: float  # within it,
    better: float  # above it
    seeds_needed: float  # to tell them apart if the difference is as seen; infinite if never
    level: float  # the chance that any interval of the table misses
    region: float  # up to which a difference is of no importance

    @property
    def told_apart(self) -> bool:
        """Whether the interval leaves out 0: only then one is ahead of the other."""
        return self.low > 0 or self.high < 0


class Pair(NamedTuple):
    """Two strategies that began with the same labels and variables in each seed."""

    strategy: str
    against: str
    curves: Curves  # of the strategy
    others: Curves  # of what it is compared with


def paired_differences(
    records: Iterable[Record],
    against: str | None = None,
    *,
    level: float = 0.05,
    region: float = 0.01,
) -> list[Paired]:
    """Compares each strategy of a run with one of them, seed by seed.

    The strategies of a run begin each seed with the same labelled rows and the same variables, on
    the same split: what is compared is the difference within each seed, which varies far less than
    the areas do. The intervals say what other seeds would give on these data, and nothing of other
    data. They are Student's, which is exact for normal differences and was seen to hold for those
    of learning curves (`benchmarks/null.py`).

    Args:
      records: of one run. Seeds that only one of two strategies has finished are left out, and so
        is a strategy that shares fewer than two seeds.
      against: the strategy that the others are compared with; None: random sampling.
      level: the chance, at most, that any of the intervals misses the true difference, and so
        that any two strategies are told apart that are alike (Bonferroni).
      region: differences of at most this are of no practical importance.

    Returns:
      A comparison a strategy, in the order of the records; none where nothing is at random.

    Raises:
      ValueError: `against` is no strategy of the records, or a number is out of range.
      TypeError: something else than records, or than numbers.

    References:
      Benavoli et al. 2017, "Time for a Change: a Tutorial for Comparing Multiple Classifiers
      Through Bayesian Analysis", arXiv 1606.04316 (the region of practical equivalence).
    """
    by_strategy = grouped("records", records)
    if against is None:
        against = random_name(by_strategy)
    elif against not in by_strategy:
        raise ValueError(f"against: expected one of {', '.join(by_strategy)}, got {against!r}")
    if against is None:
        return []
    return compare_pairs(pairs_of(by_strategy, against), level, region)


def pairs_of(by_strategy: Mapping[str, Sequence[Record]], against: str) -> list[Pair]:
    """A pair of every other strategy of a run and the one called `against`."""
    counts = {record.labels for kept in by_strategy.values() for record in kept}
    curves = {name: curves_by_seed(carried_on(kept, counts)) for name, kept in by_strategy.items()}
    others = curves.pop(against)
    return [Pair(name, against, own, others) for name, own in curves.items()]


def compare_pairs(pairs: Sequence[Pair], level: float = 0.05, region: float = 0.01) -> list[Paired]:
    """Compares the two strategies of each pair; see `paired_differences`."""
    check_fraction(level=level)
    check_at_least(0, region=region)
    known = [(pair, _differences(pair.curves, pair.others)) for pair in pairs]
    known = [(pair, found) for pair, found in known if len(found) > 1]
    return [_compared(pair, found, len(known), level, region) for pair, found in known]


def _differences(curves: Curves, others: Curves) -> NDArray:
    """Differences of areas, of the seeds that both have whole, over the labels that both have."""
    whole = [max(map(len, one.values()), default=0) for one in (curves, others)]
    seeds = [
        seed
        for seed, curve in curves.items()
        if len(curve) == whole[0] and len(others.get(seed, ())) == whole[1]
    ]
    found = []
    for seed in seeds:
        shared = [labels for labels in curves[seed] if labels in others[seed]]
        if shared:
            both = (curves[seed], others[seed])
            found.append([area({n: one[n] for n in shared}) for one in both])
    kept = np.array(found).reshape(-1, 2)
    kept = kept[np.isfinite(kept).all(1)]
    return kept[:, 0] - kept[:, 1]


def _compared(
    pair: Pair, differences: NDArray, comparisons: int, level: float, region: float
) -> Paired:
    """One of so many comparisons, of the differences of two or more seeds."""
    seeds, mean = len(differences), float(differences.mean())
    error = float(differences.std(ddof=1)) / math.sqrt(seeds)
    paired = partial(Paired, pair.strategy, pair.against, seeds=seeds, level=level, region=region)
    if error < ROUNDING and abs(mean) < ROUNDING:
        # The same in every seed, as a strategy and its alias are.
        chances = {"worse": 0.0, "same": 1.0, "better": 0.0}
        return paired(
            difference=0.0, low=0.0, high=0.0, p_value=1.0, **chances, seeds_needed=math.inf
        )
    if error < ROUNDING:
        ends = {"difference": mean, "low": -math.inf, "high": math.inf, "p_value": 1.0}
        chances = dict.fromkeys(("worse", "same", "better"), math.nan)
        return paired(**ends, **chances, seeds_needed=math.inf)
    # Takes a third of a second to import, which every command would.
    from scipy import special

    level /= comparisons
    # The posterior of the mean, with a flat prior, is Student's around it.
    spread = error * float(special.stdtrit(seeds - 1, 1 - level / 2))
    p_value = min(1.0, comparisons * 2 * float(special.stdtr(seeds - 1, -abs(mean) / error)))
    worse, more = (
        float(special.stdtr(seeds - 1, (end - mean) / error)) for end in (-region, region)
    )
    return paired(
        difference=mean,
        low=mean - spread,
        high=mean + spread,
        p_value=p_value,
        worse=worse,
        same=more - worse,
        better=1 - more,
        seeds_needed=_seeds_needed(abs(mean) / (error * math.sqrt(seeds)), level),
    )


def _seeds_needed(effect: float, level: float) -> float:
    """The fewest seeds with which a t-test finds such an effect, in standard deviations."""
    from scipy import special

    def power(seeds: int) -> float:
        bound = special.stdtrit(seeds - 1, 1 - level / 2)
        return 1 - float(special.nctdtr(seeds - 1, effect * math.sqrt(seeds), bound))

    high = 2
    while power(high) < POWER:
        high *= 2
        if high > 100_000:
            return math.inf
    low = high // 2  # too few, unless two are enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if power(middle) < POWER else (low, middle)
    return high
