"""D^2 sampling and BADGE from compressed pools: the law is that of the features themselves."""

import dataclasses
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs, keys

from jaxal import pools, selection
from jaxal.pools import devices
from jaxal.selection import certified
from jaxal.selection.certified._d2 import one_pass, propose, sample, start
from jaxal.selection.certified._points import Points, copy_of

RNG = np.random.default_rng(0)
CENTERS = RNG.normal(size=(50, 8)) * 3
DRAWS = 8_000


def clusters(rows, seed=1):
    rng = np.random.default_rng(seed)
    found = CENTERS[rng.integers(0, len(CENTERS), rows)] + rng.normal(size=(rows, 8))
    return found.astype(np.float32)


def residuals_of(rows, classes=4, seed=2):
    logits = np.random.default_rng(seed).normal(size=(rows, classes)) * 2
    embedding = jax.jit(selection.gradient_embedding)
    return embedding(logits.astype(np.float32), np.ones((rows, 1), np.float32)).residuals


POINTS = clusters(3003)
FREE: Any = np.random.default_rng(3).random(len(POINTS)) < 0.9
RESIDUALS = residuals_of(len(POINTS))


def outer(residuals, features):
    """Gradients written out, in float64."""
    residuals, features = (np.asarray(one, np.float64) for one in (residuals, features))
    return (residuals[:, :, None] * features[:, None, :]).reshape(len(features), -1)


def coarse(points, step):
    """A pool whose codes are rounded to multiples of a step, so that most proposals are refused."""
    pool = pools.compress(points)
    codes = jnp.asarray(np.round(np.asarray(pool.codes) / step) * step, jnp.int8)
    said = np.asarray(codes, np.float64) * np.float64(pool.scale) + np.float64(pool.offset)
    error = np.sqrt(((said - points) ** 2).sum(axis=1)) * (1 + 1e-6)
    pool = dataclasses.replace(pool, codes=codes, error=jnp.asarray(error, jnp.float32))
    return pool, said


def law(points, first, budget, available):
    """Exact probabilities of all sequences of picks, in float64; `first` None: uniform."""
    squared = ((points[:, None] - points[None]) ** 2).sum(-1)
    rows, chance = np.flatnonzero(available).tolist(), {}
    for picks in itertools.permutations(rows, budget):
        if first is not None and picks[0] != first:
            continue
        probability = 1.0 if first is not None else 1.0 / len(rows)
        for turn in range(1, budget):
            weight = squared[:, list(picks[:turn])].min(1) * available
            probability *= weight[picks[turn]] / weight.sum()
        chance[picks] = probability
    return chance


def drawn(copy, first, available, budget, source, residuals=None, draws=DRAWS):
    """How often each sequence is drawn: the passes of the rule, over many keys at once.

    What is read comes from a source [N, D], and from residuals [N, C] where these are copies too.
    """
    middle, size = jnp.zeros(source.shape[1]), max(16, 2 * budget)

    @jax.jit
    @jax.vmap
    def draw(key):
        drawing, begins = start(key, copy, first, available, budget)

        def body(drawing):
            candidates = propose(copy, drawing.state, begins, num=size)
            own = None if residuals is None else residuals[candidates.rows]
            read = Points(own, source[candidates.rows])
            return one_pass(copy, drawing, candidates, read, middle)

        drawing = jax.lax.while_loop(lambda one: one.state.count < budget, body, drawing)
        return drawing.state.rows, drawing.state.passes

    rows, passes = draw(keys(draws))
    sequences, counts = np.unique(np.asarray(rows), axis=0, return_counts=True)
    return dict(zip(map(tuple, sequences.tolist()), counts.tolist(), strict=True)), passes


def chi_square(found, expected, draws=DRAWS):
    """In standard deviations above its mean."""
    assert set(found) <= set(expected)
    total = sum((found.get(one, 0) - draws * p) ** 2 / (draws * p) for one, p in expected.items())
    freedom = len(expected) - 1
    return (total - freedom) / np.sqrt(2 * freedom)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["features", "gradients", "copies of both"])
