import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import CountTraces, bad_inputs, greedy, keys, softmax

from jaxal import selection
from jaxal.selection._batch_bald import _batch_bald
from jaxal.selection._outcomes import candidate_rows, empty_outcomes, extend, gains

INF, NAN = np.inf, np.nan


def batch_bald(logits, available, budget, **hyper):
    logits, available = jnp.asarray(logits), jnp.asarray(available)
    return selection.batch_bald(jax.random.key(0), logits, available, budget, **hyper)


def draws(kind="plain", num=6, rows=24, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(num, rows, classes))
    if kind == "strong":
        logits = logits * 8
    elif kind == "huge":
        logits = logits * 1e4 + 1e4 * rng.normal(size=(num, rows, 1))
    elif kind == "zeros":
        ruled_out = rng.random(logits.shape) < 0.4
        ruled_out[..., 0] = False
        logits = np.where(ruled_out, -INF, logits)
    elif kind == "close":  # every gain is about 1e-7 of an entropy
        logits = rng.normal(size=(1, rows, classes)) + 1e-3 * logits
    return logits.astype(np.float32)


def entropy(probs, axis=None):
    return -np.sum(probs * np.log(np.where(probs > 0, probs, 1)), axis=axis)


def joint_score(probs, batch):
    """H(y_S) - sum of mean_k H(p_ik), by going through all outcomes in float64."""
    num, _, classes = probs.shape
    outcomes = itertools.product(range(classes), repeat=len(batch))
    joint = [np.prod(probs[:, batch, outcome], axis=1).mean() for outcome in outcomes]
    conditional = entropy(probs[:, batch], axis=-1).mean(0).sum()
    return entropy(np.array(joint)) - conditional


def plain_greedy(logits, available, budget):
    """Plain greedy; also the gap that decided each pick."""
    probs = softmax(logits)
    return greedy(lambda batch: joint_score(probs, batch), np.flatnonzero(available), budget)


@pytest.mark.parametrize("block_size", [5, 64])
@pytest.mark.parametrize("kind", ["plain", "strong", "huge", "zeros", "close"])
def test_is_plain_greedy_while_all_outcomes_fit(kind, block_size):
    logits = draws(kind)
    available = np.arange(logits.shape[1]) % 7 != 3
    picked = batch_bald(logits, available, 4, block_size=block_size)
    rows, scores, gap = plain_greedy(logits, available, 4)
    if kind != "huge":  # there every gain after the second is 0
        assert picked.rows.tolist() == rows
        assert gap > 1e-12, "the case leaves the order to rounding"
    np.testing.assert_allclose(np.cumsum(picked.scores), scores, rtol=1e-3, atol=1e-9)
    assert picked.rows.dtype == jnp.int32 and picked.scores.dtype == jnp.float32


@pytest.mark.slow
def test_gain_is_the_difference_of_joint_entropies():
    logits = draws("zeros", classes=4)
    probs, batch = softmax(logits), [3, 3, 8]  # a repeated row is a second label of it
    rows = candidate_rows(jnp.asarray(logits))
    outcomes = empty_outcomes(64, len(logits))
    measure, add = jax.jit(gains), jax.jit(extend)
    for size in range(4):
        base = joint_score(probs, batch[:size])
        expected = [joint_score(probs, [*batch[:size], row]) - base for row in range(9)]
        found = measure(outcomes, rows)
        np.testing.assert_allclose(found[:9], expected, atol=1e-6)
        if size < 3:
            uniform = jax.random.uniform(jax.random.key(size), (2, 64))
            outcomes = add(uniform, outcomes, rows.probs[:, batch[size]])
            assert outcomes.count == 4 ** (size + 1) and not outcomes.sampled


