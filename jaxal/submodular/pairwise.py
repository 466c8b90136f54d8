"""Functions of the similarities between the picks: graph cut and the disparities."""

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.points.similarity import Features, Similarity, similarities
from jaxal.submodular.function import SetFunction


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class GraphCut(SetFunction):
    """f(S) = sum_{j in S} value_j - trade_off sum_{i, j in S} s_ij; the state is sum_{j in S} s_ij, [N].

    All gains are kept up to date by one row of similarities a pick, O(N D).
    """

    similarity: Similarity
    values: jax.Array  # [N]
    trade_off: jax.Array | float

    @property
    def size(self) -> int:
        return self.similarity.size

    @property
    def submodular(self) -> bool:
        return self.similarity.lowest >= 0

    def init(self, capacity: int) -> jax.Array:
        return jnp.zeros(self.size)

    def gains(self, state: jax.Array, rows: jax.Array) -> jax.Array:
        pairs = 2.0 * state[rows] + self.similarity.itself()[rows]
        return self.values[rows] - self.trade_off * pairs

    def add(self, state: jax.Array, row: jax.Array) -> jax.Array:
        return state + self.similarity.row(row)


def graph_cut(
    features: Features,
    *,
    trade_off: float = 0.5,
    metric: str = "cosine",
    shifted: bool = False,
) -> GraphCut:
    """sum_{i in V, j in S} s_ij - trade_off sum_{i, j in S} s_ij, the diagonal included.

    Submodular where no similarity can be negative, so not for cosine unless shifted; monotone for a
    trade_off up to 0.5. O(N D) a pick, and to begin with O(N D) for cosine, O(N^2 D) for euclidean.

    Args:
      features: V, [N, D] or a `GradientEmbedding`.
      trade_off: >= 0, what similarity between the picks costs.
      metric: "cosine" or "euclidean".
      shifted: similarities (s + 1) / 2 in place of s.

    Returns:
      `SetFunction`.

    Raises:
      ValueError: as `similarities`.
    """
    pool = similarities(features, metric=metric, shifted=shifted).pool
    return GraphCut(pool, pool.totals(), jnp.asarray(trade_off, float))


def graph_cut_conditional_gain(
    features: Features,
    *,
    private: Features,
    nu: float = 1.0,
    trade_off: float = 1.0,
    metric: str = "cosine",
    shifted: bool = False,
) -> GraphCut:
    """graph_cut(S) - 2 trade_off nu sum_{j in S, p in P} s_jp (GCCG).

    Cost, arguments, result and errors as `graph_cut`, with `private`, as `features`, to keep away from.

    References:
      Kothawade et al., "SIMILAR: submodular information measures based active learning in realistic
      scenarios", NeurIPS 2021, table 1.
    """
    near = similarities(features, private=private, metric=metric, shifted=shifted)
    to_private = jnp.sum(near.toward("private").all_rows(), axis=1)
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

    def init(self, capacity: int) -> Distances:
        start = jnp.full(self.size, jnp.inf if self.smallest else 0.0)
        return Distances(start, jnp.zeros(()), jnp.int32(0))

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


def disparity_min(
    features: Features, *, metric: str = "cosine", shifted: bool = False
) -> Disparity:
    """min_{i != j in S} (1 - s_ij), 0 for fewer than two rows. Not submodular. O(N D) a pick.

    All rows are worth nothing at first, so the first pick is the lowest row.

    Args:
      features: V, [N, D] or a `GradientEmbedding`.
      metric: "cosine" or "euclidean".
      shifted: similarities (s + 1) / 2 in place of s.

    Returns:
      `SetFunction`.

    Raises:
      ValueError: as `similarities`.

    References:
      Dasgupta et al., "Summarization through submodularity and dispersion", ACL 2013.
    """
    pool = similarities(features, metric=metric, shifted=shifted).pool
    return Disparity(pool, smallest=True)


def disparity_sum(
    features: Features, *, metric: str = "cosine", shifted: bool = False
) -> Disparity:
    """sum over pairs {i, j} of S of 1 - s_ij. Supermodular. O(N D) a pick.

    Arguments, result, errors and references as `disparity_min`.
    """
    pool = similarities(features, metric=metric, shifted=shifted).pool
    return Disparity(pool, smallest=False)