def test_follows_the_sequential_law(kind):
    points = clusters(7, seed=5) if kind == "features" else clusters(7, seed=5) + 2
    pool, said = coarse(points, 60)
    available = np.arange(7) != 3
    residuals = None if kind == "features" else residuals_of(7)
    first = None if kind == "features" else 5
    given, blurred_residuals, read = residuals, residuals, None
    if kind == "copies of both":
        given, blurred_residuals = coarse(np.asarray(residuals), 40)
        read = residuals
    copy = copy_of(pool, given, jnp.asarray(available), at_zero=kind != "features")
    where = None if first is None else jnp.int32(first)
    found, passes = drawn(copy, where, jnp.asarray(available), 3, jnp.asarray(points), read)
    exact, blurred = points.astype(float), said
    if residuals is not None:
        exact, blurred = outer(residuals, points), outer(blurred_residuals, said)
    assert chi_square(found, law(exact, first, 3, available)) < 4
    # The same test tells the law of the copies from that of the rows.
    assert chi_square(found, law(blurred, first, 3, available)) > 6
    assert passes.mean() < 20


@pytest.mark.slow
def test_the_passes_are_those_of_the_function():
    points = clusters(7, seed=5)
    pool, _ = coarse(points, 60)
    available, seeds = jnp.ones(7, bool), keys(20)
    copy = copy_of(pool, None, available, at_zero=False)
    options = {"block_size": 64, "advance": None}
    for key in seeds:
        expected = sample(key, copy, None, jnp.zeros(8), available, 3, **options).rows
        picked = certified.k_means_plus_plus(key, pool, available, 3, block_size=64)
        np.testing.assert_array_equal(picked.rows, expected)


@jax.jit
def norm_bounds(copy):
    return copy.norm_bounds()


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind, precision",
    [
        ("features", "bfloat16"),
        ("gradients", "int8"),
        ("gradients", "bfloat16"),
        ("copies of both", "int8"),
        ("copies of both", "bfloat16"),
    ],
)
def test_no_row_is_farther_than_its_bound(kind, precision):
    points = POINTS[:500] + np.float32(20)
    pool = pools.compress(points, precision=precision)
    residuals = None if kind == "features" else RESIDUALS[:500]
    available = pool.by_row(np.ones(500, bool))
    padded = None if residuals is None else pool.by_row(residuals)
    if kind == "copies of both":
        padded = pools.compress(np.asarray(residuals), precision=precision)
    copy = copy_of(pool, padded, available, at_zero=kind != "features")
    exact = points.astype(float) if residuals is None else outer(residuals, points)
    drawing, begins = start(jax.random.key(0), copy, None, available, 40)
    proposed, passed = jax.jit(propose, static_argnames="num"), jax.jit(one_pass)
    while int(drawing.state.count) < 40:
        candidates = proposed(copy, drawing.state, begins, num=64)
        read = copy.read(candidates.rows)
        drawing = passed(copy, drawing, candidates, read, np.zeros(8, np.float32))
    picks = np.asarray(drawing.state.rows)
    unit = float(copy.unit * copy.weight)
    bound = np.sqrt(np.asarray(drawing.state.squared, float)[:500]) * unit
    distance = np.sqrt(((exact[:, None] - exact[picks]) ** 2).sum(-1)).min(1)
    assert (distance <= bound * (1 + 1e-6)).all()
    others = np.setdiff1d(np.arange(500), picks)
    assert np.median(bound[others] / distance[others]) < 1.1
    if residuals is not None:
        norms = (exact**2).sum(axis=1)
        assert (norms <= np.asarray(norm_bounds(copy), float)[:500] * unit**2).all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["features", "gradients"])
def test_scores_are_squared_distances_of_the_rows(kind):
    pool = pools.compress(POINTS)
    if kind == "features":
        picked = certified.k_means_plus_plus(jax.random.key(0), pool, FREE, 60)
        exact, first = (
            POINTS.astype(float),
            ((POINTS[picked.rows[0]] - POINTS[FREE].mean(0)) ** 2),
        )
    else:
        picked = certified.badge(jax.random.key(0), RESIDUALS, pool, FREE, 60)
        exact = outer(RESIDUALS, POINTS)
        first = exact[picked.rows[0]] ** 2
        norms = np.where(FREE, (exact**2).sum(axis=1), -1.0)
        assert picked.rows[0] == np.argmax(norms)
    rows, picked_scores = np.asarray(picked.rows), np.asarray(picked.scores)
    assert len(set(rows.tolist())) == 60 and FREE[rows].all()
    np.testing.assert_allclose(picked_scores[0], first.sum(), rtol=0.02)
    for turn in range(1, 60):
        nearest = ((exact[rows[:turn]] - exact[rows[turn]]) ** 2).sum(-1).min()
        np.testing.assert_allclose(picked_scores[turn], nearest, rtol=1e-4)


