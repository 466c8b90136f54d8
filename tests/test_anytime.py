"""Decisions that can be left after any pass: prefixes of the whole ones, and what is proved."""

import functools
import itertools
import logging
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import MODES, CountTraces, clouds, softmax

from jaxal import pools, selection, submodular
from jaxal.points import placed
from jaxal.pools import devices
from jaxal.selection import anytime, certified
from jaxal.selection.anytime import _batch_bald, _k_center, _maximize, d2, progress

ROWS, BUDGET, BLOCK = 160, 24, 8
POINTS = clouds(ROWS, width=4).inputs
FREE: Any = np.random.default_rng(1).random(ROWS) < 0.8
RESIDUALS = clouds(ROWS, width=3, seed=2).inputs


def key():
    return jax.random.key(5)


def facility(points):
    return submodular.make("facility_location", points, metric="euclidean")


@jax.jit
def logits_of(points, residuals):
    """Of four draws, [4, N, 3]."""
    return jnp.stack([2.0 * residuals * points[:, draw, None] for draw in range(4)])


# name -> the rule on (points, residuals, available), pass by pass or whole.
ENGINES = {
    "k_center": lambda module, points, _, free: module.k_center(
        points, free, BUDGET, centers=POINTS[:3], block_size=BLOCK
    ),
    "k_means_plus_plus": lambda module, points, _, free: module.k_means_plus_plus(
        key(), points, free, BUDGET, block_size=BLOCK
    ),
    "badge": lambda module, points, residuals, free: module.badge(
        key(), residuals, points, free, BUDGET, block_size=BLOCK
    ),
    "batch_bald": lambda module, points, residuals, free: module.batch_bald(
        key(), logits_of(points, residuals), free, BUDGET, num_samples=30, block_size=BLOCK
    ),
    "maximize": lambda module, points, _, free: getattr(module, "maximize", submodular.maximize)(
        facility(points), free, BUDGET, block_size=BLOCK
    ),
}


def on(count):
    """Points, residuals and mask on so many devices."""
    mesh = None if count == 1 else devices.make_mesh(count)
    return devices.place_rows((POINTS, RESIDUALS, FREE), mesh)


STEPS = {
    "k_center": (_k_center, "pick_by_bounds"),
    "maximize": (_maximize, "pick_by_bounds"),
    "batch_bald": (_batch_bald, "pick_by_bounds"),
    "k_means_plus_plus": (d2, "draw_by_distance"),
    "badge": (d2, "draw_by_distance"),
}


def whole_of(name):
    return jax.tree.map(np.asarray, ENGINES[name](selection, *on(1)))


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 8])
@pytest.mark.parametrize("name", ENGINES)
def test_every_pass_has_a_prefix_of_the_whole_decision_by_one_program(
    name, count, monkeypatch, caplog
):
    whole = whole_of(name)
    module, part = STEPS[name]
    traced = CountTraces(getattr(module, part))
    monkeypatch.setattr(module, part, traced)
    module._step.clear_cache()
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        passes = list(ENGINES[name](anytime, *on(count)))
    assert traced.count == 1
    assert sum("Compiling jit(_step)" in line for line in caplog.messages) == 1
    check_prefixes(passes, whole)


@pytest.mark.slow
@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("mode", MODES)
def test_in_strict_modes(name, mode):
    with MODES[mode]():
        check_prefixes(ENGINES[name](anytime, *on(1)), whole_of(name))


def check_prefixes(passes, whole):
    before = 0
    for number, now in enumerate(passes, 1):
        picked, rows = now.count, np.asarray(now.selection.rows)
        assert before <= picked <= BUDGET and now.passes == number
        np.testing.assert_array_equal(rows[:picked], whole.rows[:picked])
        assert (rows[picked:] == -1).all()
        assert (np.asarray(now.selection.scores)[picked:] == -np.inf).all()
        assert now.done == (picked == BUDGET)
        before = picked
    assert now.done and number > 2
    np.testing.assert_allclose(now.selection.scores, whole.scores, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["k_center", "k_means_plus_plus", "badge"])
