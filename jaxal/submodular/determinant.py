"""Log-determinants of similarity matrices and the information measures made of them."""

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.checks import check_positive
from jaxal.points.similarity import Features, Similarities, Similarity, similarities
from jaxal.submodular.function import SetFunction


class Cholesky(NamedTuple):
    """Rows of the factor of the picks' matrix, for all of the pool at once."""

    factor: jax.Array  # [T + B, N], those given and then those of the picks
    variance: jax.Array  # [N], what a row has beyond given rows and picks
    count: jax.Array  # []


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LogDeterminant(SetFunction):
    """f(S) = log det of (K + ridge I) on S, given T other points; see `log_determinant`."""

    similarity: Similarity
    ridge: jax.Array | float
    given: jax.Array  # [T, N], the factor's rows of the points given

    @property
    def size(self) -> int:
        return self.similarity.size

    def init(self, capacity: int) -> Cholesky:
        room = jnp.zeros((capacity, self.size))
        variance = self.similarity.itself() + self.ridge - jnp.sum(self.given**2, 0)
        return Cholesky(jnp.concatenate([self.given, room]), variance, jnp.int32(len(self.given)))

    def gains(self, state: Cholesky, rows: jax.Array) -> jax.Array:
        return jnp.log(positive(state.variance[rows]))

    def add(self, state: Cholesky, row: jax.Array) -> Cholesky:
        known = jnp.matmul(state.factor[:, row], state.factor, precision=jax.lax.Precision.HIGHEST)
        fresh = self.similarity.row(row) - known
        fresh = fresh / jnp.sqrt(positive(state.variance[row]))
        return Cholesky(
            state.factor.at[state.count].set(fresh),
            state.variance - fresh**2,
            state.count + 1,
        )


def positive(variance: jax.Array) -> jax.Array:
    """A variance below rounding, of a row that others determine, is rounding."""
    return jnp.maximum(variance, jnp.finfo(variance.dtype).eps)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Difference(SetFunction):
    """f(S) - g(S)."""

    first: SetFunction
    second: SetFunction
    submodular: bool = field(default=False, metadata={"static": True})

    @property
    def size(self) -> int:
        return self.first.size

    def init(self, capacity: int):
        return self.first.init(capacity), self.second.init(capacity)

    def columns(self, rows: jax.Array):
        return self.first.columns(rows), self.second.columns(rows)

    def gains(self, state, columns) -> jax.Array:
        first = self.first.gains(state[0], columns[0])
        return first - self.second.gains(state[1], columns[1])

    def add(self, state, column):
        first = self.first.add(state[0], column[0])
        return first, self.second.add(state[1], column[1])


def _log_determinant(near: Similarities, ridge: float, **weights: float) -> LogDeterminant:
    """Log-determinant given the examples named, each with the weight of its similarity to the pool."""
    check_positive(ridge=ridge)
    given = _factor(near, ridge, weights) if weights else jnp.zeros((0, near.pool.size))
    return LogDeterminant(near.pool, jnp.asarray(ridge, float), given)


@jax.jit
def _factor(near: Similarities, ridge: float, weights: dict[str, float]) -> jax.Array:
    """The pool's columns of the Cholesky factor of the points given, [T, N]."""
    between = near.pool.between
    points = [near.others[name] for name in weights]
    inner = jnp.block([[between(one, other) for other in points] for one in points])
    same = jnp.concatenate([near.pool.diagonal(one) for one in points])
    factor = jax.lax.linalg.cholesky(jnp.fill_diagonal(inner, same + ridge, inplace=False))
    cross = [weights[name] * near.toward(name).all_rows() for name in weights]
    return jax.lax.linalg.triangular_solve(
        factor, jnp.concatenate(cross, axis=1).T, left_side=True, lower=True
    )


def log_determinant(
    features: Features,
    *,
    ridge: float = 1.0,
    metric: str = "cosine",
    shifted: bool = False,
) -> SetFunction:
    """log det(K_S + ridge I), by one row of the Cholesky factor a pick. Submodular.

    All gains are kept up to date: O(N (D + B)) a pick, O(N B) memory.

    Args:
      features: V, [N, D] or a `GradientEmbedding`.
      ridge: > 0, added to the diagonal.
      metric: "cosine" or "euclidean".
      shifted: similarities (s + 1) / 2 in place of s.

    Returns:
      `SetFunction`.

    Raises:
      ValueError: as `similarities`, or if the ridge is not above 0.

    References:
      Chen et al., "Fast greedy MAP inference for determinantal point process to improve recommendation
      diversity", NeurIPS 2018, algorithm 1.
    """
    near = similarities(features, metric=metric, shifted=shifted)
    return _log_determinant(near, ridge)


def log_determinant_mutual_information(
    features: Features,
    *,
    query: Features,
    eta: float = 1.0,
    ridge: float = 1.0,
    metric: str = "cosine",
    shifted: bool = False,
) -> SetFunction:
    """F(S) + F(Q) - F(S + Q), F the log-determinant of L + ridge I (LogDetMI). Not submodular.

    L has the similarities, those between V and Q times eta. By the Schur complement this is the
    log-determinant on S less the same given Q. O(N (D + B + M)) a pick for M queries, O(N (B + M)) memory.
    An eta that makes L + ridge I indefinite has no answer: the gains are NaN or meaningless.

    Args:
      features: V, [N, D] or a `GradientEmbedding`.
      query: Q, as `features`.
      eta: the weight of the query.
      ridge: > 0, added to the diagonal.
      metric: "cosine" or "euclidean".
      shifted: similarities (s + 1) / 2 in place of s.

    Returns:
      `SetFunction`.

    Raises:
      ValueError: as `similarities`, or if the ridge is not above 0.

    References:
      Kothawade et al., "SIMILAR: submodular information measures based active learning in realistic
      scenarios", NeurIPS 2021, table 1.
    """
    near = similarities(features, query=query, metric=metric, shifted=shifted)
    return Difference(_log_determinant(near, ridge), _log_determinant(near, ridge, query=eta))


def log_determinant_conditional_gain(
    features: Features,
    *,
    private: Features,
    nu: float = 1.0,
    ridge: float = 1.0,
    metric: str = "cosine",
    shifted: bool = False,
) -> SetFunction:
    """F(S + P) - F(P), the log-determinant given P (LogDetCG). Submodular.

    Cost, arguments, result, errors and references as `log_determinant_mutual_information`, with examples
    to keep away from, weighted by `nu`, in place of the query.
    """
    near = similarities(features, private=private, metric=metric, shifted=shifted)
    return _log_determinant(near, ridge, private=nu)


def log_determinant_conditional_mutual_information(
    features: Features,
    *,
    query: Features,
    private: Features,
    eta: float = 1.0,
    nu: float = 1.0,
    ridge: float = 1.0,
    metric: str = "cosine",
    shifted: bool = False,
) -> SetFunction:
    """F(S + P) + F(Q + P) - F(S + Q + P) - F(P) (LogDetCMI). Not submodular.

    Cost, arguments, result, errors and references as `log_determinant_mutual_information`, with examples
    to keep away from, weighted by `nu`, beside the query; similarities between Q and P are not weighted.
    """
    near = similarities(features, query=query, private=private, metric=metric, shifted=shifted)
    return Difference(
        _log_determinant(near, ridge, private=nu),
        _log_determinant(near, ridge, query=eta, private=nu),
    )
