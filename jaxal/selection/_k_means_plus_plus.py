"""k-means++ seeding as a rule of its own."""

from functools import partial

import jax

from jaxal import entry
from jaxal.base import Selection
from jaxal.checks import check_budget, check_integer, check_rank, check_rows
from jaxal.greedy.d2 import d2_sampling
from jaxal.points.embedding import Embedding, Points, as_embedding, check_points
from jaxal.points.placed import Placed
from jaxal.selection._badge import as_squared_distances


@entry.checked(
    key=entry.key,
    features=check_points,
    available=entry.mask,
    budget=entry.budget,
    block_size=entry.integer(1),
)
@partial(jax.jit, static_argnames=("budget", "block_size"))
def k_means_plus_plus(
    key: jax.Array,
    features: Points,
    available: jax.Array,
    budget: int,
    *,
    block_size: int = 64,
) -> Selection:
    """k-means++ seeding: the first row uniformly, the next in proportion to squared distance.

    Time O(N D B) as matrix products, in about B / block_size passes over the pool and a few more;
    memory O(N) above the points.

    Args:
      key: PRNG key, consumed.
      features: [N, D], or any `Embedding` of N rows.
      available: [N] bool.
      budget: how many rows, 1 to N.
      block_size: candidates drawn in a pass.

    Returns:
      `Selection` in the order drawn; a score is the squared distance to the nearest earlier pick,
      for the first to about the mean of the available rows (its squared norm where an embedding has
      no coordinates to take a mean of). Copies of picks come after all others at score 0, rows
      with a NaN or an infinity last.

    Raises:
      TypeError: if an array or a mask is none, or the budget or block_size is not an integer.
      ValueError: if shapes disagree, the budget is outside 1 to N or block_size below 1.

    References:
      Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    """
    check_integer(1, block_size=block_size)
    points = as_embedding("features", features, narrow=True)
    check_budget(budget, points.size)
    placed, first, scale = centered(points, available)
    selection, _ = d2_sampling(key, placed, first, available, budget, block_size=block_size)
    return as_squared_distances(selection, scale)


def centered(points: Embedding, available: jax.Array) -> tuple[Placed, None, jax.Array]:
    """The points placed, no first row, and the unit of distances []; the shapes are checked."""
    check_rank("available", available, 1, "[N]")
    check_rows(features=points.squared_norm(), available=available)
    usable = points.finite()
    frame, scale = points.frame(available & usable)
    return Placed(points, usable, frame), None, scale
