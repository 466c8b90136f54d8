"""What draws of a model agree and disagree on: BALD, variation ratio, mean std, EPIG, CoreMSE.

K draws of the model (dropout passes, ensemble members, samples of a posterior) give logits
`[K, ..., C]`. Where that array is too large to keep, `running` reaches the same scores one draw at
a time.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxal.numerics import matmul
from jaxal.rows import in_tiles
from jaxal.scores import uncertainty
from jaxal.scores._flat import FlatDraws

_EPIG_BLOCK = 1 << 21  # joint probabilities held at a time

Part = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
"""Maps a class's probability under each draw [m, K], deviations [K, T C] of the targets'
probabilities from their means over the draws, and these means [T C] to numbers [m], at least 0."""


def predictive(logits: jax.Array) -> jax.Array:
    """Log of the mean probability, `log mean_k softmax(logits_k)`.

    The scores of a single prediction apply to it: `entropy(predictive(logits))` is the entropy of
    the dropout ensemble.

    Args:
      logits: `[K, ..., C]`, logits or log-probabilities of each draw.

    Returns:
      `[..., C]`, log-probabilities; -inf where every draw says 0.

    Raises:
      TypeError: if the logits are not floating point.
      ValueError: if there is no draw, no draw axis, or fewer than two classes.

    Example:
      >>> draws = jnp.log(jnp.array([[1.0, 0.0], [0.5, 0.5]]))
      >>> jnp.exp(predictive(draws)).tolist()
      [0.75, 0.25]
    """
    logits = uncertainty.as_logits("logits", logits, "[K, ..., C]")
    log_probs = jax.nn.log_softmax(logits)
    top = jax.lax.stop_gradient(log_probs.max(0, keepdims=True))
    # Not `logsumexp`: its gradient is NaN for a class that every draw rules out.
    impossible = top == -jnp.inf
    total = jnp.exp(log_probs - jnp.where(impossible, 0, top)).sum(0, keepdims=True)
    mean = jnp.where(impossible, 1, total) / len(logits)
    return (top + jnp.log(mean))[0]


def bald(logits: jax.Array) -> jax.Array:
    """Information between label and model, `H(mean_k p_k) - mean_k H(p_k)`, clamped at 0.

    Computed as the mean divergence of the draws from their mean, the same number: nothing is lost
    in a difference of entropies where the draws nearly agree.

    A row with a draw that holds NaN or +inf, or nothing but -inf, scores NaN, here and below.

    Args:
      logits: `[K, ..., C]`, logits or log-probabilities of each draw.

    Returns:
      `[...]`, in nats, from 0 to log min(K, C). Higher is queried first.

    Raises:
      TypeError: if the logits are not floating point.
      ValueError: if there is no draw, no draw axis, or fewer than two classes.

    Example:
      >>> draws = jnp.log(jnp.array([[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]]]))
      >>> [f"{score:.4f}" for score in bald(draws)]
      ['0.6931', '0.0000']

    References:
      Houlsby et al., Bayesian Active Learning for Classification and Preference Learning, 2011,
      equation 2; Gal et al., Deep Bayesian Active Learning with Image Data, 2017, section 4.
    """
    logits = uncertainty.as_logits("logits", logits, "[K, ..., C]")
    gaps = logits - jax.lax.stop_gradient(logits.max(-1, keepdims=True))
    # Selected after exp and after log: a CPU's compiler takes bare ones into the sums that follow,
    # where it computes them one number at a time.
    odds = jnp.where(gaps == -jnp.inf, 0, jnp.exp(gaps))
    probs = odds / odds.sum(-1, keepdims=True)
    mean = probs.mean(0, keepdims=True)
    found = mean[0] * divergence(ratio_to(probs, mean)).mean(0)
    return uncertainty.not_below_zero(found.sum(-1))


def variation_ratio(logits: jax.Array) -> jax.Array:
    """Fraction of the draws that do not predict the class that most draws predict.

    A draw whose largest logits tie votes for the lowest of those classes.

    Args:
      logits: `[K, ..., C]`, logits or log-probabilities of each draw.

    Returns:
      `[...]`, a fraction from 0 to 1 - 1/C. Higher is queried first.

    Raises:
      TypeError: if the logits are not floating point.
      ValueError: if there is no draw, no draw axis, or fewer than two classes.

    Example:
      >>> variation_ratio(jnp.array([[0.0, 1.0], [2.0, 1.0], [0.0, 1.0], [0.0, 1.0]])).item()
      0.25

    References:
      Gal et al., Deep Bayesian Active Learning with Image Data, 2017, section 4.
    """
    logits = uncertainty.as_logits("logits", logits, "[K, ..., C]")
    counts = votes(logits).sum(0, dtype=jnp.int32)
    valid = uncertainty.has_maximum(logits).all(0)
    return jnp.where(valid, minority(counts, len(logits), logits.dtype), jnp.nan)


def mean_std(logits: jax.Array) -> jax.Array:
    """Population standard deviation of the probabilities over the draws, mean over the classes.

    Args:
      logits: `[K, ..., C]`, logits or log-probabilities of each draw.

    Returns:
      `[...]`, a probability from 0 to 1/2. Higher is queried first.

    Raises:
      TypeError: if the logits are not floating point.
      ValueError: if there is no draw, no draw axis, or fewer than two classes.

    Example:
      >>> mean_std(jnp.log(jnp.array([[1.0, 0.0], [0.0, 1.0]]))).item()
      0.5

    References:
      Gal et al., Deep Bayesian Active Learning with Image Data, 2017, section 4.
    """
    logits = uncertainty.as_logits("logits", logits, "[K, ..., C]")
    return root(jax.nn.softmax(logits).var(0)).mean(-1)


def epig(logits: jax.Array, target_logits: jax.Array) -> jax.Array:
    """Information that a row's label holds about the predictions on the targets.

    `mean_t I(y; y_t)` with the joint `J(c, d) = mean_k p_k(c | x) p_k(d | x_t)`, clamped at 0. Draw
    k must be the same model in both arrays (the same dropout masks, the same ensemble member); from
    separate draws the information is 0 but for noise.

    Costs 2 K N T C^2 multiplications in matrix products and N T C^2 logarithms. The joint is never
    held whole: above one copy of the logits no temporary exceeds 2^21 numbers (8 MiB in float32),
    or T C^2 if that is more.

    Args:
      logits: `[K, N, C]`, logits or log-probabilities of each draw for the pool.
      target_logits: `[K, T, C]`, the same draws for examples like those to be predicted.

    Returns:
      `[N]`, in nats, from 0 to log C. Higher is queried first.

    Raises:
      TypeError: if the logits are not floating point.
      ValueError: if the two disagree in draws or classes, or there is no draw or no target.

    Example:
      >>> pool = jnp.log(jnp.array([[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]]]))
      >>> [f"{score:.4f}" for score in epig(pool, pool[:, :1])]
      ['0.6931', '0.0000']

    References:
      Bickford Smith et al., Prediction-Oriented Bayesian Active Learning, 2023, equation 5.
    """
    return _by_targets(information, logits, target_logits)


def core_mse(logits: jax.Array, target_logits: jax.Array) -> jax.Array:
    """How far a row's label is expected to move the predictions on the targets, squared (CoreMSE).

    `mean_t sum_c p(c | x) |p(. | x_t, x of class c) - p(. | x_t)|^2`, the expected fall of Brier's
    score. The same with the logarithmic score (CoreLog) is the information that `epig` measures.
    Draws, cost and memory are as for `epig`, without the logarithms.

    Args:
      logits: `[K, N, C]`, logits or log-probabilities of each draw for the pool.
      target_logits: `[K, T, C]`, the same draws for examples like those to be predicted.

    Returns:
      `[N]`, from 0 to 1. Higher is queried first.

    Raises:
      TypeError: if the logits are not floating point.
      ValueError: if the two disagree in draws or classes, or there is no draw or no target.

    Example:
      >>> pool = jnp.log(jnp.array([[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]]]))
      >>> core_mse(pool, pool[:, :1]).tolist()
      [0.5, 0.0]

    References:
      Tan et al., Diversity Enhanced Active Learning with Strictly Proper Scoring Rules, 2021,
      section 3.
    """
    return _by_targets(movement, logits, target_logits)


def _by_targets(part: Part, logits: jax.Array, target_logits: jax.Array) -> jax.Array:
    """`by_targets` of draws [K, N, C] and [K, T, C]."""
    logits = uncertainty.as_logits("logits", logits, "[K, N, C]")
    return by_targets(part, FlatDraws.of_rows(jnp.moveaxis(logits, 0, 1)), target_logits)


def by_targets(part: Part, draws: FlatDraws, target_logits: jax.Array) -> jax.Array:
    """The mean over the targets of what the classes of a row say of them, summed over classes.

    Args:
      part: `information` or `movement`, of one class.
      draws: of N rows.
      target_logits: [K, T, C].

    Returns:
      [N].

    Raises:
      TypeError: logits that are not floating point.
      ValueError: shapes that disagree, no draw, no target, or one class alone.
    """
    target_logits = uncertainty.as_logits("target_logits", target_logits, "[K, T, C]")
    num_draws, rows, classes = draws.shape
    targets = target_logits.shape[1]
    if target_logits.shape != (num_draws, targets, classes) or targets == 0:
        raise ValueError(
            f"target_logits: expected shape ({num_draws}, T, {classes}) with T at least 1, to go "
            f"with logits {draws.shape}, got {target_logits.shape}"
        )
    if rows == 0:
        return jnp.zeros(0, draws.flat.dtype)
    target = jax.nn.softmax(target_logits).reshape(num_draws, targets * classes)
    target_mean = target.mean(0)

    def tile(draws: FlatDraws, deviations: jax.Array, target_mean: jax.Array) -> jax.Array:
        probs = jax.nn.softmax(uncertainty.as_logits("logits", draws.by_draw(), "[K, N, C]"))
        # Each class of each row is a row of its own, so that one GEMM serves any block of them.
        found = part(probs.reshape(num_draws, -1).T, deviations, target_mean)
        return found.reshape(-1, classes).sum(1)

    size = max(_EPIG_BLOCK // (targets * classes**2), 1)
    found = in_tiles(tile, draws, size, target - target_mean[None], target_mean)
    return uncertainty.not_below_zero(found / targets)


def ratio_to(probs: jax.Array, mean: jax.Array) -> jax.Array:
    """Probabilities divided by their mean; as they are where the mean is below normal numbers."""
    return probs / jnp.where(mean < jnp.finfo(mean.dtype).tiny, 1, mean)


def divergence(ratio: jax.Array) -> jax.Array:
    """`v log v - v + 1` of ratios v >= 0 of probabilities [...], at least 0, and 1 at v = 0.

    Weighted and summed to where both sides add up to 1, it is a Kullback-Leibler divergence, and
    without a first-order error near v = 1, where it is 0: v is rounded once, then used three times.
    """
    zero = ratio == 0
    ratio = jnp.where(zero, 1, ratio)
    return jnp.where(zero, 1, ratio * jnp.log(ratio) - (ratio - 1))


def votes(logits: jax.Array) -> jax.Array:
    """One-hot of the likeliest class, the lowest on ties, [..., C] -> [..., C] int32."""
    return jax.nn.one_hot(logits.argmax(-1), logits.shape[-1], dtype=jnp.int32)


def minority(counts: jax.Array, draws: int | jax.Array, dtype: jax.typing.DTypeLike) -> jax.Array:
    """The fraction of `draws` that did not vote for the winner, counts [..., C] -> [...]."""
    return (draws - counts.max(-1)).astype(dtype) / jnp.asarray(draws).astype(dtype)


def root(variance: jax.Array) -> jax.Array:
    """Square root with gradient 0 at 0, where draws agree; NaN stays NaN."""
    zero = variance == 0
    return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, variance)))


def information(probs: jax.Array, deviations: jax.Array, target_mean: jax.Array) -> jax.Array:
    """Parts of `I(y; y_t)`, one class of y at a time, summed over the targets.

    With `J = P R v`, so that v - 1 is the covariance over the draws by `P R`, the sum of
    `J log (J / P R)` is that of `P R (v log v - v + 1)`, where no term is below 0 and draws that
    agree give exactly 0.

    Args:
      probs: [m, K], a class's probability under each draw.
      deviations: [K, T C], the targets' probabilities less their means over the draws.
      target_mean: [T C], these means.

    Returns:
      [m], in nats.
    """
    mean = probs.mean(1, keepdims=True)
    covariance = matmul(probs - mean, deviations) / probs.shape[1]
    product = mean * target_mean[None]
    impossible = product == 0
    ratio = 1 + jnp.where(impossible, 0, covariance / jnp.where(impossible, 1, product))
    # Below 0 by rounding.
    return (product * divergence(jnp.where(ratio < 0, 0, ratio))).sum(1)


def movement(probs: jax.Array, deviations: jax.Array, target_mean: jax.Array) -> jax.Array:
    """Parts of `core_mse`, one class of y at a time, summed over the targets.

    The label moves the predictions by the covariance over the draws divided by P.

    Args:
      probs: [m, K], a class's probability under each draw.
      deviations: [K, T C], the targets' probabilities less their means over the draws.
      target_mean: not looked at.

    Returns:
      [m].
    """
    mean = probs.mean(1, keepdims=True)
    covariance = matmul(probs - mean, deviations) / probs.shape[1]
    return (covariance**2).sum(1) / jnp.where(mean == 0, 1, mean)[:, 0]