def test_points_are_not_copied(name, monkeypatch):
    monkeypatch.setattr(placed, "TILE", 1)  # points of more numbers are left where they are
    monkeypatch.setattr(
        STEPS[name][0], "passes", lambda state, step, *_: (state, step.args[1:], step(state))
    )
    kept = ENGINES[name](anytime, *(array[:130] for array in on(1)))
    assert max(leaf.size for leaf in jax.tree.leaves(kept)) == 130


@pytest.mark.slow
def test_a_pool_that_runs_out():
    free: Any = np.arange(9) < 4
    points = POINTS[:9].copy()
    points[1] = np.nan
    *_, covered = anytime.k_center(points, free, 6)
    assert covered.selection.rows.tolist()[3:] == [1, -1, -1] and covered.count == 4
    assert covered.bound == (0.0, 0.0) and covered.done
    *_, drawn = anytime.k_means_plus_plus(key(), points, free, 6, block_size=1)
    assert sorted(drawn.selection.rows.tolist()) == [-1, -1, 0, 1, 2, 3]
    assert drawn.bound.potential == 0.0 and drawn.bound.explained == 1.0
    function = submodular.make("facility_location", points, metric="euclidean")
    *_, last = anytime.maximize(function, jnp.asarray(free), 6)
    assert sorted(last.selection.rows.tolist()) == [-1, -1, 0, 1, 2, 3]
    assert last.bound.ratio == pytest.approx(1.0) and last.done
    none = list(anytime.k_center(points, jnp.zeros(9, bool), 2))
    assert len(none) == 1 and none[0].bound == (0.0, 0.0) and none[0].done


# ----- the covering radius


def radius(points, free, centers):
    """From the centers to the farthest free row, by differences in float64."""
    points, centers = np.asarray(points, float), np.asarray(centers, float)
    apart = np.linalg.norm(points[free][:, None] - centers[None], axis=-1)
    return apart.min(axis=1).max()


SPREADS = {"apart": POINTS[:10], "close": (1000 + 1e-3 * POINTS[:10]).astype(np.float32)}
SPREADS["copies"] = np.repeat(POINTS[:5], 2, axis=0)


@pytest.mark.slow
@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("given", [0, 2])
def test_the_radius_and_what_no_picks_could_cover(spread, given):
    points, free = SPREADS[spread], np.arange(10) != 4
    centers = points[:given] + np.float32(0.5) * (points[3] - points[0])
    options = {"centers": centers} if given else {}
    for covered in anytime.k_center(points, free, 3, block_size=1, **options):
        rows = np.asarray(covered.selection.rows)[: covered.count]
        now = radius(points, free, [*points[rows], *centers])
        assert now <= covered.bound.radius <= 1.01 * now + 1e-2
        best = min(
            radius(points, free, [*points[list(some)], *centers])
            for some in itertools.combinations(range(10), len(rows))
        )
        assert covered.bound.optimum <= best <= now
        # Within twice the best, but for what the products may have rounded away.
        assert covered.bound.optimum >= 0.49 * now - 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("shards", [None, 8])
def test_passes_over_a_compressed_pool(shards):
    pool = pools.compress(POINTS, None if shards is None else devices.make_mesh(shards))
    given = pool, FREE, BUDGET
    whole = certified.k_center(*given, centers=POINTS[:3], block_size=BLOCK).rows.tolist()
    for covered in anytime.certified_k_center(*given, centers=POINTS[:3], block_size=BLOCK):
        rows = np.asarray(covered.selection.rows)
        assert rows[: covered.count].tolist() == whole[: covered.count]
        assert (rows[covered.count :] == -1).all()
        now = radius(POINTS, FREE, POINTS[[*rows[: covered.count], 0, 1, 2]])
        assert now - 1e-5 <= covered.bound.radius <= 1.05 * now
        assert 0.4 * now <= covered.bound.optimum <= 0.5 * now + 1e-5
    assert covered.done and covered.count == BUDGET and covered.passes > 2
    two: Any = np.arange(ROWS) < 2
    *_, last = anytime.certified_k_center(pool, two, 3)
    assert last.selection.rows.tolist() == [0, 1, -1] and last.bound == (0.0, 0.0)


# ----- the lazy bound on the optimum

