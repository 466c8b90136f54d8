"""Paired differences: against scipy and by hand, what is left out, and what a terminal shows."""

import math
from typing import Any

import numpy as np
import pytest
from helpers import bad_inputs
from scipy import stats
from test_report import CONFIG, curve, run_folder, shown, terminal

from jaxal import report
from jaxal.experiment.config import parse
from jaxal.report.baseline import random_name
from jaxal.report.paired import Pair, _seeds_needed, compare_pairs

RNG = np.random.default_rng(0)


def runs(strategy, shift, seeds=8, labels=4, noise=0.02):
    return [
        record
        for seed in range(seeds)
        for record in curve(strategy, seed, 0.6 + shift + noise * RNG.normal(size=labels))
    ]


RECORDS = [*runs("random", 0.0), *runs("badge", 0.05), *runs("entropy", 0.0)]


def areas(records, strategy):
    """The trapezoid over equally spaced labels, by hand."""
    seeds: dict[int, list[float]] = {}
    for record in records:
        if record.strategy == strategy:
            seeds.setdefault(record.seed, []).append(record.test_accuracy)
    return {seed: (sum(ys) - (ys[0] + ys[-1]) / 2) / (len(ys) - 1) for seed, ys in seeds.items()}


def test_against_scipy():
    badge, entropy = report.paired_differences(RECORDS)
    for found in (badge, entropy):
        own, others = areas(RECORDS, found.strategy), areas(RECORDS, "random")
        test = stats.ttest_rel([*own.values()], [*others.values()])
        interval = test.confidence_interval(1 - 0.05 / 2)  # two comparisons
        assert found.seeds == 8 and found.against == "random"
        assert found.difference == pytest.approx(
            np.mean([*own.values()]) - np.mean([*others.values()])
        )
        assert (found.low, found.high) == pytest.approx(interval)
        assert found.p_value == pytest.approx(min(1, 2 * test.pvalue))
        assert found.worse + found.same + found.better == pytest.approx(1)
        assert found.told_apart == (found.p_value < 0.05)
    assert badge.told_apart and badge.better > 0.99 and not entropy.told_apart


def test_probabilities_are_those_of_the_posterior():
    # With a flat prior the mean is Student's: see 2.2 of Benavoli et al. 2017.
    *_, entropy = report.paired_differences(RECORDS, region=0.004)
    own, others = areas(RECORDS, "entropy"), areas(RECORDS, "random")
    found = np.array([own[seed] - others[seed] for seed in own])
    rng, draws = np.random.default_rng(1), 400_000
    variance = 7 * found.var(ddof=1) / rng.chisquare(7, draws)
    means = found.mean() + rng.normal(size=draws) * np.sqrt(variance / 8)
    expected = [(means < -0.004).mean(), (abs(means) <= 0.004).mean(), (means > 0.004).mean()]
    assert [entropy.worse, entropy.same, entropy.better] == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("effect", [0.5, 2.0])
def test_seeds_needed_give_that_power(effect):
    seeds = int(_seeds_needed(effect, 0.05))
    rng = np.random.default_rng(2)
    for count, above in ((seeds, True), (seeds - 1, False)):
        samples = effect + rng.normal(size=(10_000, count))
        power = (np.asarray(stats.ttest_1samp(samples, 0, axis=1))[1] < 0.05).mean()
        assert power > 0.785 if above else power < 0.815
    assert math.isinf(_seeds_needed(0.0, 0.05))


def test_seeds_and_labels_that_only_one_has_are_left_out():
    records = [r for r in RECORDS if r.strategy != "badge" or r.seed < 3]
    records = [r for r in records if (r.strategy, r.seed, r.round) != ("badge", 0, 3)]
    badge, entropy = report.paired_differences(records)
    assert badge.seeds == 2 and entropy.seeds == 8
    early = [r for r in RECORDS if r.strategy != "random" or r.round < 3]
    cut = [r for r in RECORDS if r.round < 3]
    assert report.paired_differences(early) == report.paired_differences(cut)
    one = [r for r in RECORDS if r.seed == 0]
    assert report.paired_differences(one) == []


def test_random_is_known_by_what_it_is():
    renamed = [*runs("random_sampling", 0.0), *runs("margin", 0.1)]
    [margin] = report.paired_differences(renamed)
    assert margin.against == "random_sampling"
    assert [s.efficiency for s in report.summarize(renamed)] != [math.nan] * 2
    config = parse(
        {
            "name": "own",
            "data": {"source": "sklearn:iris"},
            "model": {"name": "logistic"},
            "strategy": {"names": ["badge", "chance"], "options": {"chance": {"name": "random"}}},
        }
    )
    assert random_name(["badge", "chance"], config) == "chance"
    assert random_name(["badge", "chance"]) is None
    assert report.paired_differences([*runs("badge", 0.0), *runs("margin", 0.0)]) == []
    [badge] = report.paired_differences(RECORDS[:64], against="badge")
    assert (badge.strategy, badge.against) == ("random", "badge")


