"""Points as products take them: moved and scaled, a tile at a time, so that no pool is copied."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from jaxal.base import PyTree
from jaxal.points.distances import COLUMNS, GPU_COLUMNS, fold_nearest
from jaxal.points.embedding import Embedding
from jaxal.rows import in_tiles
from jaxal.targets import is_cpu, is_gpu

Some = TypeVar("Some", bound=Embedding)

TILE = 2**22  # numbers of the points that are moved and scaled at once


def cleared(points: Some, usable: jax.Array) -> Some:
    """As `Embedding.masked`, in place of the points where nothing else needs them."""
    return rewritten(lambda points: points, points, usable)


def rewritten(
    function: Callable[..., Some], points: Embedding, usable: jax.Array, *shared: PyTree
) -> Some:
    """A function of each of the points, a tile at a time, and zeros in rows that are not usable.

    It takes the place of the points, where it is of their kind and nothing else needs them.

    Args:
      function: (points [n], *shared) -> points [n].
      points: N points.
      usable: [N] bool.
      *shared: arrays that all points need; the function closes over none.
    """

    def some(own, *shared):
        points, usable = own
        return function(points, *shared).masked(usable)

    return in_tiles(some, (points, usable), max(TILE // points.width, 128), *shared)


class Placed(NamedTuple):
    """N points in a frame where squares neither cancel nor overflow; zeros where not usable."""

    points: Embedding  # N, as given
    usable: jax.Array  # [N] bool
    frame: PyTree  # from `Embedding.frame`; None: they are placed already

    def everything(self) -> Embedding:
        """All points at once, for what is reduced to a number a point: no copy is made of them."""
        if self.frame is None:
            return self.points
        return self.points.placed(self.frame).masked(self.usable)

    def copied_if_small(self) -> "Placed":
        """The same; points that fit into one tile are placed once for all passes."""
        if self.points.size * self.points.width > TILE:
            return self
        return self.copied()

    def copied(self) -> "Placed":
        """The same, placed once for all passes, at the price of a copy."""
        return Placed(self.everything(), self.usable, None)

    def copied_on_cpus(self) -> "Placed":
        """The same, placed once; elsewhere, where memory is dearer than time, only if small."""
        return self.copied() if is_cpu() else self.copied_if_small()

    def take(self, rows: jax.Array) -> Embedding:
        """The points at `rows` [M]."""
        return Placed(self.points.take(rows), self.usable[rows], self.frame).everything()

    def squared_distance(self, centers: Embedding) -> jax.Array:
        """Squared distances to M points placed alike, by products, [N, M]; a tile at a time."""
        if self.frame is None:
            return self.points.squared_distance(centers)

        def some(own, frame, centers):
            points, usable = own
            return Placed(points, usable, frame).everything().squared_distance(centers)

        tile = max(TILE // max(self.points.width, centers.size), 128)
        return in_tiles(some, (self.points, self.usable), tile, self.frame, centers)

    def fold_centers(
        self,
        nearest: jax.Array,
        centers: Embedding,
        counts: jax.Array,
        *,
        end: jax.Array | int,
        added: jax.Array | None = None,
    ) -> jax.Array:
        """The least of `nearest` [N] and the squared distances to some centers, by products, [N].

        O(N D end) time; memory is that of a tile of the points and of COLUMNS distances of each.

        Args:
          nearest: [N].
          centers: K points, placed alike.
          counts: [K] bool, the centers that count.
          end: [] none counts from there on.
          added: [N], to the squared distances found.
        """
        columns = min(GPU_COLUMNS if is_gpu() else COLUMNS, centers.size)

        def fold(own, frame, centers, squared, end):
            points, usable, nearest, added = own
            some = Placed(points, usable, frame).everything()
            norms = some.squared_norm()

            def distances(slots):
                # The norms of the points are the same for all centers, and added at the end.
                chosen = centers.take(jnp.minimum(slots, len(squared) - 1))
                to_chosen = squared.at[slots].get(mode="fill", fill_value=jnp.inf)
                return to_chosen[None, :] - 2.0 * some.inner(chosen)

            least = fold_nearest(distances, 0, end, jnp.full_like(norms, jnp.inf), columns)
            least = jnp.maximum(least + norms, 0.0)
            return jnp.minimum(nearest, least if added is None else least + added)

        squared = jnp.where(counts, centers.squared_norm(), jnp.inf)
        own = self.points, self.usable, nearest, added
        tile = max(TILE // max(self.points.width, columns), 128)
        return in_tiles(fold, own, tile, self.frame, centers, squared, end)