@pytest.mark.slow
@pytest.mark.parametrize("capacity", [10, 200])
def test_sampled_gains_are_unbiased(capacity):
    batch = np.array([5, 11, 2, 7, 5])
    repeats = 2000 if capacity == 10 else 500  # of more outcomes each, and as close in all

    def estimate(key, logits):
        rows = candidate_rows(logits)
        outcomes = empty_outcomes(capacity, len(logits))

        def add(carry, probs):
            key, key_label = jax.random.split(carry[0])
            uniform = jax.random.uniform(key_label, (2, capacity))
            return (key, extend(uniform, carry[1], probs)), None

        labels = rows.probs[:, batch].swapaxes(0, 1)
        (_, outcomes), _ = jax.lax.scan(add, (key, outcomes), labels)
        return gains(outcomes, rows)

    estimates = jax.jit(jax.vmap(estimate, in_axes=(0, None)))
    for kind in ("plain", "strong", "zeros"):
        logits = draws(kind, rows=12)
        found = np.asarray(estimates(keys(repeats), jnp.asarray(logits)), np.float64)
        probs = softmax(logits)
        base = joint_score(probs, batch)
        exact = [joint_score(probs, [*batch, row]) - base for row in range(12)]
        band = 5 * found.std(0) / np.sqrt(repeats) + 1e-6
        assert (np.abs(found.mean(0) - exact) <= band).all(), kind
        assert (found >= 0).all()


@pytest.mark.slow
def test_sampled_gains_of_a_batch_add_up():
    logits, available = draws("strong", rows=8), jnp.ones(8, bool)
    exact = joint_score(softmax(logits), list(range(8)))
    for key in keys(20):
        picked = selection.batch_bald(key, jnp.asarray(logits), available, 8, num_samples=1000)
        assert abs(picked.scores.sum() - exact) < 0.03


@pytest.mark.slow
def test_a_long_batch_takes_every_row_once():
    logits = jnp.asarray(draws("strong", num=20, rows=60, classes=10))
    picked = batch_bald(logits, jnp.ones(60, bool), 60, num_samples=500)
    assert sorted(picked.rows.tolist()) == list(range(60))
    assert jnp.isfinite(picked.scores).all() and (picked.scores >= 0).all()
    assert picked.scores.sum() < np.log(20) + 0.1, "the labels tell at most which draw"


@pytest.mark.slow
def test_a_copy_of_a_picked_row_gains_less():
    logits = np.tile(draws("strong", rows=4, classes=5), (1, 5, 1))
    picked = batch_bald(logits, jnp.ones(20, bool), 20, num_samples=700, block_size=9)
    assert sorted(picked.rows.tolist()) == list(range(20))
    assert (picked.rows[:3] < 4).all(), "one of each, by its lowest copy"


@pytest.mark.slow
@pytest.mark.parametrize(("num", "num_samples"), [(1, 10_000), (6, 1), (6, 10_000)])
def test_draws_that_agree_gain_nothing(num, num_samples):
    logits = jnp.asarray(np.repeat(draws(num=1), num, axis=0))
    available = jnp.arange(24) != 2
    picked = batch_bald(logits, available, 4, num_samples=num_samples)
    assert picked.rows.tolist() == [0, 1, 3, 4]
    np.testing.assert_array_equal(picked.scores, 0.0)


@pytest.mark.slow
def test_nothing_is_left_to_learn_once_the_draw_is_known():
    sure = np.eye(12, dtype=np.float32)[np.arange(3)[:, None] + np.arange(9)]
    picked = batch_bald(jnp.log(sure), jnp.ones(9, bool), 9)
    assert picked.rows.tolist() == list(range(9))
    np.testing.assert_allclose(picked.scores[0], np.log(3), rtol=1e-6)
    np.testing.assert_array_equal(picked.scores[1:], 0.0)


@pytest.mark.slow
def test_nan_is_never_ahead_of_a_number():
    logits = draws(rows=12)
    logits[2, 3, 1], logits[0, 5, 0], logits[4, 8] = NAN, INF, -INF
    good = np.setdiff1d(np.arange(12), [3, 5, 8])
    picked = batch_bald(logits, np.ones(12, bool), 12, num_samples=27)
    assert picked.rows[9:].tolist() == [3, 5, 8]
    assert jnp.isnan(picked.scores[9:]).all()
    assert sorted(picked.rows[:9].tolist()) == good.tolist()
    rows, _, _ = plain_greedy(logits[:, good], np.ones(9, bool), 4)
    assert picked.rows[:4].tolist() == good[rows].tolist()


