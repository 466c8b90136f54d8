"""Similarities between points, made by a product when asked for: no N x N array is ever held."""

import dataclasses
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.checks import check_name, check_rank
from jaxal.numerics import inner_products, matmul, num_rows
from jaxal.points.distances import centred
from jaxal.points.embedding import Dense, Embedding, GradientEmbedding

METRICS = ("cosine", "euclidean")
TOTAL_ROWS = 256  # similarity rows summed at a time
SLACK = 1e-4  # by which a bound passes what it bounds, for rounding

Features = jax.Array | Embedding


def as_embedding(name: str, features: Features) -> Dense | GradientEmbedding:
    """Arrays [N, D] as `Dense` floats; gradient embeddings as they are."""
    if isinstance(features, Dense | GradientEmbedding):
        return features
    features = jnp.asarray(features)
    check_rank(name, features, 2, "[N, D]")
    if 0 in features.shape:
        raise ValueError(f"{name}: expected at least one row, got {features.shape}")
    return Dense(features.astype(float))


def rows_of(points: Embedding) -> int:
    """How many points there are."""
    return num_rows(points)


def unit(vectors: jax.Array) -> jax.Array:
    """Rows [N, D] divided by their norms; zero rows stay zero. Nothing overflows or underflows."""
    largest = jnp.max(jnp.abs(vectors), axis=-1, keepdims=True)
    vectors = vectors / jnp.where(largest > 0, largest, 1.0)
    norm = jnp.sqrt(jnp.sum(vectors**2, axis=-1, keepdims=True))
    return vectors / jnp.where(norm > 0, norm, 1.0)


class Frame(NamedTuple):
    """How points are moved so that products are exact: unit rows, or centred and scaled ones."""

    metric: str
    origin: jax.Array | float = 0.0  # [1, D]
    scale: jax.Array | float = 1.0

    def place(self, points: Dense | GradientEmbedding) -> Dense | GradientEmbedding:
        if self.metric == "cosine":
            return jax.tree.map(unit, points)
        if isinstance(points, GradientEmbedding):
            return points
        return Dense((points.features - self.origin) / self.scale)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Similarity:
    """Similarity of N pool rows to G targets, by default the pool itself.

    cosine     x.y / (|x| |y|), 0 where a norm is 0, also to itself
    euclidean  exp(-|x - y| / D), D the number of columns
    shifted    (s + 1) / 2 of either
    """

    points: Dense | GradientEmbedding  # N, placed; rows that are not finite are 0
    usable: jax.Array  # [N] bool, the row is finite
    length: jax.Array  # [], the unit of euclidean distances
    targets: Dense | GradientEmbedding | None = None  # G, placed
    metric: str = field(default="cosine", metadata={"static": True})
    shifted: bool = field(default=False, metadata={"static": True})

    @property
    def size(self) -> int:
        return self.usable.shape[0]

    @property
    def lowest(self) -> float:
        """No similarity is below."""
        if self.shifted:
            return 0.0 if self.metric == "cosine" else 0.5
        return -1.0 if self.metric == "cosine" else 0.0

    def between(self, left: Embedding, right: Embedding) -> jax.Array:
        """Similarities of placed points, [n, m]. O(n m D) time."""
        similar = left.inner(right)
        if self.metric == "euclidean":
            norms = left.squared_norm()[:, None] + right.squared_norm()[None, :]
            squared = norms - 2.0 * similar
            # What rounding leaves of a distance of zero is zero: equal points are at distance 0.
            slack = 8.0 * jnp.finfo(norms.dtype).eps * norms
            distance = jnp.sqrt(jnp.where(squared <= slack, 0.0, squared))
            similar = jnp.exp(-distance / self.length)
        return (similar + 1.0) / 2.0 if self.shifted else similar

    def rows(self, rows: jax.Array) -> jax.Array:
        """Similarities of pool rows [Q] to the targets, [Q, G]; NaN for rows that are not finite."""
        left = self.points.take(rows)
        if self.targets is None:
            similar = self.between(left, self.points)
            similar = similar.at[jnp.arange(len(rows)), rows].set(self.itself()[rows])
        else:
            similar = self.between(left, self.targets)
        return jnp.where(self.usable[rows][:, None], similar, jnp.nan)

    def row(self, row: jax.Array) -> jax.Array:
        """Similarities of one pool row [], [G]."""
        return self.rows(row[None])[0]

    @jax.jit
    def all_rows(self) -> jax.Array:
        """Similarities of the pool to few targets, [N, G]."""
        return self.rows(jnp.arange(self.size))

    def itself(self) -> jax.Array:
        """Similarity of each pool row to itself, [N]."""
        return jnp.where(self.usable, self.diagonal(self.points), jnp.nan)

    def diagonal(self, points: Embedding) -> jax.Array:
        """Similarities of placed points to themselves, [n]: 1, exactly, or that of a zero row."""
        norms = points.squared_norm()
        same = (norms > 0).astype(float) if self.metric == "cosine" else norms * 0 + 1.0
        return (same + 1.0) / 2.0 if self.shifted else same

    @jax.jit
    def totals(self) -> jax.Array:
        """Sum of each row's similarities to the rows that are finite, [N].

        O(N D) for cosine, by linearity; O(N^2 D) time and O(N) memory for euclidean.
        """
        if self.metric == "euclidean":
            return jax.lax.map(
                lambda row: jnp.sum(jnp.where(self.usable, self.row(row), 0.0)),
                jnp.arange(self.size),
                batch_size=min(TOTAL_ROWS, self.size),
            )
        points = self.points
        if isinstance(points, GradientEmbedding):
            middle = matmul(points.residuals.T, points.features)
            total = jnp.sum(inner_products(points.features, middle) * points.residuals, -1)
        else:
            total = inner_products(points.features, jnp.sum(points.features, 0)[None])[:, 0]
        total = (total + jnp.sum(self.usable)) / 2.0 if self.shifted else total
        return jnp.where(self.usable, total, jnp.nan)

    @jax.jit
    def positive_totals_bound(self) -> jax.Array | None:
        """Upper bounds [N] of each row's sum of max(0, s), where O(N D^2) is less than O(N^2 D).

        max(0, s) = (s + |s|) / 2, and by Cauchy-Schwarz the sum of |s| over N rows is at most
        sqrt(N sum s^2), which inner products give without being made: sum_i (x_i.y)^2 = y^T X^T X y.
        """
        points = self.points
        if self.metric == "euclidean" or isinstance(points, GradientEmbedding):
            return None
        if points.features.shape[1] > self.size:
            return None
        total = absolute = self.totals()
        if not self.shifted:
            gram = matmul(points.features.T, points.features)
            squares = jnp.sum(inner_products(points.features, gram) * points.features, axis=1)
            absolute = jnp.sqrt(self.size * squares)
        return (total + absolute) / 2.0 * (1.0 + SLACK) + SLACK


