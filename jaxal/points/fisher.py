"""The Fisher information of each row about a last layer's weights, in factors."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.numerics import matmul

CLASS_FISHERS = ("binary", "full")
FISHERS = (*CLASS_FISHERS, "gaussian")


class Factors(NamedTuple):
    """The Fisher information of row i is V_i^T V_i, V_i = loadings_i (x) features_i."""

    loadings: jax.Array  # [n, R, R]
    features: jax.Array  # [n, D]

    def dense(self) -> jax.Array:
        """V of a single row, [R, R D], of loadings [R, R] and features [D]."""
        outer = self.loadings[:, :, None] * self.features[None, None, :]
        return outer.reshape(len(outer), -1)

    def times(self, columns: jax.Array) -> jax.Array:
        """V of each row times [R * D, R]: [n, R, R]. O(n D R^2 + n R^3)."""
        classes, width = self.loadings.shape[1], self.features.shape[1]
        by_feature = columns.reshape(classes, width, -1).transpose(1, 0, 2).reshape(width, -1)
        inner = matmul(self.features, by_feature).reshape(len(self.features), classes, -1)
        return matmul(self.loadings, inner)

    def total(self, weights: jax.Array) -> jax.Array:
        """The sum of the rows' Fisher information by weights [n], [R D, R D]. O(n D^2 R^2)."""
        between = matmul(jnp.swapaxes(self.loadings, 1, 2), self.loadings)  # [n, R, R]
        classes, width = between.shape[1], self.features.shape[1]

        def block(pair: jax.Array) -> jax.Array:
            return matmul((self.features * (weights * pair)[:, None]).T, self.features)

        pairs = jnp.moveaxis(between, 0, -1).reshape(classes * classes, -1)
        blocks = jax.lax.map(block, pairs).reshape(classes, classes, width, width)
        return blocks.transpose(0, 2, 1, 3).reshape(classes * width, classes * width)

    def quadratic(self, middle: jax.Array) -> jax.Array:
        """V_i X V_i^T of a matrix X [R D, R D], [n, R, R]. O(n D^2 R^2)."""
        classes, width = self.loadings.shape[1], self.features.shape[1]

        def inner(block: jax.Array) -> jax.Array:
            return jnp.sum(matmul(self.features, block) * self.features, axis=1)

        blocks = middle.reshape(classes, width, classes, width).transpose(0, 2, 1, 3)
        between = jax.lax.map(inner, blocks.reshape(classes * classes, width, width))
        between = between.T.reshape(-1, classes, classes)
        return matmul(matmul(self.loadings, between), jnp.swapaxes(self.loadings, 1, 2))


def fisher_factors(
    logits: jax.Array, features: jax.Array, fisher: str, usable: jax.Array
) -> Factors:
    """The factors of the last layer's Fisher information of each row.

    Args:
      logits: [n, C]; not looked at for "gaussian".
      features: [n, D], the inputs of the last layer, with a column of ones for a bias.
      fisher: one of `FISHERS`, "binary" for the information about whether the likeliest class is
        right, of rank R = 1, "full" for that of all classes, R = C, or "gaussian" for that of a
        regression, whose noise has variance 1, R = 1.
      usable: [n] bool; the information of other rows is 0, whatever they hold.

    Returns:
      `Factors`. Memory O(n (D + R^2)).

    References:
      Ash et al., "Gone Fishing: neural active learning with Fisher embeddings", NeurIPS 2021.
    """
    probs = jax.nn.softmax(jnp.where(usable[:, None], logits, 0.0), axis=-1)
    if fisher == "gaussian":
        loadings = jnp.ones((len(features), 1, 1), features.dtype)
    elif fisher == "binary":
        top = jnp.max(probs, axis=-1)
        loadings = jnp.sqrt(top * (1.0 - top))[:, None, None]
    else:
        eye = jnp.eye(probs.shape[1], dtype=probs.dtype)
        loadings = jnp.sqrt(probs)[:, :, None] * (eye[None] - probs[:, None, :])
    mask = usable[:, None]
    return Factors(jnp.where(mask[:, :, None], loadings, 0.0), jnp.where(mask, features, 0.0))
