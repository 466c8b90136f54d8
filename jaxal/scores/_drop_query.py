"""DropQuery's score: how many draws of a model disagree with its prediction."""

import jax
import jax.numpy as jnp

from jaxal.scores.uncertainty import as_logits


def drop_query(logits: jax.Array, dropped_logits: jax.Array) -> jax.Array:
    """The number of draws, as of dropout masks, whose class differs from the prediction.

    Args:
      logits: [N, C], of the prediction; ties go to the lowest class.
      dropped_logits: [K, N, C], of K draws.

    Returns:
      [N], from 0 to K. Higher is queried first. A row that holds NaN scores NaN.

    Raises:
      TypeError: if the logits are not floating point.
      ValueError: if shapes disagree, there is no draw or there are fewer than two classes.

    Example:
      >>> draws = jnp.array([[[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]])
      >>> drop_query(draws[0], draws).tolist()
      [0.0, 1.0]

    References:
      Gupte et al., "Revisiting active learning in the era of vision foundation models", TMLR 2024.
    """
    logits = as_logits("logits", logits, "[N, C]")
    dropped = as_logits("dropped_logits", dropped_logits, "[K, N, C]")
    if dropped.shape[1:] != logits.shape:
        raise ValueError(
            f"dropped_logits: expected [K, {logits.shape[0]}, {logits.shape[1]}], as of the "
            f"prediction, got {dropped.shape}"
        )
    differs = jnp.argmax(dropped, axis=-1) != jnp.argmax(logits, axis=-1)[None]
    unknown = jnp.any(jnp.isnan(logits), axis=-1) | jnp.any(jnp.isnan(dropped), axis=(0, -1))
    return jnp.where(unknown, jnp.nan, jnp.sum(differs, axis=0, dtype=logits.dtype))
