"""D-optimal preference pairs against the definition in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs

from jaxal import curation
from jaxal.curation import _d_optimal


def reference(features, pairs, head, available, labeled, ridge, budget):
    features = np.asarray(features, np.float64)
    x = features[pairs[:, 0]] - features[pairs[:, 1]]
    p = 1 / (1 + np.exp(-x @ head))
    v = p * (1 - p)
    fisher = ridge * np.eye(features.shape[1]) + (x[labeled].T * v[labeled]) @ x[labeled]
    free, rows, scores = available & ~labeled, [], []
    for _ in range(min(budget, free.sum())):
        worth = v * np.einsum("pd,de,pe->p", x, np.linalg.inv(fisher), x)
        row = int(np.where(free, worth, -np.inf).argmax())
        rows.append(row)
        scores.append(worth[row])
        free[row] = False
        fisher += v[row] * np.outer(x[row], x[row])
    return rows, scores


def data(pairs=150, seed=0):
    rng = np.random.default_rng(seed)
    features = (rng.normal(size=(40, 6)) * np.array([3, 2, 1, 1, 0.5, 0.1])).astype(np.float32)
    some = rng.integers(0, 40, size=(pairs, 2)).astype(np.int32)
    head = rng.normal(size=6).astype(np.float32)
    return features, some, head, rng.uniform(size=pairs) < 0.9, rng.uniform(size=pairs) < 0.1


@pytest.mark.parametrize("block", [1024, 16])
def test_picks_as_defined(block, monkeypatch):
    """Past the picks after which the inverse is made anew."""
    monkeypatch.setattr(_d_optimal, "BLOCK", block)
    features, pairs, head, available, labeled = data()
    rows, scores = reference(features, pairs, head, available, labeled, 0.1, 80)
    found = curation.d_optimal_pairs(
        *map(jnp.asarray, (features, pairs, head, available)),
        budget=80,
        labeled=jnp.asarray(labeled),
        ridge=0.1,
    )
    np.testing.assert_allclose(found.scores, scores, rtol=1e-3)
    assert found.rows.tolist() == rows


def test_labeled_pairs_and_what_is_no_number():
    features, pairs, head, available, _ = data()
    features[5] = np.nan
    broken = (pairs == 5).any(1)
    arrays = [jnp.asarray(array) for array in (features, pairs, head)]
    budget = int(available.sum())
    found = curation.d_optimal_pairs(*arrays, available=jnp.asarray(available), budget=budget)
    last = np.asarray(found.rows)[-int((available & broken).sum()) :]
    assert broken[last].all() and (found.scores[-len(last) :] == -jnp.inf).all()
    rows, _ = reference(
        np.nan_to_num(features), pairs, head, available & ~broken, ~available & False, 1.0, 20
    )
    assert found.rows[:20].tolist() == rows


def test_vmap_over_heads():
    features, pairs, head, available, _ = data()
    heads = np.stack([head, -2 * head, 0 * head])
    both = jax.vmap(
        lambda head: curation.d_optimal_pairs(
            jnp.asarray(features), jnp.asarray(pairs), head, jnp.asarray(available), 10
        )
    )(jnp.asarray(heads))
    for own, rows in zip(heads, both.rows, strict=True):
        expected, _ = reference(features, pairs, own, available, ~available & False, 1.0, 10)
        assert rows.tolist() == expected


def call(**changes):
    features, pairs, head, _, _ = data(pairs=9)
    arrays = {"features": features, "pairs": pairs, "head": head, "available": np.ones(9, bool)}
    return lambda: curation.d_optimal_pairs(**{**arrays, "budget": 3, **changes})


@bad_inputs(
    {
        "outside": (call(pairs=np.full((9, 2), 40)), ValueError, "pairs: expected rows from 0"),
        "floats": (call(pairs=np.ones((9, 2))), TypeError, "pairs: expected an array"),
        "three": (call(pairs=np.ones((9, 3), int)), ValueError, "pairs: expected shape"),
        "head": (call(head=np.ones(5)), ValueError, "head: expected 6 weights"),
        "budget": (call(budget=10), ValueError, "budget: expected 1 to 9"),
        "ridge": (call(ridge=0.0), ValueError, "ridge: expected"),
        "mask": (call(available=np.ones(8, bool)), ValueError, "leading axes must agree"),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
