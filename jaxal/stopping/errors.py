"""Error stability: stop when new labels can no longer change the expected error by much."""

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.checks import check_rows
from jaxal.numerics import as_floats, matmul


@entry.checked(
    features=entry.matrix("[M, D]"),
    labels=entry.integers,
    before=entry.mask,
    after=entry.mask,
    num_classes=entry.integer(2),
    prior_precision=entry.positive,
)
def error_gap(
    features: jax.Array,
    labels: jax.Array,
    before: jax.Array,
    after: jax.Array,
    *,
    num_classes: int,
    prior_precision: float = 1.0,
) -> jax.Array:
    """A bound on how much the expected error of a last layer changes by its newest labels.

    `sqrt(KL / 2)` (Pinsker), where KL is that of the Gaussian posteriors of the last layer's
    weights, after the new labels from before, by the least-squares likelihood under which Laplace's
    approximation is exact. Both are over the same features, those of the model as it is now: of a
    network that is trained whole the bound does not say how far the features moved.

    Two Cholesky factors of [D + 1, D + 1] and products of 2 M D^2.

    Args:
      features: [M, D], of the labelled rows, the input of the last layer.
      labels: [M] classes; -1, or anything, where a row has none.
      before: [M] bool, the rows that had a label before.
      after: [M] bool, those that have one now, all of the former among them.
      num_classes: C.
      prior_precision: of each weight, as in `posterior.last_layer_laplace`.

    Returns:
      [], at least 0; 0 if nothing is new. Errors are fractions, so above 1 it says nothing.

    Raises:
      TypeError, ValueError: if an argument is of another type, rank or range, or rows disagree.

    References:
      Ishibashi and Hino, "Stopping criterion for active learning based on deterministic
      generalization bounds", AISTATS 2020, whose theorem bounds the same change by the same KL.
    """
    check_rows(features=features, labels=labels, before=before, after=after)
    features = as_floats(features)
    inputs = jnp.concatenate([features, jnp.ones_like(features[:, :1])], axis=1)
    targets = jax.nn.one_hot(labels, num_classes, dtype=features.dtype)
    old, old_root = _fitted(inputs, targets, before, prior_precision)
    new, new_root = _fitted(inputs, targets, after, prior_precision)
    added = jnp.where((after & ~before)[:, None], inputs, 0)
    half = jax.scipy.linalg.solve_triangular(new_root, added.T, lower=True)
    grown = jnp.sum(jnp.log(jnp.diagonal(new_root)) - jnp.log(jnp.diagonal(old_root)))
    spread = num_classes * (2 * grown - jnp.sum(half**2))
    moved = jnp.sum(matmul(old_root.T, new - old) ** 2)
    return jnp.sqrt(jnp.maximum(spread + moved, 0) / 4)


@entry.checked(gaps=entry.matrix("[R]"), threshold=entry.positive)
def error_stability(gaps: jax.Array, *, threshold: float = 0.05) -> jax.Array:
    """Stops when the newest labels change the error by far less than the first ones could.

    Args:
      gaps: [R], the `error_gap` of each round; that of the first is not looked at, as there was
        nothing before.
      threshold: up to which ratio of a gap to the first one to stop.

    Returns:
      [R] bool, whether to stop after each round; False after the first two.

    Raises:
      TypeError, ValueError: if an argument is of another type, rank or range.
    """
    gaps, rounds = jnp.asarray(gaps), jnp.arange(len(gaps))
    if len(gaps) < 3:
        return jnp.zeros(len(gaps), bool)
    return (rounds > 1) & (gaps <= threshold * gaps[1])


def _fitted(
    inputs: jax.Array, targets: jax.Array, known: jax.Array, prior_precision: float
) -> tuple[jax.Array, jax.Array]:
    """The mean [D + 1, C] of the posterior, and the lower Cholesky factor of its precision."""
    inputs = jnp.where(known[:, None], inputs, 0)  # what does not count may be NaN
    gram = matmul(inputs.T, inputs)
    # Rounding errs by about a millionth of the trace, as in the Laplace posterior.
    ridge = prior_precision + jnp.finfo(gram.dtype).eps * jnp.trace(gram)
    root = jnp.linalg.cholesky(gram + ridge * jnp.eye(len(gram), dtype=gram.dtype))
    return jax.scipy.linalg.cho_solve((root, True), matmul(inputs.T, targets)), root
