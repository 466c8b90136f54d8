"""k-means++ seeding as a selection rule of its own."""

from functools import partial

import jax
import jax.numpy as jnp

from jaxal.base import Selection, check_budget, check_positive, check_rank, check_rows
from jaxal.selection.d2 import d2_sampling
from jaxal.selection.distances import centred
from jaxal.selection.embedding import Dense
from jaxal.selection.take import take_top


@partial(jax.jit, static_argnames=("budget", "block_size"))
def k_means_plus_plus(
    key: jax.Array,
    features: jax.Array,
    available: jax.Array,
    budget: int,
    *,
    block_size: int = 256,
) -> Selection:
    """Draws rows far from each other: the first uniformly, the next in proportion to squared distance.

    Time O(N D B) as matrix products, in about B / block_size passes over the pool and a few more;
    memory O(block_size^2) and a copy of the features.

    Args:
      key: random key, consumed.
      features: [N, D].
      available: [N] bool.
      budget: how many rows, 1 to N.
      block_size: candidates drawn in a pass.

    Returns:
      `Selection` in the order drawn; a score is the squared distance to the nearest earlier pick, for
      the first to the mean of the available rows.

    Raises:
      ValueError: if shapes disagree or the budget is outside 1 to N.

    References:
      Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    """
    check_rank("features", features, 2, "[N, D]")
    check_rank("available", available, 1, "[N]")
    check_rows(features=features, available=available)
    check_budget(budget, features.shape[0])
    check_positive(block_size=block_size)
    key_first, key_rest = jax.random.split(key)
    features = features.astype(float)
    origin, scale = centred(features, available)
    points = (features - origin) / scale
    # A row that holds a NaN is as good as absent until nothing else is left.
    norms = jnp.sum(points**2, axis=-1)
    uniform = jax.random.uniform(key_first, available.shape)
    first = take_top(jnp.where(jnp.isnan(norms), jnp.nan, uniform), available, 1).rows[
        0
    ]
    selection, _ = d2_sampling(
        key_rest, Dense(points), first, available, budget, block_size=block_size
    )
    return selection._replace(scores=selection.scores * scale**2)