@pytest.mark.slow
def test_the_potential_is_that_of_the_rule_in_memory():
    pool, everything = pools.compress(POINTS), jnp.ones(len(POINTS), bool)
    exact = outer(RESIDUALS, POINTS)

    def potential(rows):
        return ((exact[:, None] - exact[np.asarray(rows)]) ** 2).sum(-1).min(1).sum()

    def memory(key):
        return selection.badge(key, RESIDUALS, jnp.asarray(POINTS), everything, 40).rows

    def disk(key):
        return certified.badge(key, RESIDUALS, pool, everything, 40).rows

    found, expected = (
        np.array([potential(rule(key)) for key in keys(30)]) for rule in (disk, memory)
    )
    band = 4 * np.sqrt((found.var() + expected.var()) / 30)
    assert abs(found.mean() - expected.mean()) < band


class Counted:
    """A source that counts the rows that are asked for one by one."""

    def __init__(self, rows):
        self.rows, self.read = rows, 0
        self.shape, self.dtype = rows.shape, rows.dtype

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, rows):
        if not isinstance(rows, slice):
            self.read += len(rows)
        return self.rows[rows]


def test_a_program_serves_all_passes():
    """What a pass returns is of the types that it was given, weak ones too."""
    copy = copy_of(SMALL["pool"], None, jnp.ones(40, bool), at_zero=False)

    def pass_(drawing, begins):
        candidates = propose(copy, drawing.state, begins, num=16)
        read = Points(None, jnp.zeros((16, 8)))
        return one_pass(copy, drawing, candidates, read, jnp.zeros(8))

    given = start(jax.random.key(0), copy, None, jnp.ones(40, bool), 5)
    found = jax.eval_shape(pass_, *given)
    expected = jax.eval_shape(lambda drawing: drawing, given[0])
    for before, after in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        assert (before.shape, before.dtype) == (after.shape, after.dtype)
        assert before.weak_type == after.weak_type


@pytest.mark.slow
def test_residuals_may_be_copies_too():
    pool, residuals = pools.compress(POINTS), np.asarray(RESIDUALS)
    short = pools.compress(residuals, precision="bfloat16")
    picked = certified.badge(jax.random.key(0), short, pool, FREE, 60)
    known = certified.badge(jax.random.key(0), RESIDUALS, pool, FREE, 60)
    assert picked.rows[0] == known.rows[0]
    rows, picked_scores = np.asarray(picked.rows), np.asarray(picked.scores)
    exact = outer(RESIDUALS, POINTS)
    assert len(set(rows.tolist())) == 60 and FREE[rows].all()
    for turn in range(1, 60):
        nearest = ((exact[rows[:turn]] - exact[rows[turn]]) ** 2).sum(-1).min()
        np.testing.assert_allclose(picked_scores[turn], nearest, rtol=1e-4)
    mesh = devices.make_mesh(8)
    residuals = pools.compress(residuals, mesh, precision="bfloat16")
    shared = certified.badge(jax.random.key(0), residuals, pools.compress(POINTS, mesh), FREE, 60)
    np.testing.assert_array_equal(shared.rows, rows)


@pytest.mark.slow
def test_how_many_rows_are_read_does_not_depend_on_how_many_there_are():
    read = {}
    for rows in (5_000, 20_000):
        source = Counted(clusters(rows))
        pool = pools.compress(source)
        source.read, passes = 0, []
        available: Any = np.ones(rows, bool)
        picked = certified.badge(
            jax.random.key(0), residuals_of(rows), pool, available, 200, advance=passes.append
        )
        assert passes[-1] == 200 and len(set(picked.rows.tolist())) == 200
        read[rows] = source.read
    assert max(read.values()) < 6 * 200
    assert read[20_000] < 1.3 * read[5_000]


