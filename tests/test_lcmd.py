"""LCMD against its definition in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs

import jaxal
from jaxal import selection, strategies
from jaxal.pools import devices
from jaxal.rows import rows_over
from jaxal.selection import Embedding, gradient_embedding

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


@pytest.mark.parametrize("kind", ["linear", "bias_linear", "features"])
def test_random_projections(kind):
    """Those of the gradients written out, in float64, and about their inner products."""
    rng = np.random.default_rng(2)
    logits, features = (jnp.asarray(rng.normal(size=(ROWS, n)), jnp.float32) for n in (4, 6))
    key, width = jax.random.key(0), 4096
    points = features if kind == "features" else gradient_embedding(logits, features, kind=kind)
    found = selection.random_projection(key, points, width)
    factors = np.asarray(features, np.float64)
    if kind == "bias_linear":
        factors = np.concatenate([factors, np.ones((ROWS, 1))], axis=1)
    dense, size = factors, factors.shape[1]
    drawn = jax.random.normal(jax.random.clone(key), (size + 4 * (kind != "features"), width))
    directions = np.asarray(drawn, np.float64)
    if not isinstance(points, jax.Array):
        residuals = np.asarray(points.residuals, np.float64)
        dense = (residuals[:, :, None] * factors[:, None, :]).reshape(ROWS, -1)
        # u (x) v of each of the projections, written out in the same order.
        directions = (directions[size:, None] * directions[None, :size]).reshape(-1, width)
    expected = dense @ directions / np.sqrt(width)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    norms = np.linalg.norm(dense, axis=1)
    off = (expected @ expected.T - dense @ dense.T) / norms[:, None] / norms[None, :]
    assert np.sqrt(np.mean(off**2)) < 3 / np.sqrt(width) and abs(off.mean()) < 0.02


@pytest.mark.slow
def test_strategy_of_sketched_gradients():
    """LCMD on what the strategy projects; near the picks of exact distances; on 8 devices too."""
    rng = np.random.default_rng(3)
    logits, features = (rng.normal(size=(64, n)).astype(np.float32) for n in (4, 6))
    logits, available = np.float32(3) * logits, np.arange(64) % 4 > 0
    points = gradient_embedding(jnp.asarray(logits), jnp.asarray(features))
    labels = jnp.where(jnp.asarray(available), -1, 0)
    picks = {}
    for mesh in (None, devices.make_mesh(8)):
        put = (lambda x: x) if mesh is None else functools.partial(devices.place_rows, mesh=mesh)
        with rows_over(mesh):
            given = jax.tree.map(put, (points, labels, labels >= 0, jnp.asarray(available)))
            strategy = strategies.lcmd(representation="linear", sketch=32)
            found = strategy.select(jax.random.key(0), jaxal.View(*given), 10)
            picks[mesh is None] = found.rows.tolist()
    assert picks[True] == picks[False]
    drawn = np.asarray(selection.random_projection(jax.random.key(0), points, 32))
    assert picks[True] == reference(drawn, available, ~available, 10)[0]


@bad_inputs(
    {
        "sketch": (lambda: strategies.lcmd(sketch=0), ValueError, "sketch: expected .* 1"),
        "no array": (
            lambda: selection.random_projection(jax.random.key(0), Embedding(), 2),
            TypeError,
            "points: expected an array",
        ),
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
