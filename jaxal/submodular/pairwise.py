"""Functions of the similarities between the picks: graph cut and the disparities."""

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.entry import at_least
from jaxal.points.embedding import Points
from jaxal.points.similarity import Similarity, similarities
from jaxal.submodular.declare import set_function
from jaxal.submodular.function import SetFunction


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class GraphCut(SetFunction):
    """f(S) = sum_{j in S} value_j - trade_off sum_{i, j in S} s_ij.

    The state is sum_{j in S} s_ij, [N]: all gains are kept up to date by one row of similarities a
    pick, O(N D).
    """

    similarity: Similarity
    values: jax.Array  # [N]
    trade_off: jax.Array | float
    monotone: jax.Array | bool = False

    @property
    def size(self) -> int:
        return self.similarity.size

    @property
    def usable(self) -> jax.Array:
        return self.similarity.usable

    @property
    def submodular(self) -> bool:
        return self.similarity.lowest >= 0

    def init(self, capacity: int) -> jax.Array:
        return jnp.zeros_like(self.values)

    def gains(self, state: jax.Array, rows: jax.Array) -> jax.Array:
        pairs = 2.0 * state[rows] + self.similarity.itself()[rows]
        return self.values[rows] - self.trade_off * pairs

    def add(self, state: jax.Array, row: jax.Array) -> jax.Array:
        return state + self.similarity.row(row)


@set_function("graph_cut", trade_off=at_least(0.0))
def graph_cut(
    features: Points,
    *,
    trade_off: float = 0.5,
    metric: str = "cosine",
    shifted: bool = False,
    usable: jax.Array | None = None,
) -> GraphCut:
    """sum_{i in V, j in S} s_ij - trade_off sum_{i, j in S} s_ij, the diagonal included.

    Submodular where no similarity can be negative, so not for cosine unless shifted; there monotone
    for a trade_off up to 0.5. O(N D) a pick, and to begin with O(N D) for cosine, O(N^2 D) for
    euclidean.

    Args:
      features: V, [N, D] or an `Embedding`.
      trade_off: >= 0, what similarity between the picks costs. Below 0 the function would not be
        submodular.
      metric: "cosine" or "euclidean".
      shifted: similarities (s + 1) / 2 in place of s.
      usable: [N] bool, the rows that exist; all finite ones if None.

    Returns:
      `SetFunction`.

    Raises:
      ValueError: as `similarities`, or a trade_off below 0.
    """
    pool = similarities(features, usable=usable, metric=metric, shifted=shifted).pool
    weight = jnp.asarray(trade_off, float)
    monotone = (weight <= 0.5) & (pool.lowest >= 0)
    return GraphCut(pool, pool.totals(), weight, monotone)


@set_function("gccg", trade_off=at_least(0.0), nu=at_least(0.0))
def graph_cut_conditional_gain(
    features: Points,
    *,
    private: Points,
    nu: float = 1.0,
    trade_off: float = 1.0,
    metric: str = "cosine",
    shifted: bool = False,
    usable: jax.Array | None = None,
    private_usable: jax.Array | None = None,
) -> GraphCut:
    """graph_cut(S) - 2 trade_off nu sum_{j in S, p in P} s_jp (GCCG).

    Submodular as `graph_cut`. O(N D) a pick, and to begin with O(N M D) for M private examples and
    O(N D) for cosine, O(N^2 D) for euclidean.

    Args:
      features: V, [N, D] or an `Embedding`.
      private: P, [M, D] or as `features`, examples to keep away from.
      nu: the weight of the private examples, at least 0.
      trade_off: >= 0, what similarity between the picks costs.
      metric: "cosine" or "euclidean".
      shifted: similarities (s + 1) / 2 in place of s.
      usable: [N] bool, the rows that exist; all finite ones if None.
      private_usable: a mask of the private examples that exist; all if None.

    Returns:
      `SetFunction`.

    Raises:
      ValueError: as `similarities`, or a trade_off below 0.

    References:
      Kothawade et al., "SIMILAR: submodular information measures based active learning in realistic
      scenarios", NeurIPS 2021, table 1.
    """
    near = similarities(
        features,
        private=private,
        usable=usable,
        private_usable=private_usable,
        metric=metric,
        shifted=shifted,
    )
    similar = near.toward("private").all_rows()
    to_private = jnp.sum(jnp.where(near.there("private")[None, :], similar, 0.0), axis=1)
    values = near.pool.totals() - 2.0 * trade_off * nu * to_private
    return GraphCut(near.pool, values, jnp.asarray(trade_off, float))


