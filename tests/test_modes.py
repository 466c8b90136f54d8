"""The rules under JAX's stricter settings: 64 bits, strict promotion, NaN checks, leak checks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import MODES, strict_x64

from jaxal import selection
from jaxal.greedy.take import take_balanced

ROWS = 40


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 4)).astype(np.float32)
    available = np.arange(ROWS) % 5 != 0
    logits = rng.normal(size=(6, ROWS, 3)).astype(np.float32)
    return x, available, logits


def arrays():
    return tuple(jnp.asarray(array) for array in data())


def gradients(x, logits):
    return selection.gradient_embedding(logits[0], x)


def badge(x, available, logits):
    points = gradients(x, logits)
    return selection.badge(jax.random.key(0), points.residuals, points.features, available, 12)


def stochastic(x, available, kind):
    return selection.take_stochastic(jax.random.key(0), x[:, 0], available, 12, kind=kind)


RULES = {
    "take_top": lambda x, available, _: selection.take_top(x[:, 0], available, 12),
    "k_center": lambda x, available, _: selection.k_center(
        x, available, 12, centers=x, center_mask=~available, block_size=4
    ),
    "k_center of copies": lambda x, available, _: selection.k_center(
        jnp.round(x), available, ROWS, block_size=4
    ),
    "k_center of gradients": lambda x, available, logits: selection.k_center(
        gradients(x, logits), available, 12
    ),
    "badge": badge,
    "k_means_plus_plus": lambda x, available, _: selection.k_means_plus_plus(
        jax.random.key(0), x, available, ROWS
    ),
    "k_means": lambda x, available, _: selection.k_means(
        jax.random.key(0), x, available, 5, restarts=2
    ),
    "k_means in batches": lambda x, available, _: selection.k_means(
        jax.random.key(0), x, available, 5, restarts=2, batch_size=8
    ),
    "batch_bald": lambda x, available, logits: selection.batch_bald(
        jax.random.key(0), logits, available, 6, num_samples=20
    ),
    "herding": lambda x, available, _: selection.herding(
        x, available, 12, labeled=~available, weights=jnp.abs(x[:, 0])
    ),
    "herding of copies": lambda x, available, _: selection.herding(
        jnp.round(x), available, 12, kernel="top_hat", bandwidth=0.5
    ),
    "lcmd": lambda x, available, _: selection.lcmd(x, available, 12, labeled=~available),
    "lcmd of gradients": lambda x, available, logits: selection.lcmd(
        gradients(x, logits), available, 12
    ),
    "typiclust": lambda x, available, _: selection.typiclust(
        jax.random.key(0), x, available, 12, labeled=~available
    ),
    "bait": lambda x, available, logits: selection.bait(
        logits[0], x, available, 6, labeled=~available
    ),
    "bait of all classes": lambda x, available, logits: selection.bait(
        logits[0], x, available, 6, fisher="full"
    ),
    "cluster_margin": lambda x, available, _: selection.cluster_margin(
        x[:, 0], jnp.arange(ROWS, dtype=jnp.int32) // 7, available, 12, num_candidates=20
    ),
    "gist": lambda x, available, _: selection.gist(
        x, jnp.abs(x[:, 0]), available, 6, trade_off=0.1, epsilon=0.5
    ),
    "drop_query": lambda x, available, logits: selection.drop_query(
        jax.random.key(0), logits[0], logits[1:], x, available, 6, restarts=2
    ),
    "falcun": lambda x, available, logits: selection.falcun(
        jax.random.key(0), logits[0], available, 12
    ),
    "power": lambda x, available, _: stochastic(x, available, "power"),
    "softmax": lambda x, available, _: stochastic(x, available, "softmax"),
    "softrank": lambda x, available, _: stochastic(x, available, "softrank"),
}
DETERMINISTIC = ["take_top", "k_center", "k_center of gradients", "herding", "lcmd", "bait"]
DETERMINISTIC += ["bait of all classes", "cluster_margin", "gist"]


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", RULES)
def test_rules(name, mode):
    rule = jax.jit(RULES[name])  # one program, and none for each of its arguments
    with MODES[mode]():
        picked = rule(*data())
        assert picked.rows.dtype == jnp.int32 and picked.scores.dtype == jnp.float32
        rows = np.asarray(picked.rows)
        rows = rows[rows >= 0]
    _, available, _ = data()
    assert len(rows) == len(set(rows.tolist())) == min(len(picked.rows), available.sum())
    assert available[rows].all() and not np.isnan(picked.scores).any()
    if name in DETERMINISTIC:
        np.testing.assert_array_equal(picked.rows, rule(*data()).rows)


@pytest.mark.slow
def test_rows_that_are_not_finite():
    with strict_x64(nans=False):
        x, available, logits = arrays()
        x = x.at[3, 1].set(jnp.inf).at[6].set(jnp.nan)
        for picked in (
            selection.k_center(x, available, 32),
            badge(x, available, logits)._replace(weights=None),
            selection.k_means(jax.random.key(1), x, available, 5, restarts=2),
        ):
            assert picked.rows.dtype == jnp.int32
            assert not np.isin([3, 6], picked.rows[:12]).any()


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_nearest_pick_and_take_balanced(mode):
    with MODES[mode]():
        x, available, _ = arrays()
        picked = selection.take_top(x[:, 0], available, 5)
        nearest = selection.nearest_pick(picked, x)
        rows = take_balanced(jax.random.key(0), jnp.arange(ROWS) % 3, available, 6)
        assert nearest.dtype == rows.dtype == jnp.int32
        assert np.isin(nearest, picked.rows).all()
        assert np.bincount(np.asarray(rows) % 3).tolist() == [2, 2, 2]
