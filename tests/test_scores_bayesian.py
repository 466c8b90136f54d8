"""Scores of K draws, stacked or accumulated, against float64 and at the limits."""

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs, softmax

from jaxal import scores, strategies
from jaxal.scores import bayesian

NAMES = ["predictive", "bald", "variation_ratio", "mean_std"]
SCORES = NAMES[1:]
INF = np.inf
few = hypothesis.settings(derandomize=True, deadline=None, max_examples=30)
three_draws = hnp.arrays(np.float32, (3, 4, 5), elements=st.floats(-40, 40, width=32))


def entropy(probs):
    return -(probs * np.log(np.where(probs > 0, probs, 1))).sum(-1)


def reference(logits):
    """All scores of [K, N, C] by the definitions, in float64."""
    probs = softmax(logits)
    mean = probs.mean(0)
    modes = probs.argmax(-1)
    classes = range(probs.shape[-1])
    votes = np.stack([(modes == c).sum(0) for c in classes], -1)
    return {
        "predictive": mean,
        "bald": entropy(mean) - entropy(probs).mean(0),
        "variation_ratio": 1 - votes.max(-1) / len(probs),
        "mean_std": probs.std(0).mean(-1),
    }


def reference_epig(logits, target_logits):
    """One pair and one joint at a time, in float64."""
    pool, target = softmax(logits), softmax(target_logits)
    result = np.zeros(pool.shape[1])
    for n in range(pool.shape[1]):
        for t in range(target.shape[1]):
            joint = np.mean(
                [np.outer(p, q) for p, q in zip(pool[:, n], target[:, t], strict=True)],
                axis=0,
            )
            apart = np.outer(pool[:, n].mean(0), target[:, t].mean(0))
            some = joint > 0
            result[n] += (joint[some] * np.log(joint[some] / apart[some])).sum()
    return result / target.shape[1]


JITTED = {name: jax.jit(getattr(scores, name)) for name in [*NAMES, "epig"]}
EPIG = JITTED["epig"]


@jax.jit
def stack(logits):
    return {name: getattr(scores, name)(logits) for name in NAMES}


def stacked(logits):
    return stack(jnp.asarray(logits, jnp.float32))


@jax.jit
def fold(logits):
    return scores.draw_scores(scores.fold_draws(lambda x: x, logits))


def one_by_one(logits):
    return fold(jnp.asarray(logits, jnp.float32))._asdict()


def random_draws(shape=(6, 30, 5), scale=1.0, seed=0):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(1, *shape[1:])) * 2
    return jnp.asarray(common + rng.normal(size=shape) * scale, jnp.float32)


@pytest.mark.parametrize("compute", [stacked, one_by_one])
@pytest.mark.parametrize("scale", [1e-4, 0.1, 3.0, 1e3])
@pytest.mark.parametrize("draws", [1, 2, 100])
def test_against_float64(compute, scale, draws):
    logits = random_draws((draws, 30, 5), scale, seed=draws)
    got = compute(logits)
    got["predictive"] = np.exp(got["predictive"])
    for name, expected in reference(logits).items():
        np.testing.assert_allclose(got[name], expected, rtol=1e-6, atol=1e-6, err_msg=name)


ONE, TWO = [0, -INF, -INF, -INF], [-INF, 0, -INF, -INF]
LEVEL, PAIR = [0, 0, 0, 0], [5, 5, -INF, -INF]
# draws, bald, variation ratio, mean std
EXTREMES = {
    "draws agree, certain": ([ONE] * 6, 0.0, 0.0, 0.0),
    "draws agree, level": ([LEVEL] * 6, 0.0, 0.0, 0.0),
    "draws agree, a pair": ([PAIR] * 6, 0.0, 0.0, 0.0),
    "draws oppose": ([ONE, TWO] * 3, np.log(2), 0.5, 0.25),
    "one draw": ([[1, 2, 3, 4]], 0.0, 0.0, 0.0),
    "certain among level": (
        [ONE] + [LEVEL] * 5,
        0.19295061753001352,
        0.0,
        0.13975424841628115,
    ),
    "far apart": (
        [[1e38, -1e38, 0, 0], [-1e38, 1e38, 0, 0], [0, 0, 1e38, 0], [0, 0, 0, 1e4]],
        np.log(4),
        0.75,
        np.sqrt(3) / 4,
    ),
}


