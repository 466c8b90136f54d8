"""A light random number generator for dropout masks, and the hash that it is made of.

JAX's own generator is most of the time of a small network's dropout passes, and half of the program
that a strategy of draws compiles: each call of it is about ten loops on a CPU. Masks need fair and
independent bits, no more, which two rounds of a hash give in a single loop.
"""

import math
from typing import Any

import jax
import jax.extend.random
import jax.numpy as jnp

_GOLDEN = 0x9E3779B9  # 2^32 over the golden ratio: an odd constant that spreads small counts


def mix(word: jax.Array) -> jax.Array:
    """The finalizer of MurmurHash3, [...] uint32: a changed bit changes about half of the result's.

    Args:
      word: [...] uint32.

    Returns:
      [...] uint32; different words have different results.
    """
    word = (word ^ (word >> 16)) * jnp.uint32(0x85EBCA6B)
    word = (word ^ (word >> 13)) * jnp.uint32(0xC2B2AE35)
    return word ^ (word >> 16)


def mask_keys(key: jax.Array, numbers: jax.Array) -> jax.Array:
    """PRNG keys for dropout masks, one for each number.

    Args:
      key: PRNG key of any kind.
      numbers: [M] uint32.

    Returns:
      [M] keys of the generator of this module, which all of `jax.random` takes.
    """
    light = jax.random.wrap_key_data(jax.random.key_data(key)[:2], impl=_GENERATOR)
    return jax.vmap(jax.random.fold_in, (None, 0))(light, numbers)


def _random_bits(key: jax.Array, width: int, shape: tuple[int, ...]) -> jax.Array:
    """Hashes each place's number between the two words of the key, [2] uint32 -> `shape`."""
    place = jax.lax.iota(jnp.uint32, math.prod(shape)).reshape(shape)
    bits = mix(mix(place * jnp.uint32(_GOLDEN) + key[0]) ^ key[1])
    if width == 64:
        low = mix(bits + jnp.uint32(_GOLDEN))
        return (bits.astype(jnp.uint64) << 32) | low.astype(jnp.uint64)
    return (bits >> (32 - width)).astype(f"uint{width}")


def _fold_in(key: jax.Array, number: Any) -> jax.Array:
    """Another key for each number; the words take it in two ways, so that they stay unrelated."""
    # Moved away from 0, which the hash maps to itself.
    number = jnp.asarray(number).astype(jnp.uint32) + jnp.uint32(_GOLDEN)
    return jnp.stack([mix(key[0] ^ number), mix(key[1] + mix(number))])


_GENERATOR = jax.extend.random.define_prng_impl(
    key_shape=(2,),
    seed=lambda seed: _fold_in(jnp.zeros(2, jnp.uint32), seed),
    split=lambda key, shape: _random_bits(key, 32, (*shape, 2)),
    random_bits=_random_bits,
    fold_in=_fold_in,
    name="jaxal_masks",
    tag="masks",
)
