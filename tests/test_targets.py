"""Functions that sum over a sample of the pool, by the definition in float64."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxal
from jaxal import rows, strategies, submodular
from jaxal.pools import devices
from jaxal.submodular.representation import EXACT, SAMPLED, num_targets

ROWS, SAMPLE = 40, 12
RNG = np.random.default_rng(0)
POOL = RNG.normal(size=(ROWS, 4)).astype(np.float32)
QUERY, PRIVATE = (RNG.normal(size=(3, 4)).astype(np.float32) for _ in range(2))
EVERY = jnp.ones(ROWS, bool)
EXAMPLES = {"fl1mi": ["query"], "flcg": ["private"], "flcmi": ["query", "private"]}


def cosine(x, y):
    x, y = (np.asarray(z, np.float64) for z in (x, y))
    return (x / np.linalg.norm(x, axis=1)[:, None]) @ (y / np.linalg.norm(y, axis=1)[:, None]).T


def make(name="facility_location", seed=0, x=POOL, **options) -> Any:
    given = {"query": jnp.asarray(QUERY), "private": jnp.asarray(PRIVATE)}
    examples = {one: given[one] for one in EXAMPLES.get(name, [])}
    key = jax.random.key(seed)
    return submodular.make(name, jnp.asarray(x), key=key, **examples, **options)


def reference(name, picks, sample, weight, before=()):
    """f(picks), each row of the sample represented by others, or by rows that were there before."""
    similar = cosine(POOL[sample], POOL)
    others = np.where(sample[:, None] == np.arange(ROWS), -np.inf, similar)
    near, far = cosine(POOL[sample], QUERY).max(1), cosine(POOL[sample], PRIVATE).max(1)
    start = {"fl1mi": np.minimum(-1, near), "flcg": far, "flcmi": far}.get(name, 0 * near)
    cap = near if name in ("fl1mi", "flcmi") else np.inf
    start = np.max([start, *similar[:, list(before)].T], axis=0)
    best = np.max([start, *np.minimum(others[:, list(picks)].T, cap)], axis=0)
    offset = start if name == "fl1mi" and len(picks) else 0.0
    return weight * np.sum(best - start + offset)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["facility_location", *EXAMPLES])
def test_greedy_follows_the_definition(name):
    function = make(name, targets=SAMPLE)
    sample = np.asarray(function.sample)
    assert len(set(sample.tolist())) == SAMPLE and function.weight == ROWS / SAMPLE
    value = partial(reference, name, sample=sample, weight=ROWS / SAMPLE)
    picked = submodular.maximize(function, EVERY, 3, block_size=7)
    assert not set(picked.rows.tolist()) <= set(sample.tolist())
    picks = []
    for row, score in zip(picked.rows.tolist(), picked.scores.tolist(), strict=True):
        gains = [value([*picks, other]) - value(picks) for other in range(ROWS)]
        gains = np.where(np.isin(np.arange(ROWS), picks), -np.inf, gains)
        assert gains[row] > gains.max() - 1e-4
        np.testing.assert_allclose(score, gains[row], rtol=1e-4, atol=1e-4)
        picks.append(row)


def test_the_estimate_is_unbiased():
    picks = jnp.array([3, 8, 21])
    others = np.where(np.eye(ROWS, dtype=bool), -np.inf, cosine(POOL, POOL))
    expected = np.maximum(others[:, picks].max(1), 0).sum()

    def estimate(key):
        function = submodular.facility_location(jnp.asarray(POOL), targets=SAMPLE, key=key)
        return submodular.evaluate(function, picks)

    found = np.asarray(jax.vmap(estimate)(jax.random.split(jax.random.key(1), 200)))
    assert found.std() > 0
    assert abs(found.mean() - expected) < 4 * found.std() / 200**0.5


def test_small_pools_are_summed_over_whole():
    plain, auto, whole, more = (make(targets=targets) for targets in ("all", "auto", ROWS, 99))
    for function in (auto, whole, more):
        jax.tree.map(np.testing.assert_array_equal, plain, function)
    assert num_targets("auto", EXACT) == num_targets("all", EXACT) == EXACT
    assert num_targets("auto", EXACT + 1) == SAMPLED
    assert num_targets("all", 10**9) == 10**9


def test_a_sample_of_all_usable_rows_is_all_of_them():
    usable = jnp.arange(ROWS) % 4 == 1
    part = make(targets=SAMPLE, usable=usable)
    assert part.weight == 1
    picks = jnp.array([5, 9, 17])
    expected = submodular.evaluate(make(targets="all", usable=usable), picks)
    np.testing.assert_allclose(submodular.evaluate(part, picks), expected, rtol=1e-5)


def test_rows_that_are_not_usable_are_not_drawn():
    usable = jnp.arange(ROWS) % 2 == 1
    wild = np.where(usable[:, None], POOL, np.nan)
    function = make(targets=SAMPLE, x=wild, usable=usable)
    assert (function.sample % 2 == 1).all() and function.weight == 20 / SAMPLE
    picked = submodular.maximize(function, EVERY, 25)
    assert picked.rows[20:].tolist() == [0, 2, 4, 6, 8] and jnp.isfinite(picked.scores[:20]).all()


def test_labelled_rows_stand_for_themselves_as_well():
    function = make(targets=SAMPLE)
    before = [int(function.sample[0]), int(function.sample[5]), 2]
    mask = jnp.zeros(ROWS, bool).at[jnp.array(before)].set(True)
    picked = submodular.maximize(submodular.given(function, mask), ~mask, 1)
    sample = np.asarray(function.sample)
    gains = [
        reference("facility_location", [row], sample, ROWS / SAMPLE, before) for row in range(ROWS)
    ]
    assert picked.rows[0] == np.argmax(np.where(mask, -np.inf, gains))
    np.testing.assert_allclose(picked.scores[0], gains[int(picked.rows[0])], rtol=1e-4)


@pytest.mark.slow
def test_the_same_picks_on_eight_devices():
    mesh = devices.make_mesh()

    def picks(x):
        with rows.rows_over(mesh if len(x.sharding.device_set) > 1 else None):
            return jax.jit(choose)(x)

    def choose(x):
        function = submodular.facility_location(x, targets=SAMPLE, key=jax.random.key(3))
        return submodular.maximize(function, EVERY, 6, block_size=8).rows

    one = picks(jnp.asarray(POOL))
    assert len(set(one.tolist())) == 6
    assert picks(devices.place_rows(POOL, mesh)).tolist() == one.tolist()


@pytest.mark.slow
def test_strategies_take_targets_and_draw_them_by_their_key():
    view = jaxal.View(jnp.asarray(POOL), jnp.full(ROWS, -1), ~EVERY, EVERY)
    option: dict[str, Any]
    for option in ({"targets": 6}, {"function": {"name": "facility_location", "targets": 6}}):
        strategy = strategies.submodular(**option)
        found = [strategy.select(jax.random.key(seed), view, 3).rows.tolist() for seed in range(8)]
        assert len({tuple(rows) for rows in found}) > 1
    with pytest.raises(ValueError, match="targets: graph_cut does not take it"):
        strategies.submodular(function="graph_cut", targets=6)
    with pytest.raises(ValueError, match="targets: expected"):
        strategies.submodular(targets="some")


@pytest.mark.slow
def test_lists_of_neighbours_that_are_given():
    lists = np.array([[1, -1], [2, 2], [3, 2], [-1, -1]])  # some twice, one itself
    x = np.abs(POOL[:4])
    similar = cosine(x, x)
    function = submodular.sparse_facility_location(jnp.asarray(x), neighbours=jnp.asarray(lists))
    for picks in ([0], [3], [0, 2], [1, 3, 2]):
        expected = sum(
            max([0, *(similar[i, j] for j in picks if j == i or j in lists[i])]) for i in range(4)
        )
        np.testing.assert_allclose(
            submodular.evaluate(function, jnp.array(picks)), expected, rtol=1e-5
        )
    picked = submodular.maximize(function, jnp.ones(4, bool), 4)
    np.testing.assert_allclose(picked.scores.sum(), 4.0, rtol=1e-5)
    with pytest.raises(ValueError, match="neighbours: expected 4 rows, got 3"):
        submodular.sparse_facility_location(jnp.asarray(x), neighbours=jnp.asarray(lists[:3]))


def test_a_row_in_very_many_lists_counts_for_the_most_similar_of_them():
    x = np.stack([np.cos(a := np.linspace(0, 1, 21)), np.sin(a)], 1).astype(np.float32)
    function = submodular.sparse_facility_location(
        jnp.asarray(x), neighbours=jnp.zeros((21, 1), int)
    )
    value = submodular.evaluate(function, jnp.array([0]))
    np.testing.assert_allclose(value, np.cos(a[:8]).sum(), rtol=1e-5)
