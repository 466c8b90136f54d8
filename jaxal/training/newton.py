"""Logistic regression with an L2 penalty, fitted to convergence by Newton's method."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxal import entry
from jaxal.base import Examples, Model, PyTree
from jaxal.checks import describe
from jaxal.numerics import are_targets, matmul
from jaxal.training.base import CustomLearner, FitInfo, check_model_functions

STEPS = 0.5 ** np.arange(8, dtype=np.float32)
"""Shares of a Newton step that are tried at once, the whole first."""
INTERCEPT = 1e-6
"""Penalty of the intercepts: with labels of one class alone they would have no optimum."""

SOLVED = 128
"""Up to so many coefficients a Newton step is solved by factors, which are the fewest kernels."""
DIGITS = 1e-2
"""By how much conjugate gradients may leave a step unsolved, relative to the gradient."""


class _Descent(NamedTuple):
    """The coefficients, what they give, and how far the last step went."""

    weights: jax.Array  # [K, D + 1], the intercept last
    steps: jax.Array  # [] int32
    moved: jax.Array  # [] float32, the largest change, relative to the largest coefficient


@entry.checked(
    model=check_model_functions,
    l2=entry.positive,
    tolerance=entry.positive,
    max_steps=entry.integer(1),
)
def newton(
    model: Model, *, l2: float = 1.0, tolerance: float = 1e-4, max_steps: int = 50
) -> CustomLearner:
    """A learner that fits the one dense layer of a linear classifier exactly, by Newton's method.

    It minimises the sum of the cross-entropies, each times its row's weight, plus `l2` / 2 times
    the squared weights; intercepts are all but free. That is the objective of scikit-learn's
    `LogisticRegression(C=1 / l2)`, for two classes too, whose one weight vector is the difference
    of the two that the model has. The optimum is unique: neither the key nor the variables of the
    round before change it beyond rounding. It works from these, so that late rounds take few steps.

    A step takes O(M D^2 + D^3) time for M buffered rows and D features, and O(M C D) for each of
    some dozens of conjugate gradients; for two classes, and up to 128 coefficients, it is solved by
    factors. Memory O(M (C + D) + D^2).

    Args:
      model: whose parameters are one dense layer on its features: `models.logistic`,
        `models.linear`, or one of these that is `models.normalized`.
      l2: the penalty, above 0.
      tolerance: the fit ends once a step changes no coefficient by more than this, relative to the
        largest or to 1. Convergence is quadratic: the error is then of the order of its square.
      max_steps: most steps in a round.

    Returns:
      A learner; `FitInfo.epochs` are its steps.

    Raises:
      TypeError: no model, or a number of another type.
      ValueError: a number out of range; when it is traced, a model with other parameters, or labels
        that are targets.

    References:
      Hastie, Tibshirani & Friedman, "The Elements of Statistical Learning", 2009, 4.4.1.
      Boehning, "Multinomial logistic regression algorithm", Ann. Inst. Stat. Math. 1992, the bound
      that the conjugate gradients are preconditioned by.

    Example:
      >>> from jaxal import models
      >>> newton(models.logistic(2)) == newton(models.logistic(2), l2=1.0)
      True
    """

    def fit(
        key: jax.Array,
        variables: PyTree,
        inputs: PyTree,
        labels: jax.Array,
        weights: jax.Array,
        count: jax.Array,
        validation: Examples | None = None,
    ) -> tuple[PyTree, FitInfo]:
        if are_targets(labels):
            raise ValueError("newton: expected labels that are classes, got targets")
        features = model.apply(variables, inputs).features.astype(jnp.float32)
        kernel, bias = _layer(variables["params"], features.shape[-1])
        used = jnp.arange(len(labels), dtype=jnp.int32) < count
        weights = jnp.where(used, weights, 0.0)
        rows = jnp.where(used[:, None], features, 0.0)
        rows = jnp.concatenate([rows, jnp.ones((len(rows), 1))], axis=1)
        start = jnp.concatenate([kernel, bias[None]]).T
        if len(start) == 2:
            start = start[1:] - start[:1]
        # Where weights are far off, as random ones of large features, classes have no curvature.
        both = jnp.stack([start, jnp.zeros_like(start)])
        found = _objective(both, jax.vmap(_logits, (0, None))(both, rows), labels, weights, l2)
        start = jnp.where(found[0] <= found[1], start, 0.0)

        def step(state: _Descent) -> _Descent:
            return _newton_step(state, rows, labels, weights, l2)

        end = jax.lax.while_loop(
            lambda state: (state.moved > tolerance) & (state.steps < max_steps),
            step,
            _Descent(start, jnp.int32(0), jnp.float32(jnp.inf)),
        )
        params = _with_layer(variables["params"], _by_class(end.weights))
        logits = _logits(end.weights, rows)
        total = jnp.maximum(jnp.sum(weights), jnp.finfo(jnp.float32).tiny)
        loss = jnp.sum(weights * _losses(logits, labels)) / total
        right = used & (jnp.argmax(logits, axis=-1).astype(labels.dtype) == labels)
        accuracy = jnp.sum(right) / jnp.maximum(count, 1)
        return {**variables, "params": params}, FitInfo(loss, accuracy, end.steps)

    return CustomLearner(model, fit)


def _newton_step(
    state: _Descent, rows: jax.Array, labels: jax.Array, weights: jax.Array, l2: float
) -> _Descent:
    """The largest share of the Newton step that lowers the objective enough."""
    current, num, width = state.weights, *state.weights.shape
    penalty = _penalty(width, l2)
    logits = _logits(current, rows)
    p = jax.nn.softmax(logits)
    residual = p - jax.nn.one_hot(labels, p.shape[-1])
    if num == 1:
        residual = residual[:, 1:]
    gradient = matmul((weights[:, None] * residual).T, rows) + penalty[None] * current
    solve = _solved if num == 1 or num * width <= SOLVED else _by_conjugate_gradients
    direction = -solve(gradient, p, rows, weights, penalty)
    slope = jnp.sum(gradient * direction)

    def objective(coefficients: jax.Array, logits: jax.Array) -> jax.Array:
        return _objective(coefficients, logits, labels, weights, l2)

    # The logits are linear in the step, so that all its shares are tried at once.
    shares = STEPS[:, None, None]
    moves = shares * direction[None], shares * _logits(direction, rows)[None]
    tried = objective(current[None] + moves[0], logits[None] + moves[1])
    before = objective(current, logits)
    rounding = 8 * jnp.finfo(jnp.float32).eps * jnp.abs(before)
    lower = tried <= before + 1e-4 * STEPS * slope + rounding
    # Where rounding leaves no way down, the fit ends.
    share = jnp.where(jnp.any(lower), 0.5 ** jnp.argmax(lower), 0.0)
    moved = jnp.max(jnp.abs(share * direction)) / jnp.maximum(jnp.max(jnp.abs(current)), 1.0)
    return _Descent(current + share * direction, state.steps + 1, moved)


def _solved(
    gradient: jax.Array, p: jax.Array, rows: jax.Array, weights: jax.Array, penalty: jax.Array
) -> jax.Array:
    """The Newton system of probabilities [M, C], solved by factors; [K, D + 1] as the gradient."""
    num, width = gradient.shape
    if num == 1:
        curvature = (p[:, :1] * p[:, 1:])[..., None]
    else:
        curvature = p[:, :, None] * (jnp.eye(num)[None] - p[:, None, :])
    blocks = weights[:, None, None] * curvature  # [M, K, K]
    spread = (blocks[..., None] * rows[:, None, None, :]).transpose(1, 2, 3, 0)
    hessian = matmul(spread, rows).transpose(0, 2, 1, 3)  # [K, D + 1, K, D + 1]
    if num > 1:  # Intercepts that grow alike change nothing: curvature there, and no slope.
        hessian = hessian.at[:, -1, :, -1].add(1.0)
    hessian = hessian.reshape(num * width, num * width) + jnp.diag(jnp.tile(penalty, num))
    found = jax.scipy.linalg.solve(hessian, gradient.ravel(), assume_a="pos")
    return found.reshape(num, width)


def _by_conjugate_gradients(
    gradient: jax.Array, p: jax.Array, rows: jax.Array, weights: jax.Array, penalty: jax.Array
) -> jax.Array:
    """As `_solved`, to some digits, by products alone: no matrix of all classes is made."""
    # No curvature is above Boehning's bound, of 1/2 for each class by itself.
    bound = 0.5 * matmul((weights[:, None] * rows).T, rows) + jnp.diag(penalty)
    factor = jax.scipy.linalg.cho_factor(bound)

    def product(along: jax.Array) -> jax.Array:
        moved = matmul(rows, along.T)  # [M, C]
        moved = p * (moved - jnp.sum(p * moved, axis=1, keepdims=True))
        found = matmul((weights[:, None] * moved).T, rows) + penalty[None] * along
        # Intercepts that grow alike change nothing: curvature there, and no slope.
        return found.at[:, -1].add(jnp.sum(along[:, -1]))

    def near(residual: jax.Array) -> jax.Array:
        return jax.scipy.linalg.cho_solve(factor, residual.T).T

    return jax.scipy.sparse.linalg.cg(product, gradient, tol=DIGITS, maxiter=200, M=near)[0]


def _penalty(width: int, l2: float) -> jax.Array:
    """What the squares of D weights and an intercept cost, [D + 1]."""
    return jnp.full(width, l2, jnp.float32).at[-1].set(INTERCEPT)


def _objective(coefficients, logits, labels, weights, l2) -> jax.Array:
    """What is minimised, [...], of coefficients [..., K, D + 1] with logits [..., M, C]."""
    fitted = matmul(_losses(logits, labels), weights)
    penalty = _penalty(coefficients.shape[-1], l2)
    return fitted + 0.5 * matmul(jnp.sum(coefficients**2, axis=-2), penalty)


def _logits(weights: jax.Array, rows: jax.Array) -> jax.Array:
    """[M, C] of coefficients [K, D + 1]; one vector stands for the difference of two classes."""
    return matmul(rows, _by_class(weights).T)


def _by_class(weights: jax.Array) -> jax.Array:
    """[C, D + 1]: of one vector, two halves."""
    return jnp.concatenate([-weights / 2, weights / 2]) if len(weights) == 1 else weights


def _losses(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Cross-entropies [..., M]."""
    labels = labels.reshape((1,) * (logits.ndim - 2) + (-1, 1))
    taken = jnp.broadcast_to(labels, (*logits.shape[:-1], 1))
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), taken, axis=-1)[..., 0]


def _layer(params: PyTree, width: int) -> tuple[jax.Array, jax.Array]:
    """The kernel [D, C] and the bias [C] of the one layer that there is."""
    leaves = sorted(jax.tree.leaves(params), key=jnp.ndim)
    shapes = [leaf.shape for leaf in leaves]
    if [len(shape) for shape in shapes] != [1, 2] or shapes[1] != (width, *shapes[0]):
        raise ValueError(
            "newton: expected a model of one dense layer on its features, a kernel "
            f"[{width}, C] and a bias [C], got parameters {describe(params)} of shapes {shapes}"
        )
    if shapes[0][0] < 2:
        raise ValueError("newton: expected a model of at least 2 classes, got 1")
    bias, kernel = leaves
    return kernel, bias


def _with_layer(params: PyTree, weights: jax.Array) -> PyTree:
    """The parameters with those of the layer, by class [C, D + 1], in their places."""
    parts = {1: weights[:, -1], 2: weights[:, :-1].T}
    return jax.tree.map(lambda leaf: parts[leaf.ndim].astype(leaf.dtype), params)
