"""The scores of `bayesian` without the K x N x C array: one draw of the model at a time.

`update_running_scores` folds the logits of a draw into a state of fixed shape, `draw_scores` reads
the scores from it, and `fold_draws` is the scan over all draws. None of them is jitted: under the
caller's `jax.jit`, what the scores that are read do not need is neither held nor computed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import PyTree
from jaxal.checks import is_integer
from jaxal.scores import bayesian, uncertainty


class RunningScores(NamedTuple):
    """Sufficient statistics of `[K, ..., C]` logits for the scores of draws."""

    count: jax.Array  # [] int32, draws seen
    log_total: jax.Array  # [..., C], log of the summed probabilities
    information: jax.Array  # [...], summed divergences of the draws from their mean, in nats
    votes: jax.Array  # [..., C] int32, draws that predict the class
    mean: jax.Array  # [..., C], mean probability
    scatter: jax.Array  # [..., C], summed squared deviations from the mean
    valid: jax.Array  # [...] bool, whether every draw was a prediction: a finite largest logit


class DrawScores(NamedTuple):
    """The scores of all draws, each as the function of its name in `bayesian` gives it."""

    predictive: jax.Array  # [..., C]
    bald: jax.Array  # [...]
    variation_ratio: jax.Array  # [...]
    mean_std: jax.Array  # [...]


def _check_shape(name: str, shape: Any) -> None:
    if not isinstance(shape, tuple | list) or not all(is_integer(size) for size in shape):
        raise TypeError(f"{name}: expected a tuple of integers [..., C], got {shape!r}")
    if not shape or shape[-1] < 2 or min(shape) < 0:
        raise ValueError(f"{name}: expected [..., C] with at least 2 classes, got {shape!r}")


@entry.checked(shape=_check_shape)
def init_running_scores(
    shape: tuple[int, ...], dtype: jax.typing.DTypeLike = jnp.float32
) -> RunningScores:
    """The state before the first draw, for logits of shape `[..., C]`.

    Args:
      shape: that of one draw's logits.
      dtype: float32, or wider if the logits are.

    Returns:
      `RunningScores`, for `update_running_scores`.

    Raises:
      TypeError: a shape that is none.
      ValueError: fewer than two classes.
    """
    shape = tuple(shape)
    zeros = jnp.zeros(shape, dtype)
    return RunningScores(
        count=jnp.zeros((), jnp.int32),
        log_total=jnp.full(shape, -jnp.inf, dtype),
        information=jnp.zeros(shape[:-1], dtype),
        votes=jnp.zeros(shape, jnp.int32),
        mean=zeros,
        scatter=zeros,
        valid=jnp.ones(shape[:-1], bool),
    )


@entry.checked(state=entry.instance(RunningScores))
def update_running_scores(state: RunningScores, logits: jax.Array) -> RunningScores:
    """Adds one draw of the model to the statistics.

    Args:
      state: from `init_running_scores`, or after an earlier draw.
      logits: `[..., C]`, of the shape that the state was made for.

    Returns:
      The next state, of the same shapes and types, so that `lax.scan` can carry it.

    Raises:
      TypeError: if the logits are not floating point.
      ValueError: if their shape is not the state's.

    Example:
      >>> state = init_running_scores((2,))
      >>> for probs in ([1.0, 0.0], [0.0, 1.0]):
      ...     state = update_running_scores(state, jnp.log(jnp.array(probs)))
      >>> f"{draw_scores(state).bald:.4f}"
      '0.6931'

    References:
      Welford, Note on a Method for Calculating Corrected Sums of Squares and Products, 1962.
    """
    logits = uncertainty.as_logits("logits", logits)
    if logits.shape != state.mean.shape:
        raise ValueError(
            f"logits: expected shape {state.mean.shape}, as the state has, got {logits.shape}"
        )
    count = (state.count + 1).astype(logits.dtype)
    # Running means: a sum of p^2 would lose the deviations' digits. Squared, the deviation cannot
    # go below 0 where the mean is rounded; Welford's own product can.
    probs = jax.nn.softmax(logits)
    deviation = probs - state.mean
    mean = state.mean + deviation / count
    # The divergences from another point are those from the mean, and that of the mean as often:
    # sums of what is not below 0, where a difference of entropies would lose all digits.
    moved = (count - 1) * _divergence(state.mean, mean) + _divergence(probs, mean)
    return RunningScores(
        count=state.count + 1,
        log_total=jnp.logaddexp(state.log_total, jax.nn.log_softmax(logits)),
        information=state.information + moved,
        votes=state.votes + bayesian.votes(logits),
        mean=mean,
        scatter=state.scatter + deviation**2 * (1 - 1 / count),
        valid=state.valid & uncertainty.has_maximum(logits),
    )


def _divergence(probs: jax.Array, mean: jax.Array) -> jax.Array:
    """Kullback-Leibler divergence of distributions [..., C] from others, in nats: [...]."""
    return (mean * bayesian.divergence(bayesian.ratio_to(probs, mean))).sum(-1)


@entry.checked(draw=entry.function)
def fold_draws(draw: Callable[[PyTree], jax.Array], draws: PyTree) -> RunningScores:
    """The statistics of all draws, made one at a time by a scan.

    Holds one draw's logits and a state of four arrays of their size, in place of K.

    Args:
      draw: maps one of `draws` to logits `[..., C]`, such as the model under one dropout key.
      draws: a pytree with leading axis K: keys, or the stacked parameters of an ensemble.

    Returns:
      The state after K draws; see `draw_scores`.

    Raises:
      TypeError: if `draw` is no function, or the logits are not floating point.
      ValueError: if there is no draw, or the leading axes differ.

    Example:
      >>> ensemble = jnp.log(jnp.array([[1.0, 0.0], [0.5, 0.5]]))
      >>> jnp.exp(draw_scores(fold_draws(lambda member: member, ensemble)).predictive).tolist()
      [0.75, 0.25]
    """
    sizes = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(draws)}
    if len(sizes) != 1 or not all(size and size[0] for size in sizes):
        raise ValueError(f"draws: expected leaves [K, ...], got leading axes {sorted(sizes)}")
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), draws)
    first = jax.eval_shape(draw, one)
    dtype = jnp.promote_types(first.dtype, jnp.float32)
    start = init_running_scores(first.shape, dtype)
    return jax.lax.scan(lambda s, d: (update_running_scores(s, draw(d)), None), start, draws)[0]


@entry.checked(state=entry.instance(RunningScores))
def draw_scores(state: RunningScores) -> DrawScores:
    """The scores of the draws seen so far; NaN before the first.

    Args:
      state: from `update_running_scores` or `fold_draws`.

    Returns:
      `DrawScores`, equal to the scores of the stacked logits but for rounding.

    Raises:
      TypeError: if the state is none.
    """
    count = state.count.astype(state.mean.dtype)
    predictive = state.log_total - jnp.log(count)
    ratio = bayesian.minority(state.votes, state.count, state.mean.dtype)
    return DrawScores(
        predictive=predictive,
        bald=state.information / count,
        variation_ratio=jnp.where(state.valid, ratio, jnp.nan),
        mean_std=bayesian.root(state.scatter / count).mean(-1),
    )
