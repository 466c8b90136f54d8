"""Herding against its definition in float64, and where distances by products would fail."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_same_picks, bad_inputs, greedy

from jaxal import selection

ROWS = 40


def herding(points, available, budget, **given: Any):
    arrays: Any = {name: as_array(value) for name, value in given.items()}
    return selection.herding(jnp.asarray(points), jnp.asarray(available), budget, **arrays)


def as_array(value):
    return jnp.asarray(value) if isinstance(value, np.ndarray) else value


def data(seed=0, offset=0.0, spread=1.0):
    rng = np.random.default_rng(seed)
    points = (spread * rng.normal(size=(ROWS, 3)) + offset).astype(np.float32)
    available, labeled = np.arange(ROWS) % 5 > 0, np.arange(ROWS) % 7 == 0
    return points, available, labeled, rng.uniform(size=ROWS).astype(np.float32)


def reference(points, available, labeled, weights, kernel, bandwidth, budget):
    """Plain greedy by the definition."""
    points = points.astype(np.float64)
    distance = np.sqrt(((points[:, None] - points[None]) ** 2).sum(-1))
    if bandwidth is None:
        among = distance[labeled][:, labeled]
        bandwidth = among[among > 0].min() if (among > 0).any() else 1.0
    similar = np.exp(-((distance / bandwidth) ** 2))
    if kernel == "top_hat":
        similar = (distance < bandwidth).astype(float)
    targets, base = available | labeled, list(np.flatnonzero(labeled))

    def value(rows):
        covered = similar[[*base, *rows]].max(0) if base or rows else np.zeros(len(points))
        return (weights * covered)[targets].sum() / targets.sum()

    found = greedy(value, np.flatnonzero(available & ~labeled), budget)
    return found.rows, np.diff([value([]), *found.values])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kernel", "bandwidth", "given"),
    [("rbf", None, "all"), ("rbf", 1.5, "nothing"), ("top_hat", 0.9, "labeled")],
)
def test_picks_as_defined(kernel, bandwidth, given):
    points, available, labeled, weights = data()
    if given == "nothing":
        labeled = np.zeros(ROWS, bool)
    if given != "all":
        weights = np.ones(ROWS, np.float32)
    picked = herding(
        points,
        available,
        8,
        labeled=None if given == "nothing" else labeled,
        weights=weights if given == "all" else None,
        kernel=kernel,
        bandwidth=bandwidth,
    )
    rows, gains = reference(points, available, labeled, weights, kernel, bandwidth, 8)
    assert_same_picks(picked.rows, rows, picked.scores, gains)
    np.testing.assert_allclose(picked.scores, gains, rtol=1e-3, atol=1e-6)


def test_points_far_from_the_mean_and_close_to_each_other():
    """By products, all rows of a cluster would lie on each other."""
    points, available, labeled, weights = data(spread=0.01)
    points += np.where(np.arange(ROWS)[:, None] % 2 == 0, 300.0, -300.0).astype(np.float32)
    picked = herding(points, available, 8, labeled=labeled, weights=weights, bandwidth=0.02)
    rows, _ = reference(points, available, labeled, weights, "rbf", 0.02, 8)
    assert picked.rows.tolist() == rows


def test_where_all_is_covered_the_lowest_free_row_is_next():
    points = np.repeat(data()[0][:2], 3, axis=0)
    picked = herding(points, jnp.ones(6, bool), 6)
    assert picked.rows.tolist() == [0, 3, 1, 2, 4, 5]
    assert (picked.scores[2:] == 0).all()


def test_rows_that_do_not_count_change_nothing():
    points, available, labeled, _ = data()
    wild = np.where((available | labeled)[:, None], points, 1e6).astype(np.float32)
    wild[0], labeled[0] = np.nan, False
    plain = herding(points, available, 6, labeled=labeled, bandwidth=1.0)
    again = herding(wild, available, 6, labeled=labeled, bandwidth=1.0)
    np.testing.assert_array_equal(plain.rows, again.rows)


ALL = jnp.ones(4, bool)


@bad_inputs(
    {
        "too few": (
            lambda: herding(jnp.ones((4, 2)), ALL, 3, labeled=jnp.arange(4) < 2),
            ValueError,
            "budget: expected 1 to 2 ",
        ),
        "negative": (
            lambda: herding(jnp.ones((4, 2)), ALL, 1, weights=jnp.arange(4.0) - 2),
            ValueError,
            "weights: expected numbers >= 0, got -2.0 in row 0",
        ),
        "weights": (
            lambda: herding(jnp.ones((4, 2)), ALL, 1, weights=jnp.ones(3)),
            ValueError,
            "leading axes must agree",
        ),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
