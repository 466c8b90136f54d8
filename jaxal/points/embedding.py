"""Points to select among, by the methods that rules ask of them; feature vectors.

Last-layer gradients (`gradient.py`) have the same methods, so that a rule over distances or inner
products is written once.
"""

import math
from dataclasses import dataclass
from typing import Any, Self

import jax
import jax.numpy as jnp

from jaxal.base import PyTree
from jaxal.checks import check_rank
from jaxal.numerics import (
    as_floats,
    gather,
    inner_products,
    matmul,
    num_rows,
    power_of_two,
    unit_rows,
)
from jaxal.rows import largest

TOTAL_COLUMNS = 64  # inner products summed at a time, where nothing quicker is known


class Embedding:
    """N points known by their inner products; rules take one in place of an array.

    A subclass is a pytree whose leaves have a leading axis of N rows. `inner` and `squared_norm`
    are enough for a rule to work; the other methods follow from them and may be overridden by
    faster or more exact ones.
    """

    @property
    def size(self) -> int:
        """The number of points, N."""
        return num_rows(self)

    def inner(self, other: "Embedding") -> jax.Array:
        """Inner products with M other points, [N, M]."""
        raise NotImplementedError

    def squared_norm(self) -> jax.Array:
        """Squared Euclidean norms, [N]."""
        raise NotImplementedError

    def take(self, rows: jax.Array) -> Self:
        """The points at `rows` [M]."""
        return gather(self, rows)

    def finite(self) -> jax.Array:
        """Which rows hold only finite numbers, [N] bool."""
        finite = jnp.ones(self.size, bool)
        for leaf in jax.tree.leaves(self):
            if jnp.issubdtype(leaf.dtype, jnp.inexact):
                # The compiler's maximum of long arrays forgets a NaN on CPUs.
                finite &= jnp.all(jnp.isfinite(leaf), axis=tuple(range(1, leaf.ndim)))
        return finite

    def masked(self, mask: jax.Array) -> Self:
        """The same with zeros in every row outside `mask` [N] bool."""

        def zero(leaf):
            return jnp.where(mask.reshape(-1, *[1] * (leaf.ndim - 1)), leaf, jnp.zeros_like(leaf))

        return jax.tree.map(zero, self)

    def squared_distance(self, other: "Embedding") -> jax.Array:
        """Squared Euclidean distances to M other points, [N, M], by norms and one product, >= 0."""
        norms = self.squared_norm()[:, None] + other.squared_norm()[None, :]
        return jnp.maximum(norms - 2.0 * self.inner(other), 0.0)

    @property
    def product_error(self) -> float | None:
        """Relative error of `inner` at most; None, as here, where there is no `difference`."""
        return None

    def difference(self, other: Self, scale: jax.Array) -> jax.Array:
        """Squared distances to M other points divided by scale^2, [N, M], by differences.

        For points with coordinates to subtract, where the products round away small distances. The
        memory may be that of N M points.
        """
        raise NotImplementedError

    @property
    def width(self) -> int:
        """How many numbers a point is held as."""
        return sum(math.prod(leaf.shape[1:]) for leaf in jax.tree.leaves(self))

    @property
    def columns(self) -> int:
        """How many numbers a point is, written out."""
        return math.prod(math.prod(leaf.shape[1:]) for leaf in jax.tree.leaves(self))

    def frame(self, mask: jax.Array) -> tuple[PyTree, jax.Array]:
        """Where squares of the points neither cancel nor overflow.

        Args:
          mask: [N] bool, the rows that count; these are finite.

        Returns:
          What `placed` moves and scales points by, and a power of two []: distances of placed
          points, times that, are those of these. Where the origin can be moved, it is near the
          mean.
        """
        scale = power_of_two(jnp.sqrt(largest(jnp.where(mask, self.squared_norm(), 0.0))))
        return scale, scale

    def placed(self, frame: PyTree) -> "Embedding":
        """The points moved and scaled by a `frame`, each by itself."""
        return Scaled(self, jnp.full(self.size, 1.0, frame.dtype) / frame)

    def conditioned(
        self, mask: jax.Array, *others: "Embedding"
    ) -> tuple[tuple["Embedding", ...], jax.Array]:
        """The points and others `placed` in the points' `frame`, and its scale []."""
        frame, scale = self.frame(mask)
        return tuple(points.placed(frame) for points in (self, *others)), scale

    def normalised(self) -> "Embedding":
        """The points divided by their norms, as another `Embedding`; zero rows stay zero."""
        norm = jnp.sqrt(self.squared_norm())
        return Scaled(self, 1.0 / jnp.where(norm > 0, norm, jnp.inf))

    def total_inner(self, mask: jax.Array) -> jax.Array:
        """Inner product of every row with the sum of the rows in `mask` [N] bool, [N].

        Here by all N^2 inner products, a few columns at a time; by linearity in subclasses.
        """
        columns = min(TOTAL_COLUMNS, self.size)
        chosen = self.masked(mask)

        def add(chunk, total):
            slots = chunk * columns + jnp.arange(columns, dtype=jnp.int32)
            inner = self.inner(chosen.take(jnp.minimum(slots, self.size - 1)))
            return total + jnp.sum(jnp.where(slots < self.size, inner, 0.0), axis=1)

        total = jnp.zeros_like(self.squared_norm())
        return jax.lax.fori_loop(0, -(-self.size // columns), add, total)

    def total_squared_inner(self, mask: jax.Array) -> jax.Array | None:
        """Sum over the rows in `mask` [N] bool of squared inner products with each row, [N].

        None, as here, where that takes all N^2 inner products.
        """
        return None


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Scaled(Embedding):
    """Points multiplied by a factor each, for embeddings that know nothing quicker."""

    points: Embedding
    factors: jax.Array  # [N]

    def inner(self, other: "Scaled") -> jax.Array:
        inner = self.points.inner(other.points)
        return inner * self.factors[:, None] * other.factors[None, :]

    def squared_norm(self) -> jax.Array:
        return self.points.squared_norm() * self.factors * self.factors


def centred(features: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The origin and the scale in which squares neither cancel nor overflow more than they must.

    Args:
      features: [N, D].
      mask: [N] bool, the rows that count; these are finite.

    Returns:
      A row [1, D] near the mean, and a power of two [] (so that dividing by it is exact) near the
      largest distance from the mean along an axis. The row is rounded to a quarter of that, so that
      small integers stay such and ties between their distances stay ties.
    """
    num = jnp.maximum(jnp.sum(mask, dtype=jnp.int32), 1).astype(features.dtype)
    mask = mask[:, None]
    features = jnp.where(mask, features, 0.0)
    origin = jnp.sum(features / num, axis=0, keepdims=True)
    scale = power_of_two(jnp.max(jnp.where(mask, jnp.abs(features - origin), 0.0), initial=0.0))
    grid = scale / 4.0
    return jnp.round(origin / grid) * grid, scale


Points = jax.Array | Embedding
"""[N, D], or an `Embedding` of N rows."""


def as_embedding(name: str, points: Points, *, narrow: bool = False) -> Embedding:
    """Arrays [N, D] as `Dense` floats, embeddings as they are.

    Args:
      name: what they are, for messages.
      points: to be made one.
      narrow: leave floats of fewer bits as they are, for what asks of them only what is `placed`.

    Raises:
      ValueError: an array of another rank, or without a row; says `name`.
    """
    if isinstance(points, Embedding):
        return points
    check_points(name, points)
    features = as_floats(points)
    return Dense(features if narrow else features.astype(float))


def check_points(name: str, points: Any) -> None:
    """Raises unless `points` is an `Embedding`, or numbers [N, D] that are not none.

    Args:
      name: what they are, for the message.
      points: to be looked at.
    """
    if isinstance(points, Embedding):
        return
    check_rank(name, points, 2, "[N, D]")
    if 0 in points.shape:
        raise ValueError(f"{name}: expected at least one row, got {points.shape}")


def check_alike(name: str, points: Embedding, others: Embedding) -> None:
    """Raises ValueError, which says `name`, unless the others are of the points' kind and width."""
    alike = type(points) is type(others)
    if not alike or jax.tree.structure(points) != jax.tree.structure(others):
        raise ValueError(f"{name}: expected the same kind of points as the pool's")
    for mine, theirs in zip(jax.tree.leaves(points), jax.tree.leaves(others), strict=True):
        if mine.shape[1:] != theirs.shape[1:]:
            widths = [math.prod(leaf.shape[1:]) for leaf in (mine, theirs)]
            raise ValueError(f"{name}: expected {widths[0]} features, got {widths[1]}")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Dense(Embedding):
    """Feature vectors as they are."""

    features: jax.Array  # [N, D]

    @property
    def product_error(self) -> float:
        """The usual bound for a sum of D terms, relative to the product of the norms."""
        eps = float(jnp.finfo(self.features.dtype).eps)
        return eps * (8.0 + 2.0 * self.features.shape[1] ** 0.5)

    def inner(self, other: "Dense") -> jax.Array:
        return inner_products(self.features, other.features)

    def squared_norm(self) -> jax.Array:
        return jnp.sum(self.features**2, axis=-1)

    def difference(self, other: "Dense", scale: jax.Array) -> jax.Array:
        """As `Embedding.difference`, exact to rounding of the distances themselves."""
        left, right = (points.features.astype(float) / scale for points in (self, other))
        return jnp.sum((left[:, None, :] - right[None, :, :]) ** 2, axis=-1)

    def frame(self, mask: jax.Array) -> tuple[PyTree, jax.Array]:
        """As `Embedding.frame`, around a point near the mean of the rows in `mask`."""
        origin, scale = centred(self.features.astype(float), mask)
        return (origin / scale, scale), scale

    def placed(self, frame: PyTree) -> "Dense":
        """As `Embedding.placed`."""
        origin, scale = frame
        return Dense(self.features.astype(float) / scale - origin)

    def normalised(self) -> "Dense":
        """The rows divided by their norms; zero rows stay zero, nothing overflows or underflows."""
        return Dense(unit_rows(self.features))

    def total_inner(self, mask: jax.Array) -> jax.Array:
        """As `Embedding.total_inner`, in O(N D)."""
        total = jnp.sum(jnp.where(mask[:, None], self.features, 0.0), axis=0)
        return matmul(self.features, total)

    def total_squared_inner(self, mask: jax.Array) -> jax.Array | None:
        """As `Embedding.total_squared_inner`, in O(N D^2), for D up to N."""
        if self.features.shape[1] > self.size:
            return None
        chosen = self.masked(mask).features
        gram = matmul(chosen.T, chosen)
        return jnp.sum(matmul(self.features, gram) * self.features, axis=1)
