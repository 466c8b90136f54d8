"""Calibration: the temperature at which held-out labels are likeliest."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxal import entry
from jaxal.checks import check_rows, is_traced
from jaxal.scores.uncertainty import as_logits

LEAST, MOST = 0.01, 100.0
STEPS = 40  # halvings of the interval of log T, down to rounding


@entry.checked(labels=entry.integers)
def temperature(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """The T in [0.01, 100] that minimises the mean of `-log softmax(logits / T)[label]`.

    The loss is convex in 1 / T, and its slope is bisected. If every row is right it falls down to
    the least T, and up to the largest if none is.

    Args:
      logits: [N, C], of rows that the model was not trained on; -inf for a probability of 0. Rows
        that hold NaN or +inf do not count.
      labels: [N] integers; -1 where unknown, which does not count.

    Returns:
      [], the temperature; 1 if nothing counts, which inside jit is no error.

    Raises:
      TypeError: logits that are not floating point, or labels that are no integers.
      ValueError: sizes that disagree, a label of no class, or no known label.

    Example:
      >>> logits = jnp.array([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
      >>> f"{temperature(logits, jnp.array([0, 0, 1, 1])):.3f}"  # right three times of four
      '1.820'

    References:
      Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    logits = as_logits("logits", logits, "[N, C]")
    check_rows(logits=logits, labels=labels)
    if not is_traced(labels):
        _check_known(np.asarray(labels), logits.shape[1])
    top = jnp.max(logits, axis=1, keepdims=True)
    known = (jnp.asarray(labels) >= 0) & jnp.isfinite(top[:, 0])
    gaps = jnp.where(known[:, None], logits - top, 0.0)
    taken = jnp.maximum(jnp.asarray(labels), 0)[:, None]
    gap = jnp.take_along_axis(gaps, taken, axis=1)[:, 0]

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        probs = jax.nn.softmax(gaps / jnp.exp(middle))
        expected = jnp.sum(jnp.where(probs > 0, probs * gaps, 0.0), axis=1)
        # The slope by 1 / T: where it is above 0, a higher temperature is better.
        hotter = jnp.sum(expected - gap) > 0
        return jnp.where(hotter, middle, low), jnp.where(hotter, high, middle)

    ends = jnp.log(jnp.array([LEAST, MOST], logits.dtype))
    low, high = jax.lax.fori_loop(0, STEPS, halve, (ends[0], ends[1]))
    found = jnp.clip(jnp.exp((low + high) / 2), LEAST, MOST)
    return jnp.where(jnp.any(known), found, jnp.ones_like(found))


def _check_known(labels: np.ndarray, classes: int) -> None:
    if not np.any(labels >= 0):
        raise ValueError("labels: expected at least one that is known, got none")
    if labels.max() >= classes:
        raise ValueError(f"labels: expected less than {classes} (classes), got {labels.max()}")
