"""Last-layer gradients as points to select among: two factors, and never written out."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import PyTree
from jaxal.checks import check_name, check_rank, check_rows
from jaxal.numerics import inner_products, matmul, power_of_two, unit_rows
from jaxal.points.embedding import Embedding
from jaxal.points.losses import Loss, check_loss, residuals
from jaxal.rows import largest

GRADIENT_KINDS = ("bias", "linear", "bias_linear")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class GradientEmbedding(Embedding):
    """Last-layer gradients of a loss, residual (x) features, kept as two factors.

    <g_i, g_j> = (a_i . a_j)(h_i . h_j), so N points take N(C + D) numbers in place of N C D.
    """

    residuals: jax.Array  # [N, C], of cross-entropy softmax minus one-hot
    features: jax.Array  # [N, D]; [N, 1] of ones for bias
    kind: str = field(default="linear", metadata={"static": True})
    bias: jax.Array | None = None  # [N], for bias_linear one more feature, 1 if not scaled

    def inner(self, other: "GradientEmbedding") -> jax.Array:
        products = inner_products(self.features, other.features)
        if self.bias is not None and other.bias is not None:
            products += self.bias[:, None] * other.bias[None, :]
        return inner_products(self.residuals, other.residuals) * products

    def squared_norm(self) -> jax.Array:
        squares = jnp.sum(self.features**2, axis=-1)
        squares += 0.0 if self.bias is None else self.bias**2
        return jnp.sum(self.residuals**2, axis=-1) * squares

    @property
    def columns(self) -> int:
        """As `Embedding.columns`."""
        features = self.features.shape[1] + (self.bias is not None)
        return self.residuals.shape[1] * features

    def frame(self, mask: jax.Array) -> tuple[PyTree, jax.Array]:
        """As `Embedding.frame`, each factor by itself; the origin stays."""
        sizes = [
            largest(jnp.where(mask, size, 0.0))
            for size in (jnp.max(jnp.abs(self.residuals.astype(float)), axis=1), self._largest())
        ]
        first, second = power_of_two(jnp.stack(sizes))
        return (first, second), jnp.minimum(first * second, 2.0**127)

    def _largest(self) -> jax.Array:
        """The largest absolute feature of each row, [N]."""
        size = jnp.max(jnp.abs(self.features.astype(float)), axis=1, initial=0.0)
        return size if self.bias is None else jnp.maximum(size, jnp.abs(self.bias))

    def _scaled(self, residuals: jax.Array, by: jax.Array) -> "GradientEmbedding":
        """Of these residuals [N, C], and the features divided by something, [] or [N]."""
        columns = by if by.ndim == 0 else by[:, None]
        bias = None if self.bias is None else self.bias.astype(float) / by
        features = self.features.astype(float) / columns
        return GradientEmbedding(residuals, features, self.kind, bias)

    def placed(self, frame: PyTree) -> "GradientEmbedding":
        """As `Embedding.placed`."""
        first, second = frame
        return self._scaled(self.residuals.astype(float) / first, second)

    def normalised(self) -> "GradientEmbedding":
        """The gradients divided by their norms, factor by factor; zero rows stay zero."""
        size = self._largest()
        points = self._scaled(unit_rows(self.residuals), jnp.where(size > 0, size, 1.0))
        squares = jnp.sum(points.features**2, axis=1)
        norms = jnp.sqrt(squares + (0.0 if points.bias is None else points.bias**2))
        return points._scaled(points.residuals, jnp.where(norms > 0, norms, 1.0))

    def total(self) -> jax.Array:
        """The sum of the gradients, [C, D], for bias_linear [C, 1 + D] with the bias first."""
        total = matmul(self.residuals.T, self.features)
        if self.bias is None:
            return total
        return jnp.concatenate([matmul(self.residuals.T, self.bias)[:, None], total], axis=1)

    def along(self, direction: jax.Array) -> jax.Array:
        """Inner products with a matrix as `total`, [N]; O(N C D) time, O(N C) memory."""
        if self.bias is None:
            return jnp.sum(matmul(self.features, direction.T) * self.residuals, axis=1)
        along = matmul(self.features, direction[:, 1:].T)
        along += self.bias[:, None] * direction[None, :, 0]
        return jnp.sum(along * self.residuals, axis=1)

    def total_inner(self, mask: jax.Array) -> jax.Array:
        """As `Embedding.total_inner`, in O(N C D)."""
        return self.along(self.masked(mask).total())

    def dense(self) -> jax.Array:
        """The gradients written out, for small cases: [N, C], [N, C*D] or [N, C + C*D].

        Class-major, the bias gradients first, as in DISTIL.
        """
        outer = self.residuals[:, :, None] * self.features[:, None, :]
        outer = outer.reshape(len(outer), -1)
        if self.bias is None:
            return outer
        return jnp.concatenate([self.residuals * self.bias[:, None], outer], axis=1)


def gradient_embedding(
    logits: jax.Array,
    features: jax.Array,
    *,
    labels: jax.Array | None = None,
    kind: str = "linear",
    loss: Loss | None = None,
) -> GradientEmbedding:
    """The gradient of each example's loss in the last layer's parameters, factorised.

    Args:
      logits: [N, C].
      features: [N, D], the input of the last layer.
      labels: [N] integers; the predicted class where negative, and for all rows if not given.
      kind: gradient in the "bias", the "linear" weights, or both, "bias_linear".
      loss: (logits [N, C], labels [N]) -> [N]; the cross-entropy if None.

    Returns:
      `GradientEmbedding` of residuals [N, C] and features [N, D], with a bias of 1 for bias_linear.

    Raises:
      TypeError: a loss that is no function.
      ValueError: unknown kind, wrong ranks, leading axes that disagree, or a loss that does not
        return [N].

    References:
      Ash et al., "Deep batch active learning by diverse, uncertain gradient lower bounds", ICLR
      2020, section 3.
    """
    check_name("kind", kind, GRADIENT_KINDS)
    check_loss("loss", loss)
    check_rank("logits", logits, 2, "[N, C]")
    check_rank("features", features, 2, "[N, D]")
    check_rows(logits=logits, features=features)
    predicted = jnp.argmax(logits, axis=-1).astype(jnp.int32)
    if labels is not None:
        entry.integers("labels", labels)
        check_rows(logits=logits, labels=labels)
        predicted = jnp.where(labels >= 0, jnp.asarray(labels).astype(jnp.int32), predicted)
    logits, features = logits.astype(float), features.astype(float)
    bias = jnp.ones(len(features), features.dtype) if kind == "bias_linear" else None
    if kind == "bias":
        features = jnp.ones_like(features[:, :1])
    return GradientEmbedding(residuals(logits, predicted, loss), features, kind, bias)
