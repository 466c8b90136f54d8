"""Points of which a compressed copy is on the devices: bounds of distances, and exact ones.

Points are features, or last-layer gradients, residual (x) features. With a and h the residual and
the features of a row, and a' and h' what is known of them, a (x) h is at most
|a| |h - h'| + |a - a'| |h'| from a' (x) h'. Residuals on the devices are known exactly.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxal.numerics import gather, matmul, power_of_two
from jaxal.points.distances import COLUMNS, DIFFERENCES, TILE, fold_nearest
from jaxal.pools.compression import CompressedPool
from jaxal.rows import in_tiles, largest, rows_over

EPS = float(jnp.finfo(jnp.float32).eps)


class Points(NamedTuple):
    """Points known exactly, in units in which squares neither overflow nor underflow."""

    residuals: jax.Array | None  # [n, C]; None: the features are the points
    features: jax.Array  # [n, D]

    def squared_norms(self) -> jax.Array:
        """[n]."""
        squares = jnp.sum(self.features**2, axis=1)
        return squares if self.residuals is None else squares * jnp.sum(self.residuals**2, axis=1)


class Copy(NamedTuple):
    """N points: what is on the devices, and the units."""

    pool: CompressedPool
    # A copy of the residuals, or they themselves [N, C]; None: the features are the points
    residuals: CompressedPool | jax.Array | None
    usable: jax.Array  # [N] bool, rows that have distances
    origin: jax.Array  # [D], of products: near the features, or 0 for gradients
    unit: jax.Array  # [], a power of two: features are divided by it
    weight: jax.Array  # [], the same of residuals

    def read(self, rows: jax.Array) -> Points:
        """What sources have of the points at rows [Q]; no residuals if the devices have these."""
        residuals = self.residuals
        if isinstance(residuals, CompressedPool):
            return Points(residuals.features(rows), self.pool.features(rows))
        return Points(None, self.pool.features(rows))

    def exact(self, rows: jax.Array, read: Points) -> Points:
        """The points at rows [Q], given what was read of them."""
        residuals = read.residuals
        if residuals is None and self.residuals is not None:
            residuals = gather(self.residuals, rows)
        if residuals is not None:
            residuals = _in_weights(residuals, self.weight)
        return Points(residuals, read.features / self.unit)

    def zeros(self, number: int) -> Points:
        """So many points, all zeros."""
        residuals = self.residuals
        if isinstance(residuals, CompressedPool):
            residuals = residuals.codes
        if residuals is not None:
            residuals = jnp.zeros((number, residuals.shape[1]), jnp.float32)
        return Points(residuals, jnp.zeros((number, self.pool.codes.shape[1]), jnp.float32))

    def _inside(self) -> "Inside":
        shift = (self.pool.offset - self.origin) / self.unit
        scale, residuals = self.pool.scale / self.unit, None
        if isinstance(self.residuals, CompressedPool):
            ranges = self.residuals.scale, self.residuals.offset
            residuals = jax.tree.map(lambda vector: vector / self.weight, ranges)
        return Inside(scale, shift, residuals, self.unit, self.weight)

    def norm_bounds(self) -> jax.Array:
        """No squared norm is above: [N]."""

        def bound(own, inside):
            points, error = _decoded(own, inside)
            norms = (1.0 + _rounding(points)) * points.squared_norms()
            return (jnp.sqrt(norms) + error) ** 2 * (1.0 + 8.0 * EPS + _rounding(points))

        return in_tiles(bound, self._own(), TILE // COLUMNS, self._inside())

    def lowered(self, squared: jax.Array, centers: Points, num: jax.Array) -> jax.Array:
        """Upper bounds of squared distances to the nearest center, of those before and of these.

        O(N (C + D) num) time as products; memory is that of a tile.

        Args:
          squared: [N] bounds so far.
          centers: M points.
          num: [] the first that count; others cost little.
        """

        def fold(own, centers, num, inside):
            (*own, before), size = own, centers.squared_norms()
            points, error = _decoded(own, inside)
            norms, slack = points.squared_norms(), 2.0 * _rounding(points)

            def distances(slots):
                some, sizes = _at((centers, size), slots)
                inner = matmul(points.features, some.features.T)
                if points.residuals is not None:
                    inner *= matmul(points.residuals, some.residuals.T)
                both = norms[:, None] + sizes[None, :]
                return jnp.maximum(both - 2.0 * inner, 0.0) + slack * both

            start = jnp.full_like(norms, jnp.inf)
            upper = jnp.sqrt(fold_nearest(distances, 0, num, start, COLUMNS)) + error
            return jnp.minimum(before, upper * upper * (1.0 + 8.0 * EPS))

        moved = centers.features - (self.origin / self.unit)[None, :]
        centers = centers._replace(features=moved)
        own = (*self._own(), squared)
        return in_tiles(fold, own, TILE // COLUMNS, centers, num, self._inside())

    def _own(self) -> tuple[Any, ...]:
        residuals = self.residuals
        if isinstance(residuals, CompressedPool):
            residuals = residuals.codes, residuals.error
        return self.pool.codes, self.pool.error, residuals


class Inside(NamedTuple):
    """What all tiles need of a `Copy`, in its units."""

    scale: jax.Array  # [D] of the codes
    shift: jax.Array  # [D]
    residuals: tuple[jax.Array, jax.Array] | None  # scale and shift [C], if they have codes
    unit: jax.Array
    weight: jax.Array


def _decoded(own: Any, inside: Inside) -> tuple[Points, jax.Array]:
    """The points that are known, and how far at most [n] the rows are from them."""
    codes, error, residuals = own
    features, error = _of_codes(codes, error / inside.unit, inside.scale, inside.shift)
    if residuals is None:
        return Points(None, features), error
    if inside.residuals is None:
        residuals, apart = _in_weights(residuals, inside.weight), 0.0
    else:
        residuals, apart = _of_codes(residuals[0], residuals[1] / inside.weight, *inside.residuals)
    points = Points(residuals, features)
    sizes = (jnp.sqrt(jnp.sum(leaf**2, axis=1)) for leaf in (residuals, features))
    residual, feature = (size * (1.0 + _rounding(points)) for size in sizes)
    return points, (1.0 + 4.0 * EPS) * ((residual + apart) * error + apart * feature)


def _of_codes(codes, error, scale, shift) -> tuple[jax.Array, jax.Array]:
    """What codes [n, D] say, and how far at most [n] the rows are from that."""
    said = codes.astype(jnp.float32) * scale[None, :] + shift[None, :]
    # The codes and the shift are added with a rounding, each of its operands' size.
    sizes = jnp.sqrt(jnp.sum(said**2, axis=1)) + jnp.sqrt(jnp.sum(shift**2))
    return said, error + 2.0 * EPS * sizes


def _in_weights(residuals: jax.Array, weight: jax.Array) -> jax.Array:
    """Residuals [n, C] in their unit, and zeros in rows that have none.

    So they are made where they are needed: those of all rows would be as many bytes again.
    """
    there = jnp.all(jnp.isfinite(residuals), axis=1, keepdims=True)
    return jnp.where(there, residuals.astype(jnp.float32) / weight, 0.0)


def _rounding(points: Points) -> float:
    """How far a norm or an inner product errs, relative to the norms: sums of so many products."""
    width = points.features.shape[1] + 4
    return EPS * (width + (0 if points.residuals is None else points.residuals.shape[1] + 4))


def apart(points: Points, others: Points) -> jax.Array:
    """Squared distances [n, m] by differences: 0 of copies, and with all digits of near ones.

    With d and e the differences of features and residuals, a (x) h - b (x) k is e (x) h + b (x) d.
    """
    difference = points.features[:, None, :] - others.features[None, :, :]
    squared = jnp.sum(difference**2, axis=2)
    if points.residuals is None or others.residuals is None:
        return squared
    along = jnp.sum(points.features[:, None, :] * difference, axis=2)
    difference = points.residuals[:, None, :] - others.residuals[None, :, :]
    across = jnp.sum(others.residuals[None, :, :] * difference, axis=2)
    squared *= jnp.sum(others.residuals**2, axis=1)[None, :]
    squared += jnp.sum(difference**2, axis=2) * jnp.sum(points.features**2, axis=1)[:, None]
    return jnp.maximum(squared + 2.0 * across * along, 0.0)


def between(points: Points) -> jax.Array:
    """Squared distances of points to each other, [Q, Q]."""

    def to_one(other):
        return apart(points, jax.tree.map(lambda leaf: leaf[None], other))[:, 0]

    return jax.lax.map(to_one, points, batch_size=DIFFERENCES)


def nearest_of(points: Points, centers: Points, num: jax.Array) -> jax.Array:
    """Squared distances [n] to the nearest of the first `num` [] centers; inf if there is none."""

    def distances(slots):
        return apart(points, _at(centers, slots))

    start = jnp.full(len(points.features), jnp.inf, jnp.float32)
    return fold_nearest(distances, 0, num, start, DIFFERENCES)


def _at(tree: Any, slots: jax.Array) -> Any:
    """The leaves at slots, of which some may be past the end and do not count."""
    return jax.tree.map(lambda leaf: leaf.at[slots].get(mode="clip"), tree)


def copy_of(
    pool: CompressedPool,
    residuals: CompressedPool | jax.Array | None,
    available: jax.Array,
    *,
    at_zero: bool,
) -> Copy:
    """The points of a compressed pool.

    Args:
      pool: of the features.
      residuals: [N, C], padded as the pool is, or a pool of them; None: the features are the
        points.
      available: [N] bool, the rows whose sizes count for the units.
      at_zero: whether norms mean something, as of gradients; else the origin is where it is best.
    """
    # What a compiled program returns is a pool of the sources that it was compiled with.
    return Copy(pool, residuals, *_in_units(pool, residuals, available, at_zero=at_zero))


@partial(jax.jit, static_argnames="at_zero")
def _in_units(pool: CompressedPool, residuals: Any, available: jax.Array, *, at_zero: bool) -> Any:
    """What else a `Copy` holds."""
    with rows_over(pool.mesh):
        usable, weight = pool.valid, jnp.float32(1)
        if residuals is not None:
            if isinstance(residuals, CompressedPool):
                sizes = _sizes(residuals, residuals.offset)
            else:
                sizes = jnp.max(jnp.abs(residuals), axis=1).astype(jnp.float32)
                usable &= jnp.all(jnp.isfinite(residuals), axis=1)
            weight = power_of_two(largest(jnp.where(available & usable, sizes, 0.0)))
        origin = jnp.zeros_like(pool.offset) if at_zero else pool.offset
        sizes = _sizes(pool, pool.offset - origin)
        unit = power_of_two(largest(jnp.where(available & usable, sizes, 0.0)))
    return usable, origin, unit, weight


def _sizes(pool: CompressedPool, shift: jax.Array) -> jax.Array:
    """No coordinate of a row, moved so that a code of 0 is at the shift [D], is larger: [N]."""
    own = pool.codes, pool.error
    return in_tiles(_size, own, TILE // COLUMNS, pool.scale, shift)


def _size(own: Any, scale: jax.Array, shift: jax.Array) -> jax.Array:
    codes, error = own
    features = codes.astype(jnp.float32) * scale[None, :] + shift[None, :]
    return jnp.max(jnp.abs(features), axis=1) + error