class Distances(NamedTuple):
    """What is known of the picks; distance is 1 - similarity."""

    of_rows: jax.Array  # [N], the smallest or the sum of the distances to the picks
    value: jax.Array  # [], f
    count: jax.Array  # []


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Disparity(SetFunction):
    """The smallest, or the sum, of 1 - s_ij over the pairs of picks; 0 for fewer than two."""

    similarity: Similarity
    smallest: bool = field(metadata={"static": True})
    submodular: bool = field(default=False, metadata={"static": True})

    @property
    def size(self) -> int:
        return self.similarity.size

    @property
    def usable(self) -> jax.Array:
        return self.similarity.usable

    def init(self, capacity: int) -> Distances:
        start = jnp.full(self.size, jnp.inf if self.smallest else 0.0, self.similarity.length.dtype)
        return Distances(start, jnp.zeros_like(self.similarity.length), jnp.int32(0))

    def gains(self, state: Distances, rows: jax.Array) -> jax.Array:
        return self._value_with(state, state.of_rows[rows]) - state.value

    def add(self, state: Distances, row: jax.Array) -> Distances:
        distance = 1.0 - self.similarity.row(row)
        fold = jnp.minimum if self.smallest else jnp.add
        value = self._value_with(state, state.of_rows[row])
        return Distances(fold(state.of_rows, distance), value, state.count + 1)

    def _value_with(self, state: Distances, distances: jax.Array) -> jax.Array:
        """f with one row more, at these distances from the picks."""
        if not self.smallest:
            return state.value + distances
        value = jnp.where(state.count > 1, jnp.minimum(state.value, distances), distances)
        return jnp.where(state.count > 0, value, 0.0)


@set_function("disparity_min")
def disparity_min(
    features: Points,
    *,
    metric: str = "cosine",
    shifted: bool = False,
    usable: jax.Array | None = None,
) -> Disparity:
    """min_{i != j in S} (1 - s_ij), 0 for fewer than two rows. Not submodular. O(N D) a pick.

    All rows are worth nothing at first, so the first pick is the lowest row.

    Args:
      features: V, [N, D] or an `Embedding`.
      metric: "cosine" or "euclidean".
      shifted: similarities (s + 1) / 2 in place of s.
      usable: [N] bool, the rows that exist; all finite ones if None.

    Returns:
      `SetFunction`.

    Raises:
      ValueError: as `similarities`.

    References:
      Dasgupta et al., "Summarization through submodularity and dispersion", ACL 2013.
    """
    pool = similarities(features, usable=usable, metric=metric, shifted=shifted).pool
    return Disparity(pool, smallest=True)


@set_function("disparity_sum")
def disparity_sum(
    features: Points,
    *,
    metric: str = "cosine",
    shifted: bool = False,
    usable: jax.Array | None = None,
) -> Disparity:
    """sum over pairs {i, j} of S of 1 - s_ij. Supermodular. O(N D) a pick.

    Args:
      features: V, [N, D] or an `Embedding`.
      metric: "cosine" or "euclidean".
      shifted: similarities (s + 1) / 2 in place of s.
      usable: [N] bool, the rows that exist; all finite ones if None.

    Returns:
      `SetFunction`.

    Raises:
      ValueError: as `similarities`.

    References:
      Dasgupta et al., "Summarization through submodularity and dispersion", ACL 2013.
    """
    pool = similarities(features, usable=usable, metric=metric, shifted=shifted).pool
    return Disparity(pool, smallest=False)
