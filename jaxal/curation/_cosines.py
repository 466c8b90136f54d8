"""Cosines of pool rows and a few others, without a copy of the pool."""

import jax
import jax.numpy as jnp

from jaxal.numerics import inner_products

NOT_FINITE = -2.0
"""The similarity of a row with a NaN or an infinity: below that of any other."""


def cosines(features: jax.Array, lengths: jax.Array, unit: jax.Array) -> jax.Array:
    """Cosines [N, M] of rows [N, D] to unit vectors [M, D], in full float32.

    Args:
      features: [N, D].
      lengths: [N], their lengths. A row of zeros is at a cosine of 0 to all.
      unit: [M, D], of length 1, or zeros.

    Returns:
      [N, M]; NOT_FINITE for rows that hold a NaN or an infinity.
    """
    usable = jnp.isfinite(lengths)
    inverse = jnp.where(usable & (lengths > 0), 1.0 / jnp.where(lengths > 0, lengths, 1.0), 0.0)
    found = inner_products(features, unit) * inverse[:, None]
    return jnp.where(usable[:, None], found, NOT_FINITE)
