"""Small tools of every room: products in full float32, and rows of pytrees."""

import jax
import jax.numpy as jnp

from jaxal.base import PyTree


def matmul(left: jax.Array, right: jax.Array) -> jax.Array:
    """`left @ right` in full float32.

    Accelerators multiply float32 in TF32 or bfloat16 by default, and a small difference of large
    numbers then has no right digit left.
    """
    return jnp.matmul(left, right, precision=jax.lax.Precision.HIGHEST)


def inner_products(left: jax.Array, right: jax.Array) -> jax.Array:
    """All inner products of rows, [N, D] x [M, D] -> [N, M], in full float32."""
    return matmul(left, right.T)


def unit_rows(vectors: jax.Array) -> jax.Array:
    """Rows [N, D] divided by their norms; zero rows stay zero. Nothing overflows or underflows."""
    largest = jnp.max(jnp.abs(vectors), axis=-1, keepdims=True)
    vectors = vectors / jnp.where(largest > 0, largest, 1.0)
    norm = jnp.sqrt(jnp.sum(vectors**2, axis=-1, keepdims=True))
    return vectors / jnp.where(norm > 0, norm, 1.0)


def num_rows(tree: PyTree) -> int:
    """The length of the leading axis that all leaves share."""
    return jax.tree.leaves(tree)[0].shape[0]


def first(tree: PyTree) -> PyTree:
    """The first row of every leaf, as a batch of one: leaves [1, ...]."""
    return jax.tree.map(lambda leaf: leaf[:1], tree)


def gather(tree: PyTree, rows: jax.Array) -> PyTree:
    """The given rows of every leaf: leaves [M, ...] for rows [M]."""
    return jax.tree.map(lambda leaf: leaf[rows], tree)
