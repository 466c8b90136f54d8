"""What `maximize` does whatever the function: optimizers, costs, stopping, devices."""

from contextlib import nullcontext
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs

from jaxal import submodular
from jaxal.checks import is_traced
from jaxal.pools import devices

ROWS, WIDTH = 26, 5
POOL = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32)
SAMPLING = ("stochastic", "lazier_than_lazy")
EVERY = jnp.ones(ROWS, bool)


def gaussian(rows, width, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)


def maximize(*arguments, **options):
    """NumPy arrays of what is picked: slices and sums of these are no programs."""
    picked = submodular.maximize(*arguments, **options)
    return picked if is_traced(picked) else jax.tree.map(np.asarray, picked)


@pytest.mark.slow
@pytest.mark.parametrize("block_size", [1, 16, 10_000])
def test_lazy_is_naive(block_size):
    x = np.random.default_rng(1).normal(size=(200, 7))
    x[50:60] = x[:10]  # ties go to the lowest row
    function = submodular.facility_location(jnp.asarray(x, jnp.float32))
    every = jnp.ones(200, bool)
    naive = maximize(function, every, 60, optimizer="naive")
    lazy = maximize(function, every, 60, block_size=block_size)
    assert lazy.rows.tolist() == naive.rows.tolist()
    assert not set(naive.rows.tolist()) & set(range(50, 60))
    np.testing.assert_allclose(lazy.scores, naive.scores, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", submodular.OPTIMIZERS)
@pytest.mark.parametrize("name", ["facility_location", "disparity_min"])
def test_all_available_rows_and_no_more(name, optimizer):
    available = np.arange(ROWS) % 4 != 1
    function = submodular.make(name, jnp.asarray(POOL))
    gives_way = not function.submodular and optimizer in SAMPLING
    with pytest.warns(match="Disparity is not") if gives_way else nullcontext():
        picked = maximize(
            function,
            jnp.asarray(available),
            ROWS,
            optimizer=optimizer,
            key=jax.random.key(0),
        )
    count = available.sum()
    assert sorted(picked.rows[:count].tolist()) == np.flatnonzero(available).tolist()
    assert (picked.rows[count:] == -1).all()
    assert (picked.scores[count:] == -np.inf).all()


@pytest.mark.slow
def test_sampling_optimizers_agree_and_come_close():
    x = np.random.default_rng(3).normal(size=(150, 4)).astype(np.float32)
    function = submodular.facility_location(jnp.asarray(x), metric="euclidean")
    every = jnp.ones(150, bool)
    greedy = maximize(function, every, 10)
    for seed in range(5):
        with jax.debug_key_reuse(False):
            sampled, lazily = (
                maximize(
                    function,
                    every,
                    10,
                    optimizer=optimizer,
                    key=jax.random.key(seed),
                )
                for optimizer in ("stochastic", "lazier_than_lazy")
            )
        assert sampled.rows.tolist() == lazily.rows.tolist()
        assert len(set(sampled.rows.tolist())) == 10
        assert sampled.scores.sum() > 0.95 * greedy.scores.sum()


@pytest.mark.slow
def test_stops_where_nothing_is_gained():
    cover = submodular.set_cover(jnp.asarray(np.eye(3)[[0, 0, 1, 2, 1]]))
    every = jnp.ones(5, bool)
    stopped = maximize(cover, every, 5, stop_if_zero_gain=True)
    assert stopped.rows.tolist() == [0, 2, 3, -1, -1]
    onward = maximize(cover, every, 5, stop_if_negative_gain=True)
    assert onward.rows.tolist() == [0, 2, 3, 1, 4]
    cut = submodular.graph_cut(jnp.asarray(POOL), trade_off=3.0, metric="euclidean")
    picked = maximize(cut, EVERY, ROWS, stop_if_negative_gain=True)
    count = int((picked.rows >= 0).sum())
    full = maximize(cut, EVERY, ROWS)
    assert 0 < count < ROWS
    assert picked.rows[:count].tolist() == full.rows[:count].tolist()
    assert full.scores[count - 1] > 0 > full.scores[count]


def similarity(x):
    x = np.asarray(x, np.float64)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    return unit @ unit.T


def greedy_with_costs(x, available, budget, costs, cost_budget, cost_sensitive):
    """Facility location by plain greedy in float64: the rows, and how closely each was decided."""
    similar, best = similarity(x), np.zeros(len(x))
    free, left, rows, gaps = available.copy(), cost_budget, [], []
    while len(rows) < budget and (free & (costs <= left)).any():
        gains = np.maximum(similar - best, 0).sum(1)
        worth = np.where(free & (costs <= left), gains, -np.inf)
        if cost_sensitive:
            worth = worth / costs
        row = int(worth.argmax())
        second = np.delete(worth, row).max()
        gaps.append((worth[row] - second) / worth[row])
        rows.append(row)
        free[row], left = False, left - costs[row]
        best = np.maximum(best, similar[row])
    return rows, gaps


COSTLY = 60  # rows


def pick(x, costs, cost_budget, *, budget=12, available=None, **options):
    available = jnp.ones(COSTLY, bool) if available is None else jnp.asarray(available)
    return maximize(
        submodular.facility_location(jnp.asarray(x)),
        available,
        budget,
        costs=jnp.asarray(costs, jnp.float32),
        cost_budget=cost_budget,
        **{"block_size": 7, **options},
    )


@pytest.mark.slow
@pytest.mark.parametrize("cost_sensitive", [True, False])
@pytest.mark.parametrize("optimizer", ["naive", "lazy"])
def test_costs(optimizer, cost_sensitive):
    compared = 0
    for seed, cost_budget in enumerate([0.5, 4.0, 12.0, 30.0, 1e6], start=1):
        x = gaussian(COSTLY, 5, seed)
        costs = np.random.default_rng(seed).choice([0.3, 1.0, 2.5, 7.0], COSTLY)
        available = np.arange(COSTLY) % 5 != 1
        picked = pick(
            x,
            costs,
            cost_budget,
            available=available,
            optimizer=optimizer,
            cost_sensitive=cost_sensitive,
        )
        expected, gaps = greedy_with_costs(x, available, 12, costs, cost_budget, cost_sensitive)
        assert min(gaps) > 1e-5
        count = len(expected)
        assert picked.rows[:count].tolist() == expected
        assert (picked.rows[count:] == -1).all()
        assert (picked.scores[count:] == -np.inf).all()
        value = np.maximum(similarity(x)[expected].max(0), 0).sum()
        np.testing.assert_allclose(picked.scores[:count].sum(), value, rtol=1e-5)
        compared += count
    assert compared > 30


@pytest.mark.slow
def test_costs_at_the_edges():
    x, ones = gaussian(COSTLY, 5), np.ones(COSTLY)
    plain = maximize(submodular.facility_location(jnp.asarray(x)), jnp.ones(COSTLY, bool), 12)
    assert pick(x, ones, 1e9).rows.tolist() == plain.rows.tolist()
    seven = pick(x, 0.1 * ones, 0.7).rows  # 0.1 has no exact float
    assert seven.tolist() == [*plain.rows[:7].tolist(), *[-1] * 5]
    for too_little in (0.9, 0.0):
        assert (pick(x, ones, too_little).rows == -1).all()
    worthless = ones.copy()
    worthless[plain.rows[:3]] = 0.0, -2.0, np.nan
    rest = pick(x, worthless, 1e9).rows
    assert not set(rest.tolist()) & set(plain.rows[:3].tolist()) and (rest >= 0).all()


def test_the_better_of_two_greedys_is_needed():
    cover = submodular.set_cover(jnp.asarray([[1] + [0] * 9, [0] + [1] * 9]))
    options = {"costs": jnp.asarray([1.0, 9.5]), "cost_budget": 9.5}
    for cost_sensitive, first in ((True, 0), (False, 1)):
        rows = maximize(cover, jnp.ones(2, bool), 2, cost_sensitive=cost_sensitive, **options).rows
        assert rows.tolist() == [first, -1]


@pytest.mark.slow
def test_sampling_keeps_to_the_costs():
    x = gaussian(COSTLY, 5)
    costs = np.random.default_rng(1).uniform(0.5, 3, COSTLY).astype(np.float32)
    with jax.debug_key_reuse(False):
        sampled, lazily = (
            pick(x, costs, 5.0, optimizer=optimizer, key=jax.random.key(2)).rows
            for optimizer in SAMPLING
        )
    assert sampled.tolist() == lazily.tolist()
    rows = sampled[sampled >= 0]
    assert 3 < len(rows) < 12 and costs[rows].sum() <= 5.0
    spare = np.delete(np.arange(COSTLY), rows)
    assert (costs[spare] > 5.0 - costs[rows].sum()).all()


@pytest.mark.slow
def test_one_program_for_many_budgets():
    x = jnp.asarray(gaussian(COSTLY, 5))
    costs = np.random.default_rng(1).uniform(0.5, 3, COSTLY)
    budgets = jnp.asarray([2.0, 9.0, 40.0])
    many = jax.vmap(lambda cost_budget: pick(x, costs, cost_budget).rows)(budgets)
    for rows, cost_budget in zip(many, budgets, strict=True):
        assert rows.tolist() == pick(x, costs, cost_budget).rows.tolist()


@jax.jit
def first_gains(function):
    return function.gains(function.init(1), function.columns(jnp.arange(40)))


@pytest.mark.slow
@pytest.mark.parametrize("shifted", [False, True])
def test_bounds_of_the_first_gains(shifted):
    x = gaussian(40, 6)
    for points in (x, np.abs(x), 1e20 * x, np.eye(40, 6, dtype=x.dtype)):
        points[7] = 0.0
        function = submodular.facility_location(jnp.asarray(points), shifted=shifted)
        bounds = function.bounds()
        assert bounds is not None
        assert (first_gains(function) <= np.asarray(bounds)).all()
    for given, metric in ((x, "euclidean"), (x[:5], "cosine")):
        function = submodular.facility_location(jnp.asarray(given), metric=metric)
        assert function.bounds() is None


@pytest.mark.slow
def test_same_picks_on_eight_devices():
    mesh = devices.make_mesh()
    x, query = gaussian(64, 6), jnp.asarray(gaussian(5, 6, seed=1))

    def picks(name, x, available):
        aim = query if name.endswith("mi") else None
        function = submodular.make(name, x, query=aim)
        return submodular.maximize(function, available, 6, block_size=8).rows

    for name in (
        "facility_location",
        "log_determinant",
        "graph_cut",
        "fl2mi",
        "logdetmi",
    ):
        run = jax.jit(partial(picks, name))
        every = jnp.ones(64, bool)
        one = run(jnp.asarray(x), every)
        assert len(set(one.tolist())) == 6
        assert run(*devices.place_rows((x, every), mesh)).tolist() == one.tolist()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("optimizer", ["naive", "lazy"])
def test_gains_that_are_rounding_are_ties(optimizer, seed):
    # Parallel rows are alike but for rounding, which differs between numbers of devices.
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.1, 10, (64, 1)) * rng.normal(size=37)
    function = submodular.facility_location(jnp.asarray(x, jnp.float32))
    picked = maximize(function, jnp.ones(64, bool), 9, optimizer=optimizer)
    first, *rest = picked.rows.tolist()
    assert rest == [row for row in range(9) if row != first][:8]
    np.testing.assert_array_equal(picked.scores[1:], 0.0)


X, COSTS = jnp.asarray(POOL), jnp.ones(ROWS)


@bad_inputs(
    {
        "no cost budget": ({"costs": COSTS}, ValueError, "cost_budget: needed with costs"),
        "no costs": ({"cost_budget": 1.0}, ValueError, "costs: needed with cost_budget"),
        "length": ({"costs": COSTS[1:], "cost_budget": 1.0}, ValueError, "costs: expected 26 rows"),
        "rank": ({"costs": COSTS[None], "cost_budget": 1.0}, ValueError, r"costs: .*\[N\]"),
        "budgets": (
            {"costs": COSTS, "cost_budget": COSTS},
            TypeError,
            "cost_budget: .*number",
        ),
    }
)
def test_bad_costs_are_named(given, error, message):
    with pytest.raises(error, match=message):
        submodular.maximize(submodular.facility_location(X), EVERY, 2, **given)