@pytest.mark.parametrize("compute", [stacked, one_by_one])
@pytest.mark.parametrize("name", EXTREMES)
def test_extremes(compute, name):
    draws, *expected = EXTREMES[name]
    got = compute(draws)
    for key, value in zip(SCORES, expected, strict=True):
        np.testing.assert_allclose(got[key], value, rtol=1e-5, atol=1e-6, err_msg=key)
    assert not np.isnan(got["predictive"]).any()


@pytest.mark.parametrize("sure", [0.0, 15.0])
def test_bald_of_draws_that_nearly_agree(sure):
    """About 1e-6, or 1e-12 of sure draws: a difference of entropies has no digits there."""
    logits = random_draws((20, 30, 5), 1e-3).at[:, :, 0].add(sure)
    expected = reference(np.asarray(logits, np.float64))["bald"]
    for found in (JITTED["bald"](logits), fold(logits).bald):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-13)


def test_predictive_keeps_log_probabilities_that_underflow():
    logits = jnp.array([[0.0, -500.0, -INF], [0.0, -500.0, -INF]])
    for compute in (stacked, one_by_one):
        got = compute(logits)["predictive"]
        np.testing.assert_allclose(got, [0.0, -500.0, -INF], atol=1e-4)


def test_votes_of_tied_draws_go_to_the_lowest_class():
    draws = jnp.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [2.0, 0.0, 0.0]])
    for compute in (stacked, one_by_one):
        np.testing.assert_allclose(compute(draws)["variation_ratio"], 1 / 3, rtol=1e-6)


