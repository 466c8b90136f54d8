"""Similarities between points, made by a product when asked for: no N x N array is ever held."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from jaxal.base import PyTree
from jaxal.checks import check_name, check_rank
from jaxal.numerics import num_rows
from jaxal.points.embedding import Embedding, Points, as_embedding, check_alike
from jaxal.points.placed import TILE, rewritten
from jaxal.rows import in_tiles

METRICS = ("cosine", "euclidean")
TOTAL_ROWS = 256  # similarity rows summed at a time
SLACK = 1e-4  # by which a bound passes what it bounds, for rounding


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Similarity:
    """Similarity of N pool rows to G targets, by default the pool itself.

    cosine     x.y / (|x| |y|), 0 where a norm is 0, also to itself
    euclidean  exp(-|x - y| / D), D the number of columns
    shifted    (s + 1) / 2 of either
    """

    points: Embedding  # N, placed; rows that are not usable were 0
    usable: jax.Array  # [N] bool, the rows that exist
    length: jax.Array  # [], the unit of euclidean distances between placed points
    targets: Embedding | None = None  # G, placed alike
    metric: str = field(default="cosine", metadata={"static": True})
    shifted: bool = field(default=False, metadata={"static": True})

    @property
    def size(self) -> int:
        """The number of pool rows, N."""
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
        """Similarities of pool rows [Q] to the targets, [Q, G]; of no meaning where not usable."""
        targets = self.points if self.targets is None else self.targets
        return self.between(self.points.take(rows), targets)

    def row(self, row: jax.Array) -> jax.Array:
        """Similarities of one pool row [], [G]."""
        return self.rows(row[None])[0]

    def all_rows(self) -> jax.Array:
        """Similarities of the pool to few targets, [N, G]."""
        targets = self.points if self.targets is None else self.targets
        return self.between(self.points, targets)

    def map(self, function: Callable[..., PyTree], own: PyTree, *shared: PyTree) -> PyTree:
        """Applies a function of each row's similarities to few targets, a tile of rows at a time.

        Args:
          function: (similarities [n, G], leaves [n, ...], *shared) -> leaves [n, ...].
          own: of the rows, leaves [N, ...].
          *shared: arrays that all rows need; the function closes over none.

        Returns:
          Leaves [N, ...]; memory above these is that of a tile.
        """

        def some(tile, length, targets, *shared):
            points, usable, own = tile
            part = dataclasses.replace(
                self, points=points, usable=usable, length=length, targets=targets
            )
            return function(part.all_rows(), own, *shared)

        tile = self.points, self.usable, own
        widest = max(num_rows(self.targets), self.points.width)
        size = max(TILE // widest, 128)
        return in_tiles(some, tile, size, self.length, self.targets, *shared)

    def itself(self) -> jax.Array:
        """Similarity of each pool row to itself, [N]."""
        return self.diagonal(self.points)

    def diagonal(self, points: Embedding) -> jax.Array:
        """Similarities of placed points to themselves, [n]: 1, exactly, or that of a zero row."""
        norms = points.squared_norm()
        same = jnp.ones_like(norms)
        if self.metric == "cosine":
            same = (norms > 0).astype(norms.dtype)
        return (same + 1.0) / 2.0 if self.shifted else same

    def totals(self) -> jax.Array:
        """Sum of each row's similarities to the usable rows, [N].

        O(N D) for cosine, by linearity; O(N^2 D) time and O(N) memory for euclidean.
        """
        if self.metric == "euclidean":
            return jax.lax.map(
                lambda row: jnp.sum(jnp.where(self.usable, self.row(row), 0.0)),
                jnp.arange(self.size, dtype=jnp.int32),
                batch_size=min(TOTAL_ROWS, self.size),
            )
        total = self.points.total_inner(self.usable)
        return (total + jnp.sum(self.usable, dtype=total.dtype)) / 2.0 if self.shifted else total

    def positive_totals_bound(self) -> jax.Array | None:
        """Upper bounds [N] of each row's sum of max(0, s), where O(N D^2) is less than O(N^2 D).

        max(0, s) = (s + |s|) / 2, and by Cauchy-Schwarz the sum of |s| over N rows is at most
        sqrt(N sum s^2), which inner products give unmade: sum_i (x_i.y)^2 = y^T X^T X y.
        """
        if self.metric == "euclidean":
            return None
        squares = self.points.total_squared_inner(self.usable)
        if squares is None:
            return None
        total = absolute = self.totals()
        if not self.shifted:
            absolute = jnp.sqrt(self.size * squares)
        return (total + absolute) / 2.0 * (1.0 + SLACK) + SLACK


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Similarities:
    """The pool's similarities to itself, and the examples it is compared with, placed alike."""

    pool: Similarity
    others: dict[str, Embedding]  # "query" and "private", if given
    private_usable: jax.Array | None = None  # [P] bool, the private examples that exist

    def there(self, name: str) -> jax.Array:
        """Which of those examples exist, [M] bool."""
        if name == "private" and self.private_usable is not None:
            return self.private_usable
        return jnp.ones(self.others[name].size, bool)

    def toward(self, name: str) -> Similarity:
        """The pool's similarities to those examples."""
        return dataclasses.replace(self.pool, targets=self.others[name])

    def nearest(self, name: str) -> jax.Array:
        """Each row's largest similarity to those examples, [N]; O(N M D) time.

        Where none of them exists it is 0.
        """
        there, lowest = self.there(name), self.pool.lowest

        def most(similar, _, there):
            most = jnp.max(jnp.where(there[None, :], similar, lowest), axis=1)
            return jnp.where(jnp.any(there), most, 0.0)

        return self.toward(name).map(most, None, there)


