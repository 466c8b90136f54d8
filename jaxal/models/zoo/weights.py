"""Initial weights."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp


def lecun_normal(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
    """The numbers of `nn.initializers.lecun_normal()`, drawn as a vector.

    On a CPU XLA takes up to two seconds to compile random bits of a small last axis, as of [64,
    10], and a fifth of one for as many in a row.
    """
    *fan_in, _ = shape
    variance = jnp.array(1 / math.prod(fan_in), dtype)
    # The standard deviation of a normal distribution cut at two of them.
    deviation = jnp.sqrt(variance) / jnp.array(0.87962566103423978, dtype)
    numbers = jax.random.truncated_normal(key, -2, 2, (math.prod(shape),), dtype)
    return (numbers * deviation).reshape(tuple(shape))


def he_normal(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
    """Normal numbers of variance 2 / (places of the kernel * channels out), drawn as a vector.

    References:
      He et al., "Delving Deep into Rectifiers", ICCV 2015, section 2.2, backward propagation.
    """
    *places, _, channels = shape
    deviation = jnp.array(math.sqrt(2 / (math.prod(places) * channels)), dtype)
    numbers = jax.random.normal(key, (math.prod(shape),), dtype)
    return (numbers * deviation).reshape(tuple(shape))
