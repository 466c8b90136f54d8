"""BADGE: batches that are uncertain and diverse at once."""

from functools import partial

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import Selection
from jaxal.checks import check_budget, check_integer, check_rank, check_rows
from jaxal.greedy.d2 import d2_sampling
from jaxal.greedy.take import priority
from jaxal.numerics import as_floats
from jaxal.points.gradient import GradientEmbedding
from jaxal.points.placed import Placed
from jaxal.rows import best_row


@entry.checked(
    key=entry.key,
    residuals=entry.matrix("[N, C]"),
    features=entry.matrix("[N, D]"),
    available=entry.mask,
    budget=entry.budget,
    block_size=entry.integer(1),
)
@partial(jax.jit, static_argnames=("budget", "block_size"))
def badge(
    key: jax.Array,
    residuals: jax.Array,
    features: jax.Array,
    available: jax.Array,
    budget: int,
    *,
    block_size: int = 64,
) -> Selection:
    """BADGE: k-means++ seeding (D^2 sampling) on last-layer gradients of the pseudo-label.

    The first pick is the largest gradient; each further one is drawn with probability proportional
    to the squared distance of its gradient to the nearest gradient picked before. The gradients,
    residual (x) features, are never written out. Time O(N (C + D) B) as matrix products, in about
    B / block_size passes over the pool and a few more; memory O(N) above the inputs, which may be
    floats of 16 bits.

    Args:
      key: PRNG key, consumed.
      residuals: [N, C], softmax minus the one-hot predicted class (`gradient_embedding`).
      features: [N, D], the input of the last layer.
      available: [N] bool.
      budget: how many rows, 1 to N.
      block_size: candidates drawn in a pass.

    Returns:
      `Selection` in the order drawn; a score is the squared distance of the gradient to that of the
      nearest earlier pick, for the first its squared norm (inf if it exceeds float32). Rows whose
      gradients repeat those of picks come after all others at score 0, rows with a NaN or an
      infinity last.

    Raises:
      TypeError: if an array or a mask is none, or the budget or block_size is not an integer.
      ValueError: if shapes disagree, the budget is outside 1 to N or block_size below 1.

    References:
      Ash et al., "Deep batch active learning by diverse, uncertain gradient lower bounds", ICLR
      2020, algorithm 1.
    """
    check_integer(1, block_size=block_size)
    points = gradients(residuals, features, available, budget)
    placed, first, scale = largest_first(points, available)
    selection, _ = d2_sampling(key, placed, first, available, budget, block_size=block_size)
    return as_squared_distances(selection, scale)


def gradients(
    residuals: jax.Array, features: jax.Array, available: jax.Array, budget: int
) -> GradientEmbedding:
    """The gradients, of arguments of `badge`, which are checked."""
    check_rank("residuals", residuals, 2, "[N, C]")
    check_rank("features", features, 2, "[N, D]")
    check_rank("available", available, 1, "[N]")
    check_rows(residuals=residuals, features=features, available=available)
    check_budget(budget, residuals.shape[0])
    return GradientEmbedding(as_floats(residuals), as_floats(features))


def largest_first(
    points: GradientEmbedding, available: jax.Array
) -> tuple[Placed, jax.Array, jax.Array]:
    """The gradients placed, the row of the largest [], and the unit of distances []."""
    usable = points.finite()
    frame, scale = points.frame(available & usable)
    placed = Placed(points, usable, frame)
    norms = placed.everything().squared_norm()
    first = best_row(priority(jnp.where(usable, norms, -1.0), available))
    return placed, first.astype(jnp.int32), scale


def as_squared_distances(selection: Selection, scale: jax.Array) -> Selection:
    """The picks with scores in the units of the points, from those in the frame."""
    # Factor by factor: the square of a large scale is infinite, and 0 times that is not a number.
    scores = selection.scores.astype(scale.dtype) * scale * scale
    return selection._replace(scores=scores.astype(jnp.float32))
