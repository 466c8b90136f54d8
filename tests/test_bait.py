"""BAIT against its definition in float64: every trace from the matrices themselves."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import softmax, traced_anew

from jaxal import selection
from jaxal.selection import _bait

ROWS = 24


def data(classes=3, width=3):
    rng = np.random.default_rng(1)
    logits = (2 * rng.normal(size=(ROWS, classes))).astype(np.float32)
    features = rng.normal(size=(ROWS, width)).astype(np.float32)
    available, labeled = np.arange(ROWS) % 5 > 0, np.arange(ROWS) % 8 == 1
    return logits, features, available, labeled


def bait(logits, features, available, budget, labeled, fisher="binary", ridge=1.0):
    logits, features = jnp.asarray(logits), jnp.asarray(features)
    masks = jnp.asarray(available), jnp.asarray(labeled)
    return selection.bait(
        logits, features, masks[0], budget, labeled=masks[1], fisher=fisher, ridge=ridge
    )


def reference(logits, features, available, budget, labeled, fisher, ridge):
    probs, features = softmax(logits), features.astype(np.float64)
    top = probs.max(1)
    inner = [np.diag(p) - np.outer(p, p) for p in probs]
    if fisher == "binary":
        inner = [np.array([[q * (1 - q)]]) for q in top]
    each = np.stack([np.kron(a, np.outer(h, h)) for a, h in zip(inner, features, strict=True)])
    counted, known = available | labeled, labeled.sum()
    mean = each[counted].mean(0)
    base = ridge * np.eye(len(mean)) + each[labeled].sum(0) / (known + budget)

    def trace(rows):
        matrix = base + each[rows].sum(0) * budget / (known + budget)
        return np.trace(np.linalg.solve(matrix, mean))

    free, rows, scores = list(np.flatnonzero(available & ~labeled)), [], {}
    for _ in range(min(2 * budget, len(free))):
        before = trace(rows)
        row = min((row for row in free if row not in rows), key=lambda row: trace([*rows, row]))
        rows.append(row)
        scores[row] = before - trace(rows)
    while len(rows) > budget:
        worst = min(rows, key=lambda row: trace([other for other in rows if other != row]))
        rows.remove(worst)
    return rows, [scores[row] for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fisher", "budget", "known"),
    [("binary", 5, True), ("binary", 12, False), ("full", 4, True)],
)
def test_picks_as_defined(fisher, budget, known):
    logits, features, available, labeled = data()
    labeled = labeled & known
    given = (logits, features, available, budget, labeled, fisher, 0.5)
    rows, scores = reference(*given)
    picked = bait(*given)
    assert picked.rows.tolist() == rows
    np.testing.assert_allclose(picked.scores, scores, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_sums_made_anew_change_no_pick(monkeypatch):
    """More steps than are taken between two inversions, one at a time."""
    given = (*data()[:3], 6, data()[3], "binary", 0.1)
    plain = bait(*given)
    monkeypatch.setattr(_bait, "REFRESHED", 1)
    with traced_anew():
        np.testing.assert_array_equal(bait(*given).rows, plain.rows)


def test_rows_that_do_not_count_change_nothing():
    logits, features, available, labeled = data()
    gone = ~(available | labeled)
    wild = np.where(gone[:, None], 1e6, features).astype(np.float32)
    wild[0], logits[5] = np.nan, np.where(np.arange(3) > 0, -np.inf, 1.0)
    plain = bait(logits, features, available, 6, labeled)
    np.testing.assert_array_equal(bait(logits, wild, available, 6, labeled).rows, plain.rows)


def test_rows_without_numbers_come_last():
    logits, features, available, _ = data()
    logits[7, 0], features[9, 1] = np.nan, np.inf
    picked = bait(logits, features, available, int(available.sum()), np.zeros(ROWS, bool))
    assert sorted(picked.rows[-2:].tolist()) == [7, 9]
    assert (picked.scores[-2:] == -np.inf).all() and np.isfinite(picked.scores[:-2]).all()


def test_sure_rows_are_worth_nothing():
    logits = np.full((4, 2), [60.0, -60.0], np.float32)
    logits[2] = 0.0
    picked = bait(logits, np.ones((4, 2), np.float32), np.ones(4, bool), 4, np.zeros(4, bool))
    assert picked.rows.tolist() == [2, 0, 1, 3]
