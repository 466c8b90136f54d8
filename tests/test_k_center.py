import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs, greedy_k_center

from jaxal import selection
from jaxal.selection._k_center import _k_center


def of_arrays(features, available, budget, **options):
    """NumPy arrays of what is picked of arrays: slices of these are no programs."""
    features, available, given = jax.tree.map(
        lambda leaf: jnp.asarray(leaf) if isinstance(leaf, np.ndarray) else leaf,
        (features, available, options),
    )
    picked = selection.k_center(features, available, budget, **given)
    return jax.tree.map(np.asarray, picked)


def points(kind, rows=150, width=6, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, width))
    if kind == "offset":
        x = x + 1000.0
    elif kind == "clusters":  # products lose every digit of the distances inside a cluster
        x = rng.normal(size=(5, width))[rng.integers(0, 5, rows)] * 100 + 1e-2 * x
    elif kind == "scales":
        x = x * 10.0 ** np.linspace(-3, 3, width)
    elif kind == "huge":
        x = x * 1e25
    return x.astype(np.float32)


@pytest.mark.parametrize("block_size", [1, 7, 64, 10_000])
@pytest.mark.parametrize("kind", ["plain", "offset", "clusters", "scales", "huge"])
def test_is_plain_greedy(kind, block_size):
    x = points(kind)
    available = np.arange(len(x)) % 7 != 3
    picked = of_arrays(
        x,
        available,
        60,
        centers=x[:4],
        block_size=block_size,
    )
    rows, gaps = greedy_k_center(x, available, 60, x[:4])
    assert gaps.min() > 1e-6, "the case leaves the order to rounding"
    assert picked.rows.tolist() == rows.tolist()
    covered = np.concatenate([x[:4], x[rows]]).astype(np.float64)
    nearest = [
        np.sqrt(((covered[: 4 + t] - x[row].astype(np.float64)) ** 2).sum(-1).min())
        for t, row in enumerate(rows)
    ]
    np.testing.assert_allclose(picked.scores, nearest, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("block_size", [1, 7, 10_000])
def test_equal_distances_go_to_the_lowest_row(block_size):
    x = np.round(2 * points("plain", rows=200, width=4)) + 7
    picked = selection.k_center(
        jnp.asarray(x),
        jnp.ones(200, bool),
        50,
        centers=jnp.asarray(x[:2]),
        block_size=block_size,
    )
    rows, gaps = greedy_k_center(x, np.ones(200, bool), 50, x[:2])
    assert (gaps == 0).sum() > 20
    assert picked.rows.tolist() == rows.tolist()


@pytest.mark.slow
def test_first_pick_without_centers_is_the_lowest_available_row():
    x = jnp.asarray(points("plain"))
    rows = np.arange(len(x))
    picked = of_arrays(x, rows >= 5, 3)
    assert picked.rows[0] == 5 and np.isinf(picked.scores[0])
    again = of_arrays(x, rows > 5, 2, centers=np.asarray(x)[5:6])
    np.testing.assert_array_equal(picked.rows[1:], again.rows)


@pytest.mark.slow
def test_center_mask_selects_the_centers():
    x = jnp.asarray(points("plain"))
    mask = np.arange(len(x)) % 11 == 0
    masked = of_arrays(x, ~mask, 9, centers=x, center_mask=mask)
    listed = of_arrays(x, ~mask, 9, centers=np.asarray(x)[mask])
    np.testing.assert_array_equal(masked.rows, listed.rows)
    nothing = of_arrays(x, ~mask, 9, centers=x, center_mask=np.zeros_like(mask))
    np.testing.assert_array_equal(nothing.rows, of_arrays(x, ~mask, 9).rows)


@pytest.mark.slow
@pytest.mark.parametrize("block_size", [1, 4, 256])
def test_duplicates_give_distinct_rows(block_size):
    x = jnp.asarray(np.repeat(points("plain", rows=6), 5, axis=0))
    picked = of_arrays(x, np.ones(30, bool), 30, block_size=block_size)
    assert sorted(picked.rows.tolist()) == list(range(30))
    # Six distinct points, each by its first copy; then copies, in order of row.
    assert sorted((picked.rows[:6] // 5).tolist()) == list(range(6))
    assert (picked.rows[:6] % 5 == 0).all()
    np.testing.assert_array_equal(picked.scores[6:], 0.0)
    assert picked.rows[6:].tolist() == sorted(picked.rows[6:].tolist())


@pytest.mark.slow
def test_missing_rows_are_minus_one():
    x = jnp.asarray(points("plain", rows=9))
    picked = of_arrays(x, np.arange(9) < 4, 9)
    assert sorted(picked.rows[:4].tolist()) == [0, 1, 2, 3]
    assert picked.rows[4:].tolist() == [-1] * 5


@pytest.mark.slow
def test_nan_is_never_ahead_of_a_number():
    x = points("plain", rows=20)
    x[3] = np.nan
    x[8, 2] = np.inf
    picked = of_arrays(x, np.ones(20, bool), 20, centers=x[:1])
    assert sorted(picked.rows.tolist()) == list(range(20))
    good = np.setdiff1d(np.arange(20), [3, 8])
    alone = of_arrays(x[good], np.ones(18, bool), 18, centers=x[:1])
    assert picked.rows[:18].tolist() == good[np.asarray(alone.rows)].tolist()


@pytest.mark.slow
def test_few_passes_over_the_pool():
    x = jnp.asarray(points("plain", rows=4000, width=32))
    run = jax.jit(_k_center, static_argnums=(2, 5))
    _, lazy = run(x, jnp.ones(4000, bool), 400, x[:50] + 0.01, None, 256)
    assert lazy.passes <= 8  # plain greedy makes 400
    assert not lazy.state.precise


@pytest.mark.slow
def test_measures_again_where_products_round_away_the_differences():
    x = jnp.asarray(points("clusters"))
    run = jax.jit(_k_center, static_argnums=(2, 5))
    _, lazy = run(x, jnp.ones(len(x), bool), 60, x[:4], None, 64)
    assert lazy.state.precise


@pytest.mark.slow
def test_permuting_and_padding():
    x = points("plain")
    order = np.random.default_rng(1).permutation(len(x))
    plain = of_arrays(x, np.ones(len(x), bool), 30, centers=x[:3])
    moved = of_arrays(x[order], np.ones(len(x), bool), 30, centers=x[:3])
    np.testing.assert_array_equal(order[np.asarray(moved.rows)], plain.rows)
    padded = np.concatenate([x, np.full((10, x.shape[1]), 1e6, np.float32)])
    more = of_arrays(padded, np.arange(len(padded)) < len(x), 30, centers=x[:3])
    np.testing.assert_array_equal(more.rows, plain.rows)


@pytest.mark.slow
def test_jit_and_vmap():
    stack = jnp.stack([jnp.asarray(points("plain", seed=seed)) for seed in range(3)])
    everything = jnp.ones(stack.shape[1], bool)

    def pick(x):
        return selection.k_center(x, everything, 20, centers=x[:2]).rows

    loop = np.stack([pick(x) for x in stack])
    np.testing.assert_array_equal(jax.jit(pick)(stack[0]), loop[0])
    np.testing.assert_array_equal(jax.jit(jax.vmap(pick))(stack), loop)


@bad_inputs(
    {
        "rank": (dict(features=jnp.ones(4)), ValueError, r"features.*\[N, D\]"),
        "rows": (dict(available=jnp.ones(3, bool)), ValueError, "must agree"),
        "budget": (dict(budget=5), ValueError, "expected 1 to 4.*got 5"),
        "width": (dict(centers=jnp.ones((1, 3))), ValueError, "expected 2 features, got 3"),
        "mask": (
            dict(centers=jnp.ones((2, 2)), center_mask=jnp.ones(3, bool)),
            ValueError,
            "must agree",
        ),
        "block": (dict(block_size=0), ValueError, "block_size"),
    }
)
def test_bad_input(given, error, message):
    arguments = dict(features=jnp.ones((4, 2)), available=jnp.ones(4, bool), budget=2) | given
    with pytest.raises(error, match=message):
        selection.k_center(**arguments)
