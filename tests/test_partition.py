"""Strategies on parts of the pool: how it is cut, what a part sees, and what GreeDi makes of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import MODES, bad_inputs, by_number, keys, table_model

import jaxal
from jaxal import selection, strategies, submodular
from jaxal.selection._partitions import split

ROWS, BUDGET = 41, 6
RNG = np.random.default_rng(3)
FEATURES = RNG.normal(size=(ROWS, 4)).astype(np.float32)
LABELED = np.isin(np.arange(ROWS), [0, 7, 8, 20, 33])
MODEL = table_model(np.zeros((ROWS, 2), np.float32), FEATURES)
KNOWN = np.where(LABELED, 0, -1)


def acquire(strategy, **options):
    return jaxal.acquire(keys(1)[0], strategy, MODEL, {}, jnp.arange(ROWS), BUDGET, **options)


@pytest.mark.slow
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(("parts", "budget"), [(4, 9), (5, 37)])
def test_every_available_row_is_in_one_part(shuffle, parts, budget):
    noise = jax.random.uniform(keys(1)[0], (ROWS,)) if shuffle else None
    found, budgets = split(noise, jnp.asarray(~LABELED), parts, budget)
    assert found.shape == (parts, -(-ROWS // parts))
    rows = found[found >= 0].tolist()
    assert sorted(rows) == np.flatnonzero(~LABELED).tolist()
    assert (rows == sorted(rows)) != shuffle
    assert all(row[row >= 0].tolist() == sorted(row[row >= 0]) for row in found)
    sizes = np.asarray((found >= 0).sum(1))
    assert np.ptp(sizes) <= 1 and (np.asarray(budgets) <= sizes).all()
    assert budgets.sum() == min(budget, ROWS - LABELED.sum())
    if shuffle:
        assert np.ptp(budgets) <= 1


@pytest.mark.slow
def test_every_part_sees_all_labelled_rows():
    strategy = strategies.partition("core_set", num_partitions=3, shuffle=False)
    picked = acquire(strategy, labels=KNOWN)
    parts, budgets = split(None, jnp.asarray(~LABELED), 3, BUDGET)
    assert budgets.tolist() == [2, 2, 2]
    expected = []
    for part in parts:
        mask = np.isin(np.arange(ROWS), part)
        expected += selection.k_center(
            jnp.asarray(FEATURES),
            jnp.asarray(mask),
            2,
            centers=jnp.asarray(FEATURES[LABELED]),
        ).rows.tolist()
    assert picked.rows.tolist() == expected


@pytest.mark.slow
def test_greedi_selects_among_what_the_parts_propose():
    rule = strategies.submodular(metric="euclidean")
    strategy = strategies.partition(
        rule, num_partitions=3, shuffle=False, merge="greedi", oversampling=2
    )
    picked = acquire(strategy, labels=KNOWN)
    parts, _ = split(None, jnp.asarray(~LABELED), 3, BUDGET)

    def greedy(rows, budget):
        function = submodular.facility_location(jnp.asarray(FEATURES[rows]), metric="euclidean")
        every = jnp.ones(len(rows), bool)
        return rows[submodular.maximize(function, every, budget).rows]

    rows = np.concatenate([greedy(np.asarray(part[part >= 0]), 4) for part in parts])
    assert sorted(picked.rows.tolist()) == sorted(greedy(rows, BUDGET).tolist())


@pytest.mark.slow
def test_one_part_is_the_whole_pool():
    strategy = strategies.partition("core_set", num_partitions=1, merge="greedi")
    expected = acquire(strategies.core_set(), labels=KNOWN)
    np.testing.assert_array_equal(acquire(strategy, labels=KNOWN).rows, expected.rows)


@pytest.mark.slow
def test_fewer_rows_than_the_budget():
    strategy = strategies.partition("core_set", num_partitions=3)
    choose = jax.jit(lambda available: acquire(strategy, available=available))
    picked = choose(np.isin(np.arange(ROWS), [3, 30, 12]))
    assert sorted(picked.rows[:3].tolist()) == [3, 12, 30]
    assert (picked.rows[3:] == -1).all() and (picked.scores[3:] == -jnp.inf).all()


@pytest.mark.slow
@pytest.mark.parametrize("reads_labels", [True, False])
@pytest.mark.parametrize("merge", ["none", "greedi"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_weights_are_kept_and_labels_shown_to_rules_that_read_them(reads_labels, merge, shuffle):
    rule = by_number(reads_labels)
    strategy = strategies.partition(rule, num_partitions=3, shuffle=shuffle, merge=merge)
    picked = acquire(strategy, labels=KNOWN)
    assert strategy.reads_labels == reads_labels
    seen = 100 * LABELED.sum() if reads_labels else 0
    assert picked.weights is not None
    assert picked.weights.tolist() == (seen + picked.rows).tolist()
    assert len(set(picked.rows.tolist())) == BUDGET and not LABELED[picked.rows].any()


def test_slots_without_a_row_weigh_nothing():
    strategy = strategies.partition(by_number(False), num_partitions=3)
    choose = jax.jit(lambda available: acquire(strategy, available=available))
    picked = choose(np.isin(np.arange(ROWS), [3, 30]))
    assert sorted(picked.weights.tolist()) == [0, 0, 0, 0, 3, 30]


def test_strategies_say_whether_they_read_labels():
    for name in ("core_set", "glister"):
        assert strategies.make(name).reads_labels
        assert strategies.partition(name).reads_labels
    for name in (
        "badge",
        "k_means",
        "grad_match",
        "fass",
        "smi",
        "random",
        "entropy",
        "bald",
        "epig",
    ):
        assert not strategies.make(name).reads_labels
        assert not strategies.partition(name).reads_labels
    laplace = strategies.bald(posterior="last_layer_laplace")  # pyright: ignore[reportArgumentType]
    assert laplace.reads_labels and strategies.stochastic(laplace).reads_labels


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("merge", ["none", "greedi"])
def test_runs_under_other_settings_of_jax(mode, shuffle, merge):
    with MODES[mode]():
        rule = strategies.partition(by_number(True), shuffle=shuffle, merge=merge)
        picked = acquire(rule, labels=KNOWN)
    assert picked.rows.dtype == jnp.int32 and picked.scores.dtype == jnp.float32
    np.testing.assert_array_equal(picked.rows, acquire(rule, labels=KNOWN).rows)


def test_a_strategy_by_name_is_the_strategy():
    rule = {"name": "core_set", "block_size": 8}
    made = strategies.make("partition_strategy", strategy=rule, num_partitions=2)
    expected = strategies.partition(strategies.core_set(block_size=8), num_partitions=2)
    assert made is expected


@bad_inputs(
    {
        "no part": (
            lambda: strategies.partition(num_partitions=0),
            ValueError,
            "num_partitions: expected",
        ),
        "merge": (
            lambda: strategies.partition(merge="greedy"),
            ValueError,
            "did you mean 'greedi'",
        ),
        "oversampling": (
            lambda: strategies.partition(oversampling=0.5),
            ValueError,
            "oversampling: expected",
        ),
        "strategy": (lambda: strategies.partition("badg"), ValueError, "did you mean 'badge'"),
        "more parts than the budget": (
            lambda: acquire(strategies.partition(num_partitions=7)),
            ValueError,
            r"num_partitions: expected 1 to 6 \(the budget\), got 7",
        ),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