@pytest.mark.parametrize("compute", [stacked, one_by_one])
@pytest.mark.parametrize("bad", [[np.nan, 0], [INF, 0], [-INF, -INF]])
def test_undefined_rows_are_nan_alone(compute, bad):
    logits = np.zeros((3, 4, 2), np.float32)
    logits[1, 2] = bad
    got = compute(logits)
    for name in SCORES:
        expected = [False, False, True, False]
        np.testing.assert_array_equal(np.isnan(got[name]), expected, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_jit_and_vmap_change_nothing(name):
    function = getattr(scores, name)
    logits = random_draws()
    expected = function(logits)
    for transformed in (jax.jit(function), jax.jit(jax.vmap(function, in_axes=1))):
        np.testing.assert_allclose(transformed(logits), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rows", [(), (0,), (2, 3)])
def test_leading_axes(name, rows):
    got = JITTED[name](random_draws((6, *rows, 5)))
    assert got.shape == (rows + (5,) if name == "predictive" else rows)


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_is_computed_in_float32(name):
    got = JITTED[name](random_draws().astype(jnp.bfloat16))
    assert got.dtype == jnp.float32


@pytest.mark.parametrize("name", SCORES)
def test_rows_are_independent_and_draws_exchangeable(name):
    function, logits = JITTED[name], np.asarray(random_draws())
    rng = np.random.default_rng(2)
    rows, draws = rng.permutation(30), rng.permutation(6)
    got = np.asarray(function(logits))
    np.testing.assert_array_equal(function(logits[:, rows]), got[rows])
    np.testing.assert_allclose(function(logits[draws]), got, rtol=1e-5, atol=1e-6)


GRADIENTS = {name: jax.jit(jax.grad(getattr(scores, name))) for name in ("bald", "mean_std")}


@pytest.mark.slow
@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("case", EXTREMES)
def test_gradients_are_finite(name, case):
    logits = np.array(EXTREMES[case][0], np.float32)
    assert np.isfinite(GRADIENTS[name](logits)).all()


def test_accumulating_resumes_where_it_stopped():
    logits = random_draws((7, 4, 3))
    state = scores.init_running_scores((4, 3))
    for draw in logits:
        state = jax.jit(scores.update_running_scores)(state, draw)
    expected = scores.fold_draws(lambda x: x, logits)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        state,
        expected,
    )
    assert state.count == 7 and np.all(state.votes.sum(-1) == 7)


@pytest.mark.slow
def test_draws_may_be_keys_or_stacked_parameters():
    inputs = random_draws((4, 3))
    keys = jax.random.split(jax.random.key(0), 5)

    def dropout(key):
        return inputs * jax.random.bernoulli(key, 0.5, inputs.shape)

    got = jax.jit(lambda k: scores.draw_scores(scores.fold_draws(dropout, k)))(keys)
    same_keys = jax.random.split(jax.random.key(0), 5)
    expected = JITTED["bald"](jax.vmap(dropout)(same_keys))
    np.testing.assert_allclose(got.bald, expected, rtol=1e-5, atol=1e-6)

    members = {"w": random_draws((5, 3, 3))}
    state = scores.fold_draws(lambda member: inputs @ member["w"], members)
    expected = JITTED["mean_std"](jnp.einsum("nd,kdc->knc", inputs, members["w"]))
    got = jax.jit(scores.draw_scores)(state).mean_std
    np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.mark.slow
def test_summary_before_the_first_draw_is_nan():
    summary = scores.draw_scores(scores.init_running_scores((2, 3)))
    for name in SCORES:
        assert np.isnan(getattr(summary, name)).all()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
def test_epig_against_float64(scale):
    logits = random_draws((6, 7, 3), scale)
    target = random_draws((6, 4, 3), scale, seed=1)
    expected = reference_epig(logits, target)
    np.testing.assert_allclose(EPIG(logits, target), expected, rtol=2e-5, atol=1e-7)


def test_epig_resolves_information_far_below_rounding():
    logits = random_draws((6, 7, 3), 1e-2)
    expected = reference_epig(logits, logits)
    assert expected.max() < 1e-7
    np.testing.assert_allclose(EPIG(logits, logits), expected, rtol=0.02)


def test_epig_by_hand():
    opposed, level = [[0.0, -INF], [-INF, 0.0]], [[0.0, 0.0], [0.0, 0.0]]
    draws = jnp.stack([jnp.array(opposed), jnp.array(level)], axis=1)
    for target, expected in (
        (draws[:, :1], [np.log(2), 0.0]),  # knows all of it, knows nothing
        (draws[:, 1:], [0.0, 0.0]),
        (draws, [np.log(2) / 2, 0.0]),
    ):
        np.testing.assert_allclose(EPIG(draws, target), expected, atol=1e-6)
    assert np.all(np.asarray(EPIG(draws[:1], draws[:1])) == 0)  # one draw


@pytest.mark.slow
def test_core_mse_is_how_far_each_label_moves_the_predictions():
    rng = np.random.default_rng(4)
    logits, target = (3 * rng.normal(size=(7, n, 3)).astype(np.float32) for n in (5, 4))
    logits[:, 2, 1] = -np.inf  # a label that cannot be
    probs, of_targets = softmax(logits), softmax(target)
    expected = np.zeros(5)
    for row, label in np.ndindex(5, 3):
        likely = probs[:, row, label]
        if likely.sum():
            after = np.einsum("k,ktc->tc", likely / likely.sum(), of_targets)
            moved = ((after - of_targets.mean(0)) ** 2).sum(1).mean()
            expected[row] += likely.mean() * moved
    found = scores.core_mse(jnp.asarray(logits), jnp.asarray(target))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert strategies.make("core_log", num_targets=7) is strategies.epig(num_targets=7)


@pytest.mark.parametrize("block", [1, 10, 64, 1000])
def test_epig_does_not_depend_on_its_blocks(monkeypatch, block):
    logits, target = random_draws((4, 9, 3)), random_draws((4, 5, 3), seed=1)
    expected = EPIG(logits, target)
    monkeypatch.setattr(bayesian, "_EPIG_BLOCK", block)
    got = jax.jit(lambda x, y: scores.epig(x, y))(logits, target)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7)


def test_epig_never_holds_the_joint():
    pool = jax.ShapeDtypeStruct((4, 5000, 10), jnp.float32)
    target = jax.ShapeDtypeStruct((4, 200, 10), jnp.float32)
    memory = jax.jit(scores.epig).lower(pool, target).compile().memory_analysis()
    joint = 4 * 5000 * 10 * 200 * 10
    assert memory is not None and memory.temp_size_in_bytes < joint / 8


