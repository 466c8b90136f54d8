"""How wide intervals are, in standard deviations."""

import jax
import jax.numpy as jnp

from jaxal.numerics import as_floats

_HALVINGS = 40


def normal_quantile(confidence: float | jax.Array, dtype: jnp.dtype) -> jax.Array:
    """How many standard deviations hold that share of a normal law, to both sides."""
    return jax.scipy.special.ndtri(jnp.asarray((1 + confidence) / 2, dtype))


def student_quantile(confidence: float | jax.Array, freedom: jax.Array) -> jax.Array:
    """The same of Student's law, by halving its distribution function; `freedom` at least 1."""
    freedom = jnp.maximum(as_floats(freedom), 1)
    outside = jnp.asarray(1 - confidence, freedom.dtype)

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        # Of x = v / (v + t^2), which runs from 0 to 1, the share outside of -t to t is a beta law.
        above = jax.scipy.special.betainc(freedom / 2, jnp.full_like(freedom, 0.5), middle)
        return jnp.where(above < outside, middle, low), jnp.where(above < outside, high, middle)

    ends = jnp.zeros_like(freedom), jnp.ones_like(freedom)
    x = jax.lax.fori_loop(0, _HALVINGS, halve, ends)[1]
    return jnp.sqrt(freedom * (1 - x) / x)
