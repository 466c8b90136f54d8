"""Matched subsets: a few weighted rows whose gradients add up to those of all labelled rows."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.base import Model, PyTree
from jaxal.pools.memory import map_rows
from jaxal.selection.gradient_matching._gradients import gradients, matmul
from jaxal.selection.gradient_matching._matching_pursuit import pursue

BATCH_SIZE = 1024  # rows that go through the model at once
TOLERANCE = 1e-4  # share of the summed gradient that may be missing


class Subset(NamedTuple):
    """Rows to train on; of the arrays, the first `count` entries are in use."""

    rows: jax.Array  # [M] int32, into the buffers of a fit
    weights: jax.Array  # [M], of their losses; with the same mean as those of all rows
    count: jax.Array  # []


def whole(weights: jax.Array, count: jax.Array) -> Subset:
    """All labelled rows, with their own weights."""
    return Subset(jnp.arange(len(weights)), weights, count)


def matched_subset(
    model: Model,
    variables: PyTree,
    buffers: tuple[PyTree, jax.Array, jax.Array, jax.Array],
    fraction: float,
) -> Subset:
    """The rows, and weights of at least 0, whose last-layer gradients best add up to those of all rows.

    The gradients are those of the cross-entropy under the true labels, with dropout off; the rows are found by
    orthogonal matching pursuit. There are fewer than asked for if fewer match the sum already; where no row
    helps, the subset is the whole.

    Time O(k ((M + k) C D + k^3)) for k rows, so meant for some hundred; memory O(M (C + D) + k^2).

    Args:
      model: what is fitted.
      variables: its variables at present.
      buffers: inputs [M, ...], labels [M], weights [M] and the count of rows in use, as in `FitFn`.
      fraction: rows of the subset, of those in use.

    Returns:
      The subset. A mean over it of the weighted losses has the gradient of the mean over all rows.

    References:
      Killamsetty et al., "GRAD-MATCH: gradient matching based data subset selection for efficient deep
      model training", ICML 2021.
    """
    inputs, labels, weights, count = buffers
    capacity = len(labels)
    outputs = map_rows(model.apply, variables, inputs, batch_size=BATCH_SIZE)
    used = jnp.arange(capacity) < count
    each = gradients((outputs.logits, outputs.features, labels, used), "bias_linear")
    most = max(1, round(fraction * capacity))
    weighted = each.points.residuals * jnp.where(used, weights, 0.0)[:, None]
    end = pursue(
        each,
        matmul(weighted.T, each.points.features),
        used,
        budget=most,
        limit=jnp.maximum(1, jnp.round(fraction * count)),
        ridge=0.0,
        tolerance=TOLERANCE,
    )
    share = end.count / jnp.maximum(count, 1)
    found = Subset(
        jnp.zeros(capacity, int).at[:most].set(jnp.maximum(end.rows, 0)),
        jnp.zeros(capacity).at[:most].set(share * end.fit.weights),
        end.count,
    )
    return jax.tree.map(
        lambda some, all_: jnp.where(end.count > 0, some, all_),
        found,
        whole(weights, count),
    )
