"""What GLISTER adds to the gain of a row, so that a batch is spread out or covers the pool."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.greedy.take import priority
from jaxal.points.gradient import GradientEmbedding
from jaxal.rows import best_row, top_rows
from jaxal.selection.gradient_matching._gradients import Gradients

BLOCK = 256  # rows whose distances to the pool are computed at a time
REFRESHED = 32  # rows whose coverage is brought up to date at a time


class Nothing(NamedTuple):
    """Adds nothing."""

    def best(
        self, gains: jax.Array, available: jax.Array
    ) -> tuple["Nothing", jax.Array, jax.Array]:
        """The regularizer, the best available row [] and all totals [N], exact for that row."""
        return self, best_row(priority(gains, available)), gains

    def add(self, row: jax.Array) -> "Nothing":
        """The regularizer after a pick."""
        return self


class Diversity(NamedTuple):
    """Takes away strength x sum over picks s of exp(-|g_i - g_s|^2 / 2); O(N (C + D)) a pick."""

    points: GradientEmbedding
    strength: jax.Array  # []
    crowding: jax.Array  # [N], the sum

    def best(
        self, gains: jax.Array, available: jax.Array
    ) -> tuple["Diversity", jax.Array, jax.Array]:
        totals = gains - self.strength * self.crowding
        return self, best_row(priority(totals, available)), totals

    def add(self, row: jax.Array) -> "Diversity":
        near = jnp.exp(-_distances(self.points, row[None])[0] / 2.0)
        return self._replace(crowding=self.crowding + near)


class Coverage(NamedTuple):
    """Adds strength x sum_j max(m_j - |g_i - g_j|^2, 0), m_j the squared distance to a pick.

    Facility location: such a sum only shrinks as rows are picked. So an earlier sum is an upper
    bound, and a pick computes those sums again, O(N (C + D)) each, that could still decide. Before
    the first pick every m_j is the largest squared distance in the pool, and all sums follow from
    the sum of the g_j.
    """

    points: GradientEmbedding
    strength: jax.Array  # []
    nearest: jax.Array  # [N], m_j; 0 for rows that do not count
    bounds: jax.Array  # [N], no sum is above

    def best(
        self, gains: jax.Array, available: jax.Array
    ) -> tuple["Coverage", jax.Array, jax.Array]:
        def totals(bounds):
            return gains + self.strength * bounds

        def best_is_stale(carry):
            bounds, fresh = carry
            return ~fresh[best_row(priority(totals(bounds), available))]

        def refresh(carry):
            bounds, fresh = carry
            ranked = priority(totals(bounds), available & ~fresh)
            _, rows = top_rows(ranked, min(REFRESHED, len(bounds)))
            gap = self.nearest[None, :] - _distances(self.points, rows)
            sums = jnp.sum(jnp.maximum(gap, 0.0), axis=1)
            sums = jnp.minimum(sums, bounds[rows])  # above it is rounding
            return bounds.at[rows].set(sums), fresh.at[rows].set(True)

        start = self.bounds, jnp.zeros(available.shape, bool)
        bounds, _ = jax.lax.while_loop(best_is_stale, refresh, start)
        row = best_row(priority(totals(bounds), available))
        return self._replace(bounds=bounds), row, totals(bounds)

    def add(self, row: jax.Array) -> "Coverage":
        distances = _distances(self.points, row[None])[0]
        return self._replace(nearest=jnp.minimum(self.nearest, distances))


Regularizer = Nothing | Diversity | Coverage


def coverage(rows: Gradients, strength: jax.Array) -> Coverage:
    """Coverage of the rows that count, before any pick."""
    farthest = largest_distance(rows.points, rows.counts)
    norms = rows.points.squared_norm()
    number = jnp.sum(rows.counts, dtype=norms.dtype)
    bounds = number * (farthest - norms) - jnp.sum(norms)
    bounds += 2.0 * rows.points.along(rows.points.total())
    nearest = jnp.where(rows.counts, farthest, 0.0)
    return Coverage(rows.points, strength, nearest, bounds)


def largest_distance(points: GradientEmbedding, counts: jax.Array) -> jax.Array:
    """The largest squared distance between two of the points that count, the others being 0, [].

    The longest vectors first, until twice the length of the next is no more than the largest
    distance so far: O(N^2 (C + D)) time at worst, O(N) memory.
    """
    norms = points.squared_norm()
    order = jnp.argsort(norms, descending=True)
    block = min(BLOCK, len(order))

    def could_be_farther(carry):
        start, farthest = carry
        longest = norms[order[jnp.minimum(start, len(order) - 1)]]
        return (start < len(order)) & (4.0 * longest > farthest)

    def body(carry):
        start, farthest = carry
        rows = order.at[start + jnp.arange(block, dtype=jnp.int32)].get(mode="clip")
        counted = counts[rows][:, None] & counts[None, :]
        distances = jnp.where(counted, _distances(points, rows), 0.0)
        return start + block, jnp.maximum(farthest, jnp.max(distances))

    start = jnp.int32(0), jnp.zeros((), norms.dtype)
    return jax.lax.while_loop(could_be_farther, body, start)[1]


def _distances(points: GradientEmbedding, rows: jax.Array) -> jax.Array:
    """Squared distances of the points at `rows` [Q] to all, [Q, N]."""
    return points.take(rows).squared_distance(points)
