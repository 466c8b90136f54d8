"""BADGE: batches that are uncertain and diverse at once."""

from functools import partial

import jax
import jax.numpy as jnp

from jaxal.base import Selection
from jaxal.checks import check_budget, check_positive, check_rank, check_rows
from jaxal.greedy.d2 import d2_sampling
from jaxal.greedy.take import priority
from jaxal.points.embedding import GradientEmbedding


@partial(jax.jit, static_argnames=("budget", "block_size"))
def badge(
    key: jax.Array,
    residuals: jax.Array,
    features: jax.Array,
    available: jax.Array,
    budget: int,
    *,
    block_size: int = 256,
) -> Selection:
    """D^2 sampling on hallucinated last-layer gradients, residual (x) features, never written out.

    The first pick is the largest gradient. Time O(N (C + D) B) as matrix products, in about
    B / block_size passes over the pool and a few more; memory O(N + block_size^2) above the inputs.

    Args:
      key: random key, consumed.
      residuals: [N, C], softmax minus the one-hot predicted class (`gradient_embedding`).
      features: [N, D], the input of the last layer.
      available: [N] bool.
      budget: how many rows, 1 to N.
      block_size: candidates drawn in a pass.

    Returns:
      `Selection` in the order drawn; a score is the squared distance of the gradient to that of the
      nearest earlier pick, for the first its squared norm.

    Raises:
      ValueError: if shapes disagree or the budget is outside 1 to N.

    References:
      Ash et al., "Deep batch active learning by diverse, uncertain gradient lower bounds", ICLR 2020,
      algorithm 1.
    """
    check_rank("residuals", residuals, 2, "[N, C]")
    check_rank("features", features, 2, "[N, D]")
    check_rank("available", available, 1, "[N]")
    check_rows(residuals=residuals, features=features, available=available)
    check_budget(budget, residuals.shape[0])
    check_positive(block_size=block_size)
    points = GradientEmbedding(residuals.astype(float), features.astype(float))
    first = jnp.argmax(priority(points.squared_norm(), available))
    return d2_sampling(key, points, first, available, budget, block_size=block_size)[0]
