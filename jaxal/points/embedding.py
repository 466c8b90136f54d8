"""Points to select among: plain feature vectors, and last-layer gradients that are never written out.

Both have the same methods, so that a rule over distances or inner products is written once.
"""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from jaxal.checks import check_name, check_rank, check_rows
from jaxal.numerics import gather, inner_products, num_rows

GRADIENT_KINDS = ("bias", "linear", "bias_linear")


class Embedding:
    """N points known by their inner products; every rule over points takes one in place of an array.

    A subclass is a pytree whose leaves have a leading axis of N rows. `inner` and `squared_norm` are
    enough for a rule to work; the other methods follow from them, and are there to be done faster.
    """

    @property
    def size(self) -> int:
        """N."""
        return num_rows(self)

    def inner(self, other: "Embedding") -> jax.Array:
        """Inner products with M other points, [N, M]."""
        raise NotImplementedError

    def squared_norm(self) -> jax.Array:
        """Squared Euclidean norms, [N]."""
        raise NotImplementedError

    def take(self, rows: jax.Array) -> "Embedding":
        """The points at `rows` [M]."""
        return gather(self, rows)

    def finite(self) -> jax.Array:
        """Which rows hold finite numbers alone, [N] bool."""
        rows = [
            jnp.all(jnp.isfinite(leaf.reshape(self.size, -1)), axis=1)
            for leaf in jax.tree.leaves(self)
            if jnp.issubdtype(leaf.dtype, jnp.inexact)
        ]
        return jnp.all(jnp.stack(rows), axis=0)

    def masked(self, mask: jax.Array) -> "Embedding":
        """The same with zeros in every row outside `mask` [N] bool."""

        def zero(leaf):
            return jnp.where(mask.reshape(-1, *[1] * (leaf.ndim - 1)), leaf, jnp.zeros_like(leaf))

        return jax.tree.map(zero, self)

    def squared_distance(self, other: "Embedding") -> jax.Array:
        """Squared Euclidean distances to M other points, [N, M], by norms and one product, >= 0."""
        norms = self.squared_norm()[:, None] + other.squared_norm()[None, :]
        return jnp.maximum(norms - 2.0 * self.inner(other), 0.0)


Points = jax.Array | Embedding
"""[N, D], or an `Embedding` of N rows."""


def as_embedding(name: str, points: Points) -> Embedding:
    """Arrays [N, D] as `Dense` floats, embeddings as they are.

    Raises:
      ValueError: an array of another rank, or without a row; says `name`.
    """
    if isinstance(points, Embedding):
        return points
    points = jnp.asarray(points)
    check_rank(name, points, 2, "[N, D]")
    if 0 in points.shape:
        raise ValueError(f"{name}: expected at least one row, got {points.shape}")
    return Dense(points.astype(float))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Dense(Embedding):
    """Feature vectors as they are."""

    features: jax.Array  # [N, D]

    def inner(self, other: "Dense") -> jax.Array:
        return inner_products(self.features, other.features)

    def squared_norm(self) -> jax.Array:
        return jnp.sum(self.features**2, axis=-1)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class GradientEmbedding(Embedding):
    """Gradients of the cross-entropy in the last layer, residual (x) features, kept as the two factors.

    <g_i, g_j> = (a_i . a_j)(h_i . h_j), so N points take N(C + D) numbers in place of N C D.
    """

    residuals: jax.Array  # [N, C], softmax minus one-hot label
    features: jax.Array  # [N, D]; [N, D+1] (leading 1) for bias_linear; [N, 1] of ones for bias
    kind: str = field(default="linear", metadata={"static": True})

    def inner(self, other: "GradientEmbedding") -> jax.Array:
        return inner_products(self.residuals, other.residuals) * inner_products(
            self.features, other.features
        )

    def squared_norm(self) -> jax.Array:
        return jnp.sum(self.residuals**2, axis=-1) * jnp.sum(self.features**2, axis=-1)

    def dense(self) -> jax.Array:
        """The gradients written out, for small cases: [N, C], [N, C*D] or [N, C + C*D].

        Class-major, the bias gradients first, as in DISTIL.
        """
        outer = self.residuals[:, :, None] * self.features[:, None, :]
        if self.kind != "bias_linear":
            return outer.reshape(len(outer), -1)
        linear = outer[:, :, 1:].reshape(len(outer), -1)
        return jnp.concatenate([outer[:, :, 0], linear], axis=1)


def gradient_embedding(
    logits: jax.Array,
    features: jax.Array,
    *,
    labels: jax.Array | None = None,
    kind: str = "linear",
) -> GradientEmbedding:
    """The gradient of each example's cross-entropy in the last layer's parameters, factorised.

    Args:
      logits: [N, C].
      features: [N, D], the input of the last layer.
      labels: [N] integers; the predicted class where negative, and for all rows if not given.
      kind: gradient in the "bias", the "linear" weights, or both, "bias_linear".

    Returns:
      `GradientEmbedding` of residuals [N, C] and features [N, D] (with a leading 1 for bias_linear).

    Raises:
      ValueError: unknown kind, wrong ranks, or leading axes that disagree.

    References:
      Ash et al., "Deep batch active learning by diverse, uncertain gradient lower bounds", ICLR 2020,
      section 3.
    """
    check_name("kind", kind, GRADIENT_KINDS)
    check_rank("logits", logits, 2, "[N, C]")
    check_rank("features", features, 2, "[N, D]")
    check_rows(logits=logits, features=features)
    predicted = jnp.argmax(logits, axis=-1)
    if labels is not None:
        check_rank("labels", labels, 1, "[N]")
        check_rows(logits=logits, labels=labels)
        predicted = jnp.where(labels >= 0, labels, predicted)
    logits, features = logits.astype(float), features.astype(float)
    onehot = jax.nn.one_hot(predicted, logits.shape[-1], dtype=logits.dtype)
    ones = jnp.ones_like(features[:, :1])
    if kind == "bias":
        features = ones
    elif kind == "bias_linear":
        features = jnp.concatenate([ones, features], axis=1)
    return GradientEmbedding(jax.nn.softmax(logits, axis=-1) - onehot, features, kind)
