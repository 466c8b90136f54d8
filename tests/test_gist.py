"""GIST against its definition in float64."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs

from jaxal.selection import gist

ROWS = 30


def data():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(ROWS, 2)).astype(np.float32)
    return points, rng.uniform(size=ROWS).astype(np.float32), np.arange(ROWS) % 4 > 0


def reference(points, utilities, available, budget, trade_off, epsilon):
    points, utilities = points.astype(np.float64), utilities.astype(np.float64)
    distance = np.sqrt(((points[:, None] - points[None]) ** 2).sum(-1))
    usable = list(np.flatnonzero(available))
    order = sorted(usable, key=lambda row: (-utilities[row], row))
    inside = distance[usable][:, usable]
    diameter = inside.max()

    def greedy(least):
        rows = []
        for row in order:
            if len(rows) < budget and (not rows or distance[row, rows].min() >= least):
                rows.append(row)
        return rows

    def value(rows):
        gaps = [distance[a, b] for a in rows for b in rows if a < b]
        return utilities[rows].sum() + trade_off * min(gaps, default=diameter)

    pair = np.unravel_index(inside.argmax(), inside.shape)
    sets = [greedy(0.0), *([[usable[place] for place in pair]] if budget > 1 else [])]
    power = 1.0
    while power <= 2 / epsilon:
        sets.append(greedy(power * epsilon * diameter / 2))
        power *= 1 + epsilon
    return max(sets, key=value)


@pytest.mark.parametrize(
    ("budget", "trade_off", "epsilon"),
    [(6, 0.0, 0.5), (6, 1.5, 0.5), (6, 30.0, 0.5), (1, 1.0, 0.5)],
)
def test_picks_as_defined(budget, trade_off, epsilon):
    points, utilities, available = data()
    rows = reference(points, utilities, available, budget, trade_off, epsilon)
    picked = gist(
        jnp.asarray(points),
        jnp.asarray(utilities),
        jnp.asarray(available),
        budget,
        trade_off=trade_off,
        epsilon=epsilon,
    )
    assert [row for row in picked.rows.tolist() if row >= 0] == rows
    np.testing.assert_array_equal(picked.scores[: len(rows)], utilities[rows])


def test_rows_without_numbers_are_not_picked():
    points, utilities, _ = data()
    points[3], utilities[5] = np.nan, np.inf
    given = jnp.asarray(points), jnp.asarray(utilities), jnp.ones(ROWS, bool)
    picked = gist(*given, ROWS, trade_off=0.0, epsilon=0.5).rows.tolist()
    assert sorted(picked) == [-1, -1, *(row for row in range(ROWS) if row not in (3, 5))]


FOUR = jnp.arange(4.0)


@bad_inputs(
    {
        "epsilon": (
            lambda: gist(jnp.ones((4, 2)), FOUR, FOUR >= 0, 2, trade_off=1.0, epsilon=3.0),
            ValueError,
            "epsilon: expected a number above 0 and at most 2",
        ),
        "too few": (
            lambda: gist(jnp.ones((4, 2)), FOUR, FOUR > 2, 2, trade_off=1.0),
            ValueError,
            "budget: expected 1 to 1 ",
        ),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
