"""Concave functions of sums over the picks: feature-based functions, COM and GCMI."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from jaxal.entry import at_least, one_of
from jaxal.points.embedding import Points
from jaxal.points.similarity import similarities
from jaxal.submodular.coverage import columns_of
from jaxal.submodular.declare import set_function, weights_of_columns
from jaxal.submodular.function import SetFunction

CONCAVE = {
    "log": jnp.log1p,
    "sqrt": jnp.sqrt,
    "inverse": lambda x: 1.0 - 1.0 / (1.0 + x),
}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ConcaveOverModular(SetFunction):
    """f(S) = sum_u w_u psi(sum_{j in S} m_ju) + sum_{j in S} bonus_j; the state is the sums [F]."""

    matrix: jax.Array  # [N, F]
    weights: jax.Array  # [F]
    bonus: jax.Array  # [N]
    concave: str = field(metadata={"static": True})
    submodular: bool = field(default=True, metadata={"static": True})
    usable: jax.Array | None = None  # [N] bool

    @property
    def size(self) -> int:
        return len(self.matrix)

    @property
    def monotone(self) -> bool:
        return self.submodular  # where no entry is negative

    def init(self, capacity: int) -> jax.Array:
        return jnp.zeros_like(self.weights)

    def columns(self, rows: jax.Array) -> tuple[jax.Array, jax.Array]:
        return self.matrix[rows], self.bonus[rows]

    def gains(self, state: jax.Array, columns: tuple[jax.Array, jax.Array]) -> jax.Array:
        matrix, bonus = columns
        psi = CONCAVE[self.concave]
        more = psi(state[None, :] + matrix) - psi(state)[None, :]
        return jnp.sum(self.weights[None, :] * more, axis=1) + bonus

    def add(self, state: jax.Array, column: tuple[jax.Array, jax.Array]) -> jax.Array:
        return state + column[0]


@set_function("feature_based", concave=one_of(CONCAVE), weights=weights_of_columns)
def feature_based(
    features: jax.Array,
    *,
    concave: str = "log",
    weights: jax.Array | None = None,
    usable: jax.Array | None = None,
) -> SetFunction:
    """sum_u w_u psi(sum_{j in S} m_ju), m the features scaled to [0, 1] by column. Submodular.

    psi is log(1 + x), sqrt(x) or 1 - 1 / (1 + x). A constant column counts as 0. A block of Q gains
    costs O(Q D).

    Args:
      features: [N, D].
      concave: "log", "sqrt" or "inverse".
      weights: [D], >= 0; ones if not given.
      usable: [N] bool, the rows that exist; all finite ones if None.

    Returns:
      `SetFunction`.

    Raises:
      ValueError: unknown `concave`, a weight below 0, or shapes that are not [N, D] and [D].

    References:
      Wei et al., "Submodular subset selection for large-scale speech training data", ICASSP 2014.
    """
    features, weights, usable = columns_of(features, weights, usable)
    # What does not exist must not widen the range of a column.
    low = jnp.min(features, axis=0, keepdims=True, where=usable[:, None], initial=jnp.inf)
    high = jnp.max(features, axis=0, keepdims=True, where=usable[:, None], initial=-jnp.inf)
    # Halves, so that the span of the widest columns does not overflow.
    span = high / 2.0 - low / 2.0
    scaled = (features / 2.0 - low / 2.0) / jnp.where(span > 0, span, 1.0)
    scaled = jnp.where(usable[:, None], scaled, 0.0)
    bonus = jnp.zeros_like(scaled[:, 0])
    return ConcaveOverModular(scaled, weights, bonus, concave, usable=usable)


@set_function("com", eta=at_least(0.0), concave=one_of(CONCAVE))
def concave_over_modular(
    features: Points,
    *,
    query: Points,
    eta: float = 1.0,
    concave: str = "log",
    metric: str = "cosine",
    shifted: bool = False,
    usable: jax.Array | None = None,
) -> SetFunction:
    """eta sum_{j in S} psi(sum_q s_jq) + sum_q psi(sum_{j in S} s_jq) (COM).

    Submodular where no similarity can be negative, so not for cosine unless shifted. A block of Q
    gains costs O(Q M) for M queries; the similarities to the queries are held, O(N M) memory.

    Args:
      features: V, [N, D] or an `Embedding`.
      query: Q, [M, D] or as `features`.
      eta: the weight of the first term, at least 0.
      concave: psi, as in `feature_based`.
      metric: "cosine" or "euclidean".
      shifted: similarities (s + 1) / 2 in place of s.
      usable: [N] bool, the rows that exist; all finite ones if None.

    Returns:
      `SetFunction`.

    Raises:
      ValueError: unknown `concave`, or as `similarities`.

    References:
      Kothawade et al., "PRISM: a rich class of parameterized submodular information measures for
      guided subset selection", AAAI 2022.
    """
    near = similarities(features, query=query, usable=usable, metric=metric, shifted=shifted)
    similar = near.toward("query").all_rows()
    bonus = eta * CONCAVE[concave](jnp.sum(similar, axis=1))
    return ConcaveOverModular(
        similar,
        jnp.ones_like(similar[0]),
        bonus,
        concave,
        submodular=near.pool.lowest >= 0,
        usable=near.pool.usable,
    )


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Modular(SetFunction):
    """f(S) = sum_{j in S} value_j; there is no state."""

    values: jax.Array  # [N]
    usable: jax.Array | None = None  # [N] bool

    @property
    def size(self) -> int:
        return len(self.values)

    @property
    def monotone(self) -> jax.Array:
        return jnp.all(self.values >= 0)

    def init(self, capacity: int) -> tuple[()]:
        return ()

    def gains(self, state: tuple[()], rows: jax.Array) -> jax.Array:
        return self.values[rows]

    def add(self, state: tuple[()], row: jax.Array) -> tuple[()]:
        return state


@set_function("gcmi")
def graph_cut_mutual_information(
    features: Points,
    *,
    query: Points,
    metric: str = "cosine",
    shifted: bool = False,
    usable: jax.Array | None = None,
) -> SetFunction:
    """sum_{j in S, q in Q} s_jq (GCMI): modular, so the greedy picks are the top rows.

    O(N M D) once for M queries. The paper has a further constant factor.

    Args:
      features: V, [N, D] or an `Embedding`.
      query: Q, [M, D] or as `features`.
      metric: "cosine" or "euclidean".
      shifted: similarities (s + 1) / 2 in place of s.
      usable: [N] bool, the rows that exist; all finite ones if None.

    Returns:
      `SetFunction`.

    Raises:
      ValueError: as `similarities`.

    References:
      Kothawade et al., "PRISM: a rich class of parameterized submodular information measures for
      guided subset selection", AAAI 2022.
    """
    near = similarities(features, query=query, usable=usable, metric=metric, shifted=shifted)
    return Modular(jnp.sum(near.toward("query").all_rows(), axis=1), near.pool.usable)
