import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs, keys

from jaxal.selection import take_stochastic, take_top

NAN, INF = np.nan, np.inf
TAKE_TOP = jax.jit(take_top, static_argnums=2)


def reference(scores, available, budget):
    """Numbers before NaN, available before used, high before low, low row before high row."""
    order = sorted(
        np.flatnonzero(available),
        key=lambda row: (np.isnan(scores[row]), -np.nan_to_num(scores[row]), row),
    )
    return (order + [-1] * budget)[:budget]


@pytest.mark.parametrize(
    ("scores", "used", "budget", "rows"),
    [
        pytest.param([1, 3, 2], [], 2, [1, 2], id="order"),
        pytest.param([2, 2, 2, 2], [0], 3, [1, 2, 3], id="ties go to the lowest row"),
        pytest.param([NAN, -INF, 1], [], 3, [2, 1, 0], id="NaN after -inf"),
        pytest.param([-NAN, 0, NAN], [], 3, [1, 0, 2], id="sign of NaN is nothing"),
        pytest.param([5, NAN, -INF], [0], 3, [2, 1, -1], id="-1 past the last"),
        pytest.param([INF, 1, -1e38], [], 3, [0, 1, 2], id="extremes"),
        pytest.param([INF, 5], [0, 1], 2, [-1, -1], id="nothing available"),
        pytest.param([4], [], 1, [0], id="one row"),
    ],
)
def test_take_top_cases(scores, used, budget, rows):
    available = np.ones(len(scores), bool)
    available[used] = False
    picked = take_top(jnp.array(scores, jnp.float32), jnp.asarray(available), budget)
    assert picked.rows.tolist() == rows
    assert picked.rows.dtype == jnp.int32 and picked.scores.dtype == jnp.float32
    taken = [scores[row] if row >= 0 else -INF for row in rows]
    np.testing.assert_array_equal(picked.scores, np.array(taken, np.float32))


@pytest.mark.slow
@hypothesis.given(
    st.lists(
        st.tuples(st.sampled_from([NAN, -INF, INF, -1.0, 0.0, 0.5, 7.0]), st.booleans()),
        min_size=1,
        max_size=6,  # of each length and budget there is a program
    ),
    st.data(),
)
@hypothesis.settings(max_examples=60, deadline=None, derandomize=True)
def test_take_top_is_the_reference(pairs, data):
    scores, available = (np.array(column) for column in zip(*pairs, strict=True))
    budget = data.draw(st.integers(1, len(scores)))
    picked = TAKE_TOP(scores.astype(np.float32), available, budget)
    assert picked.rows.tolist() == reference(scores, available, budget)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [None, "power", "softmax", "softrank"])
def test_numpy_float64_scores_lose_no_row(kind):
    scores, everything = np.array([NAN, 1.0, 2.0, -5.0]), np.ones(4, bool)
    if kind is None:
        picked = take_top(scores, everything, 4)  # pyright: ignore[reportArgumentType]
        assert picked.rows.tolist() == [2, 1, 3, 0]
    else:
        key, numpy = jax.random.key(0), (scores, everything)
        picked = take_stochastic(key, *numpy, 4, kind=kind)  # pyright: ignore[reportArgumentType]
        assert sorted(picked.rows.tolist()) == [0, 1, 2, 3] and picked.rows[3] == 0
    assert picked.scores.dtype == jnp.float32


def test_integer_and_half_scores():
    everything = jnp.ones(3, bool)
    assert take_top(jnp.array([1, 3, 2]), everything, 1).rows.tolist() == [1]
    half = jnp.array([1, 3, 2], jnp.bfloat16)
    assert take_top(half, everything, 2).scores.dtype == jnp.float32


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["power", "softmax", "softrank"])
@pytest.mark.parametrize("coldness", [0.0, 0.5, 2.0])
def test_stochastic_follows_the_law_of_successive_draws(kind, coldness):
    scores = np.array([0.5, 2.0, 1.0, 0.0, -1.0, NAN], np.float32)
    available = np.array([True, True, True, True, True, True])
    weight = {
        "power": np.where(scores > 0, np.maximum(scores, 1e-30) ** coldness, 0),
        "softmax": np.exp(coldness * scores),
        "softrank": np.array([3, 1, 2, 4, 5, 6.0]) ** -coldness,
    }[kind]
    weight = np.where(np.isnan(scores), 0, weight)
    draws = 20_000
    draw = jax.jit(
        jax.vmap(
            lambda key: (
                take_stochastic(
                    key,
                    jnp.asarray(scores),
                    jnp.asarray(available),
                    6,
                    kind=kind,
                    coldness=coldness,
                ).rows
            )
        )
    )
    rows = np.asarray(draw(keys(draws)))
    assert all(len(set(row)) == 6 for row in rows[:200].tolist())
    assert (rows[:, -1] == 5).all(), "NaN comes last"
    first = weight / weight.sum()
    second = sum(
        first[i] * np.where(np.arange(6) == i, 0, weight) / (weight.sum() - weight[i])
        for i in range(6)
        if weight[i] > 0
    )
    for place, expected in ((0, first), (1, second)):
        found = np.bincount(rows[:, place], minlength=6) / draws
        band = 5 * np.sqrt(expected * (1 - expected) / draws) + 1e-9
        assert (np.abs(found - expected) <= band).all(), (place, found, expected)


@pytest.mark.slow
def test_power_without_positive_scores_is_uniform():
    @jax.jit
    @jax.vmap
    def draw(key):
        return take_stochastic(key, -jnp.ones(4), jnp.ones(4, bool), 1).rows[0]

    found = np.bincount(np.asarray(draw(keys(4000))), minlength=4) / 4000
    assert (np.abs(found - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 4000)).all()


@pytest.mark.slow
def test_stochastic_ignores_what_is_not_available():
    scores, available = np.arange(8, dtype=np.float32), np.arange(8) % 2 == 0
    take = jax.jit(take_stochastic, static_argnums=3, static_argnames="kind")
    for kind in ("power", "softmax", "softrank"):
        rows = take(jax.random.key(1), scores, available, 8, kind=kind).rows.tolist()
        assert sorted(rows[:4]) == [0, 2, 4, 6]
        assert rows[4:] == [-1] * 4
        wild = np.where(available, scores, np.float32(INF))
        again = take(jax.random.key(1), wild, available, 8, kind=kind).rows
        np.testing.assert_array_equal(rows, again)


@bad_inputs(
    {
        "zero": (lambda s, a: take_top(s, a, 0), ValueError, "expected 1 to 4.*got 0"),
        "above N": (lambda s, a: take_top(s, a, 5), ValueError, "expected 1 to 4.*got 5"),
        "rank": (lambda s, a: take_top(s[None], a, 1), ValueError, r"scores.*\[N\]"),
        "lengths": (lambda s, a: take_top(s, a[:2], 1), ValueError, "must agree"),
        "kind": (
            lambda s, a: take_stochastic(jax.random.key(0), s, a, 1, kind="powr"),
            ValueError,
            "did you mean 'power'",
        ),
        "coldness": (
            lambda s, a: take_stochastic(jax.random.key(0), s, a, 1, coldness=-1.0),
            ValueError,
            "coldness.*-1",
        ),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(jnp.arange(4.0), jnp.ones(4, bool))


def test_budget_must_be_an_integer():
    with pytest.raises(TypeError, match="budget.*2.5"):
        take_top(jnp.arange(4.0), jnp.ones(4, bool), 2.5)  # pyright: ignore[reportArgumentType]
