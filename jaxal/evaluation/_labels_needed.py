"""How many labels an interval of a given width takes."""

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.checks import check_rows
from jaxal.evaluation._active_inference import mixed
from jaxal.evaluation._values import check_not_negative, share
from jaxal.numerics import as_floats

_HALVINGS = 40  # of the range of rates: past what float32 tells apart


@entry.checked(
    predictions=entry.matrix("[T]"),
    labels=entry.matrix("[T]"),
    uncertainty=entry.matrix("[T]"),
    half_width=entry.positive,
    rows=entry.integer(1),
    confidence=entry.fraction,
    mixing=share,
)
def labels_needed(
    predictions: jax.Array,
    labels: jax.Array,
    uncertainty: jax.Array,
    *,
    half_width: float,
    rows: int,
    confidence: float = 0.9,
    mixing: float = 0.5,
) -> jax.Array:
    """How many labels `active_inference` needs for an interval of a half width, in the mean.

    What was measured on some examples with labels tells how many a pool of others needs: the
    variance of the estimate is `(var(y) + mean((y - f)^2 (1 / pi - 1))) / rows`, and the rate of
    `sampling_probabilities` is the least that makes the interval narrow enough. A uniform sample is
    that of an uncertainty which is the same for all; with `f = mean(y)` it is the plain one, which
    knows no model.

    Args:
      predictions: [T], f: the quantity as predicted.
      labels: [T], y: as it is.
      uncertainty: [T], at least 0, as `sampling_probabilities` takes it.
      half_width: of the interval, such as 0.01 for one of an accuracy to 1 % either way.
      rows: how many examples like these there are to label some of.
      confidence: of the interval.
      mixing: as `sampling_probabilities` takes it.

    Returns:
      [] the mean number of labels, from 0 to `rows`; inf if all of them would not be enough.

    Raises:
      ValueError: if shapes disagree, an uncertainty is negative, or a number is out of range.

    Example:

    >>> right, sure = jnp.arange(100) % 10 > 0, jnp.full(100, 0.9)
    >>> plain = labels_needed(sure, right, jnp.ones(100), half_width=0.01, rows=10_000)
    >>> round(float(plain))
    2435
    """
    check_rows(predictions=predictions, labels=labels, uncertainty=uncertainty)
    check_not_negative(uncertainty=uncertainty)
    predictions, labels, uncertainty = map(as_floats, (predictions, labels, uncertainty))
    quantile = jax.scipy.special.ndtri(jnp.asarray((1 + confidence) / 2, predictions.dtype))
    allowed = rows * (half_width / quantile) ** 2 - jnp.var(labels)
    squared = (labels - predictions) ** 2

    def sampled(rate: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The share of rows that is labelled, and what that leaves of the variance of a row."""
        chances = mixed(uncertainty, rate, mixing)
        return jnp.mean(chances), jnp.mean(squared * (1 / jnp.maximum(chances, 1e-30) - 1))

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        enough = sampled(middle)[1] <= allowed
        return jnp.where(enough, low, middle), jnp.where(enough, middle, high)

    # Rates above 1 sample rows of little uncertainty too, once the others are clipped at 1.
    ends = jnp.zeros_like(allowed), jnp.full_like(allowed, 1 / jnp.maximum(mixing, 1e-3))
    labelled, left = sampled(jax.lax.fori_loop(0, _HALVINGS, halve, ends)[1])
    return jnp.where(left <= allowed, rows * labelled, jnp.inf)
