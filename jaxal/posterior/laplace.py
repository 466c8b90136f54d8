"""Last-layer Laplace: draws of the last layer's weights, Gaussian around the trained ones."""

import functools

import jax
import jax.numpy as jnp

from jaxal.base import View
from jaxal.checks import check_integer, check_name, check_positive
from jaxal.factories import cached_factory
from jaxal.numerics import matmul
from jaxal.points.fisher import fisher_factors
from jaxal.posterior.draws import Draws, Posterior, Reduce

LIKELIHOODS = ("gaussian", "categorical", "softmax")


@cached_factory
def last_layer_laplace(
    num_draws: int = 20, *, prior_precision: float = 1.0, likelihood: str = "gaussian"
) -> Posterior:
    """Last-layer Laplace approximation: Gaussian draws of the last layer's weights.

    Draw k has the logits `logits + [features, 1] E_k`, where each column of E_k is N(0, S) and E_k
    serves all rows. S = (prior_precision I + sum over labelled rows of w h h^T)^-1 with
    h = [features, 1], shared by all classes. It needs no dropout and a single forward pass, and
    takes new labels into account without training.

    One product over the pool, 2 N D^2, a Cholesky of [D+1, D+1], and 2 N D C a draw. With the
    likelihood "softmax" the precision is that of all classes together, prior_precision I + sum of
    (diag p - p p^T) (x) h h^T, the generalised Gauss-Newton of the cross-entropy: C^2 times the
    product, and a Cholesky of [C (D+1), C (D+1)].

    Args:
      num_draws: K.
      prior_precision: of each weight. It and the features' scale set how far draws stray.
      likelihood: "gaussian", w = 1, "categorical", w = p (1 - p) for the likeliest class, or
        "softmax", of all classes, for few of them.

    Returns:
      A `Posterior`. Equal calls return the identical one.

    Raises:
      ValueError: K below 1, a precision not above 0, an unknown likelihood; when it selects, one
        of classes in a regression.

    References:
      Daxberger et al., "Laplace redux: effortless Bayesian deep learning", NeurIPS 2021; weights w:
      Liu et al., "Simple and principled uncertainty estimation", NeurIPS 2020, section 3.

    Example:
      >>> last_layer_laplace(10)
      last_layer_laplace(10, prior_precision=1.0, likelihood='gaussian')
    """
    check_integer(1, num_draws=num_draws)
    check_positive(prior_precision=prior_precision)
    check_name("likelihood", likelihood, LIKELIHOODS)

    def observe(key, model, variables, inputs, reduce):
        return model.apply(variables, inputs)

    def resolve(key, view, reduce):
        if view.observation.logits.shape[-1] == 1 and likelihood != "gaussian":
            raise ValueError(
                f"likelihood: expected 'gaussian', as this is a regression, got {likelihood!r}"
            )
        root = cholesky(_information(view, likelihood), prior_precision)
        classes = view.observation.logits.shape[-1]
        joint = likelihood == "softmax"  # the classes' weights one below the other
        noise = jax.random.normal(key, (num_draws, len(root), 1 if joint else classes), root.dtype)
        solve = functools.partial(jax.scipy.linalg.solve_triangular, trans=1, lower=True)
        each = jax.vmap(solve, (None, 0))(root, noise)
        if joint:
            each = jnp.swapaxes(each.reshape(num_draws, classes, -1), 1, 2)
        return with_draws(view, each, reduce)

    name = (
        f"last_layer_laplace({num_draws}, prior_precision={prior_precision}, "
        f"likelihood={likelihood!r})"
    )
    return Posterior(observe, resolve, name=name)


def _information(view: View, likelihood: str) -> jax.Array:
    """What the labelled rows add to the precision, [D+1, D+1], or that of all classes."""
    logits, features = view.observation
    if likelihood == "softmax":
        factors = fisher_factors(logits, with_one(features), "full", view.labeled)
        return factors.total(jnp.ones_like(logits[:, 0]))
    # Rows that do not count may hold NaN, which a weight of 0 would let through.
    inputs = jnp.where(view.labeled[:, None], with_one(features), 0.0)
    if likelihood == "categorical":
        top = jnp.max(jax.nn.softmax(logits), axis=-1, keepdims=True)
        inputs = jnp.where(view.labeled[:, None], jnp.sqrt(top * (1 - top)), 0.0) * inputs
    return matmul(inputs.T, inputs)


def cholesky(gram: jax.Array, prior_precision: float) -> jax.Array:
    """The lower Cholesky factor of a sum of outer products [W, W] plus the prior precision."""
    # The sum is rounded to about a millionth of its trace: with a smaller ridge it may not be
    # positive definite.
    ridge = prior_precision + jnp.finfo(gram.dtype).eps * jnp.trace(gram)
    return jnp.linalg.cholesky(gram + ridge * jnp.eye(len(gram), dtype=gram.dtype))


def with_draws(view: View, each: jax.Array, reduce: Reduce) -> View:
    """The view of what is kept of the logits plus [features, 1] times each of [K, D+1, C]."""

    def kept(outputs):
        inputs = with_one(outputs.features)
        return reduce(Draws(lambda w: outputs.logits + matmul(inputs, w), each))

    sets = ("observation", "query", "private", "validation")
    given = {name: getattr(view, name) for name in sets}
    return view._replace(**{name: kept(seen) for name, seen in given.items() if seen is not None})


def with_one(features: jax.Array) -> jax.Array:
    """[features, 1], the inputs of a last layer with a bias."""
    return jnp.concatenate([features, jnp.ones((len(features), 1), features.dtype)], axis=1)
