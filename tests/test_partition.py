"""Strategies on parts of the pool: how it is cut, what a part sees, and what GreeDi makes of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import MODES, bad_inputs, by_number, keys, table_model

import jaxal
from jaxal import selection, strategies, submodular
from jaxal.pools import devices
from jaxal.selection._partitions import at_random, budgets_of, in_order, shape_of, some_of

ROWS, BUDGET = 41, 6
RNG = np.random.default_rng(3)
FEATURES = RNG.normal(size=(ROWS, 4)).astype(np.float32)
LABELED = np.isin(np.arange(ROWS), [0, 7, 8, 20, 33])
MODEL = table_model(np.zeros((ROWS, 2), np.float32), FEATURES)
KNOWN = np.where(LABELED, 0, -1)


def acquire(strategy, **options):
    return jaxal.acquire(keys(1)[0], strategy, MODEL, {}, jnp.arange(ROWS), BUDGET, **options)


def cut(shuffle, available, parts, budget):
    """The rows of each part as lists, and the budgets."""

    @jax.jit
    def slots(key, available):
        sizes, budgets = budgets_of(available, parts, budget, shuffle=shuffle)
        made = in_order(sizes, available)
        if shuffle:
            words = jax.random.bits(key, (len(available),), jnp.uint32)
            made = at_random(words, available, parts)
        numbers = jnp.arange(len(available))
        found, real = jax.lax.map(lambda part: made.rows_of(numbers, part), made.parts)
        return sizes, budgets, found, real

    sizes, budgets, found, real = slots(keys(1)[0], np.asarray(available))
    rows = [some[mask].tolist() for some, mask in zip(np.asarray(found), real, strict=True)]
    assert [len(some) for some in rows] == sizes.tolist()
    return rows, budgets


@pytest.mark.slow
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(
    ("rows", "parts", "budget"), [(41, 4, 9), (41, 5, 37), (300, 7, 20), (600, 70, 80)]
)
def test_every_available_row_is_in_one_part(shuffle, rows, parts, budget):
    available = np.arange(rows) % 8 > 0
    found, budgets = cut(shuffle, available, parts, budget)
    every = sum(found, [])
    assert sorted(every) == np.flatnonzero(available).tolist()
    assert (every == sorted(every)) != shuffle
    assert all(some == sorted(some) for some in found)
    sizes = [len(some) for some in found]
    assert np.ptp(sizes) <= 1 and (np.asarray(budgets) <= sizes).all()
    assert budgets.sum() == min(budget, available.sum())
    if shuffle:
        assert np.ptp(budgets) <= 1


@pytest.mark.slow
@pytest.mark.parametrize(("shuffle", "merge"), [(True, "greedi"), (False, "none")])
def test_devices_that_share_whole_blocks_pick_as_one(shuffle, merge):
    # Parts of 7 slots in each block of 256 rows; more labelled rows than a part has slots.
    inputs = np.random.default_rng(0).normal(size=(1024, 4)).astype(np.float32)
    labels = np.where(np.arange(1024) % 5 < 2, 0, -1)
    model = jaxal.models.mlp(3, hidden=(8,))
    variables = model.init(jax.random.key(0), jnp.asarray(inputs[:1]))
    strategy = strategies.partition("core_set", num_partitions=40, shuffle=shuffle, merge=merge)

    def pick(mesh):
        pool = jaxal.place(inputs, labels, mesh)
        return jaxal.acquire(keys(1)[0], strategy, model, variables, pool, 50).rows

    one = pick(None)
    assert (labels[one] < 0).all() and len(set(one.tolist())) == 50
    np.testing.assert_array_equal(pick(devices.make_mesh(4)), one)


def test_random_parts_depend_on_the_draw_alone():
    """Each row is in each part about as often, and rows that begin a block are no exception."""
    words = jax.random.bits(keys(1)[0], (400, 140), jnp.uint32)
    available = jnp.arange(140) != 3
    part = jax.jit(jax.vmap(lambda words: at_random(words, available, 4).parts))(words)
    place, size = np.asarray(part)[:, 0, 0], shape_of(140, 4).size
    often = np.bincount(place[place < size].ravel(), minlength=size) / 400
    assert often[3] == 0
    expected = np.full(size - 1, 32 / (size - 1))
    assert np.abs(np.delete(often, 3) - expected).max() < 4.5 * np.sqrt(0.25 * 0.75 / 400)


@pytest.mark.parametrize("number", [0, 1, 7, 30, 36, 40])
def test_some_of_the_labelled_rows(number):
    words = jax.random.bits(keys(1)[0], (ROWS,), jnp.uint32)
    found = np.asarray(some_of(words, jnp.asarray(~LABELED), number))
    highest = np.sort(np.asarray(words)[~LABELED])[::-1][:number]
    assert sorted(np.asarray(words)[found]) == sorted(highest)


@pytest.mark.slow
def test_every_part_sees_all_labelled_rows():
    strategy = strategies.partition("core_set", num_partitions=3, shuffle=False)
    picked = acquire(strategy, labels=KNOWN)
    parts, budgets = cut(False, ~LABELED, 3, BUDGET)
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
    parts, _ = cut(False, ~LABELED, 3, BUDGET)

    def greedy(rows, budget):
        function = submodular.facility_location(jnp.asarray(FEATURES[rows]), metric="euclidean")
        every = jnp.ones(len(rows), bool)
        return rows[submodular.maximize(function, every, budget).rows]

    rows = np.concatenate([greedy(np.asarray(part), 4) for part in parts])
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
        rule = strategies.partition(by_number(True), num_partitions=3, shuffle=shuffle, merge=merge)
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