def test_equal_strategies_are_not_told_apart():
    twice = [
        *RECORDS[:32],
        *(record.__class__(**{**vars(record), "strategy": "twin"}) for record in RECORDS[:32]),
    ]
    [twin] = report.paired_differences(twice)
    assert (twin.difference, twin.p_value, twin.same) == (0, 1, 1)
    assert not twin.told_apart and math.isinf(twin.seeds_needed)


def test_what_does_not_vary_is_not_told_apart():
    steady = [*runs("random", 0.0, noise=0.0), *runs("badge", 0.05, noise=0.0)]
    [badge] = report.paired_differences(steady)
    assert badge.difference == pytest.approx(0.05) and badge.p_value == 1
    assert (badge.low, badge.high) == (-math.inf, math.inf) and math.isnan(badge.better)
    assert not badge.told_apart and math.isinf(badge.seeds_needed)
    text = shown(report.paired_table([badge], terminal()), terminal())
    assert "does not vary" in text and "nan" not in text and "inf" not in text.split()


def test_false_claims_are_as_rare_as_said():
    """Of 200 tables of four strategies like random sampling, about 5 % at most tell any apart."""
    rng, false = np.random.default_rng(3), 0
    for _ in range(200):
        draws = rng.normal(size=(5, 6))
        curves = [{seed: {20: float(one[seed])} for seed in range(6)} for one in draws]
        found = compare_pairs(
            [Pair(str(n), "random", one, curves[0]) for n, one in enumerate(curves[1:])]
        )
        false += any(one.told_apart for one in found)
    assert false <= stats.binom.isf(1e-4, 200, 0.05)


def interval(records):
    [badge, _] = report.paired_differences(records)
    low, high = (f"{100 * end:+.1f}" for end in (badge.low, badge.high))
    return f"{100 * badge.difference:+.1f}", low, "to", high


def test_table():
    text = shown(report.paired_table(report.paired_differences(RECORDS), terminal()), terminal())
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    [badge] = [line.split() for line in lines if line.startswith("badge")]
    assert badge[-1] == "above" and badge[1:5] == [*interval(RECORDS)]
    [entropy] = [line for line in lines if line.startswith("entropy")]
    assert "no" in entropy.split() or "no;" in entropy.split()
    assert "against random" in text and "8 seeds paired" in text
    words = " ".join(text.split())
    assert "together with 95%" in words and "within 1 point." in words
    other = report.paired_differences(RECORDS, level=0.1, region=0.02)
    text = shown(report.paired_table(other, terminal()), terminal())
    words = " ".join(text.split())
    assert "together with 90%" in words and "within 2 points." in words
    assert "Area under" in shown(report.paired_table([], terminal()), terminal())


def test_runs_are_compared_seed_by_seed_where_they_begin_alike(tmp_path):
    first = run_folder(tmp_path / "cold", RECORDS)
    second = run_folder(tmp_path / "warm", runs("badge", 0.2))
    other = run_folder(tmp_path / "other", runs("badge", 0.2))
    other_start = CONFIG.format(source="sklearn:iris").replace(
        "[strategy]", "[strategy]\ninitial = 7"
    )
    (other / "config.toml").write_text(other_start)
    paired = report.compare([first, second, other]).paired
    assert [(one.strategy, one.against) for one in paired] == [
        ("cold/badge", "random"),
        ("entropy", "random"),
        ("warm/badge", "cold/badge"),
    ]
    assert paired[-1].told_apart and paired[-1].difference == pytest.approx(0.15, abs=0.03)
    text = shown(report.paired_table(paired, terminal()), terminal())
    assert "against" in text and "warm/badge" in text


def given(value: Any) -> Any:
    return value


@bad_inputs(
    {
        "no record": (
            lambda: report.paired_differences(given([1])),
            TypeError,
            "records: expected records",
        ),
        "text": (
            lambda: report.paired_differences(given("badge")),
            TypeError,
            "records: expected records",
        ),
        "unknown": (
            lambda: report.paired_differences(RECORDS, "margin"),
            ValueError,
            "against: expected one of random, badge, entropy, got 'margin'",
        ),
        "level": (
            lambda: report.paired_differences(RECORDS, level=1.0),
            ValueError,
            r"level: expected a number in \(0, 1\), got 1.0",
        ),
        "region": (
            lambda: report.paired_differences(RECORDS, region=-0.1),
            ValueError,
            "region: expected a finite number >= 0, got -0.1",
        ),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
