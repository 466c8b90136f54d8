"""Active statistical inference: a mean with its confidence interval, from labels of some rows."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.checks import check_name, check_rows
from jaxal.evaluation._quantiles import normal_quantile, student_quantile
from jaxal.evaluation._values import check_drawn, check_not_negative, check_shares, share
from jaxal.numerics import as_floats


class Estimate(NamedTuple):
    """A mean and the ends of its confidence interval."""

    estimate: jax.Array  # []
    lower: jax.Array  # []
    upper: jax.Array  # []


@entry.checked(uncertainty=entry.matrix("[N]"), rate=entry.fraction, mixing=share)
def sampling_probabilities(
    uncertainty: jax.Array, *, rate: float | jax.Array, mixing: float = 0.5
) -> jax.Array:
    """With which probability each row is labelled for `active_inference`.

    `clip((1 - mixing) rate u_i / mean(u) + mixing rate, 0, 1)`: in proportion to how unsure the
    prediction is, mixed with the same for all. No row is labelled with less than `mixing` of what
    uniform sampling would, so predictions that are wrong and sure of themselves widen the interval
    by a bounded factor. Row i is labelled if `jax.random.uniform(key, [N])` is below its own.

    Args:
      uncertainty: [N], at least 0. Best is how far the prediction is off, in the root mean square:
        `sqrt(p (1 - p))` of a prediction that is right with probability p.
      rate: the share of the rows to be labelled, in the mean (less where rows are clipped at 1).
      mixing: from 0 to 1.

    Returns:
      [N] probabilities.

    Raises:
      ValueError: if an uncertainty is negative or NaN, the rate is not in (0, 1), or the mixing not
        from 0 to 1.

    Example:

    >>> sampling_probabilities(jnp.array([0.0, 1.0, 2.0]), rate=0.25).tolist()
    [0.125, 0.25, 0.375]
    """
    check_not_negative(uncertainty=uncertainty)
    return mixed(as_floats(uncertainty), jnp.asarray(rate), mixing)


def mixed(uncertainty: jax.Array, rate: jax.Array, mixing: float) -> jax.Array:
    """`sampling_probabilities` without checks, for rates above 1 too: rows are clipped at 1."""
    mean = jnp.mean(uncertainty)
    relative = jnp.where(mean > 0, uncertainty / jnp.where(mean > 0, mean, 1), 1)
    return jnp.clip((1 - mixing) * rate * relative + mixing * rate, 0, 1)


@entry.checked(
    predictions=entry.matrix("[N]"),
    labels=entry.matrix("[N]"),
    probabilities=entry.matrix("[N]"),
    sampled=entry.mask,
    confidence=entry.fraction,
)
def active_inference(
    predictions: jax.Array,
    labels: jax.Array,
    probabilities: jax.Array,
    sampled: jax.Array,
    *,
    confidence: float = 0.9,
    interval: str = "normal",
) -> Estimate:
    """The mean of a quantity over all examples like these, and a confidence interval.

    The mean of `t_i = f_i + (y_i - f_i) xi_i / pi_i`, with ends `z sd(t) / sqrt(N)` away. For the
    accuracy of a model, y is whether it is right, and f the probability that it gives its own
    prediction. The estimate is unbiased however wrong f is; a better f makes it narrower. The
    interval holds in the limit of many labels: about ten mistakes should be among them. For the
    mean over these very rows, not all like them, it is too wide.

    Args:
      predictions: [N], f: the quantity as predicted.
      labels: [N], y: as it is; anything, NaN too, where it was not sampled.
      probabilities: [N], pi: with which each row was sampled, independently of the others.
      sampled: [N] bool, xi.
      confidence: of the interval, in (0, 1).
      interval: "normal", as above; "student", with Student's quantile of one degree of freedom less
        than rows were sampled in place of z; or "wilson", of a mean that lies from 0 to 1, as an
        accuracy does: Wilson's interval, by Student's quantile too, of a sample of as many rows as
        would have this variance, at most N. It reaches further towards one half, where a mean near
        an end is skewed, and held in 90 % and more where the others fell to 88 %
        (`benchmarks/coverage.py`).

    Returns:
      The `Estimate`.

    Raises:
      ValueError: if shapes disagree, the confidence is not in (0, 1), the interval is unknown, a
        row was sampled with a probability outside (0, 1], or "wilson" is asked for and a prediction
        or a label outside of 0 to 1.

    References:
      Zrnic and Candès, "Active statistical inference", ICML 2024, equation 2 and proposition 1.
      Franco et al., "Comparative study of confidence intervals for proportions in complex sample
      surveys", Journal of Survey Statistics and Methodology 7, 2019 (Wilson's of an effective
      number of rows).

    Example:

    >>> right, sure = jnp.array([1.0, jnp.nan, 0.0, jnp.nan]), jnp.array([0.9, 0.9, 0.6, 0.8])
    >>> found = active_inference(sure, right, jnp.full(4, 0.5), jnp.isfinite(right))
    >>> [round(float(value), 3) for value in found]
    [0.55, -0.003, 1.103]
    """
    check_rows(predictions=predictions, labels=labels, probabilities=probabilities, sampled=sampled)
    if not len(predictions):
        raise ValueError("predictions: expected at least one row, got none")
    check_drawn(probabilities, sampled)
    check_name("interval", interval, ("normal", "student", "wilson"))
    if interval == "wilson":
        check_shares(predictions=predictions)
        check_shares(sampled, labels=labels)
    predictions, labels = as_floats(predictions), as_floats(labels)
    # Masked on both sides of the quotient: what was not sampled may be NaN, its probability 0.
    error = jnp.where(sampled, labels - predictions, 0) / jnp.where(sampled, probabilities, 1)
    terms = predictions + error
    estimate = jnp.mean(terms)
    quantile = normal_quantile(confidence, terms.dtype)
    if interval != "normal":
        quantile = student_quantile(confidence, jnp.sum(sampled).astype(terms.dtype) - 1)
    if interval == "wilson":
        # An estimate of the mean may lie outside of 0 to 1; half a row away from the ends.
        mean = jnp.clip(estimate, 0.5 / terms.size, 1 - 0.5 / terms.size)
        rows = jnp.minimum(mean * (1 - mean) * terms.size / jnp.var(terms), terms.size)
        return Estimate(estimate, *wilson_ends(mean, rows, quantile))
    half = quantile * jnp.std(terms) / jnp.sqrt(terms.size)
    return Estimate(estimate, estimate - half, estimate + half)


def wilson_ends(
    share: jax.Array, count: jax.Array, quantile: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The ends of Wilson's interval of a share among `count` rows, which need not be whole."""
    squared = quantile**2
    middle = (share + squared / (2 * count)) / (1 + squared / count)
    spread = share * (1 - share) / count + squared / (4 * count**2)
    half = jnp.sqrt(squared * spread) / (1 + squared / count)
    return middle - half, jnp.minimum(middle + half, 1)
