"""Random projections of points, of last-layer gradients too, which are never written out."""

import math
from functools import partial

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.checks import check_integer
from jaxal.numerics import matmul
from jaxal.points.embedding import Dense, Points, as_embedding, check_points
from jaxal.points.gradient import GradientEmbedding


@entry.checked(key=entry.key, points=check_points)
def random_projection(key: jax.Array, points: Points, width: int) -> jax.Array:
    """Random projections whose inner products estimate those of the points without bias.

    Of feature vectors h these are <h, v_m> / sqrt(M) for M random vectors of normal numbers. Of
    gradients, residual a (x) features h, they are <a, u_m> <h, v_m> / sqrt(M), the projections on
    the products u_m (x) v_m: O(N (C + D) M) time, and memory O(N M), not O(N C D). The standard
    error of an inner product of unit vectors is about sqrt(2 / M), of gradients about 3 / sqrt(M)
    at most.

    Args:
      key: PRNG key, consumed.
      points: [N, D], a `Dense` embedding or a `GradientEmbedding` of N rows.
      width: M, 512 in the reference.

    Returns:
      [N, M]; rows with a NaN or an infinity are not finite here either.

    Raises:
      TypeError: if the points are another embedding, or the width is not an integer.
      ValueError: if an array does not have shape [N, D], or the width is below 1.

    References:
      Holzmüller et al., "A framework and benchmark for deep batch active learning for regression",
      JMLR 2023, section 3.2.
    """
    check_integer(1, width=width)
    embedding = as_embedding("points", points)
    if not isinstance(embedding, (Dense, GradientEmbedding)):
        raise TypeError(
            "points: expected an array [N, D], a Dense or a GradientEmbedding, got "
            f"{type(embedding).__name__}"
        )
    return _projected(key, embedding, width)


@partial(jax.jit, static_argnames="width")
def _projected(key: jax.Array, points: Dense | GradientEmbedding, width: int) -> jax.Array:
    factors = [points.features]
    if isinstance(points, GradientEmbedding):
        if points.bias is not None:
            factors = [jnp.concatenate([points.features, points.bias[:, None]], axis=1)]
        factors.append(points.residuals)
    sizes = [factor.shape[1] for factor in factors]
    directions = jax.random.normal(key, (sum(sizes), width), points.features.dtype)
    found = matmul(factors[0], directions[: sizes[0]])
    if len(factors) > 1:
        found *= matmul(factors[1], directions[sizes[0] :])
    return found / math.sqrt(width)
