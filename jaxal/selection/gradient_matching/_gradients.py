"""Last-layer gradients of examples that a rule adds up: checked, and 0 where one does not count.

Shared by GradMatch, matching pursuit and GLISTER, which all take examples as tuples: `Rows` of a
pool, `LabeledRows` with labels and a mask.
"""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.checks import check_rank, check_rows
from jaxal.points.embedding import Dense
from jaxal.points.gradient import GradientEmbedding, gradient_embedding
from jaxal.points.losses import Loss
from jaxal.points.placed import cleared

Rows = tuple[jax.Array, jax.Array]
"""Logits [N, C] and features [N, D]."""
LabeledRows = tuple[jax.Array, jax.Array, jax.Array, jax.Array]
"""Logits [M, C], features [M, D], labels [M] (negative: the predicted class), mask [M]."""


POOL = ("logits", "features")
LABELED = ("logits", "features", "labels", "mask")
"""The parts of the two, for messages."""


class Gradients(NamedTuple):
    """Gradients of examples; of those that do not count, residuals and logits are 0."""

    points: GradientEmbedding  # [N], whose features are finite
    logits: jax.Array  # [N, C]
    labels: jax.Array  # [N] integers, the classes at which they are taken
    finite: jax.Array  # [N] bool
    counts: jax.Array  # [N] bool: in the mask and finite

    def number(self) -> jax.Array:
        """How many examples count, at least 1: a float []."""
        return jnp.maximum(jnp.sum(self.counts, dtype=self.logits.dtype), 1.0)


def check_pool(pool: Rows, available: jax.Array) -> None:
    """Raises ValueError unless `pool` is logits [N, C] and features [N, D], and `available` [N]."""
    check_rank("pool logits", pool[0], 2, "[N, C]")
    check_rank("pool features", pool[1], 2, "[N, D]")
    check_rank("available", available, 1, "[N]")
    check_rows(**{"pool logits": pool[0], "pool features": pool[1], "available": available})


def check_labeled(name: str, given: LabeledRows, pool: Rows, *, at_least: int = 0) -> None:
    """Raises ValueError unless the examples agree in rows, are enough, and as wide as the pool."""
    named = {f"{name} {part}": array for part, array in zip(LABELED, given, strict=True)}
    shapes = ("[M, C]", "[M, D]", "[M]", "[M]")
    for (part, array), shape in zip(named.items(), shapes, strict=True):
        check_rank(part, array, 2 if "," in shape else 1, shape)
    check_rows(**named)
    if len(given[0]) < at_least:
        raise ValueError(f"{name}: expected at least {at_least} row, got none")
    for part, mine, theirs in zip(POOL, given[:2], pool, strict=True):
        if mine.shape[1] != theirs.shape[1]:
            raise ValueError(
                f"{name} {part}: expected {theirs.shape[1]} columns, as in the pool, "
                f"got {mine.shape[1]}"
            )


def of_pool(pool: Rows, available: jax.Array) -> LabeledRows:
    """The available rows of a pool, each with the class that is predicted for it."""
    return *pool, jnp.full(available.shape, -1, jnp.int32), available


def gradients(examples: LabeledRows, kind: str, loss: Loss | None = None) -> Gradients:
    """The gradients of the examples in the mask; `kind` and `loss` as in `gradient_embedding`."""
    logits, features, labels, mask = examples
    points = gradient_embedding(logits, features, labels=labels, kind=kind, loss=loss)
    labels = jnp.where(labels >= 0, labels, jnp.argmax(logits, axis=-1).astype(labels.dtype))
    finite = points.finite()
    counts = mask & finite
    # No features are 0 for the mask alone, so that sets of the same rows share them.
    features = Dense(points.features)
    features = cleared(features, features.finite()).features
    kept, residuals = (
        jnp.where(counts[:, None], leaf, 0.0) for leaf in (logits.astype(float), points.residuals)
    )
    points = replace(points, residuals=residuals, features=features)
    return Gradients(points, kept, labels, finite, counts)
