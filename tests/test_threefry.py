"""The short form of JAX's generator gives its numbers, bit for bit, by fewer kernels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxal.threefry import short_key

DRAWS = {
    "one": lambda key: jax.random.uniform(key),
    "none": lambda key: jax.random.bits(key, (0,)),
    "uniform": lambda key: jax.random.uniform(key, (7, 3)),
    "normal": lambda key: jax.random.normal(key, (5,)),
    "bytes": lambda key: jax.random.bits(key, (11,), "uint8"),
    "halves": lambda key: jax.random.bits(key, (3, 2, 4), "uint16"),
    "permutation": lambda key: jax.random.permutation(key, 50),
    "bernoulli": lambda key: jax.random.bernoulli(key, 0.3, (9,)),
    "integers": lambda key: jax.random.randint(key, (9,), 0, 1000),
    "split": lambda key: jax.random.key_data(jax.random.split(key, (2, 3))),
    "fold_in": lambda key: jax.random.key_data(jax.random.fold_in(key, 2**32 - 1)),
    "each of several keys": lambda key: jax.vmap(jax.random.bits)(jax.random.split(key, 4)),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_numbers_are_those_of_jax(draw):
    for seed in (0, 2**31 + 5):
        key = jax.random.key(seed)
        expected = draw(jax.random.clone(key))
        for function in (draw, jax.jit(draw)):
            found = function(short_key(jax.random.clone(key)))
            np.testing.assert_array_equal(expected, found)


def test_double_precision():
    with jax.enable_x64(True):
        key = jax.random.key(3)
        expected = jax.random.uniform(jax.random.clone(key), (5,), jnp.float64)
        np.testing.assert_array_equal(expected, jax.random.uniform(short_key(key), (5,)))


def test_programs_have_no_loop():
    def draw(key):
        return jax.random.uniform(short_key(jax.random.fold_in(short_key(key), 3)), (100,))

    text = jax.jit(draw).lower(jax.random.key(0)).compile().as_text()
    assert text and " while(" not in text


def test_other_keys_stay_as_they_are():
    old = jax.random.PRNGKey(0)
    assert short_key(old) is old
    other = jax.random.key(0, impl="rbg")
    assert short_key(other) is other
    with jax.threefry_partitionable(False):
        key = jax.random.key(0)
        assert short_key(key) is key
