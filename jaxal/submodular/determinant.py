"""Log-determinants of similarity matrices and the information measures made of them."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxal.checks import check_finite
from jaxal.entry import at_least
from jaxal.numerics import matmul
from jaxal.points.embedding import Points
from jaxal.points.similarity import Similarities, Similarity, similarities
from jaxal.submodular.declare import set_function
from jaxal.submodular.function import SetFunction

ROUNDING = float(jnp.finfo(jnp.float32).eps)  # of a similarity; a smaller variance has no digits


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

    @property
    def usable(self) -> jax.Array:
        return self.similarity.usable

    @property
    def monotone(self) -> jax.Array:
        # What the picks leave of a variance is the ridge at least, and a gain is its logarithm.
        return (len(self.given) == 0) & (jnp.asarray(self.ridge) >= 1.0)

    def init(self, capacity: int) -> Cholesky:
        room = jnp.zeros((capacity, self.size), self.given.dtype)
        variance = self.similarity.itself() + self.ridge - jnp.sum(self.given**2, 0)
        return Cholesky(jnp.concatenate([self.given, room]), variance, jnp.int32(len(self.given)))

    def gains(self, state: Cholesky, rows: jax.Array) -> jax.Array:
        return jnp.log(positive(state.variance[rows]))

    def add(self, state: Cholesky, row: jax.Array) -> Cholesky:
        known = matmul(state.factor[:, row], state.factor)
        fresh = self.similarity.row(row) - known
        fresh = fresh / jnp.sqrt(positive(state.variance[row]))
        return Cholesky(
            state.factor.at[state.count].set(fresh),
            state.variance - fresh**2,
            state.count + 1,
        )


def positive(variance: jax.Array) -> jax.Array:
    """Clamps variances below machine epsilon: rounding noise of rows spanned by the picks."""
    return jnp.maximum(variance, ROUNDING)


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

    @property
    def usable(self) -> jax.Array | None:
        return self.first.usable

    def init(self, capacity: int) -> tuple[Any, Any]:
        return self.first.init(capacity), self.second.init(capacity)

    def columns(self, rows: jax.Array) -> tuple[Any, Any]:
        return self.first.columns(rows), self.second.columns(rows)

    def gains(self, state: tuple[Any, Any], columns: tuple[Any, Any]) -> jax.Array:
        first = self.first.gains(state[0], columns[0])
        return first - self.second.gains(state[1], columns[1])

    def add(self, state: tuple[Any, Any], column: tuple[Any, Any]) -> tuple[Any, Any]:
        first = self.first.add(state[0], column[0])
        return first, self.second.add(state[1], column[1])


def ridge_in_range(option: str, value: float) -> None:
    """A finite number that the variances of float32 similarities can hold."""
    check_finite(**{option: value})
    if value < ROUNDING:
        raise ValueError(f"{option}: expected a finite number >= {ROUNDING:.2g}, got {value!r}")


def _log_determinant(near: Similarities, ridge: float, **weights: float) -> LogDeterminant:
    """Log-determinant given the examples named, each weighing its similarity to the pool."""
    given = jnp.zeros((0, near.pool.size))
    if weights:
        given = _factor(near, ridge, weights)
    return LogDeterminant(near.pool, jnp.asarray(ridge, float), given)


def _factor(near: Similarities, ridge: float, weights: dict[str, float]) -> jax.Array:
    """The pool's columns of the Cholesky factor of the points given, [T, N]."""
    between = near.pool.between
    points = [near.others[name] for name in weights]
    inner = jnp.block([[between(one, other) for other in points] for one in points])
    same = jnp.concatenate([near.pool.diagonal(one) for one in points])
    there = jnp.concatenate([near.there(name) for name in weights])
    # What does not exist has nothing to do with the others, nor with the pool.
    inner = jnp.where(there[:, None] & there[None, :], inner, 0.0)
    factor = jax.lax.linalg.cholesky(jnp.fill_diagonal(inner, same + ridge, inplace=False))
    cross = [weights[name] * near.toward(name).all_rows() for name in weights]
    cross = jnp.where(there[:, None], jnp.concatenate(cross, axis=1).T, 0.0)
    return jax.lax.linalg.triangular_solve(factor, cross, left_side=True, lower=True)


@set_function("log_determinant", ridge=ridge_in_range)
def log_determinant(
    features: Points,
    *,
    ridge: float = 1.0,
    metric: str = "cosine",
    shifted: bool = False,
    usable: jax.Array | None = None,
) -> SetFunction:
    """log det(K_S + ridge I), by one row of the Cholesky factor a pick. Submodular.

    All gains are kept up to date: O(N (D + B)) a pick, O(N B) memory. A variance that is not far
    above rounding has few digits, so gains err by about 1e-6 / ridge among rows that are alike.

    Args:
      features: V, [N, D] or an `Embedding`.
      ridge: at least 1.2e-7, what float32 resolves; added to the diagonal.
      metric: "cosine" or "euclidean".
      shifted: similarities (s + 1) / 2 in place of s.
      usable: [N] bool, the rows that exist; all finite ones if None.

    Returns:
      `SetFunction`.

    Raises:
      ValueError: as `similarities`, or a hyper-parameter out of range.

    References:
      Chen et al., "Fast greedy MAP inference for determinantal point process to improve
      recommendation diversity", NeurIPS 2018, algorithm 1.
    """
    near = similarities(features, usable=usable, metric=metric, shifted=shifted)
    return _log_determinant(near, ridge)


