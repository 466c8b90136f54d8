"""The picks inside a block by one kernel of a card, interpreted here, against the loop."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxal import selection, targets
from jaxal.greedy import lazy
from jaxal.greedy.farthest_first import farthest_first
from jaxal.selection._k_center import RULE, KCenterBlock

BUDGET = 12


def interpreted(block, *given):
    nearest, *rest = farthest_first(
        block.squared, block.between, block.floor, *given, interpret=True
    )
    return block._replace(squared=nearest), *rest


by_kernel = jax.jit(partial(lazy._by_kernel, RULE._replace(by_kernel=interpreted)))
by_loop = jax.jit(partial(lazy._by_loop, RULE))


def given(size, seed, *, limit=-np.inf, doubtful=0.0, free=0.8, ties=False, count=0):
    """A block of `size` rows, what is outside, and picks so far."""
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 3, (size, 3)) if ties else rng.normal(size=(size, 3))
    points = points.astype(np.float32)
    squared = (points**2).sum(1)
    squared[:2] = -np.inf  # rows without numbers
    between = ((points[:, None] - points[None]) ** 2).sum(-1)
    block = KCenterBlock(*map(jnp.asarray, (squared, between, np.full(size, doubtful, "f"))))
    rows = np.sort(rng.choice(1000, size, replace=False)).astype(np.int32)
    outside = np.float32(limit), np.int32(500)
    picks = lazy.Picks(
        jnp.full(BUDGET, -1, jnp.int32), jnp.full(BUDGET, -jnp.inf), jnp.int32(count)
    )
    return jax.tree.map(jnp.asarray, (block, rows, rng.random(size) < free, outside, picks))


CASES = {
    "all": {},
    "up to the bound outside": {"limit": 2.0},
    "ties": {"ties": True, "limit": 2.0},
    "ties, room for some": {"ties": True, "count": BUDGET - 3},
    "doubtful": {"doubtful": 1.5},
    "no room": {"count": BUDGET},
    "none available": {"free": 0.0},
    "rows without numbers, the last": {"free": 1.1},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [5, 16])
def test_one_kernel_picks_as_the_loop_does(size, case):
    for seed in range(5):
        arguments = given(size, seed, **CASES[case])
        found, expected = by_kernel(*arguments), by_loop(*arguments)
        jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_vmap():
    several = [given(16, seed, limit=1.0) for seed in range(3)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *several)
    found = jax.vmap(by_kernel)(*stacked)
    for place, one in enumerate(several):
        own = jax.tree.map(lambda leaf, place=place: leaf[place], found)
        jax.tree.map(np.testing.assert_array_equal, own, by_loop(*one))


@pytest.mark.slow
def test_programs_for_a_card_pick_the_same(monkeypatch):
    """Larger tiles, and a kernel that is traced and, on this device, not used."""
    points = jax.random.normal(jax.random.key(0), (9_001, 16))  # of a shape of its own
    available = jnp.arange(9_001) % 7 != 0
    expected = selection.k_center(points, available, 40)
    jax.clear_caches()
    with monkeypatch.context() as patched:
        patched.setattr(targets, "_for_gpu", True)
        found = selection.k_center(points, available, 40)
        text = jax.jit(selection.k_center, static_argnums=2).lower(points, available, 40).as_text()
    jax.clear_caches()
    assert "triton" not in text
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-6)
