"""Herding: the batch whose kernel covers the pool best (MaxHerding, UHerding, ProbCover)."""

from dataclasses import dataclass, field
from functools import partial

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import PyTree, Selection
from jaxal.numerics import rarely
from jaxal.points.distances import COLUMNS, DIFFERENCES, fold_nearest, rounding_slack
from jaxal.points.embedding import Embedding, Points, as_embedding, check_points
from jaxal.points.placed import TILE, Placed
from jaxal.rows import in_tiles, index_of, largest, set_rows
from jaxal.selection import _rows
from jaxal.submodular import SetFunction, maximize

KERNELS = ("rbf", "top_hat")
ROUNDING = 2.0**-20  # a kernel value that much higher is the same but for rounding
DOUBTFUL = 1e-4  # of the squared bandwidth: what a squared distance by product may err by
SIDE = 64  # labelled rows compared with as many others at a time


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Distances:
    """Squared distances of rows to all rows, by products where these are exact enough."""

    points: Embedding  # N, as given
    placed: Placed  # N, centred and scaled; rows that do not count are 0
    scale: jax.Array  # []
    slack: jax.Array  # [N], what a squared distance by product may err by
    precise: jax.Array  # [] bool, by differences

    @property
    def by_product(self) -> bool:
        """Whether there is no other way."""
        return self.points.product_error is None

    def of_rows(self, rows: jax.Array) -> jax.Array:
        """Of placed rows [Q] to all, [Q, N]."""
        if self.by_product:
            return self._by_product(rows).T

        def by_difference(self: Distances, rows: jax.Array) -> jax.Array:
            return jax.lax.map(lambda row: self._by_difference(row[None])[:, 0], rows)

        def by_product(self: Distances, rows: jax.Array) -> jax.Array:
            return self._by_product(rows).T

        return rarely(self.precise, by_difference, by_product, self, rows)

    def nearest(self, chosen: jax.Array) -> jax.Array:
        """To the nearest of the chosen rows [N] bool, [N]; inf if there is none."""
        index, count = index_of(chosen), jnp.sum(chosen, dtype=jnp.int32)

        def by_product(self: Distances, index: PyTree, count: jax.Array) -> jax.Array:
            def some(slots):
                return self._by_product(set_rows(index, slots))

            none = jnp.full_like(self.slack, jnp.inf)
            return fold_nearest(some, 0, count, none, COLUMNS)

        def by_difference(self: Distances, index: PyTree, count: jax.Array) -> jax.Array:
            def some(slots):
                return self._by_difference(set_rows(index, slots))

            none = jnp.full_like(self.slack, jnp.inf)
            return fold_nearest(some, 0, count, none, DIFFERENCES)

        if self.by_product:
            return by_product(self, index, count)
        return rarely(self.precise, by_difference, by_product, self, index, count)

    def _by_difference(self, rows: jax.Array) -> jax.Array:
        def some(own, chosen, scale):
            points, usable = own
            return points.masked(usable).difference(chosen, scale)

        usable = self.placed.usable
        chosen = self.points.take(rows).masked(usable[rows])
        tile = max(TILE // self.points.width, 128)
        return in_tiles(some, (self.points, usable), tile, chosen, self.scale)

    def _by_product(self, rows: jax.Array) -> jax.Array:
        squared = self.placed.squared_distance(self.placed.take(rows))
        # What rounding leaves of a distance of zero is zero: equal points are at distance 0.
        return jnp.where(squared <= self.slack[:, None], 0.0, squared)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class KernelCover(SetFunction):
    """f(S) = sum_j w_j (max(max_{i in S} k(x_i, x_j), start_j) - start_j); the state is [N]."""

    distances: Distances
    length: jax.Array  # [], the bandwidth in the unit of the distances
    counted: jax.Array  # [N] bool, the rows that exist
    weights: jax.Array  # [N], of the targets; 0 where not usable
    start: jax.Array  # [N], the kernel to the nearest labelled row
    kernel: str = field(default="rbf", metadata={"static": True})

    @property
    def size(self) -> int:
        return self.counted.shape[0]

    @property
    def usable(self) -> jax.Array:
        return self.counted

    def init(self, capacity: int) -> jax.Array:
        return self.start

    def columns(self, rows: jax.Array) -> jax.Array:
        return kernel_values(self.kernel, self.distances.of_rows(rows), self.length)

    def gains(self, state: jax.Array, columns: jax.Array) -> jax.Array:
        # Where all is covered, rounding would pick, and differently on each number of devices.
        higher = columns > (state + ROUNDING)[None, :]
        more = jnp.where(higher, columns - state[None, :], 0.0)
        return jnp.sum(more * self.weights[None, :], axis=1)

    def add(self, state: jax.Array, column: jax.Array) -> jax.Array:
        return jnp.maximum(state, column)


def kernel_values(kernel: str, squared: jax.Array, length: jax.Array) -> jax.Array:
    """The kernel of squared distances, for a bandwidth in the same unit."""
    if kernel == "top_hat":
        return (jnp.sqrt(squared) < length).astype(squared.dtype)
    return jnp.exp(-squared / length / length)


def smallest_gap(exact: Embedding, scale: jax.Array, chosen: jax.Array) -> jax.Array:
    """The least distance, divided by `scale`, of two chosen rows that differ; inf if none do.

    O(M^2 D) for M chosen rows.
    """
    index, count = index_of(chosen), jnp.sum(chosen, dtype=jnp.int32)
    tiles = -(-count // SIDE)

    def some(tile):
        slots = tile * SIDE + jnp.arange(SIDE, dtype=jnp.int32)
        return exact.take(set_rows(index, slots)), slots < count

    def body(carry):
        pair, least = carry
        (left, in_left), (right, in_right) = some(pair // tiles), some(pair % tiles)
        if exact.product_error is None:
            squared = left.squared_distance(right) / scale / scale
        else:
            squared = left.difference(right, scale)
        counts = in_left[:, None] & in_right[None, :] & (squared > 0)
        return pair + 1, jnp.minimum(least, jnp.min(jnp.where(counts, squared, jnp.inf)))

    start = jnp.int32(0), jnp.full_like(scale, jnp.inf)
    _, least = jax.lax.while_loop(lambda carry: carry[0] < tiles * tiles, body, start)
    return jnp.sqrt(least)


@entry.checked(
    features=check_points,
    available=entry.mask,
    budget=entry.budget,
    labeled=entry.mask,
    weights=_rows.weights,
    kernel=entry.one_of(KERNELS),
    bandwidth=entry.positive,
)
def herding(
    features: Points,
    available: jax.Array,
    budget: int,
    *,
    labeled: jax.Array | None = None,
    weights: jax.Array | None = None,
    kernel: str = "rbf",
    bandwidth: float | jax.Array | None = None,
) -> Selection:
    """Herding: greedily selects the rows whose kernel covers the pool best, with the labelled rows.

    Greedy maximisation, within 1 - 1/e of the best batch, ties to the lowest row, of

        (1/T) sum_j w_j max_{i in S + labelled} k(x_i, x_j)

    over the T rows j that are available or labelled. With k(x, y) = exp(-|x - y|^2 / bandwidth^2),
    "rbf", this is MaxHerding, and with an uncertainty as weights UHerding; with 1 where |x - y| <
    bandwidth, "top_hat", it is ProbCover.

    Time O(N^2 D) as matrix products for the first gains, and as much for about four gains a row
    afterwards: lazy greedy computes those that could still win. Memory is that of at most 2^24
    kernel values, and of a copy of the points, which GPUs and TPUs do without. Where points are so
    close together that products round away what the bandwidth tells apart, distances are by
    differences, if the points have coordinates.

    Args:
      features: [N, D], or any `Embedding` of N rows; the papers divide them by their lengths.
      available: [N] bool; a labelled row is never picked.
      budget: how many rows, 1 to N.
      labeled: [N] bool, the rows that are labelled already; none if not given.
      weights: [N], what each row is worth as a target, >= 0; ones if not given.
      kernel: "rbf" or "top_hat".
      bandwidth: in units of the features. None: the least distance of two labelled rows that
        differ, as in UHerding, in O(M^2 D) for M of them; 1 where there are none.

    Returns:
      `Selection`; a score is the gain when the row was picked. Rows with a NaN or an infinity are
      no targets and come last, with scores -inf.

    Raises:
      TypeError: if an array or a mask is none, or the budget is not an integer.
      ValueError: if shapes disagree, the budget is above the rows that may be picked, a weight
        below 0, the kernel unknown or the bandwidth not above 0.

    References:
      Bae et al., "Generalized coverage for more robust low-budget active learning", ECCV 2024.
      Bae et al., "Uncertainty herding: one active learning method for all label budgets", ICLR
      2025. Yehuda et al., "Active learning through a covering lens", NeurIPS 2022.

    Example:

    >>> points = jnp.array([[0.0], [0.1], [0.2], [5.0], [5.1]])
    >>> herding(points, jnp.ones(5, bool), 2).rows.tolist()
    [1, 3]
    """
    rows = features.squared_norm() if isinstance(features, Embedding) else features
    given = {} if weights is None else {"weights": weights}
    _rows.check_free(budget, available, labeled, features=rows, **given)
    return _herding(features, available, budget, labeled, weights, kernel, bandwidth)


@partial(jax.jit, static_argnames=("budget", "kernel"))
def _herding(features, available, budget, labeled, weights, kernel, bandwidth) -> Selection:
    points = as_embedding("features", features)
    free, labeled, counted = _rows.free_and_counted(available, labeled)
    usable = counted & points.finite()
    frame, scale = points.masked(usable).frame(usable)
    placed = Placed(points, usable, frame)
    if bandwidth is None:
        gap = smallest_gap(points, scale, labeled & usable)
        length = jnp.where(gap < jnp.inf, gap, 1.0 / scale)
    else:
        length = bandwidth / scale
    slack = rounding_slack(placed.everything())
    doubtful = largest(slack) > DOUBTFUL * length * length
    distances = Distances(points, placed.copied_on_cpus(), scale, slack, doubtful)
    start = kernel_values(kernel, distances.nearest(labeled & usable), length)
    worth = usable.astype(slack.dtype)
    if weights is not None:
        worth = jnp.where(usable, weights, 0.0).astype(slack.dtype)
    cover = KernelCover(distances, length, usable, worth, start, kernel)
    selection = maximize(cover, free, budget, optimizer="lazy")
    targets = jnp.maximum(jnp.sum(usable, dtype=jnp.int32), 1).astype(jnp.float32)
    return selection._replace(scores=selection.scores / targets)