@pytest.mark.slow
def test_missing_rows_are_minus_one():
    picked = batch_bald(draws(), jnp.arange(24) < 2, 4)
    assert sorted(picked.rows[:2].tolist()) == [0, 1]
    assert picked.rows[2:].tolist() == [-1] * 2
    assert jnp.isneginf(picked.scores[2:]).all()


@pytest.mark.slow
def test_permuting_and_padding():
    logits, order = draws(), np.random.default_rng(1).permutation(24)

    plain = batch_bald(logits, np.ones(24, bool), 4)
    moved = batch_bald(logits[:, order], np.ones(24, bool), 4)
    np.testing.assert_array_equal(order[np.asarray(moved.rows)], plain.rows)
    padding = np.full((6, 10, 3), NAN, np.float32)
    padding[:, :5] = draws("huge", rows=5, seed=9)
    padded = batch_bald(np.concatenate([logits, padding], 1), np.arange(34) < 24, 4)
    np.testing.assert_array_equal(padded.rows, plain.rows)
    np.testing.assert_allclose(padded.scores, plain.scores, rtol=1e-5)


@pytest.mark.slow
def test_jit_and_vmap():
    stack = jnp.stack([jnp.asarray(draws(seed=seed)) for seed in range(3)])
    available = jnp.stack([jnp.arange(24) != seed for seed in range(3)])

    def pick(key, logits, available):
        return selection.batch_bald(key, logits, available, 5, num_samples=30, block_size=6)

    cases = zip(keys(3), stack, available, strict=True)
    loop = [pick(*case) for case in cases]
    counted = CountTraces(jax.vmap(pick))
    mapped = jax.jit(counted)
    for _ in range(2):
        together = mapped(keys(3), stack, available)
    assert counted.count == 1
    np.testing.assert_array_equal(together.rows, [picked.rows for picked in loop])
    for scores, picked in zip(together.scores, loop, strict=True):
        np.testing.assert_allclose(scores, picked.scores, rtol=1e-4)


@pytest.mark.slow
def test_examines_few_rows_where_few_stand_out():
    spread = np.where(np.arange(2000) % 20 == 0, 3, 0.3)[:, None]
    logits = jnp.asarray(draws(num=10, rows=2000) * spread, jnp.float32)
    _, progress = _batch_bald(jax.random.key(0), logits, jnp.ones(2000, bool), 8, 1000, 64)
    assert progress.passes <= 40  # all rows after every pick would be 220


@pytest.mark.slow
def test_memory_does_not_grow_with_the_pool():
    logits = jax.ShapeDtypeStruct((8, 100_000, 4), jnp.float32)
    available = jax.ShapeDtypeStruct((100_000,), jnp.bool_)
    pick = jax.jit(functools.partial(selection.batch_bald, budget=4, num_samples=500))
    memory = pick.lower(jax.random.key(0), logits, available).compile().memory_analysis()
    assert memory is not None
    assert memory.temp_size_in_bytes < 100_000 * 64, "logits take 128 bytes a row"


@bad_inputs(
    {
        "rank": (dict(logits=jnp.ones((4, 2))), ValueError, r"\[K, N, C\]"),
        "C": (dict(logits=jnp.ones((3, 4, 1))), ValueError, "C at least 2"),
        "K": (dict(logits=jnp.ones((0, 4, 2))), ValueError, "K at least 1"),
        "rows": (dict(available=jnp.ones(3, bool)), ValueError, "must agree"),
        "zero": (dict(budget=0), ValueError, "expected 1 to 4.*got 0"),
        "negative": (dict(budget=-2), ValueError, "got -2"),
        "above N": (dict(budget=5), ValueError, "expected 1 to 4.*got 5"),
        "fraction": (dict(budget=2.5), TypeError, "budget.*2.5"),
        "no samples": (dict(num_samples=0), ValueError, "num_samples"),
        "float": (dict(num_samples=1e4), TypeError, "num_samples"),
        "block": (dict(block_size=0), ValueError, "block_size"),
    }
)
def test_bad_input(given, error, message):
    arguments = (
        dict(
            key=jax.random.key(0),
            logits=jnp.ones((3, 4, 2)),
            available=jnp.ones(4, bool),
            budget=2,
        )
        | given
    )
    with pytest.raises(error, match=message):
        selection.batch_bald(**arguments)