@set_function("logdetmi", ridge=ridge_in_range, eta=at_least(0.0))
def log_determinant_mutual_information(
    features: Points,
    *,
    query: Points,
    eta: float = 1.0,
    ridge: float = 1.0,
    metric: str = "cosine",
    shifted: bool = False,
    usable: jax.Array | None = None,
) -> SetFunction:
    """F(S) + F(Q) - F(S + Q), F the log-determinant of L + ridge I (LogDetMI). Not submodular.

    L has the similarities, those between V and Q times eta. By the Schur complement this is the
    log-determinant on S less the same given Q. O(N (D + B + M)) a pick for M queries, O(N (B + M))
    memory. An eta that makes L + ridge I indefinite has no answer: the gains are NaN or
    meaningless.

    Args:
      features: V, [N, D] or an `Embedding`.
      query: Q, [M, D] or as `features`.
      eta: the weight of the query, at least 0.
      ridge: at least 1.2e-7, what float32 resolves; added to the diagonal.
      metric: "cosine" or "euclidean".
      shifted: similarities (s + 1) / 2 in place of s.
      usable: [N] bool, the rows that exist; all finite ones if None.

    Returns:
      `SetFunction`.

    Raises:
      ValueError: as `similarities`, or a hyper-parameter out of range.

    References:
      Kothawade et al., "SIMILAR: submodular information measures based active learning in realistic
      scenarios", NeurIPS 2021, table 1.
    """
    near = similarities(features, query=query, usable=usable, metric=metric, shifted=shifted)
    return Difference(_log_determinant(near, ridge), _log_determinant(near, ridge, query=eta))


@set_function("logdetcg", ridge=ridge_in_range, nu=at_least(0.0))
def log_determinant_conditional_gain(
    features: Points,
    *,
    private: Points,
    nu: float = 1.0,
    ridge: float = 1.0,
    metric: str = "cosine",
    shifted: bool = False,
    usable: jax.Array | None = None,
    private_usable: jax.Array | None = None,
) -> SetFunction:
    """F(S + P) - F(P), F the log-determinant of L + ridge I (LogDetCG). Submodular.

    L has the similarities, those between V and P times nu. O(N (D + B + M)) a pick for M private
    examples, O(N (B + M)) memory.

    Args:
      features: V, [N, D] or an `Embedding`.
      private: P, [M, D] or as `features`, examples to keep away from.
      nu: the weight of the private examples, at least 0.
      ridge: at least 1.2e-7, what float32 resolves; added to the diagonal.
      metric: "cosine" or "euclidean".
      shifted: similarities (s + 1) / 2 in place of s.
      usable: [N] bool, the rows that exist; all finite ones if None.
      private_usable: a mask of the private examples that exist; all if None.

    Returns:
      `SetFunction`.

    Raises:
      ValueError: as `similarities`, or a hyper-parameter out of range.

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
    return _log_determinant(near, ridge, private=nu)


@set_function("logdetcmi", ridge=ridge_in_range, eta=at_least(0.0), nu=at_least(0.0))
def log_determinant_conditional_mutual_information(
    features: Points,
    *,
    query: Points,
    private: Points,
    eta: float = 1.0,
    nu: float = 1.0,
    ridge: float = 1.0,
    metric: str = "cosine",
    shifted: bool = False,
    usable: jax.Array | None = None,
    private_usable: jax.Array | None = None,
) -> SetFunction:
    """F(S + P) + F(Q + P) - F(S + Q + P) - F(P) (LogDetCMI). Not submodular.

    F is the log-determinant of L + ridge I. L has the similarities, those between V and Q times
    eta, those between V and P times nu. O(N (D + B + M)) a pick for M examples, O(N (B + M))
    memory.

    Args:
      features: V, [N, D] or an `Embedding`.
      query: Q, [M, D] or as `features`.
      private: P, [L, D] or as `features`, examples to keep away from.
      eta: the weight of the query, at least 0.
      nu: the weight of the private examples, at least 0.
      ridge: at least 1.2e-7, what float32 resolves; added to the diagonal.
      metric: "cosine" or "euclidean".
      shifted: similarities (s + 1) / 2 in place of s.
      usable: [N] bool, the rows that exist; all finite ones if None.
      private_usable: a mask of the private examples that exist; all if None.

    Returns:
      `SetFunction`.

    Raises:
      ValueError: as `similarities`, or a hyper-parameter out of range.

    References:
      Kothawade et al., "SIMILAR: submodular information measures based active learning in realistic
      scenarios", NeurIPS 2021, table 1.
    """
    near = similarities(
        features,
        query=query,
        private=private,
        usable=usable,
        private_usable=private_usable,
        metric=metric,
        shifted=shifted,
    )
    return Difference(
        _log_determinant(near, ridge, private=nu),
        _log_determinant(near, ridge, query=eta, private=nu),
    )
