"""The picks inside a block, by one kernel of a card (interpreted here) or few, as by the loop."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [5, 16])
def test_few_kernels_pick_as_the_loop_does(size, case):
    for seed in range(5):
        arguments = given(size, seed, **CASES[case])
        expected = by_loop(*arguments)
        for found in (by_kernel(*arguments), by_few(*arguments)):
            jax.tree.map(np.testing.assert_array_equal, found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("by", [by_kernel, by_few], ids=["one kernel", "few"])
def test_vmap(by):
    several = [given(16, seed, limit=1.0) for seed in range(3)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *several)
    found = jax.vmap(by)(*stacked)
    for place, one in enumerate(several):
        own = jax.tree.map(lambda leaf, place=place: leaf[place], found)
        jax.tree.map(np.testing.assert_array_equal, own, by_loop(*one))
