"""Predictive variance: how far the predictions of draws of a model lie apart."""

import jax
import jax.numpy as jnp

from jaxal.checks import as_numbers


def predictive_variance(predictions: jax.Array) -> jax.Array:
    """The variance of the predictions over the draws, `mean_k (f_k - mean_k f_k)^2`.

    It is the part of a regression's uncertainty that more labels reduce; the noise of the labels is
    no part of it. A row with a prediction that is not finite scores NaN.

    Args:
      predictions: `[K, ...]`, what each draw of the model predicts.

    Returns:
      `[...]`, at least 0, in squared units of the predictions. Higher is queried first.

    Raises:
      TypeError: if the predictions are not floating point.
      ValueError: if there is no draw, or no axis of draws.

    Example:
      >>> predictive_variance(jnp.array([[0.0, 1.0], [2.0, 1.0]])).tolist()
      [1.0, 0.0]

    References:
      Cohn et al., "Active learning with statistical models", JAIR 1996, section 2; of draws of a
      network: Gal and Ghahramani, "Dropout as a Bayesian approximation", ICML 2016, section 4.
    """
    predictions = as_numbers("predictions", predictions, "[K, ...]")
    if not jnp.issubdtype(predictions.dtype, jnp.floating):
        raise TypeError(f"predictions: expected floating point, got {predictions.dtype}")
    if not predictions.ndim or not len(predictions):
        raise ValueError(f"predictions: expected [K, ...], K >= 1, got shape {predictions.shape}")
    wide = predictions.astype(jnp.promote_types(predictions.dtype, jnp.float32))
    return jnp.var(wide, axis=0)