class Similarities(NamedTuple):
    """The pool's similarities to itself, and the examples it is compared with, placed alike."""

    pool: Similarity
    others: dict[str, Dense | GradientEmbedding]  # "query" and "private", if given

    def toward(self, name: str) -> Similarity:
        """The pool's similarities to those examples."""
        return dataclasses.replace(self.pool, targets=self.others[name])

    @partial(jax.jit, static_argnames="name")
    def nearest(self, name: str) -> jax.Array:
        """Each row's largest similarity to those examples, [N]; O(N M D) time, O(N M) memory."""
        similar = self.pool.between(self.pool.points, self.others[name])
        return jnp.max(similar, axis=1)


@partial(jax.jit, static_argnames=("metric", "shifted"))
def similarities(
    features: Features,
    *,
    query: Features | None = None,
    private: Features | None = None,
    metric: str = "cosine",
    shifted: bool = False,
) -> Similarities:
    """Prepares points for products.

    Args:
      features: [N, D], or a `GradientEmbedding` of N rows.
      query: [M, D], or as `features`.
      private: as `query`.
      metric: "cosine" or "euclidean", see `Similarity`.
      shifted: map similarities s to (s + 1) / 2.

    Returns:
      `Similarities`, with one copy of the features.

    Raises:
      ValueError: unknown metric, wrong ranks, no rows, or widths that disagree.
    """
    check_name("metric", metric, METRICS)
    points = as_embedding("features", features)
    leaves = jax.tree.leaves(points)
    usable = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf), -1) for leaf in leaves]), 0)
    points = jax.tree.map(lambda leaf: jnp.where(usable[:, None], leaf, 0.0), points)
    frame = Frame(metric)
    if metric == "euclidean" and isinstance(points, Dense):
        frame = Frame(metric, *centred(points.features, usable))
    placed: dict[str, Dense | GradientEmbedding] = {}
    for name, others in (("query", query), ("private", private)):
        if others is not None:
            placed[name] = as_embedding(name, others)
            _check_alike(name, points, placed[name])
            placed[name] = frame.place(placed[name])
    width = 1
    for leaf in leaves:
        width *= leaf.shape[1]
    pool = Similarity(
        points=jax.tree.map(
            lambda leaf: jnp.where(usable[:, None], leaf, 0.0), frame.place(points)
        ),
        usable=usable,
        length=jnp.asarray(width / frame.scale, float),
        metric=metric,
        shifted=shifted,
    )
    return Similarities(pool, placed)


def _check_alike(name: str, points: Embedding, others: Embedding) -> None:
    if jax.tree.structure(points) != jax.tree.structure(others):
        raise ValueError(f"{name}: expected the same kind of features as the pool's")
    for mine, theirs in zip(jax.tree.leaves(points), jax.tree.leaves(others), strict=True):
        if mine.shape[1] != theirs.shape[1]:
            raise ValueError(f"{name}: expected {mine.shape[1]} features, got {theirs.shape[1]}")
