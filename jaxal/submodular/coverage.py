"""Functions that reward the best representative of every point, and coverage of concepts."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxal.checks import check_rank
from jaxal.numerics import inner_products
from jaxal.points.similarity import Features, Similarity, rows_of, similarities
from jaxal.submodular.function import SetFunction


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Representation(SetFunction):
    """f(S) = sum_i max(min(max_{j in S} s_ij, cap_i), start_i) - start_i + sum_{j in S} bonus_j + offset.

    i runs over the targets of the similarity; nothing is gained where start_i is infinite. A block of Q
    gains costs O(Q G D); the state is [G].
    """

    similarity: Similarity
    start: jax.Array  # [G]
    cap: jax.Array | None = None  # [G]
    bonus: jax.Array | None = None  # [N]
    offset: jax.Array | float = 0.0
    at_most: jax.Array | None = None  # [N], bounds of the first gains

    @property
    def size(self) -> int:
        return self.similarity.size

    def init(self, capacity: int) -> jax.Array:
        return self.start

    def bounds(self) -> jax.Array | None:
        return self.at_most

    def columns(self, rows: jax.Array) -> tuple[jax.Array, jax.Array]:
        similar = self.similarity.rows(rows)
        if self.cap is not None:
            similar = jnp.minimum(similar, self.cap[None, :])
        bonus = jnp.zeros(len(rows)) if self.bonus is None else self.bonus[rows]
        return similar, bonus

    def gains(self, state: jax.Array, columns: tuple[jax.Array, jax.Array]) -> jax.Array:
        similar, bonus = columns
        return jnp.sum(jnp.maximum(similar - state[None, :], 0.0), axis=1) + bonus

    def add(self, state: jax.Array, column: tuple[jax.Array, jax.Array]) -> jax.Array:
        return jnp.maximum(state, column[0])


def facility_location(
    features: Features, *, metric: str = "cosine", shifted: bool = False
) -> SetFunction:
    """sum_{i in V} max(0, max_{j in S} s_ij): every pool row is near some pick. Submodular.

    A block of Q gains costs O(Q N D) time and O(Q N) memory. For cosine, lazy greedy starts from upper
    bounds of the gains in O(N D^2), not from all of them in O(N^2 D): see `Similarity.positive_totals_bound`.

    Args:
      features: V, [N, D] or a `GradientEmbedding`.
      metric: "cosine" or "euclidean".
      shifted: similarities (s + 1) / 2 in place of s.

    Returns:
      `SetFunction`.

    Raises:
      ValueError: as `similarities`.
    """
    pool = similarities(features, metric=metric, shifted=shifted).pool
    start = jnp.where(pool.usable, 0.0, jnp.inf)
    return Representation(pool, start, at_most=pool.positive_totals_bound())


def facility_location_mutual_information(
    features: Features,
    *,
    query: Features,
    eta: float = 1.0,
    metric: str = "cosine",
    shifted: bool = False,
) -> SetFunction:
    """sum_{i in V} min(max_{j in S} s_ij, eta max_{q in Q} s_iq) (FL1MI); submodular, O(Q N D) a block.

    Args:
      features: V, [N, D] or a `GradientEmbedding`.
      query: Q, as `features`.
      eta: the weight of the query.
      metric: "cosine" or "euclidean".
      shifted: similarities (s + 1) / 2 in place of s.

    Returns:
      `SetFunction`.

    Raises:
      ValueError: as `similarities`.

    References:
      Kothawade et al., "SIMILAR: submodular information measures based active learning in realistic
      scenarios", NeurIPS 2021, table 1. Kothawade et al., "PRISM", AAAI 2022.
    """
    near = similarities(features, query=query, metric=metric, shifted=shifted)
    cap = eta * near.nearest("query")
    start = jnp.minimum(near.pool.lowest, cap)
    offset = jnp.sum(jnp.where(near.pool.usable, start, 0.0))
    start = jnp.where(near.pool.usable, start, jnp.inf)
    return Representation(near.pool, start, cap=cap, offset=offset)


def facility_location_variant_mutual_information(
    features: Features,
    *,
    query: Features,
    eta: float = 1.0,
    metric: str = "cosine",
    shifted: bool = False,
) -> SetFunction:
    """sum_{q in Q} max_{j in S} s_jq + eta sum_{j in S} max_{q in Q} s_jq (FL2MI, FLQMI).

    Submodular. A block of Q gains costs O(Q M D) for M queries: nothing of size N x N is looked at.
    Arguments, result, errors and references as `facility_location_mutual_information`.
    """
    near = similarities(features, query=query, metric=metric, shifted=shifted)
    start = jnp.full(rows_of(near.others["query"]), near.pool.lowest)
    bonus = eta * near.nearest("query")
    return Representation(near.toward("query"), start, bonus=bonus, offset=jnp.sum(start))


def facility_location_conditional_gain(
    features: Features,
    *,
    private: Features,
    nu: float = 1.0,
    metric: str = "cosine",
    shifted: bool = False,
) -> SetFunction:
    """sum_{i in V} max(max_{j in S} s_ij - nu max_{p in P} s_ip, 0) (FLCG); submodular.

    Cost, arguments, errors and references as `facility_location_mutual_information`, with examples to
    keep away from, weighted by `nu`, in place of the query.
    """
    near = similarities(features, private=private, metric=metric, shifted=shifted)
    start = jnp.where(near.pool.usable, nu * near.nearest("private"), jnp.inf)
    return Representation(near.pool, start)


def facility_location_conditional_mutual_information(
    features: Features,
    *,
    query: Features,
    private: Features,
    eta: float = 1.0,
    nu: float = 1.0,
    metric: str = "cosine",
    shifted: bool = False,
) -> SetFunction:
    """sum_i max(min(max_{j in S} s_ij, eta max_q s_iq) - nu max_p s_ip, 0) (FLCMI); submodular.

    Cost, arguments, errors and references as `facility_location_mutual_information`, with examples to
    keep away from, weighted by `nu`, beside the query.
    """
    near = similarities(features, query=query, private=private, metric=metric, shifted=shifted)
    cap = eta * near.nearest("query")
    start = jnp.where(near.pool.usable, nu * near.nearest("private"), jnp.inf)
    return Representation(near.pool, start, cap=cap)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Cover(SetFunction):
    """f(S) = sum_u w_u (1 - prod_{j in S} (1 - p_ju)); the state is the share not covered, [U]."""

    probabilities: jax.Array  # [N, U]
    weights: jax.Array  # [U]

    @property
    def size(self) -> int:
        return len(self.probabilities)

    def init(self, capacity: int) -> jax.Array:
        return jnp.ones(self.weights.shape)

    def columns(self, rows: jax.Array) -> jax.Array:
        return self.probabilities[rows]

    def gains(self, state: jax.Array, columns: jax.Array) -> jax.Array:
        return inner_products(columns, (self.weights * state)[None, :])[:, 0]

    def add(self, state: jax.Array, column: jax.Array) -> jax.Array:
        return state * (1.0 - column)


def probabilistic_set_cover(
    features: jax.Array, *, weights: jax.Array | None = None
) -> SetFunction:
    """sum_u w_u (1 - prod_{j in S} (1 - p_ju)): concepts covered with some probability. Submodular.

    A block of Q gains costs O(Q U).

    Args:
      features: [N, U], the probability that row j covers concept u.
      weights: [U], >= 0; ones if not given.

    Returns:
      `SetFunction`.

    Raises:
      ValueError: if the shapes are not [N, U] and [U].

    References:
      El-Arini et al., "Turning down the noise in the blogosphere", KDD 2009.
    """
    features = jnp.asarray(features).astype(float)
    return Cover(features, column_weights(features, weights))


def set_cover(features: jax.Array, *, weights: jax.Array | None = None) -> SetFunction:
    """sum of w_u over the concepts u that some row of S covers. Submodular.

    Cost, errors and result as `probabilistic_set_cover`.

    Args:
      features: [N, U]; row j covers concept u where this is not 0.
      weights: [U], >= 0; ones if not given.
    """
    return probabilistic_set_cover(jnp.asarray(features) != 0, weights=weights)


def column_weights(features: jax.Array, weights: jax.Array | None) -> jax.Array:
    """One weight a column of [N, F]; ones if not given."""
    check_rank("features", features, 2, "[N, F]")
    if 0 in features.shape:
        raise ValueError(f"features: expected at least one row, got {features.shape}")
    if weights is None:
        return jnp.ones(features.shape[1])
    weights = jnp.asarray(weights).astype(float)
    if weights.shape != features.shape[1:]:
        raise ValueError(f"weights: expected shape {features.shape[1:]}, got {weights.shape}")
    return weights
