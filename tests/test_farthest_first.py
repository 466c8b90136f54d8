"""The picks inside a block, by one kernel of a card (interpreted here) or few, as by the loop."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxal import selection, submodular, targets
from jaxal.greedy import inside
from jaxal.greedy.farthest_first import farthest_first
from jaxal.selection._k_center import RULE, KCenterBlock

BUDGET = 12


def interpreted(block, *given):
    nearest, *rest = farthest_first(
        block.squared, block.between, block.floor, *given, interpret=True
    )
    return block._replace(squared=nearest), *rest


by_kernel = jax.jit(partial(inside._with_picks, interpreted))
by_few = jax.jit(partial(inside._with_picks, partial(inside._by_few_kernels, RULE)))
by_loop = jax.jit(partial(inside._by_loop, RULE))


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
    picks = inside.Picks(
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
def test_few_kernels_pick_as_the_loop_does(size, case):
    for seed in range(5):
        arguments = given(size, seed, **CASES[case])
        expected = by_loop(*arguments)
        for found in (by_kernel(*arguments), by_few(*arguments)):
            jax.tree.map(np.testing.assert_array_equal, found, expected)


@pytest.mark.parametrize("by", [by_kernel, by_few], ids=["one kernel", "few"])
def test_vmap(by):
    several = [given(16, seed, limit=1.0) for seed in range(3)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *several)
    found = jax.vmap(by)(*stacked)
    for place, one in enumerate(several):
        own = jax.tree.map(lambda leaf, place=place: leaf[place], found)
        jax.tree.map(np.testing.assert_array_equal, own, by_loop(*one))


def k_center(points, available):
    return selection.k_center(points, available, 40)


def facility_location(points, available):
    function = submodular.facility_location(points)
    return submodular.maximize(function, available, 40, optimizer="lazy", block_size=32)


def batch_bald(points, available):
    logits = jnp.stack([points[:, :3], points[:, 3:6], points[:, 6:9]])
    key = jax.random.key(1)
    return selection.batch_bald(key, logits, available, 4, num_samples=9, block_size=16)


@pytest.mark.slow
@pytest.mark.parametrize(
    "rule, rows", [(k_center, 9_001), (facility_location, 301), (batch_bald, 301)]
)
def test_programs_for_a_card_pick_the_same(monkeypatch, rule, rows):
    """Larger tiles, and a kernel that is traced and, on this device, not used."""
    points = jax.random.normal(jax.random.key(0), (rows, 16))  # of a shape of its own
    available = jnp.arange(rows) % 7 != 0
    expected = rule(points, available)
    jax.clear_caches()
    with monkeypatch.context() as patched:
        patched.setattr(targets, "_for_gpu", True)
        found = rule(points, available)
        text = jax.jit(rule).lower(points, available).as_text()
    jax.clear_caches()
    assert "triton" not in text
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5, atol=1e-6)