@pytest.mark.slow
def test_devices_draw_the_rows_that_one_draws():
    plain, shared = (pools.compress(POINTS, mesh) for mesh in (None, devices.make_mesh(8)))
    one, eight = (
        certified.badge(jax.random.key(1), RESIDUALS, pool, FREE, 60).rows
        for pool in (plain, shared)
    )
    np.testing.assert_array_equal(one, eight)
    copy = copy_of(shared, shared.by_row(RESIDUALS), shared.by_row(FREE), at_zero=True)
    drawing, _ = start(jax.random.key(0), copy, None, shared.by_row(FREE), 5)
    for array in (copy.usable, drawing.state.squared, drawing.state.free):
        assert array.sharding.shard_shape(array.shape)[0] == len(shared) // 8


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "all equal", "all zero", "copies", "NaN"])
def test_rows_are_distinct_and_available(kind):
    points, residuals = POINTS[:40].copy(), RESIDUALS[:40]
    if kind == "all equal":
        points[:], residuals = points[0], jnp.ones_like(residuals)
    elif kind == "all zero":
        points[:] = 0.0
    elif kind == "copies":
        points[8:], residuals = points[7], residuals.at[8:].set(residuals[7])
    elif kind == "NaN":
        residuals = residuals.at[4].set(jnp.nan)
    available = np.arange(40) % 8 != 2
    pool = pools.compress(points)
    for budget in (5, 40):
        for picked in (
            certified.k_means_plus_plus(jax.random.key(3), pool, available, budget, block_size=9),
            certified.badge(jax.random.key(3), residuals, pool, available, budget, block_size=9),
        ):
            found, picked_scores = np.asarray(picked.rows), np.asarray(picked.scores)
            rows = found[found >= 0].tolist()
            assert len(rows) == len(set(rows)) == min(budget, 35)
            assert available[rows].all() and (found[len(rows) :] == -1).all()
            assert not np.isnan(picked_scores).any()
    if kind == "NaN":
        assert rows[-1] == 4
    if kind == "copies":
        assert (picked_scores[8:35] == 0).all() and (picked_scores[1:7] > 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("scale", [2.0**-60, 2.0**40])
def test_scale_changes_nothing(scale):
    everything: Any = np.ones(60, bool)
    for rule in (
        lambda pool: certified.k_means_plus_plus(jax.random.key(1), pool, everything, 20),
        lambda pool: certified.badge(jax.random.key(1), RESIDUALS[:60], pool, everything, 20),
    ):
        plain, scaled = (rule(pools.compress(POINTS[:60] * np.float32(by))) for by in (1, scale))
        np.testing.assert_array_equal(plain.rows, scaled.rows)
        np.testing.assert_allclose(scaled.scores, np.asarray(plain.scores) * scale**2, rtol=1e-5)


SMALL = {
    "key": jax.random.key(0),
    "pool": pools.compress(POINTS[:40]),
    "available": np.ones(40, bool),
    "budget": 5,
}


@bad_inputs(
    {
        "no key": ({"key": 3}, TypeError, "key: expected"),
        "no pool": ({"pool": POINTS}, TypeError, "pool: expected one of pools.compress"),
        "a mask": ({"available": np.ones(40)}, TypeError, "available: expected a mask"),
        "another mask": ({"available": np.ones(9, bool)}, ValueError, "available: expected 40"),
        "too many": ({"budget": 41}, ValueError, "budget: expected 1 to 40"),
        "no block": ({"block_size": 0}, ValueError, "block_size: expected an integer >= 1"),
    }
)
def test_bad_input(given, error, message):
    with pytest.raises(error, match=message):
        certified.k_means_plus_plus(**SMALL | given)
    with pytest.raises(error, match=message):
        certified.badge(**SMALL | {"residuals": RESIDUALS[:40]} | given)


@bad_inputs(
    {
        "rows": ({"residuals": RESIDUALS[:9]}, ValueError, "residuals: expected 40 rows, got 9"),
        "a vector": ({"residuals": RESIDUALS[:40, 0]}, ValueError, r"residuals: expected shape"),
        "none": ({"residuals": None}, TypeError, r"residuals: expected an array \[N, C\]"),
        "a pool of others": (
            {"residuals": pools.compress(np.asarray(RESIDUALS[:9]))},
            ValueError,
            "residuals: expected 40 rows, got 9",
        ),
        "a pool elsewhere": (
            {"residuals": pools.compress(np.asarray(RESIDUALS[:40]), devices.make_mesh(8))},
            ValueError,
            "residuals: expected a pool on the devices of the other",
        ),
    }
)
def test_residuals_that_are_refused(given, error, message):
    with pytest.raises(error, match=message):
        certified.badge(**SMALL | given)
