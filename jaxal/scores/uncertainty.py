"""How unsure one prediction is: entropy, least confidence and margin, from logits.

All three start from the odds `exp(logit - largest logit)` of the classes that did not win. Nothing
is subtracted from 1, so a prediction of 1 - 1e-20 keeps all its digits, and nothing overflows:
logits may be anything up to 1e38, or -inf for a probability of 0. Log-probabilities are logits too.
"""

import jax
import jax.numpy as jnp

from jaxal.checks import as_numbers


def entropy(logits: jax.Array) -> jax.Array:
    """Entropy of the predicted class, `-sum_c p_c log p_c` with `0 log 0 = 0`.

    A row that holds NaN or +inf, or nothing but -inf, scores NaN.

    Args:
      logits: `[..., C]`, logits or log-probabilities; half precision is computed in float32.

    Returns:
      `[...]`, in nats, from 0 to log C. Higher is queried first.

    Raises:
      TypeError: if the logits are not floating point.
      ValueError: if there are fewer than two classes.

    Example:
      >>> entropy(jnp.log(jnp.array([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]]))).round(4).tolist()
      [0.6930999755859375, 0.0]

    References:
      Settles, Active Learning Literature Survey, 2009, section 3.1.
    """
    gaps, odds, others = _gaps(as_logits("logits", logits))
    weighted = odds * jnp.where(gaps == -jnp.inf, 0, gaps)
    return jnp.log1p(others) - weighted.sum(-1) / (1 + others)


def least_confidence(logits: jax.Array) -> jax.Array:
    """Probability that the predicted class is wrong, `1 - max_c p_c`.

    A row that holds NaN or +inf, or nothing but -inf, scores NaN.

    Args:
      logits: `[..., C]`, logits or log-probabilities; half precision is computed in float32.

    Returns:
      `[...]`, a probability from 0 to 1 - 1/C. Higher is queried first.

    Raises:
      TypeError: if the logits are not floating point.
      ValueError: if there are fewer than two classes.

    Example:
      >>> least_confidence(jnp.array([[0.0, 0.0], [-jnp.inf, 3.0]])).tolist()
      [0.5, 0.0]

    References:
      Settles, Active Learning Literature Survey, 2009, section 3.1.
    """
    _, _, others = _gaps(as_logits("logits", logits))
    return others / (1 + others)


def margin(logits: jax.Array) -> jax.Array:
    """Negated lead of the likeliest class over the second, `p_(2) - p_(1)`.

    A row that holds NaN or +inf, or nothing but -inf, scores NaN. Costs two maxima, never a sort.

    Args:
      logits: `[..., C]`, logits or log-probabilities; half precision is computed in float32.

    Returns:
      `[...]`, a difference of probabilities from -1 to 0, 0 on a tie. Higher is queried first.

    Raises:
      TypeError: if the logits are not floating point.
      ValueError: if there are fewer than two classes.

    Example:
      >>> margin(jnp.log(jnp.array([[0.25, 0.5, 0.25], [0.5, 0.0, 0.5]]))).tolist()
      [-0.25, 0.0]

    References:
      Scheffer et al., Active Hidden Markov Models for Information Extraction, 2001, section 5.
    """
    gaps, _, others = _gaps(as_logits("logits", logits))
    largest = gaps == 0
    second = jnp.where(largest, -jnp.inf, gaps).max(-1)
    second = jnp.where(largest.sum(-1) > 1, 0, second)
    return jnp.expm1(second) / (1 + others)


def as_logits(name: str, logits: jax.Array, shape: str = "[..., C]") -> jax.Array:
    """The logits in float32 or wider, after the checks that every score makes.

    Args:
      name: what the caller calls them, for the message.
      logits: the array to check.
      shape: the shape expected. With an ellipsis, at least the axes that are named.

    Raises:
      TypeError: if the logits are not floating point.
      ValueError: if the rank is not as said, a named axis is empty, or there is but one class.
    """
    logits = as_numbers(name, logits, shape)
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise TypeError(f"{name}: expected floating point, got {logits.dtype}")
    axes = [axis for axis in shape.strip("[]").split(", ") if axis != "..."]
    exact = "..." not in shape
    if logits.ndim < len(axes) or (exact and logits.ndim > len(axes)):
        raise ValueError(f"{name}: expected shape {shape}, got {logits.shape}")
    if logits.shape[-1] < 2:
        raise ValueError(
            f"{name}: expected at least 2 classes on the last axis, got shape {logits.shape}"
        )
    if axes[0] == "K" and logits.shape[0] == 0:
        raise ValueError(
            f"{name}: expected at least 1 draw on the first axis, got shape {logits.shape}"
        )
    return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))


def not_below_zero(scores: jax.Array) -> jax.Array:
    """Scores [...] with 0 in place of those below it, which rounding makes; NaN stays."""
    # Not by the compiler's maximum, which forgets a NaN in long arrays on CPUs.
    return jnp.where(scores < 0, 0, scores)


def has_maximum(logits: jax.Array) -> jax.Array:
    """Where the largest of logits [..., C] is a finite number, and none is NaN; [...] bool."""
    # As above: the maximum alone need not tell.
    return jnp.isfinite(jnp.max(logits, axis=-1)) & ~jnp.any(jnp.isnan(logits), axis=-1)


def _gaps(logits: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What the scores share: gaps to the largest logit and probabilities relative to it.

    Returns:
      gaps, `[..., C]`, at most 0; odds = exp(gaps), `[..., C]`, but 0 for the largest and all that
      tie with it; the summed odds of all but one largest, `[...]`. NaN throughout for a row of NaN.
    """
    # `max` shares its gradient among ties, which is right for functions symmetric in the classes.
    gaps = logits - logits.max(-1, keepdims=True)
    largest = gaps == 0
    # Masked on both sides of exp, so that gradients see no 0 * inf; NaN passes.
    masked = largest | (gaps == -jnp.inf)
    odds = jnp.where(masked, 0, jnp.exp(jnp.where(masked, 0, gaps)))
    ties = largest.sum(-1, dtype=logits.dtype) - 1
    return gaps, odds, odds.sum(-1) + ties
