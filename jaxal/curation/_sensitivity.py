"""Clustering-based sensitivity sampling: a weighted sample from losses at the centers alone."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.checks import check_budget, check_rows, check_some_like
from jaxal.greedy.d2 import BLOCK, sample_rows
from jaxal.points.distances import nearest_center
from jaxal.points.embedding import Dense
from jaxal.points.placed import TILE, rewritten
from jaxal.rows import LINE, in_tiles, line_sums
from jaxal.selection import _rows


class WeightedSample(NamedTuple):
    """Rows drawn independently, so that one may be drawn again, and what each stands for."""

    rows: jax.Array  # [B] int32; -1 where no row is available
    weights: jax.Array  # [B] float32, 1 / (B probability); 0 where no row is available
    probabilities: jax.Array  # [N] of a draw, adding up to 1


@entry.checked(
    key=entry.key,
    features=entry.matrix("[N, D]"),
    centers=entry.matrix("[K, D]"),
    center_losses=_rows.weights,
    available=entry.mask,
    budget=entry.budget,
    lam=entry.at_least(0),
    z=entry.positive,
)
def sensitivity_sampling(
    key: jax.Array,
    features: jax.Array,
    centers: jax.Array,
    center_losses: jax.Array,
    available: jax.Array,
    budget: int,
    *,
    lam: float | jax.Array = 1.0,
    z: float | jax.Array = 2.0,
) -> WeightedSample:
    """Sensitivity sampling by clusters: weighted rows, from the losses of K centers alone.

    Row i with the nearest center c is drawn with probability p_i in proportion to

        loss(c) + lam |x_i - c|^z

    and weighs 1 / (B p_i), so that the weighted sum of any function of the drawn rows estimates,
    without bias, its sum over all available rows, and the gradient of the weighted loss that of the
    whole loss. The model is run on the centers alone: take rows as centers, those of
    `selection.k_means`. The variance is small if the loss of a row is near that bound: lam is then
    how much losses differ with the distance. Where losses have little to do with the features,
    uniform rows have less variance.

    Time O(N K D) as matrix products; memory a copy of the features. Under `jaxal.rows.rows_over`
    the rows may be shared by devices, with the draws of one.

    Args:
      key: PRNG key, consumed.
      features: [N, D] of the pool.
      centers: [K, D]; one that holds a NaN or an infinity is nobody's nearest.
      center_losses: [K] >= 0, of the model in training or of a smaller one.
      available: [N] bool. Rows that hold a NaN or an infinity count as not available: they have no
        distance.
      budget: B draws, 1 to N.
      lam: at least 0, the weight of distances.
      z: above 0, their power.

    Returns:
      `WeightedSample`. A row that lies on a center of loss 0 has probability 0: the estimate is
      unbiased where such rows have no loss. If all have, draws are uniform.

    Raises:
      TypeError: if an array or the mask is none, or the budget is not an integer.
      ValueError: if shapes disagree, a loss is negative or not finite, or a number is out of range.

    References:
      Axiotis et al., "Data-efficient learning via clustering-based sensitivity sampling: foundation
      models and beyond", ICML 2024.

    Example:

    >>> features = jnp.array([[0.0], [1.0], [9.0]])
    >>> sample = sensitivity_sampling(
    ...     jax.random.key(0), features, features[::2], jnp.array([0.0, 3.0]), jnp.ones(3, bool), 2
    ... )
    >>> sample.probabilities.tolist()
    [0.0, 0.25, 0.75]
    """
    check_rows(features=features, available=available)
    check_rows(centers=centers, center_losses=center_losses)
    check_budget(budget, len(available))
    check_some_like(features, centers=centers)
    return _sensitivity_sampling(key, features, centers, center_losses, available, budget, lam, z)


@partial(jax.jit, static_argnames="budget")
def _sensitivity_sampling(
    key, features, centers, center_losses, available, budget, lam, z
) -> WeightedSample:
    points = Dense(jnp.asarray(features).astype(float))
    usable = jnp.asarray(available) & points.finite()
    assigned, squared = _nearest(points, Dense(jnp.asarray(centers).astype(float)), usable)
    losses = jnp.asarray(center_losses).astype(squared.dtype)
    bound = losses[assigned] + lam * jnp.sqrt(squared) ** z
    bound = jnp.where(usable, bound, 0.0)
    total = jnp.sum(line_sums(bound))
    bound = jnp.where(total > 0, bound, usable.astype(bound.dtype))
    total = jnp.sum(line_sums(bound))  # of lines, so that every number of devices rounds alike
    chances = bound / jnp.where(total > 0, total, 1.0)
    draws, inside = jax.random.uniform(key, (budget,), bound.dtype), None
    if len(chances) > BLOCK * LINE:
        inside = jax.random.uniform(jax.random.fold_in(key, 1), (2, budget), bound.dtype)
    rows = sample_rows(draws, chances, inside)
    drawn = chances[rows]
    weights = jnp.where(drawn > 0, 1.0 / (budget * jnp.where(drawn > 0, drawn, 1.0)), 0.0)
    rows = jnp.where(total > 0, rows, -1)
    return WeightedSample(rows, weights.astype(jnp.float32), chances)


def _nearest(points: Dense, centers: Dense, usable: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The nearest center of each row [N], and the squared distance by differences [N]."""
    frame, scale = points.frame(usable)
    scaled = rewritten(Dense.placed, points, usable, frame)
    counts = centers.finite()
    centers = centers.masked(counts).placed(frame)
    _, assigned = nearest_center(scaled, centers, counts)
    assigned = jnp.maximum(assigned, 0)

    def differences(own: tuple[jax.Array, jax.Array], centers: jax.Array) -> jax.Array:
        rows, nearest = own
        return jnp.sum((rows - centers[nearest]) ** 2, axis=1)

    size = max(TILE // points.width, 128)
    squared = in_tiles(differences, (scaled.features, assigned), size, centers.features)
    return assigned, squared * scale * scale
