"""Wilson's interval of a share, for few labels."""

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.checks import check_rows
from jaxal.evaluation._active_inference import Estimate, wilson_ends
from jaxal.evaluation._quantiles import normal_quantile
from jaxal.evaluation._values import check_shares
from jaxal.numerics import as_floats


@entry.checked(labels=entry.matrix("[N]"), sampled=entry.mask, confidence=entry.fraction)
def wilson(labels: jax.Array, sampled: jax.Array, *, confidence: float = 0.9) -> Estimate:
    """The share of ones among all examples like these, from a uniform sample, by Wilson's interval.

    For an accuracy near 1 it holds where the normal interval, and Student's, are too narrow: it
    ends inside 0 and 1 and is wide even if no mistake was seen.

    Args:
      labels: [N] of 0 and 1, as whether a model is right; anything where it was not sampled.
      sampled: [N] bool, the rows of the sample, each drawn with the same probability.
      confidence: of the interval, in (0, 1).

    Returns:
      The `Estimate`: the share in the sample, and the ends. NaN if nothing was sampled.

    Raises:
      ValueError: if shapes disagree, the confidence is not in (0, 1), or a label that was sampled
        is outside of 0 to 1.

    References:
      Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the
      American Statistical Association 22, 1927.

    Example:

    >>> found = wilson(jnp.ones(20), jnp.ones(20, bool))
    >>> [round(float(value), 3) for value in found]
    [1.0, 0.881, 1.0]
    """
    check_rows(labels=labels, sampled=sampled)
    check_shares(sampled, labels=labels)
    labels = as_floats(labels)
    count = jnp.sum(sampled).astype(labels.dtype)
    share = jnp.sum(jnp.where(sampled, labels, 0)) / count
    return Estimate(share, *wilson_ends(share, count, normal_quantile(confidence, labels.dtype)))
