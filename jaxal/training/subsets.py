"""Matched subsets: a few weighted rows whose gradients add up to those of all labelled rows."""

import dataclasses

import jax
import jax.numpy as jnp

from jaxal.base import Model, PyTree
from jaxal.points.losses import Loss
from jaxal.pools.memory import map_rows
from jaxal.selection.gradient_matching._gradients import gradients
from jaxal.selection.gradient_matching._matching_pursuit import pursue
from jaxal.training.epoch import TrainingRows

TOLERANCE = 1e-4  # share of the summed gradient that may be missing


def all_rows(weights: jax.Array, count: jax.Array) -> TrainingRows:
    """All labelled rows, with their own weights.

    Args:
      weights: [M], of which the first `count` are of labelled rows.
      count: [] int32.
    """
    return TrainingRows(jnp.arange(len(weights), dtype=jnp.int32), weights, count)


def matched_subset(
    model: Model,
    variables: PyTree,
    buffers: tuple[PyTree, jax.Array, jax.Array, jax.Array],
    fraction: float,
    batch_size: int = 1024,
    loss: Loss | None = None,
) -> TrainingRows:
    """The rows, weighted by at least 0, whose last-layer gradients best add up to those of all.

    The gradients are those of the loss under the true labels, with dropout off; the rows
    are found by orthogonal matching pursuit. There are fewer than asked for if fewer match the sum
    already; where no row helps, all rows are returned.

    Time O(k ((M + k) C D + k^3)) for k rows, so meant for some hundred; memory O(M (C + D) + k^2).

    Args:
      model: what is fitted.
      variables: its variables at present.
      buffers: inputs [M, ...], labels [M], weights [M] and the count of rows in use [].
      fraction: rows of the subset, of those in use.
      batch_size: rows that go through the model at once.
      loss: of each row; the cross-entropy if None.

    Returns:
      The subset. A mean over it of the weighted losses has the gradient of the mean over all rows.

    References:
      Killamsetty et al., "GRAD-MATCH: gradient matching based data subset selection for efficient
      deep model training", ICML 2021.
    """
    inputs, labels, weights, count = buffers
    capacity = len(labels)
    outputs = map_rows(model.apply, variables, inputs, batch_size=batch_size)
    used = jnp.arange(capacity, dtype=jnp.int32) < count
    each = gradients((outputs.logits, outputs.features, labels, used), "bias_linear", loss)
    largest = max(1, round(fraction * capacity))
    weights = weights.astype(each.points.residuals.dtype)
    weighted = each.points.residuals * jnp.where(used, weights, 0.0)[:, None]
    target = dataclasses.replace(each.points, residuals=weighted).total()
    limit = jnp.maximum(1, jnp.round(fraction * count.astype(jnp.float32)))
    end = pursue(
        each,
        target,
        used,
        budget=largest,
        limit=limit.astype(jnp.int32),
        ridge=0.0,
        tolerance=TOLERANCE,
    )
    # The pursuit fits the sum over all rows, and training takes the mean over the subset.
    share = end.count.astype(weights.dtype) / jnp.maximum(count, 1).astype(weights.dtype)
    found = TrainingRows(
        jnp.zeros(capacity, jnp.int32).at[:largest].set(jnp.maximum(end.rows, 0)),
        jnp.zeros(capacity, weights.dtype).at[:largest].set(share * end.fit.weights),
        end.count,
    )
    return jax.tree.map(
        lambda some, every: jnp.where(end.count > 0, some, every),
        found,
        all_rows(weights, count),
    )
