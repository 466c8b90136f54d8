"""One vector a text from the hidden states of its tokens."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.checks import check_rank
from jaxal.numerics import as_floats


def _token_mask(name: str, value: Any) -> None:
    """[n, T] bool."""
    check_rank(name, value, 2, "[n, T]")
    if value.dtype != bool:
        raise TypeError(f"{name}: expected a mask [n, T] bool, got dtype {value.dtype}")


@entry.checked(hidden=entry.matrix("[n, T, D]"), mask=_token_mask)
@jax.jit
def weighted_mean_pool(hidden: jax.Array, mask: jax.Array) -> jax.Array:
    """Position-weighted mean of hidden states: token t counts t times.

    In a causal language model later tokens have seen more. Positions are counted among the tokens
    of the mask, from 1, so that padding on either side changes nothing.

    Args:
      hidden: [n, T, D], of the last layer.
      mask: [n, T] bool, True for tokens that are no padding. Others are not looked at.

    Returns:
      [n, D] floats, at least of 32 bits; zeros for a text without a token.

    Raises:
      TypeError: if the hidden states are not numbers, or the mask is not bool.
      ValueError: if shapes disagree.

    References:
      Muennighoff, "SGPT: GPT sentence embeddings for semantic search", 2022.
      Ivison et al., "Large-scale data selection for instruction tuning", 2025.

    Example:

    >>> hidden = jnp.array([[[1.0], [4.0], [9.0]]])
    >>> weighted_mean_pool(hidden, jnp.array([[True, True, False]])).tolist()
    [[3.0]]
    """
    if hidden.shape[:2] != mask.shape:
        raise ValueError(
            f"mask: expected shape {hidden.shape[:2]}, as hidden has, got {mask.shape}"
        )
    hidden = as_floats(hidden)
    dtype = jnp.promote_types(hidden.dtype, jnp.float32)
    position = jnp.cumsum(mask, axis=1, dtype=jnp.int32)
    weight = jnp.where(mask, position, 0).astype(dtype)
    total = jnp.maximum(jnp.sum(weight, axis=1, keepdims=True), 1.0)
    # Padding may hold anything: a NaN times 0 would still be one.
    states = jnp.where(mask[:, :, None], hidden.astype(dtype), 0.0)
    share = (weight / total)[:, None, :]
    return jnp.matmul(share, states, precision=jax.lax.Precision.HIGHEST)[:, 0, :]
