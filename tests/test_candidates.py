"""Candidates: which rows each kind finds, and what a strategy makes of them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs, by_number, keys, table_model

import jaxal
from jaxal import points, strategies
from jaxal.checks import is_traced
from jaxal.experiment import load
from jaxal.experiment.build import build
from jaxal.rows import rows_over
from jaxal.strategies import filters
from jaxal.strategies.filters.progressive import _cut, _distinct
from jaxal.strategies.observations import Observations, observe_all

ROWS, BUDGET = 41, 4
RNG = np.random.default_rng(3)
FEATURES = RNG.normal(size=(ROWS, 4)).astype(np.float32)
LOGITS = RNG.normal(size=(ROWS, 3)).astype(np.float32)
LABELED = np.isin(np.arange(ROWS), [0, 7, 8, 20, 33])
KNOWN = np.where(LABELED, 0, -1)
MODEL = table_model(LOGITS, FEATURES)
MARGIN = jax.jit(jaxal.scores.margin)


def acquire(strategy, key=0, budget=BUDGET, labels=KNOWN, available=None):
    key, rows = keys(9)[key], jnp.arange(ROWS)
    options: Any = {"labels": labels, "available": available}
    picked = jaxal.acquire(key, strategy, MODEL, {}, rows, budget, **options)
    return picked if is_traced(picked) else jax.tree.map(np.asarray, picked)


RULE, READER = by_number(), by_number(reads_labels=True)


def found(size=12, budget=None, key=0, rule=RULE, **options):
    """The candidates, as a rule that takes all of them sees them."""
    strategy = strategies.candidates(rule, size=size, **options)
    return acquire(strategy, key, budget or size, available=~LABELED).rows


def test_uniform_candidates_are_drawn_from_what_is_available():
    drawn = np.array([found(key=key) for key in range(9)])
    assert all(len(set(rows)) == 12 for rows in drawn.tolist())
    assert not LABELED[drawn].any()
    assert len(np.unique(drawn)) > 30  # of 36, in nine draws of 12


@pytest.mark.parametrize("by", ["margin", "entropy"])
def test_top_candidates_have_the_highest_scores(by):
    scores = np.where(LABELED, -np.inf, jax.jit(getattr(jaxal.scores, by))(LOGITS))
    expected = np.argsort(-scores, kind="stable")[:12]
    np.testing.assert_array_equal(found(kind="top", by=by), np.sort(expected)[::-1])


def listed(num, usable):
    """The nearest usable rows of every row in float64, nearest first."""
    wide = FEATURES.astype(np.float64)
    squared = ((wide[:, None] - wide[None]) ** 2).sum(-1)
    np.fill_diagonal(squared, np.inf)
    squared[:, ~usable] = np.inf
    order = np.argsort(squared, axis=1)[:, :num]
    return order, np.take_along_axis(squared, order, 1)


def nearest(num, size, usable, by_place):
    """Available neighbours of the labelled rows, nearest first."""
    rows, worth = listed(num, usable)
    worth = np.broadcast_to(np.arange(num), rows.shape) if by_place else worth
    least: dict[int, float] = {}
    for row in np.flatnonzero(LABELED):
        for other, value in zip(rows[row], worth[row], strict=True):
            least[other] = min(least.get(other, np.inf), value)
    near = sorted((value, row) for row, value in least.items() if usable[row] and not LABELED[row])
    return [row for _, row in near[:size]]


def test_lists_of_neighbours_are_exact():
    every = np.ones(ROWS, bool)
    expected, _ = listed(7, every)
    np.testing.assert_array_equal(points.nearest_rows(jnp.asarray(FEATURES), 7), expected)


def test_rows_that_are_not_finite_are_nobodys_neighbours():
    flawed = FEATURES[:4].copy()
    flawed[2, 1] = np.nan
    rows = np.asarray(points.nearest_rows(jnp.asarray(flawed), 3))
    assert (rows[2] == -1).all() and (rows[:, 2] == -1).all() and (rows != 2).all()


@pytest.mark.slow
@pytest.mark.parametrize(("num", "size"), [(3, 30), (6, 8)])
@pytest.mark.parametrize("given", [False, True])
def test_candidates_are_the_neighbours_of_what_is_labelled(num, size, given):
    usable = np.ones(ROWS, bool)
    options: dict[str, Any] = {"num_neighbours": num}
    if given:
        options = {"lists": listed(num, usable)[0]}
    expected = nearest(num, size, usable, by_place=given)
    strategy = strategies.candidates(RULE, kind="neighbours", size=size, **options)
    # A rule that takes all candidates gets those that a batch lacks at random; so a small batch.
    picked = acquire(strategy, available=~LABELED).rows.tolist()
    assert picked == sorted(expected)[::-1][:BUDGET]


def test_neighbours_are_sought_among_the_rows_that_count():
    usable = np.arange(ROWS) % 4 != 1
    usable |= LABELED
    strategy = strategies.candidates(RULE, kind="neighbours", size=9, num_neighbours=4)
    picked = acquire(strategy, available=usable & ~LABELED).rows.tolist()
    assert picked == sorted(nearest(4, 9, usable, by_place=False))[::-1][:BUDGET]


@pytest.mark.slow
def test_neighbours_that_are_too_few_are_filled_up_and_none_are_drawn():
    usable = np.ones(ROWS, bool)
    near = nearest(1, 30, usable, by_place=False)
    options: dict[str, Any] = {"kind": "neighbours", "size": 20, "num_neighbours": 1}
    strategy = strategies.candidates(RULE, **options)
    assert len(near) < 12
    picked = acquire(strategy, budget=12, available=~LABELED).rows
    assert set(near) < set(picked.tolist()) and not LABELED[picked].any()
    several = [acquire(strategy, key, labels=np.full(ROWS, -1)).rows for key in range(3)]
    assert len(np.unique(several)) > BUDGET


@pytest.mark.slow
def test_greedi_is_that_of_partition():
    """As many candidates as every part may propose: those of parts, merged."""
    wide = {"num_partitions": 3}
    strategy = strategies.candidates("core_set", kind="greedi", size=3 * BUDGET, **wide)
    picked = acquire(strategy).rows
    assert len(set(picked.tolist())) == BUDGET and not LABELED[picked].any()
    one = strategies.candidates("core_set", kind="greedi", size=BUDGET, num_partitions=1)
    np.testing.assert_array_equal(acquire(one).rows, acquire(strategies.core_set()).rows)


def test_subsets_are_cut_one_after_another():
    left = jnp.array([5, 3, 8, 1, 7, -1, -1])
    rows = jax.jit(_cut, static_argnums=(3, 4))(left, jnp.int32(5), jnp.int32(2), 4, 3)
    assert rows.tolist() == [[5, 3, -1], [8, 1, -1], [7, 5, -1], [3, 8, -1]]


@pytest.mark.slow
def test_what_is_left_is_distinct_and_drawn_where_it_is_too_much():
    rows = jnp.array([4, -1, 2, 4, 9, 2, -1])
    distinct = jax.jit(_distinct, static_argnums=2)
    assert sorted(distinct(keys(1)[0], rows, 5).tolist()) == [-1, -1, 2, 4, 9]
    drawn = jax.jit(jax.vmap(lambda key: _distinct(key, rows, 2)))(keys(20)).tolist()
    assert {tuple(sorted(some)) for some in drawn} == {(2, 4), (2, 9), (4, 9)}


@pytest.mark.slow
@pytest.mark.parametrize("depth", [1, 2])
def test_progressive_filtering_goes_level_by_level(depth):
    """Of each half of the pool the best stay, then of all these the best."""
    scores = MARGIN(LOGITS)
    view = jaxal.View(scores, jnp.asarray(KNOWN), jnp.asarray(LABELED), jnp.asarray(~LABELED))
    rules = ("margin",)
    chosen = filters.progressive(rules=rules, depth=depth, num_batches=2, subset=18, share=1.0)
    labeled = jnp.zeros(0, jnp.int32)
    request = filters.Request(strategies.margin(), view, (view,), labeled, 30, BUDGET)
    rows = chosen.find(keys(1)[0], request)
    best = set(acquire(strategies.margin()).rows.tolist())
    left = [row for row in rows.tolist() if row >= 0]
    assert rows.shape == (2 * BUDGET,) and len(set(left)) == len(left)
    assert best < set(left) if depth == 1 else best == set(left)
    assert len(left) == (2 * BUDGET if depth == 1 else BUDGET)


@pytest.mark.slow
def test_several_rules_filter_each_by_its_own_observation():
    options: dict[str, Any] = {"kind": "progressive", "num_batches": 4, "subset": 10, "depth": 2}
    rules = ["core_set", {"name": "badge", "block_size": 8}]
    rows = acquire(strategies.candidates("entropy", size=9, rules=rules, **options)).rows
    assert len(set(rows.tolist())) == BUDGET and not LABELED[rows].any()


KINDS: dict[str, dict[str, Any]] = {
    "uniform": {},
    "top": {},
    "neighbours": {"num_neighbours": 30},
    "greedi": {},
    "progressive": {"num_batches": 3, "depth": 1, "subset": ROWS, "rules": ["random"]},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", [RULE, READER], ids=["blind", "reader"])
def test_weights_are_kept_and_labels_shown_to_rules_that_read_them(kind, rule):
    strategy = strategies.candidates(rule, kind=kind, size=20, **KINDS[kind])
    picked = acquire(strategy)
    seen = 100 * LABELED.sum() if rule.reads_labels else 0
    assert strategy.reads_labels == (rule.reads_labels or kind == "neighbours")
    assert picked.weights is not None
    assert picked.weights.tolist() == (seen + picked.rows).tolist()
    assert picked.scores.tolist() == picked.rows.tolist()


def test_labelled_rows_beyond_those_asked_for_are_not_shown():
    picked = acquire(strategies.candidates(READER, size=9, max_labeled=3))
    assert picked.weights is not None
    assert (picked.weights - picked.rows).tolist() == [300.0] * BUDGET


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_fewer_rows_than_candidates_and_than_the_budget(kind):
    strategy = strategies.candidates(RULE, kind=kind, size=20, **KINDS[kind])
    choose = jax.jit(lambda available: acquire(strategy, available=available))
    picked = choose(np.isin(np.arange(ROWS), [3, 30, 12]))
    assert picked.rows.tolist() == [30, 12, 3, -1]
    assert picked.weights.tolist() == [30, 12, 3, 0] and picked.scores[3] == -jnp.inf


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["uniform", "top"])
def test_all_rows_as_candidates_are_the_pool(kind):
    strategy = strategies.candidates("core_set", kind=kind, size=10 * ROWS)
    np.testing.assert_array_equal(acquire(strategy).rows, acquire(strategies.core_set()).rows)


@pytest.mark.slow
def test_wrappers_inside_and_outside():
    sampled = strategies.stochastic("bald", kind="softmax")
    inside = strategies.candidates(strategies.stochastic("entropy"), kind="top", size=9)
    parts = strategies.candidates(strategies.partition("core_set", num_partitions=2), size=15)
    outside = strategies.partition(strategies.candidates("core_set", size=7), num_partitions=2)
    twice = strategies.candidates(strategies.candidates("badge", size=8), kind="top", size=15)
    scores = np.where(LABELED, -np.inf, MARGIN(LOGITS))
    best = np.argsort(-scores, kind="stable")
    for strategy, among in ((inside, 9), (parts, ROWS), (outside, ROWS), (twice, 15)):
        rows = np.asarray(acquire(strategy).rows)
        assert len(set(rows.tolist())) == BUDGET and not LABELED[rows].any()
        assert np.isin(rows, best[:among]).all()
    assert strategies.candidates(sampled) is strategies.candidates(sampled)


@pytest.mark.slow
def test_the_model_runs_once_and_what_two_rules_see_is_kept_once():
    calls = []

    def apply(variables, inputs, *, key=None):
        calls.append(key)
        return MODEL.apply(variables, inputs)

    model = MODEL._replace(apply=apply)
    rules = strategies.core_set(), strategies.margin(), strategies.core_set(block_size=8)
    observe = jax.jit(observe_all([rule.observe for rule in rules]), static_argnums=1)
    seen = observe(keys(1)[0], model, {}, jnp.arange(ROWS), jnp.full(ROWS, -1))
    assert isinstance(seen, Observations) and len(calls) == 1
    assert len(jax.tree.leaves(seen)) == 2
    features, margins, again = jax.tree.map(lambda leaf: np.asarray(leaf)[:3], seen).trees()
    np.testing.assert_array_equal(features, FEATURES[:3])
    np.testing.assert_array_equal(again, FEATURES[:3])
    np.testing.assert_array_equal(margins, MARGIN(LOGITS)[:3])


def test_equal_calls_are_the_identical_strategy():
    made = strategies.make("candidates", strategy="badge", kind="top", size=50, by="entropy")
    again = strategies.candidates(strategies.badge(), size=50, kind="top", by=strategies.entropy())
    assert made == again and hash(made) == hash(again)


def test_the_config_builds_its_strategies():
    config = load("configs/digits_candidates.toml")
    assert all(made.name == "candidates" for made in build(config).strategies.values())


@pytest.mark.slow
def test_rows_over_is_left_as_it_was():
    with rows_over(None):
        before = jax.sharding.get_abstract_mesh()
        acquire(strategies.candidates("core_set", size=9))
        assert jax.sharding.get_abstract_mesh() == before


@bad_inputs(
    {
        "a size below the budget": (
            lambda: acquire(strategies.candidates("margin", size=3)),
            ValueError,
            r"size: expected at least 4 \(the budget\), got 3",
        ),
        "kind": (lambda: strategies.candidates(kind="unifrom"), ValueError, "mean 'uniform'"),
        "option": (lambda: strategies.candidates(by="margin"), ValueError, "'by' is unknown"),
        "by an unknown rule": (
            lambda: strategies.candidates(kind="top", by="margni"),
            ValueError,
            "^by: 'margni' is unknown; did you mean 'margin'",
        ),
        "by a rule of batches": (
            lambda: strategies.candidates(kind="top", by="badge"),
            TypeError,
            "by: expected a strategy that scores rows one by one.* 'badge'",
        ),
        "more parts than candidates": (
            lambda: acquire(strategies.candidates(kind="greedi", size=5, num_partitions=6)),
            ValueError,
            r"num_partitions: expected 1 to 5 \(the size\)",
        ),
        "lists of more rows": (
            lambda: acquire(
                strategies.candidates("margin", kind="neighbours", lists=np.zeros((99, 2), int))
            ),
            ValueError,
            "lists: expected those of up to",
        ),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
