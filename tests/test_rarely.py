"""`numerics.rarely`: under vmap the rare branch is computed only if some seed needs it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxal.numerics import rarely


def chosen(condition, x, y):
    return rarely(
        condition, lambda pair: (pair[0] / pair[1], -1), lambda pair: (pair[0], 1), (x, y)
    )


@pytest.mark.parametrize("conditions", [[False, False], [True, False], [True, True]])
def test_it_is_the_same_for_each_seed(conditions):
    x, conditions = jnp.arange(6.0).reshape(2, 3), jnp.array(conditions)
    found = jax.jit(jax.vmap(chosen, (0, 0, None)))(conditions, x, 4.0)
    expected = [chosen(condition, one, 4.0) for condition, one in zip(conditions, x, strict=True)]
    for one, of_seeds in zip(zip(*expected, strict=True), found, strict=True):
        np.testing.assert_array_equal(of_seeds, np.stack(one))
    shared = jax.vmap(chosen, (None, 0, None))(conditions[0], x, 4.0)
    np.testing.assert_array_equal(shared[0], x / 4 if conditions[0] else x)
    alone = jax.vmap(chosen, (0, None, None))(conditions, x[0], 4.0)
    np.testing.assert_array_equal(alone[0], jnp.where(conditions[:, None], x[0] / 4, x[0]))


def test_seeds_of_seeds():
    conditions, x = jnp.array([[True, False], [False, False]]), jnp.arange(4.0).reshape(2, 2)
    found = jax.vmap(jax.vmap(chosen, (0, 0, None)), (0, 0, None))(conditions, x, 2.0)
    np.testing.assert_array_equal(found[0], jnp.where(conditions, x / 2, x))


@pytest.mark.parametrize("needed", [False, True])
def test_the_rare_branch_is_not_computed_for_nothing(needed):
    asked = []

    def rare(x):
        jax.debug.callback(lambda: asked.append("rare"))
        return -x

    conditions = jnp.array([False, needed])
    found = jax.vmap(lambda condition, x: rarely(condition, rare, jnp.abs, x))(
        conditions, jnp.array([-1.0, 2.0])
    )
    jax.block_until_ready(found)
    jax.effects_barrier()
    assert bool(asked) == needed and found.tolist() == [1.0, -2.0 if needed else 2.0]
