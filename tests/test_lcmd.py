"""LCMD against its definition in float64."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs

from jaxal import selection
from jaxal.selection import gradient_embedding

ROWS = 45


def lcmd(points, available, budget, labeled=None):
    labeled = None if labeled is None else jnp.asarray(labeled)
    return selection.lcmd(points, jnp.asarray(available), budget, labeled=labeled)


def data(offset=0.0):
    rng = np.random.default_rng(0)
    points = (rng.normal(size=(ROWS, 3)) * 2 + offset).astype(np.float32)
    available, labeled = np.arange(ROWS) % 5 > 0, np.arange(ROWS) % 9 == 0
    return points, available, labeled


def reference(points, available, labeled, budget):
    """The rule as it is said, every distance anew."""
    points = points.astype(np.float64)
    members = available & ~labeled
    centers, rows, scores = list(np.flatnonzero(labeled)), [], []
    for _ in range(budget):
        free = [row for row in np.flatnonzero(members) if row not in rows]
        if not centers:
            squared = (points**2).sum(1)
            row = max(free, key=lambda row: (squared[row], -row))
        else:
            every = ((points[:, None] - points[centers][None]) ** 2).sum(-1)
            squared, nearest = every.min(1), every.argmin(1)
            weights = [squared[members & (nearest == c)].sum() for c in range(len(centers))]
            heaviest = int(np.argmax(weights))
            if weights[heaviest] > 0:
                free = [row for row in free if nearest[row] == heaviest]
            row = max(free, key=lambda row: (squared[row], -row))
        rows.append(row)
        centers.append(row)
        scores.append(np.sqrt(squared[row]))
    return rows, scores


@pytest.mark.parametrize("offset", [0.0, 60.0])
@pytest.mark.parametrize("known", [True, False])
def test_picks_as_defined(offset, known):
    points, available, labeled = data(offset)
    labeled = labeled & known
    rows, scores = reference(points, available, labeled, 12)
    picked = lcmd(jnp.asarray(points), available, 12, labeled=labeled)
    assert picked.rows.tolist() == rows
    np.testing.assert_allclose(picked.scores, scores, rtol=1e-4, atol=1e-4)


def test_copies_are_picked_last():
    points = jnp.repeat(jnp.asarray(data()[0][:4]), 3, axis=0)
    picked = lcmd(points, jnp.ones(12, bool), 12)
    assert sorted(picked.rows.tolist()) == list(range(12))
    assert (picked.rows[:4] % 3 == 0).all() and (picked.scores[4:] == 0).all()
    assert picked.rows[4:].tolist() == sorted(picked.rows[4:].tolist())


def test_rows_without_numbers_come_last():
    points, available, _ = data()
    points[[3, 7]] = np.nan
    picked = lcmd(jnp.asarray(points), available, int(available.sum()))
    assert sorted(picked.rows[-2:].tolist()) == [3, 7]
    assert (picked.scores[-2:] == -np.inf).all()


@pytest.mark.slow
def test_gradients_are_never_written_out():
    rng = np.random.default_rng(1)
    logits, features = (jnp.asarray(rng.normal(size=(ROWS, 4)), jnp.float32) for _ in range(2))
    points = gradient_embedding(logits, features, kind="bias_linear")
    _, available, labeled = data()
    picked = lcmd(points, available, 8, labeled=labeled)
    rows, _ = reference(np.asarray(points.dense()), available, labeled, 8)
    assert picked.rows.tolist() == rows


@bad_inputs(
    {
        "too few": (
            lambda: lcmd(jnp.ones((4, 2)), jnp.arange(4) < 2, 2, labeled=jnp.arange(4) < 1),
            ValueError,
            "budget: expected 1 to 1 ",
        ),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
