"""The gradient of each example's loss by its logits: of the cross-entropy, or of another loss."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxal.checks import describe

Loss = Callable[[jax.Array, jax.Array], jax.Array]
"""The loss of each example: logits [n, C], labels [n] -> [n], each row from its own alone."""


def check_loss(name: str, loss: Any) -> None:
    """Raises TypeError unless a loss is a function, or None for the cross-entropy."""
    if loss is not None and not callable(loss):
        raise TypeError(f"{name}: expected a function of logits and labels, got {describe(loss)}")


def residuals(logits: jax.Array, labels: jax.Array, loss: Loss | None = None) -> jax.Array:
    """The gradient of each example's loss by its logits.

    Args:
      logits: [N, C].
      labels: [N] integers in [0, C).
      loss: the cross-entropy if None.

    Returns:
      [N, C], for the cross-entropy softmax minus one-hot; NaN where a logit is.

    Raises:
      ValueError: a loss that does not return [N].
    """
    if loss is None:
        onehot = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
        return jax.nn.softmax(logits, axis=-1) - onehot

    def total(logits: jax.Array) -> jax.Array:
        losses = loss(logits, labels)
        if jnp.shape(losses) != labels.shape:
            raise ValueError(
                f"loss: expected one number for each of {len(labels)} rows, got {describe(losses)}"
            )
        return jnp.sum(losses)

    # A loss may be flat where logits are no numbers, and such a row would count as a good one.
    unknown = jnp.any(jnp.isnan(logits), axis=-1, keepdims=True)
    return jnp.where(unknown, jnp.nan, jax.grad(total)(logits))
