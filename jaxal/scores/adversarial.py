"""How near the decision boundary an example lies: the smallest change that alters its prediction.

Both attacks move all examples of a batch in one `lax.while_loop`, which ends when the last has
changed its prediction, cannot move or has used its steps. Gradients are taken with respect to the
inputs only. An attack holds n examples' activations (times the classes, for `deep_fool`): map it
over batches.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import PyTree
from jaxal.checks import as_numbers, check_at_least, check_integer, check_positive, describe
from jaxal.points.losses import Loss, check_loss, residuals
from jaxal.scores import uncertainty

_LARGEST_LEAD = 745.0  # exp(-lead), and with it the cross-entropy, is 0 in float64 beyond

ApplyLogits = Callable[[PyTree], jax.Array]
"""Inputs [n, ...] -> logits [n, C], each row from its own input."""


class Perturbation(NamedTuple):
    """Where an attack ended; `perturbation_score` turns it into scores."""

    squared_distance: jax.Array  # [n], squared l2 norm of the change
    label: jax.Array  # [n] int32, the prediction before the change
    steps: jax.Array  # [n] int32; all of them where the example could not move
    flipped: jax.Array  # [n] bool, whether the prediction did change


@entry.checked(perturbation=entry.instance(Perturbation))
def perturbation_score(perturbation: Perturbation) -> jax.Array:
    """Negated squared distance where the prediction changed, -inf where it never did.

    An example with a gradient of zero has not moved at all, yet it is no boundary case.

    Args:
      perturbation: of `basic_iterative` or `deep_fool`.

    Returns:
      `[n]`, at most 0. Higher is queried first.

    Example:
      >>> zeros = jnp.zeros(2, jnp.int32)
      >>> found = Perturbation(jnp.array([0.0, 4.0]), zeros, zeros, jnp.array([False, True]))
      >>> perturbation_score(found).tolist()
      [-inf, -4.0]
    """
    distance = perturbation.squared_distance
    return jnp.where(perturbation.flipped, -distance, -jnp.inf)


def basic_iterative(
    apply: ApplyLogits,
    inputs: PyTree,
    *,
    epsilon: float = 0.05,
    max_steps: int = 1000,
    loss: Loss | None = None,
) -> Perturbation:
    """Basic iterative method: signed gradient steps up the loss of the predicted class.

    `x += epsilon * sign(d cross_entropy(f(x), label) / d x)` until the prediction is no longer
    `label`, without clipping. The sign is right for predictions that are 1 in float32 too, as
    long as the cross-entropy is above 0 in float64 (a lead of up to 745 in the logits). Where the
    gradient is exactly zero the example stays where it is, and `flipped` is False.

    Args:
      apply: maps inputs `[n, ...]` to logits `[n, C]`.
      inputs: an array `[n, ...]` of floating point, or a pytree of one.
      epsilon: size of a step in each coordinate.
      max_steps: most steps an example may take. Each costs one forward and one backward pass.
      loss: climbed in place of the cross-entropy, (logits [n, C], labels [n]) -> [n]. Its sign is
        that of its gradient as computed: where that underflows, the example stays where it is.

    Returns:
      A `Perturbation`. Examples that never flip have the distance walked so far: 0 if they never
      moved.

    Raises:
      TypeError: if the inputs are not floating point, or the loss is no function.
      ValueError: if a number is not above 0, `inputs` is not one array, or the logits not `[n, C]`.

    Example:
      >>> apply = lambda x: jnp.concatenate([x, -x], axis=1)
      >>> basic_iterative(apply, jnp.array([[0.6], [-0.1]]), epsilon=0.25).steps.tolist()
      [3, 1]

    References:
      Kurakin et al., Adversarial Examples in the Physical World, 2017, section 2.2.
    """
    check_positive(epsilon=epsilon)
    check_integer(1, max_steps=max_steps)
    check_loss("loss", loss)
    predict, start = _problem(apply, inputs)
    label = predict(start).argmax(-1)

    def move(logits, gradient):
        if loss is not None:
            direction = jnp.sign(gradient(residuals(logits, label, loss)))
            return direction, jnp.abs(direction).sum(1) > 0
        chosen = jax.nn.one_hot(label, logits.shape[1], dtype=bool)
        rivals = jnp.where(chosen, -jnp.inf, logits)
        lead = jnp.where(chosen, logits, 0).sum(1) - jax.nn.logsumexp(rivals, axis=1)
        # d CE = (1 - p_label) * (softmax over the rivals - onehot). Only the sign is used, so the
        # first factor, which costs the digits of the second, need but be told from 0.
        direction = jnp.sign(gradient(jax.nn.softmax(rivals) - chosen.astype(rivals.dtype)))
        movable = (lead < _LARGEST_LEAD) & (jnp.abs(direction).sum(1) > 0)
        return direction, movable

    # Changes are whole numbers of steps, so their squares add up exactly: examples as far from the
    # boundary as each other tie, whatever the batch.
    return _attack(predict, start, label, move, max_steps=max_steps, scale=epsilon)[0]


def deep_fool(
    apply: ApplyLogits,
    inputs: PyTree,
    *,
    max_steps: int = 50,
    overshoot: float = 0.02,
    num_classes: int | None = None,
) -> Perturbation:
    """DeepFool: steps to the nearest decision boundary of the linearised model.

    With `w_k = d (z_k - z_label) / d x` and `d_k = |z_k - z_label| / |w_k|`, the class k of least
    d_k (ties: the lowest) gives the step `(d_k + 1e-4) w_k / |w_k|`; steps are summed and applied
    times `1 + overshoot` until the prediction is no longer `label`.

    A step costs a forward pass and `num_classes - 1` backward passes, run side by side: gradients
    `[num_classes - 1, n, ...]` and as many times the activations are held.

    Args:
      apply: maps inputs `[n, ...]` to logits `[n, C]`.
      inputs: an array `[n, ...]` of floating point, or a pytree of one.
      max_steps: most steps an example may take.
      overshoot: how far beyond the linear boundary to go, as a fraction of the way.
      num_classes: steps go towards these many classes only, the likeliest before any step, the
        predicted one among them. None for all. Any change of the prediction ends the attack.

    Returns:
      A `Perturbation`. Examples that never flip have the distance walked, or inf if at some step no
      class had a gradient.

    Raises:
      TypeError: if the inputs are not floating point.
      ValueError: if a number is out of range, `inputs` is not one array, or the logits not `[n,
        C]`.

    Example:
      >>> apply = lambda x: jnp.concatenate([x, -x], axis=1)
      >>> found = deep_fool(apply, jnp.array([[1.0], [-3.0]]), overshoot=0.0)
      >>> [f"{distance:.2f}" for distance in found.squared_distance]
      ['1.00', '9.00']

    References:
      Moosavi-Dezfooli et al., DeepFool: a Simple and Accurate Method to Fool Deep Neural Networks,
      2016, algorithm 2.
    """
    check_integer(1, max_steps=max_steps)
    check_at_least(0, overshoot=overshoot)
    if num_classes is not None:
        check_integer(2, num_classes=num_classes)
    predict, start = _problem(apply, inputs)
    logits = predict(start)
    label, rivals = logits.argmax(-1), _rivals(logits, num_classes)
    towards = jax.nn.one_hot(rivals.T, logits.shape[1], dtype=logits.dtype)
    away = jax.nn.one_hot(label, logits.shape[1], dtype=logits.dtype)
    cotangents = towards - away[None]  # [rivals, n, C]

    def move(logits, gradient):
        rival_logits = jnp.take_along_axis(logits, rivals, 1)
        label_logits = jnp.take_along_axis(logits, label[:, None], 1)
        gaps = (rival_logits - label_logits).T
        return _nearest_boundary(gaps, jax.vmap(gradient)(cotangents))

    found, stranded = _attack(predict, start, label, move, max_steps=max_steps, scale=1 + overshoot)
    distance = jnp.where(stranded, jnp.inf, found.squared_distance)
    return found._replace(squared_distance=distance)


class _Search(NamedTuple):
    count: jax.Array  # []
    change: jax.Array  # [n, D], before scaling
    steps: jax.Array  # [n]
    flipped: jax.Array  # [n]
    stranded: jax.Array  # [n], nowhere to go
    active: jax.Array  # [n]


def _attack(
    predict: Callable[[jax.Array], jax.Array],
    start: jax.Array,
    label: jax.Array,
    move: Callable[..., tuple[jax.Array, jax.Array]],
    *,
    max_steps: int,
    scale: float = 1.0,
) -> tuple[Perturbation, jax.Array]:
    """Sums `move(logits, gradient) -> (step [n, D], movable [n])` until no example is active.

    One pass serves both the test of the last step and the gradient for the next. Also returns which
    examples were stranded; from the same place no later step can move them.
    """

    def body(search: _Search) -> _Search:
        logits, pull = jax.vjp(predict, start + scale * search.change)
        # Remembered, since a finished example may drift if `apply` mixes rows.
        flipped = search.flipped | (search.active & (logits.argmax(-1) != label))
        step, movable = move(logits, lambda cotangent: pull(cotangent)[0])
        active = search.active & ~flipped & (search.count < max_steps)
        stranded = search.stranded | (active & ~movable)
        active &= movable
        change = jnp.where(active[:, None], search.change + step, search.change)
        steps = search.steps + active.astype(jnp.int32)
        return _Search(search.count + 1, change, steps, flipped, stranded, active)

    nobody = jnp.zeros(label.shape, bool)
    search = _Search(
        count=jnp.zeros((), jnp.int32),
        change=jnp.zeros_like(start),
        steps=jnp.zeros(label.shape, jnp.int32),
        flipped=nobody,
        stranded=nobody,
        active=~nobody,
    )
    search = jax.lax.while_loop(lambda s: s.active.any(), body, search)
    distance = scale**2 * jnp.square(search.change).sum(1)
    steps = jnp.where(search.stranded, max_steps, search.steps)
    label = label.astype(jnp.int32)
    return Perturbation(distance, label, steps, search.flipped), search.stranded


def _problem(
    apply: ApplyLogits, inputs: PyTree
) -> tuple[Callable[[jax.Array], jax.Array], jax.Array]:
    """The model on inputs flattened to [n, D], and those inputs, in float32 or wider."""
    if not callable(apply):
        raise TypeError(f"apply: expected a function, got {describe(apply)}")
    leaves, tree = jax.tree.flatten(inputs)
    if len(leaves) != 1:
        raise ValueError(f"inputs: expected one array, got a pytree of {len(leaves)}")
    array = as_numbers("inputs", leaves[0], "[n, ...]")
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(f"inputs: expected floating point, got {array.dtype}")
    if array.ndim == 0:
        raise ValueError("inputs: expected shape [n, ...], got ()")
    rows, width = array.shape[0], math.prod(array.shape[1:])

    def predict(flat: jax.Array) -> jax.Array:
        batch = flat.reshape(array.shape).astype(array.dtype)
        logits = uncertainty.as_logits("apply(inputs)", apply(tree.unflatten([batch])), "[n, C]")
        if logits.shape[0] != rows:
            raise ValueError(
                f"apply(inputs): expected {rows} rows of logits, got {logits.shape[0]}"
            )
        return logits

    wide = jnp.promote_types(array.dtype, jnp.float32)
    return predict, array.astype(wide).reshape(rows, width)


def _rivals(logits: jax.Array, num_classes: int | None) -> jax.Array:
    """The likeliest classes but the predicted one, [n, num_classes - 1], ascending."""
    classes = logits.shape[1]
    kept = classes if num_classes is None else num_classes
    if not 2 <= kept <= classes:
        raise ValueError(f"num_classes: expected 2 to {classes}, got {kept}")
    chosen = jax.nn.one_hot(logits.argmax(-1), classes, dtype=bool)
    likeliest = jax.lax.top_k(jnp.where(chosen, -jnp.inf, logits), kept - 1)[1]
    # Ascending, so that a tie in distance goes to the lowest class.
    return jnp.sort(likeliest, axis=1)


def _nearest_boundary(gaps: jax.Array, slopes: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The step to the nearest of the boundaries [m, n], and whether there is one."""
    # By the largest entry first: the square of a slope of 1e-20 is 0 in float32.
    peak = jnp.abs(slopes).max(-1, keepdims=True)
    peak = jnp.where((peak > 0) & jnp.isfinite(peak), peak, 1)
    slopes = slopes / peak
    norms = jnp.sqrt(jnp.square(slopes).sum(-1, keepdims=True))
    distances = jnp.abs(gaps)[..., None] / norms / peak
    distances = jnp.where((norms > 0) & jnp.isfinite(distances), distances, jnp.inf)
    nearest = distances.argmin(0, keepdims=True)
    distance, norm, slope = (
        jnp.take_along_axis(array, nearest, 0)[0] for array in (distances, norms, slopes)
    )
    return (distance + 1e-4) * slope / norm, jnp.isfinite(distance[:, 0])
