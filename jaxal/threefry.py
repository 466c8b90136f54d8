"""JAX's random numbers by a short program: its generator without a loop.

For CPUs, JAX compiles each call of threefry as a loop of ten kernels, which takes 70 to 400 ms of
compiling, where a whole decision takes a second. Written out, the rounds are one kernel, of 45 ms,
and quicker. Every bit is that of `jax.random`.
"""

import math

import jax
import jax.numpy as jnp
from jax.extend.random import define_prng_impl, threefry_prng_impl

from jaxal.checks import is_key
from jaxal.targets import is_gpu

ROTATIONS = (13, 15, 26, 6), (17, 29, 16, 24)
WORD = 32


def short_key(key: jax.Array) -> jax.Array:
    """A key that gives the same numbers by shorter programs, where there are such; else the key.

    Args:
      key: [] or [...] PRNG keys; those of other generators, and keys of the old style, stay.

    Returns:
      Keys of the same shape. They are for `jax.random`, inside a program: not kept, nor mixed with
      keys of JAX's own type, as in the two branches of a `cond`.
    """
    ours = is_key(key) and jax.random.key_impl(key) == "threefry2x32"
    # JAX writes out the rounds itself for other devices. Its older law of what a draw is made of
    # gives other numbers.
    if not ours or is_gpu() or not jax.threefry_partitionable.value:
        return key
    return jax.random.wrap_key_data(jax.random.key_data(key), impl=_SHORT)


def with_kind(keys: jax.Array, like: jax.Array) -> jax.Array:
    """Keys [...] of the generator of another key, for what is not of this package."""
    if not is_key(like):
        return keys
    return jax.random.wrap_key_data(jax.random.key_data(keys), impl=jax.random.key_impl(like))


@jax.jit
def _encrypted(key: jax.Array, high: jax.Array, low: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Threefry-2x32 of 20 rounds: words [...] under a key [2], uint32; jitted to be traced once.

    References:
      Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.3.
    """
    keys = key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(0x1BD11BDA)
    high, low = high + keys[0], low + keys[1]
    for group in range(5):
        for turn in ROTATIONS[group % 2]:
            high = high + low
            low = (low << jnp.uint32(turn)) | (low >> jnp.uint32(WORD - turn))
            low = low ^ high
        high = high + keys[(group + 1) % 3]
        low = low + keys[(group + 2) % 3] + jnp.uint32(group + 1)
    return high, low


def _numbered(key: jax.Array, shape: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """Two words for each place of a shape: its number is encrypted."""
    low = jax.lax.iota(jnp.uint32, math.prod(shape)).reshape(shape)
    return _encrypted(key, jnp.zeros_like(low), low)


def _stacked(words: tuple[jax.Array, jax.Array], axis: int) -> jax.Array:
    """A stack that is made once, and not anew for each number that is computed from it.

    A kernel whose result is a stack stays one of its own, if the barrier hides from the compiler
    what is stacked; any other is repeated inside those that use it: a mask of the features that all
    rows share would be drawn for each row.
    """
    return jax.lax.optimization_barrier(jnp.stack(words, axis))


def _split(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    if math.prod(shape) >= 2**WORD:  # its numbers have two words
        return threefry_prng_impl.split(key, shape)
    return _stacked(_numbered(key, shape), -1)


def _fold_in(key: jax.Array, number: int | jax.Array) -> jax.Array:
    low = jnp.asarray(number, jnp.uint32)
    return _stacked(_encrypted(key, jnp.zeros_like(low), low), -1)


def _random_bits(key: jax.Array, width: int, shape: tuple[int, ...]) -> jax.Array:
    if width > WORD or math.prod(shape) >= 2**WORD:
        return threefry_prng_impl.random_bits(key, width, shape)
    high, low = _numbered(key, shape)
    bits = _stacked((high ^ low, jnp.zeros_like(low)), 0)
    return (bits[0] ^ bits[1]).astype(f"uint{width}")


_SHORT = define_prng_impl(
    key_shape=threefry_prng_impl.key_shape,
    seed=threefry_prng_impl.seed,
    split=_split,
    random_bits=_random_bits,
    fold_in=_fold_in,
    name="short_threefry2x32",
    tag="short_fry",
)
