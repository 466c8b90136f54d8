"""ALFA-Mix's score: of how many classes a hint changes the prediction."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.checks import check_mask, check_rank, describe, is_array
from jaxal.scores.uncertainty import as_logits


@entry.checked(
    apply=entry.function,
    features=entry.matrix("[n, D]"),
    anchors=entry.matrix("[A, D]"),
    epsilon=entry.positive,
    anchor_mask=entry.mask,
)
def alfa_mix(
    apply: Callable[[jax.Array], jax.Array],
    features: jax.Array,
    anchors: jax.Array,
    *,
    epsilon: float | jax.Array = 0.2,
    anchor_mask: jax.Array | None = None,
) -> jax.Array:
    """The number of anchors of which a little, mixed into the features, flips the prediction.

    With g the gradient of the cross-entropy at the predicted class, the features x are mixed with
    an anchor a, the mean of a class, in the proportions that climb the loss fastest within epsilon
    / sqrt(D) |a - x|: that is x + epsilon / sqrt(D) |a - x| g / |g|, whatever the direction of the
    anchor. The paper's closed form; where its divisor a - x is 0, there is nothing to divide here.

    A forward and a backward pass, and one forward pass an anchor, one after the other.

    Args:
      apply: maps features [n, D] to logits [n, C], each row from its own.
      features: [n, D].
      anchors: [A, D], the mean of the labelled features of each class.
      epsilon: how far to go, as a share of the distance.
      anchor_mask: [A] bool, which anchors there are; all if not given.

    Returns:
      [n], from 0 to A; 0 where the gradient is 0. Higher is queried first.

    Raises:
      TypeError: if `apply` is no function, an array is none, or epsilon no number.
      ValueError: if the widths disagree, epsilon is not above 0 or the logits are not [n, C].

    Example:
      >>> apply = lambda x: jnp.concatenate([x, -x], axis=1)
      >>> points = jnp.array([[0.1], [5.0]])
      >>> alfa_mix(apply, points, jnp.array([[4.0], [-4.0]])).tolist()
      [2.0, 0.0]

    References:
      Parvaneh et al., "Active learning by feature mixing", CVPR 2022, section 3.3.
    """
    if features.shape[1] != anchors.shape[1]:
        raise ValueError(f"anchors: expected {features.shape[1]} features, got {anchors.shape[1]}")
    if anchor_mask is None:
        anchor_mask = jnp.ones(len(anchors), bool)
    check_mask("anchor_mask", anchor_mask, len(anchors))
    features, anchors = jnp.asarray(features).astype(float), jnp.asarray(anchors).astype(float)

    def predict(features: jax.Array) -> jax.Array:
        logits = apply(features)
        if not is_array(logits):
            raise TypeError(f"apply: expected logits [n, C], got {describe(logits)}")
        check_rank("apply", logits, 2, "[n, C]")
        return as_logits("apply", logits, "[n, C]")

    logits, gradient = jax.vjp(predict, features)
    label = jnp.argmax(logits, axis=1)
    chosen = jax.nn.one_hot(label, logits.shape[1], dtype=bool)
    # d CE = (1 - p_label) (softmax over the rivals - onehot). Only the direction is used, so the
    # first factor, which costs the digits of the second, is left out.
    rivals = jax.nn.softmax(jnp.where(chosen, -jnp.inf, logits), axis=1)
    (slope,) = gradient(rivals - chosen.astype(rivals.dtype))
    size = jnp.sqrt(jnp.sum(slope**2, axis=1, keepdims=True))
    direction = jnp.where(size > 0, slope / jnp.where(size > 0, size, 1.0), 0.0)
    reach = epsilon / features.shape[1] ** 0.5

    def flips(anchor: jax.Array) -> jax.Array:
        distance = jnp.sqrt(jnp.sum((anchor[None, :] - features) ** 2, axis=1, keepdims=True))
        return jnp.argmax(predict(features + reach * distance * direction), axis=1) != label

    # A class without labelled rows may have an anchor of anything, NaN too.
    flipped = jax.lax.map(flips, jnp.where(anchor_mask[:, None], anchors, 0.0))
    return jnp.sum(flipped & anchor_mask[:, None] & (size[:, 0] > 0)[None, :], 0, logits.dtype)