def similarities(
    features: Points,
    *,
    query: Points | None = None,
    private: Points | None = None,
    usable: jax.Array | None = None,
    private_usable: jax.Array | None = None,
    metric: str = "cosine",
    shifted: bool = False,
) -> Similarities:
    """Prepares points for products: at unit length, or moved and scaled.

    Args:
      features: [N, D], or an `Embedding` of N rows.
      query: [M, D], or as `features`.
      private: as `query`.
      usable: [N] bool, the rows that exist; those that are not finite do not. All if None.
      private_usable: [M] bool, the private examples that exist; all if None.
      metric: "cosine" or "euclidean", see `Similarity`.
      shifted: map similarities s to (s + 1) / 2.

    Returns:
      `Similarities`, with one copy of the features.

    Raises:
      ValueError: unknown metric, wrong ranks, no rows, or widths that disagree.
    """
    check_name("metric", metric, METRICS)
    points = _floats(as_embedding("features", features))
    usable = usable_rows(points, usable)
    given = {"query": query, "private": private}
    others: dict[str, Embedding] = {}
    for name, examples in given.items():
        if examples is not None:
            others[name] = _floats(as_embedding(name, examples))
            check_alike(name, points, others[name])
    if private_usable is not None and "private" in others:
        if len(private_usable) != others["private"].size:
            raise ValueError(
                f"private_usable: expected {others['private'].size} rows, got {len(private_usable)}"
            )
        others["private"] = others["private"].masked(private_usable)
    length, frame = jnp.ones(()), None
    if metric == "euclidean":
        frame, scale = points.frame(usable)
        length = points.columns / scale

    def place(points: Embedding, frame: PyTree) -> Embedding:
        return points.normalised() if metric == "cosine" else points.placed(frame)

    placed = rewritten(place, points, usable, frame)
    pool = Similarity(placed, usable, length, metric=metric, shifted=shifted)
    others = {name: place(points, frame) for name, points in others.items()}
    return Similarities(pool, others, private_usable)


def usable_rows(points: Embedding, usable: jax.Array | None) -> jax.Array:
    """The rows that are finite and, if a mask [N] bool is given, in it, [N] bool.

    Raises:
      ValueError: a mask that is not [N].
    """
    if usable is None:
        return points.finite()
    usable = jnp.asarray(usable)
    check_rank("usable", usable, 1, "[N]")
    if len(usable) != points.size:
        raise ValueError(f"usable: expected {points.size} rows, got {len(usable)}")
    return usable & points.finite()


def _floats(points: Embedding) -> Embedding:
    """The points in the default float, so that nothing mixes with what is made of them."""

    def cast(leaf):
        return leaf.astype(float) if jnp.issubdtype(leaf.dtype, jnp.inexact) else leaf

    return jax.tree.map(cast, points)
