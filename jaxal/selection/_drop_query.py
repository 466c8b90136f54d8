"""DropQuery: rows whose prediction dropout changes, one of each cluster."""

from functools import partial

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import Selection
from jaxal.checks import check_integer
from jaxal.scores import drop_query as disagreement
from jaxal.selection import _rows
from jaxal.selection._candidates import one_a_cluster

SHARE = 25  # candidates for each row that is queried


@entry.checked(
    key=entry.key,
    logits=entry.matrix("[N, C]"),
    dropped_logits=entry.matrix("[K, N, C]"),
    features=entry.matrix("[N, D]"),
    available=entry.mask,
    budget=entry.budget,
    restarts=entry.integer(1),
)
def drop_query(
    key: jax.Array,
    logits: jax.Array,
    dropped_logits: jax.Array,
    features: jax.Array,
    available: jax.Array,
    budget: int,
    *,
    restarts: int = 10,
) -> Selection:
    """DropQuery: one row of each cluster of those whose class changes under dropout.

    Candidates are rows whose class differs from the prediction in more than half of the K draws;
    while these are fewer than 25 a pick, in fewer draws, down to one. Of them the nearest to each
    center of k-means, with as many clusters as picks, on features divided by their lengths. Where
    there are fewer candidates than picks, all of them, and others at random.

    Time and memory are those of `k_means`.

    Args:
      key: PRNG key, consumed.
      logits: [N, C], of the prediction.
      dropped_logits: [K, N, C], of K draws.
      features: [N, D].
      available: [N] bool.
      budget: how many rows, 1 to N.
      restarts: of k-means.

    Returns:
      `Selection`; a score is minus the squared distance to the center, of unit vectors.

    Raises:
      TypeError: if an array, a mask or the key is none, or a number is not an integer.
      ValueError: if shapes disagree, or the budget is above the available rows.

    References:
      Gupte et al., "Revisiting active learning in the era of vision foundation models", TMLR 2024,
      algorithm 1.
    """
    _rows.check_free(budget, available, None, logits=logits, features=features)
    return of_disagreement(
        key,
        disagreement(logits, dropped_logits),
        len(dropped_logits),
        features,
        available,
        budget,
        restarts=restarts,
    )


@partial(jax.jit, static_argnames=("num_draws", "budget", "restarts"))
def of_disagreement(
    key: jax.Array,
    score: jax.Array,
    num_draws: int,
    features: jax.Array,
    available: jax.Array,
    budget: int,
    *,
    restarts: int = 10,
) -> Selection:
    """`drop_query` where it is known in how many draws the class differs, `score` [N]."""
    check_integer(1, num_draws=num_draws)
    available = jnp.asarray(available)
    levels = jnp.arange(num_draws // 2 + 1, dtype=score.dtype)
    above = available[None, :] & (score[None, :] > levels[:, None])
    enough = jnp.sum(above, axis=1, dtype=jnp.int32) >= SHARE * budget
    # The highest level with enough rows above, and 0 if there is none.
    level = jnp.max(jnp.where(enough, levels, 0.0))
    features = jnp.asarray(features).astype(float)
    return one_a_cluster(key, features, score > level, available, budget, restarts=restarts)