RNG = np.random.default_rng(3)
SMALL = RNG.normal(size=(8, 3)).astype(np.float32)
QUERY, PRIVATE = SMALL[:2] + np.float32(0.3), SMALL[2:4] - np.float32(0.3)
OVER = {"facility_location": {"metric": "euclidean"}, "set_cover": {}, "feature_based": {}}
OVER |= {"fl1mi": {"query": QUERY}, "fl2mi": {"query": QUERY, "shifted": True}}
OVER |= {"flcg": {"private": PRIVATE}, "log_determinant": {}, "gcmi": {"query": QUERY}}
OVER |= {"flcmi": {"query": QUERY, "private": PRIVATE}, "probabilistic_set_cover": {}}
OVER |= {"graph_cut": {"shifted": True}, "com": {"query": QUERY, "shifted": True}}
MONOTONE = sorted(OVER.keys() - {"gcmi"})  # its similarities are of either sign
OVER |= {
    "sharp log_determinant": {"ridge": 0.01},
    "strict graph_cut": {"shifted": True, "trade_off": 0.9},
    "logdetcg": {"private": PRIVATE, "nu": 0.7},
    "gccg": {"private": PRIVATE, "shifted": True},
}


def of(name):
    kind = name.split()[-1]
    data = SMALL > 0.2 if "cover" in kind else SMALL
    data = np.abs(SMALL) / 4 if kind == "probabilistic_set_cover" else data
    return submodular.make(kind, jnp.asarray(data, jnp.float32), **OVER[name])


def at_most_three(rows):
    return [some for size in range(4) for some in itertools.combinations(rows, size)]


def value_of(function, some):
    rows: Any = np.array([*some, *[-1] * (3 - len(some))], np.int32)
    return float(submodular.evaluate(function, rows))


@pytest.mark.slow
def test_which_functions_are_known_to_be_monotone():
    assert sorted(name for name in OVER if of(name).monotone) == MONOTONE
    some = submodular.given(of("set_cover"), jnp.arange(8) < 2)
    assert some.monotone and not submodular.SetFunction.monotone


@pytest.mark.slow
@pytest.mark.parametrize("name", MONOTONE)
def test_no_gain_of_a_monotone_function_is_negative(name):
    function = of(name)
    values = {some: value_of(function, some) for some in at_most_three(range(8))}
    # An offset is f of no more than a pick: monotone is what the gains are.
    for some, value in values.items():
        for row in set(some) if len(some) > 1 else ():
            assert values[tuple(other for other in some if other != row)] <= value + 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", OVER)
def test_no_rows_have_a_higher_value_than_is_said(name):
    function, free = of(name), np.arange(8) != 6
    value = functools.partial(value_of, function)
    best = max(value(some) for some in at_most_three(np.flatnonzero(free).tolist()) if some)
    before = np.inf
    for found in anytime.maximize(function, jnp.asarray(free), 3, block_size=1):
        bound, picked = found.bound, tuple(found.selection.rows.tolist())
        assert best - 1e-5 <= bound.optimum <= before
        assert bound.value == pytest.approx(value(picked), abs=1e-5)
        assert best <= 0 or bound.ratio <= max(bound.value / best, 0.0) + 1e-5
        before = bound.optimum
    if name in MONOTONE and function.offset is None:
        assert bound.ratio >= 1 - 1 / np.e  # as lazy greedy is proved to reach


def test_a_ratio_where_nothing_is_proved():
    assert anytime.Value(-1.0, -0.5).ratio == 0.0 and anytime.Value(-1.0, 2.0).ratio == 0.0
    assert anytime.Value(0.0, 0.0).ratio == 1.0 and anytime.Value(1.0, 4.0).ratio == 0.25


def information(logits, some):
    """Between the labels of some rows and which draw is true, in nats, by all outcomes."""
    probs = softmax(logits)[:, list(some)]  # [K, t, C]
    joint = np.stack(
        [
            np.prod([probs[:, place, label] for place, label in enumerate(labels)], axis=0)
            for labels in itertools.product(range(probs.shape[2]), repeat=len(some))
        ]
    )  # [outcomes, K]
    total, given = joint.mean(axis=1), -(joint * np.log(joint)).sum(axis=0).mean()
    return -(total * np.log(total)).sum() - given


