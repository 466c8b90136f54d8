"""D^2 sampling, and BADGE and k-means++ on it."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs, keys

from jaxal import selection
from jaxal.greedy import d2
from jaxal.greedy.d2 import d2_sampling, sample_rows
from jaxal.numerics import running_sum
from jaxal.points.embedding import Dense


def law(points, first, budget):
    """Exact probabilities of all sequences of picks that begin with `first`, in float64."""
    points = np.asarray(points, np.float64)
    squared = ((points[:, None] - points[None]) ** 2).sum(-1)
    chance = {}
    others = [row for row in range(len(points)) if row != first]
    for rest in itertools.permutations(others, budget - 1):
        picks, probability = [first], 1.0
        for row in rest:
            weight = squared[:, picks].min(1)
            probability *= weight[row] / weight.sum()
            picks.append(row)
        chance[tuple(picks)] = probability
    return chance


@pytest.mark.slow
@pytest.mark.parametrize("block_size", [1, 16])
def test_follows_the_sequential_law(block_size):
    points = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    draws = 10_000

    @jax.jit
    @jax.vmap
    def draw(key):
        everything = jnp.ones(6, bool)
        dense = Dense(jnp.asarray(points))
        return d2_sampling(key, dense, jnp.int32(2), everything, 3, block_size=block_size)[0].rows

    found: dict[tuple, int] = {}
    for rows in np.asarray(draw(keys(draws))).tolist():
        found[tuple(rows)] = found.get(tuple(rows), 0) + 1
    expected = law(points, 2, 3)
    assert set(found) <= set(expected)
    squares = 0.0  # chi squared: all of them together tell more than each of them
    for picks, probability in expected.items():
        apart = found.get(picks, 0) / draws - probability
        assert abs(apart) < 5 * np.sqrt(probability * (1 - probability) / draws) + 1e-4
        squares += draws * apart**2 / probability
    freedom = len(expected) - 1
    assert squares < freedom + 4 * np.sqrt(2 * freedom)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 37, 1000])
def test_sample_rows_inverts_the_cumulative_sum(count):
    weights = np.random.default_rng(count).uniform(size=count) ** 4
    weights[::3] = 0.0 if count > 1 else weights[::3]
    draws = 40_000
    uniform = jax.random.uniform(jax.random.key(0), (draws,))
    rows = np.asarray(jax.jit(sample_rows)(uniform, weights.astype(np.float32)))
    found, expected = (
        np.bincount(rows, minlength=count) / draws,
        weights / weights.sum(),
    )
    assert (found[weights == 0] == 0).all()
    # Of distributions over an order, the cumulative ones are compared (Kolmogorov and Smirnov).
    assert np.abs(np.cumsum(found - expected)).max() < 2.0 / np.sqrt(draws)


@pytest.mark.slow
def test_sample_rows_keeps_small_weights_in_a_long_sum():
    # In one float32 running sum, terms of 1e-8 of the total would be rounded away.
    weights = np.concatenate([np.ones(10), np.full(1_000_000, 1e-7)]).astype(np.float32)
    rows = jax.jit(sample_rows)(jax.random.uniform(jax.random.key(0), (20_000,)), weights)
    expected = 0.1 / 10.1
    assert abs(np.mean(np.asarray(rows) >= 10) - expected) < 5 * np.sqrt(expected / 20_000)


@pytest.mark.slow
def test_draws_are_fine_where_there_are_many_lines(monkeypatch):
    """In three levels, of numbers that one level alone would not tell apart."""
    monkeypatch.setattr(d2, "COARSE", 4)
    monkeypatch.setattr(d2, "BLOCK", 4)
    count, draws = 3_000, 40_000
    weights = np.random.default_rng(0).uniform(size=count) ** 4
    coarse, *inside = jax.random.uniform(jax.random.key(0), (3, draws))
    coarse = np.floor(np.asarray(coarse) * 64) / 64  # 6 bits: the lines alone are 24
    sample = jax.jit(lambda *given: sample_rows(*given))  # no program of other levels
    rows = sample(coarse, weights.astype(np.float32), np.stack(inside))
    found = np.bincount(np.asarray(rows), minlength=count) / draws
    expected = weights / weights.sum()
    # What is drawn inside of a block is fine, and the blocks are by their 6 bits.
    assert np.abs(np.cumsum(found - expected)).max() < 2.0 / np.sqrt(draws) + 1 / 64
    blocks = np.arange(count) // (4 * 128)
    for block in range(6):
        inner = np.where(blocks == block, found, 0.0), np.where(blocks == block, expected, 0.0)
        found_there, expected_there = (one / one.sum() for one in inner)
        apart = np.abs(np.cumsum(found_there - expected_there)).max()
        assert apart < 2.0 / np.sqrt(draws * inner[0].sum())


def gradients(rows=80, classes=4, width=5, seed=0):
    rng = np.random.default_rng(seed)
    logits = jnp.asarray(rng.normal(size=(rows, classes)) * 2, jnp.float32)
    features = jnp.asarray(rng.normal(size=(rows, width)), jnp.float32)
    return selection.gradient_embedding(logits, features)


@pytest.mark.slow
def test_badge_begins_with_the_largest_gradient():
    points = gradients()
    norms = np.linalg.norm(np.asarray(points.dense(), np.float64), axis=1)
    available = jnp.asarray(norms < np.sort(norms)[-3])
    picked = selection.badge(jax.random.key(0), points.residuals, points.features, available, 10)
    assert picked.rows[0] == np.argmax(np.where(available, norms, -1))
    np.testing.assert_allclose(picked.scores[0], norms[picked.rows[0]] ** 2, rtol=1e-5)
    dense = np.asarray(points.dense(), np.float64)
    for turn, row in enumerate(picked.rows[1:].tolist(), 1):
        nearest = ((dense[picked.rows[:turn]] - dense[row]) ** 2).sum(-1).min()
        np.testing.assert_allclose(picked.scores[turn], nearest, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_badge_potential_is_that_of_exact_sampling():
    points = gradients(rows=200)
    dense = np.asarray(points.dense(), np.float64)
    squared = ((dense[:, None] - dense[None]) ** 2).sum(-1)
    rng = np.random.default_rng(0)

    def exact():
        picks = [int(np.argmax((dense**2).sum(-1)))]
        while len(picks) < 12:
            weight = squared[:, picks].min(1)
            picks.append(int(rng.choice(len(dense), p=weight / weight.sum())))
        return squared[:, picks].min(1).sum()

    expected = np.array([exact() for _ in range(300)])
    pick = jax.jit(
        jax.vmap(
            lambda key: (
                selection.badge(
                    key, points.residuals, points.features, jnp.ones(200, bool), 12
                ).rows
            )
        )
    )
    found = np.array([squared[:, rows].min(1).sum() for rows in np.asarray(pick(keys(300)))])
    band = 4 * np.sqrt(expected.var() / 300 + found.var() / 300)
    assert abs(found.mean() - expected.mean()) < band


@pytest.mark.slow
@pytest.mark.parametrize("budget", [1, 5, 40])
@pytest.mark.parametrize("kind", ["plain", "all equal", "all zero", "duplicates", "nan"])
def test_rows_are_distinct_and_available(kind, budget):
    points = gradients(rows=40)
    residuals, features = points.residuals, points.features
    if kind == "all equal":
        residuals, features = jnp.ones_like(residuals), jnp.ones_like(features)
    elif kind == "all zero":
        residuals = jnp.zeros_like(residuals)
    elif kind == "duplicates":
        residuals, features = (
            residuals.at[8:].set(residuals[7]),
            features.at[8:].set(features[7]),
        )
    elif kind == "nan":
        residuals = residuals.at[4].set(jnp.nan)
    available = jnp.arange(40) % 8 != 2
    for pick in (
        lambda key: selection.badge(key, residuals, features, available, budget),
        lambda key: selection.k_means_plus_plus(key, features, available, budget),
    ):
        picked = pick(jax.random.key(3))
        rows = [row for row in picked.rows.tolist() if row >= 0]
        assert len(rows) == len(set(rows)) == min(budget, 35)
        assert np.asarray(available)[rows].all()
        assert not np.isnan(picked.scores).any()


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e25, 1e35])
def test_scale_changes_nothing(scale):
    points = gradients(rows=60)
    everything = jnp.ones(60, bool)
    scale = 2.0 ** np.round(np.log2(scale))

    def pick(features):
        features = features.astype(jnp.float32)
        yield selection.badge(jax.random.key(1), points.residuals, features, everything, 20)
        yield selection.k_means_plus_plus(jax.random.key(1), features, everything, 20)

    for plain, scaled in zip(
        pick(points.features), pick(points.features * np.float32(scale)), strict=True
    ):
        np.testing.assert_array_equal(plain.rows, scaled.rows)
        with np.errstate(over="ignore"):
            expected = (np.asarray(plain.scores, np.float64) * scale**2).astype(np.float32)
        np.testing.assert_allclose(scaled.scores, expected, rtol=1e-5, atol=1e-37)


@pytest.mark.slow
@pytest.mark.parametrize("wild", [np.inf, -np.inf, np.nan])
def test_rows_that_are_not_finite_come_last(wild):
    points = gradients(rows=20)
    bad = [3, 8, 11]
    features = points.features.at[jnp.array([3, 8]), 1].set(wild)
    residuals = points.residuals.at[11].set(wild)
    everything = jnp.ones(20, bool)
    for picked in (
        selection.badge(jax.random.key(1), residuals, features, everything, 20),
        selection.k_means_plus_plus(jax.random.key(1), features.at[11].set(wild), everything, 20),
    ):
        assert sorted(picked.rows.tolist()) == list(range(20))
        assert sorted(picked.rows[17:].tolist()) == bad
        assert jnp.isfinite(picked.scores).all()
    none = selection.badge(jax.random.key(1), residuals * wild, features, everything, 5)
    assert len(set(none.rows.tolist())) == 5 and none.rows.min() >= 0


@pytest.mark.slow
def test_a_row_far_above_the_others_is_first():
    points = gradients(rows=30)
    features = points.features.at[7].multiply(1e30)
    picked = selection.badge(jax.random.key(1), points.residuals, features, jnp.ones(30, bool), 30)
    assert picked.rows[0] == 7 and sorted(picked.rows.tolist()) == list(range(30))


@pytest.mark.slow
def test_padding_changes_nothing():
    points = gradients(rows=60)
    plain = selection.badge(
        jax.random.key(5), points.residuals, points.features, jnp.ones(60, bool), 20
    )
    residuals = jnp.pad(points.residuals, ((0, 4), (0, 0)), constant_values=9.0)
    features = jnp.pad(points.features, ((0, 4), (0, 0)), constant_values=9.0)
    more = selection.badge(jax.random.key(5), residuals, features, jnp.arange(64) < 60, 20)
    np.testing.assert_array_equal(plain.rows, more.rows)


@pytest.mark.slow
def test_jit_and_vmap():
    points = gradients()

    def pick(key):
        everything = jnp.ones(80, bool)
        return selection.badge(key, points.residuals, points.features, everything, 15).rows

    loop = jnp.stack([pick(key) for key in keys(3)])
    np.testing.assert_array_equal(jax.jit(jax.vmap(pick))(keys(3)), loop)


@pytest.mark.slow
def test_k_means_plus_plus_begins_anywhere():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(5, 2)), jnp.float32)
    draw = jax.vmap(lambda key: selection.k_means_plus_plus(key, x, jnp.ones(5, bool), 1).rows[0])
    found = np.bincount(np.asarray(draw(keys(4000))), minlength=5) / 4000
    assert (np.abs(found - 0.2) < 5 * np.sqrt(0.16 / 4000)).all()


@bad_inputs(
    {
        "residuals": (dict(residuals=jnp.ones(4)), ValueError, r"residuals.*\[N, C\]"),
        "features": (dict(features=jnp.ones(4)), ValueError, r"features.*\[N, D\]"),
        "rows": (dict(features=jnp.ones((3, 2))), ValueError, "must agree"),
        "budget": (dict(budget=0), ValueError, "budget"),
        "block": (dict(block_size=-1), ValueError, "block_size"),
    }
)
def test_bad_input(given, error, message):
    arguments = dict(
        residuals=jnp.ones((4, 3)),
        features=jnp.ones((4, 2)),
        available=jnp.ones(4, bool),
        budget=2,
    )
    with pytest.raises(error, match=message):
        selection.badge(jax.random.key(0), **(arguments | given))


def test_sums_of_a_loop_are_those_of_a_program_of_one_step():
    """As users compile them: `anytime` would else draw other rows than the whole decision."""
    values = jnp.asarray(np.random.default_rng(0).random((8, 157)), jnp.float32)

    def optimised(function, *arguments):
        options = {"xla_backend_optimization_level": 3, "xla_llvm_disable_expensive_passes": False}
        return jax.jit(function).lower(*arguments).compile(compiler_options=options)(*arguments)

    looped = optimised(lambda lines: jax.lax.map(running_sum, lines), values)
    for line, sums in zip(values, looped, strict=True):
        np.testing.assert_array_equal(optimised(running_sum, line), sums)
