"""RDS against its definition in float64, and the pooling of hidden states."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs

from jaxal import curation
from jaxal.curation import _rds
from jaxal.pools import devices
from jaxal.rows import rows_over


def cosines(features, queries):
    features, queries = np.asarray(features, np.float64), np.asarray(queries, np.float64)
    lengths = np.linalg.norm(features, axis=1)[:, None] * np.linalg.norm(queries, axis=1)
    return features @ queries.T / lengths


def reference(features, queries, available, budget, tasks=None):
    """Tasks in turn, in each its queries in turn, each the best row left."""
    found = cosines(features, queries)
    tasks = np.zeros(len(queries), int) if tasks is None else np.asarray(tasks)
    of_task = [np.flatnonzero(tasks == task) for task in np.unique(tasks)]
    free, rows, scores = np.array(available), [], []
    for turn in range(min(budget, free.sum())):
        own = of_task[turn % len(of_task)]
        query = own[turn // len(of_task) % len(own)]
        worth = np.where(free, found[:, query], -np.inf)
        rows.append(int(worth.argmax()))
        scores.append(worth.max())
        free[rows[-1]] = False
    return rows + [-1] * (budget - len(rows)), scores


def data(rows=130, queries=7, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, 5)) * rng.uniform(0.1, 9, size=(rows, 1))
    return (
        jnp.asarray(features, jnp.float32),
        jnp.asarray(rng.normal(size=(queries, 5)) + 0.5, jnp.float32),
        jnp.asarray(rng.uniform(size=rows) < 0.9),
    )


TASKS = jnp.array([3, 0, 3, 3, 0, 9, 3])


@pytest.mark.slow
@pytest.mark.parametrize("tasks", [None, TASKS], ids=["one task", "three"])
def test_each_in_turn(tasks):
    features, queries, available = data()
    for budget in (3, 60, 130):  # fewer turns than queries; lists used up; more than there are
        found = curation.rds(features, queries, available, budget, tasks=tasks)
        rows, scores = reference(features, queries, available, budget, tasks)
        assert found.rows.tolist() == rows
        np.testing.assert_allclose(found.scores[: len(scores)], scores, rtol=1e-5, atol=1e-6)
        assert (found.scores[len(scores) :] == -jnp.inf).all()


@pytest.mark.slow
def test_lists_are_made_anew_when_all_want_the_same_rows(monkeypatch):
    features, queries, available = data(rows=200, queries=40)
    queries = queries.at[:].set(queries[:1] + 0.01 * queries)
    monkeypatch.setattr(_rds, "BLOCK", 1)  # so that queries come in blocks of 8
    found = jax.jit(curation.rds, static_argnums=3)(features, queries, available, 150)
    assert found.rows.tolist() == reference(features, queries, available, 150)[0]


def test_the_largest_cosine():
    features, queries, available = data()
    worth = np.where(available, cosines(features, queries).max(1), -np.inf)
    found = curation.rds(features, queries, available, 20, kind="max")
    assert found.rows.tolist() == np.argsort(-worth, kind="stable")[:20].tolist()
    np.testing.assert_allclose(found.scores, np.sort(worth)[::-1][:20], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["round_robin", "max"])
def test_what_is_no_number_comes_last_and_has_no_turn(kind):
    features, queries, available = data(rows=12, queries=3)
    features = features.at[4].set(jnp.nan).at[5].set(0.0).at[6].multiply(1e30)
    queries = queries.at[1, 2].set(jnp.inf)
    found = curation.rds(features, queries, jnp.ones(12, bool), 12, kind=kind)
    assert sorted(found.rows.tolist()) == list(range(12)) and found.rows[-1] == 4
    assert found.scores[-1] == -jnp.inf and jnp.isfinite(found.scores[:-1]).all()
    scores = cosines(features.at[4:6].set(1.0), queries[jnp.array([0, 2])])
    assert int(found.rows[0]) in scores.argmax(0)
    none = curation.rds(features, jnp.full((2, 5), jnp.nan), available, 3)
    assert none.rows.tolist() == [-1] * 3


def test_rows_in_another_order_are_the_same_rows():
    features, queries, available = data()
    order = np.random.default_rng(1).permutation(len(features))
    plain = curation.rds(features, queries, available, 60)
    moved = curation.rds(features[order], queries, available[order], 60)
    np.testing.assert_array_equal(order[moved.rows], plain.rows)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["round_robin", "max"])
def test_devices_share_the_rows(kind):
    features, queries, available = data(rows=128)
    plain = curation.rds(features, queries, available, 60, kind=kind)
    mesh = devices.make_mesh(8)
    with rows_over(mesh):
        shared = devices.place_rows((features, available), mesh)
        again = curation.rds(shared[0], queries, shared[1], 60, kind=kind)
    np.testing.assert_array_equal(plain.rows, again.rows)


def test_vmap():
    features, queries, available = data()
    masks = jnp.stack([available, ~available | (jnp.arange(130) % 2 > 0)])
    both = jax.vmap(lambda mask: curation.rds(features, queries, mask, 20))(masks)
    for mask, rows in zip(masks, both.rows, strict=True):
        assert rows.tolist() == reference(features, queries, mask, 20)[0]


def test_later_tokens_weigh_more():
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(4, 6, 3)).astype(np.float32)
    lengths = [6, 2, 0, 4]
    mask = np.arange(6) < np.array(lengths)[:, None]
    found = curation.weighted_mean_pool(jnp.asarray(hidden), jnp.asarray(mask))
    for own, length, row in zip(hidden.astype(np.float64), lengths, found, strict=True):
        weights = np.arange(1, length + 1)
        expected = weights @ own[:length] / max(weights.sum(), 1)
        np.testing.assert_allclose(row, expected, rtol=1e-5, atol=1e-6)
    # Padding on the left, of whatever it holds.
    left = np.where(mask[:, ::-1, None], np.roll(hidden, 2, 1), np.nan)
    left[3, 2:] = hidden[3, :4]
    moved = curation.weighted_mean_pool(jnp.asarray(left), jnp.asarray(mask[:, ::-1]))
    np.testing.assert_allclose(moved[3], found[3], rtol=1e-5)
    half = curation.weighted_mean_pool(jnp.asarray(hidden, jnp.bfloat16), jnp.asarray(mask))
    assert half.dtype == jnp.float32


TWO = jnp.ones((2, 5))


def call(queries=TWO, budget=3, **given):
    features, _, available = data(rows=9)
    return lambda: curation.rds(features, queries, available, budget, **given)


@bad_inputs(
    {
        "no query": (call(jnp.ones((0, 5))), ValueError, "queries: expected at least one"),
        "width": (call(jnp.ones((2, 4))), ValueError, "queries: expected 5 features"),
        "budget": (call(budget=10), ValueError, "budget: expected 1 to 9"),
        "kind": (call(kind="mean"), ValueError, "kind: 'mean' is unknown"),
        "tasks": (call(tasks=jnp.zeros(3, int)), ValueError, "leading axes must agree"),
        "floats": (call(tasks=jnp.zeros(2)), TypeError, "tasks: expected an array"),
        "no turns": (call(tasks=jnp.zeros(2, int), kind="max"), ValueError, "tasks: expected none"),
        "mask": (
            lambda: curation.weighted_mean_pool(jnp.ones((2, 3, 1)), jnp.ones((2, 3))),
            TypeError,
            "mask: expected a mask",
        ),
        "lengths": (
            lambda: curation.weighted_mean_pool(jnp.ones((2, 3, 1)), jnp.ones((2, 4), bool)),
            ValueError,
            "mask: expected shape",
        ),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