@pytest.mark.slow
def test_epig_under_jit_vmap_and_permutation():
    logits, target = random_draws((4, 9, 3)), random_draws((4, 5, 3), seed=1)
    expected = scores.epig(logits, target)
    order = np.random.default_rng(0).permutation(9)
    np.testing.assert_allclose(EPIG(logits, target), expected, rtol=1e-5)
    by_row = jax.jit(jax.vmap(lambda row: scores.epig(row[:, None], target)[0], in_axes=1))
    np.testing.assert_allclose(by_row(logits), expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(EPIG(logits[:, order], target), expected[order], rtol=1e-6)
    assert scores.epig(logits[:, :0], target).shape == (0,)


def test_epig_gradients_are_finite():
    logits = jnp.array([EXTREMES["draws oppose"][0][:2]]).reshape(2, 1, 4)
    gradient = jax.jit(jax.grad(lambda x: scores.epig(x, x).sum()))(logits)
    assert np.isfinite(gradient).all()


def test_epig_nan_stays_in_its_row():
    logits = random_draws((4, 3, 2)).at[0, 1, 0].set(jnp.nan)
    got = EPIG(logits, random_draws((4, 5, 2)))
    np.testing.assert_array_equal(np.isnan(got), [False, True, False])


@pytest.mark.parametrize("name", NAMES)
@bad_inputs(
    {
        "integers": (jnp.zeros((2, 3), jnp.int32), TypeError, "floating point, got int32"),
        "no draw axis": (jnp.zeros(3), ValueError, r"shape \[K, ..., C\], got \(3,\)"),
        "no draw": (jnp.zeros((0, 5, 3)), ValueError, r"1 draw .* got shape \(0, 5, 3\)"),
        "one class": (jnp.zeros((4, 5, 1)), ValueError, r"2 classes .* \(4, 5, 1\)"),
    }
)
def test_bad_input(name, given, error, message):
    with pytest.raises(error, match=f"logits: expected .*{message}"):
        getattr(scores, name)(given)


@bad_inputs(
    {
        "draws disagree": (
            ((4, 5, 3), (2, 5, 3)),
            ValueError,
            r"target_logits: .*\(4, T, 3\).*\(2, 5",
        ),
        "classes disagree": (((4, 5, 3), (4, 5, 2)), ValueError, r"target_logits: .*\(4, T, 3\)"),
        "no target": (((4, 5, 3), (4, 0, 3)), ValueError, "target_logits: .*T at least 1"),
        "rank": (((5, 3), (4, 5, 3)), ValueError, r"logits: expected shape \[K, N, C\]"),
        "target rank": (
            ((4, 5, 3), (5, 3)),
            ValueError,
            r"target_logits: expected shape \[K, T, C\]",
        ),
    }
)
def test_bad_input_of_epig(given, error, message):
    shape, target_shape = given
    with pytest.raises(error, match=message):
        scores.epig(jnp.zeros(shape), jnp.zeros(target_shape))


def test_accumulate_refuses_another_shape():
    state = scores.init_running_scores((4, 3))
    with pytest.raises(ValueError, match=r"expected shape \(4, 3\).*got \(5, 3\)"):
        scores.update_running_scores(state, jnp.zeros((5, 3)))


@pytest.mark.slow
@few
@hypothesis.given(three_draws)
def test_bounds(logits):
    total = np.asarray(jax.jit(scores.entropy)(stacked(logits)["predictive"]))
    for compute in (stacked, one_by_one):
        got = {name: np.asarray(value) for name, value in compute(logits).items()}
        assert (got["bald"] >= 0).all() and (got["bald"] <= total + 1e-6).all()
        assert (got["bald"] <= np.log(3) + 1e-6).all()
        assert (got["variation_ratio"] >= 0).all()
        assert (got["variation_ratio"] <= 2 / 3 + 1e-6).all()
        assert (got["mean_std"] >= 0).all() and (got["mean_std"] <= 0.5).all()


@few
@hypothesis.given(three_draws, st.permutations(range(5)), st.integers(-20, 20))
def test_classes_are_exchangeable_and_shifts_cancel(logits, order, shift):
    logits = np.round(logits * 4) / 4  # so that the shift is exact
    for name in ("bald", "mean_std"):
        function = JITTED[name]
        moved = function(logits[..., np.array(order)] + np.float32(shift))
        np.testing.assert_allclose(moved, function(logits), rtol=1e-5, atol=2e-6)