@pytest.mark.slow
def test_no_batch_tells_more_than_is_said():
    logits: Any = 3.0 * np.random.default_rng(4).normal(size=(5, 7, 2)).astype(np.float32)
    best = max(information(logits, some) for some in itertools.combinations(range(7), 3))
    for found in anytime.batch_bald(key(), logits, jnp.ones(7, bool), 3, block_size=1):
        picked = np.asarray(found.selection.rows)[: found.count]
        assert found.bound.optimum >= best - 1e-5
        assert found.bound.value == pytest.approx(information(logits, picked), abs=1e-5)
    assert found.bound.ratio >= 1 - 1 / np.e


# ----- a rule of one's own

RULE = selection.Rule(
    bounds=lambda state: state[0],
    load_block=lambda state, rows: state[1][rows],
    scores=lambda block: block,
    pick=lambda block, position: block,
    flush=lambda state, block, rows: (state[0].at[rows].set(block), state[1]),
)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 8])
def test_passes_by_a_rule_of_ones_own(count):
    scores: Any = np.random.default_rng(6).random(ROWS).astype(np.float32)
    take_top = jax.jit(selection.take_top, static_argnums=2)
    whole = np.asarray(take_top(scores, FREE, BUDGET).rows)
    mesh = None if count == 1 else devices.make_mesh(count)
    state, free = devices.place_rows(((scores + np.float32(0.1), scores), FREE), mesh)
    for found in anytime.lazy_greedy(RULE, state, free, BUDGET, block_size=BLOCK):
        rows, picked = np.asarray(found.selection.rows), found.count
        np.testing.assert_array_equal(rows[:picked], whole[:picked])
        left = np.delete(scores, rows[:picked])[np.delete(FREE, rows[:picked])]
        assert left.max() <= found.bound.score
    assert found.done and found.passes > 2 and picked == BUDGET


# ----- the share of D^2


@pytest.mark.parametrize("name", ["k_means_plus_plus", "badge"])
def test_the_share_of_the_squared_distance_that_is_explained(name):
    points = POINTS.astype(float)
    if name == "badge":
        points = (RESIDUALS.astype(float)[:, :, None] * points[:, None]).reshape(ROWS, -1)
    shares = []
    for drawn in ENGINES[name](anytime, *on(1)):
        rows = np.asarray(drawn.selection.rows)[: drawn.count]
        potential, initial = (potential_of(points, centers) for centers in (rows, rows[:1]))
        assert drawn.bound.potential == pytest.approx(potential, rel=1e-4)
        assert drawn.bound.initial == pytest.approx(initial, rel=1e-4)
        shares.append(drawn.bound.explained)
        assert shares[-1] == pytest.approx(1 - potential / initial, abs=1e-4)
    assert shares[0] == 0.0 and sorted(shares) == shares and shares[-1] > 0.5


def potential_of(points, rows):
    apart = ((points[FREE][:, None] - points[rows][None]) ** 2).sum(axis=-1)
    return apart.min(axis=1).sum()


# ----- a limit of time


def test_a_limit_of_time_and_passes_that_go_on(monkeypatch):
    clock = itertools.count()  # a second passes between looks at it
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    passes = anytime.k_center(POINTS, FREE, BUDGET, block_size=BLOCK)
    last = anytime.until(passes, seconds=2.0)
    assert last.passes == 2 and not last.done
    last = anytime.until(passes, seconds=1e-3)
    assert last.passes == 3  # one at least
    last = anytime.until(passes, seconds=1e6)
    assert last.done and last.count == BUDGET
    with pytest.raises(ValueError, match="progress: expected passes to make"):
        anytime.until(passes, seconds=1.0)


def test_of_several_processes_the_first_ones_clock_counts(monkeypatch):
    told = []
    of_the_first = SimpleNamespace(from_first=lambda own: told.append(own()) or True)
    monkeypatch.setattr(progress, "processes", of_the_first)
    passes = anytime.k_center(POINTS, FREE, BUDGET, block_size=BLOCK)
    assert anytime.until(passes, seconds=1e6).passes == 1 and told == [False]
