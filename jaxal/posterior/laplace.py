"""Last-layer Laplace: draws of the last layer's weights, Gaussian around the trained ones."""

import functools

import jax
import jax.numpy as jnp

from jaxal.base import View
from jaxal.checks import check_integer, check_name, check_positive
from jaxal.factories import cached_factory
from jaxal.numerics import matmul
from jaxal.posterior.draws import Draws, Posterior

LIKELIHOODS = ("gaussian", "categorical")


@cached_factory
def last_layer_laplace(
    num_draws: int = 20, *, prior_precision: float = 1.0, likelihood: str = "gaussian"
) -> Posterior:
    """Last-layer Laplace approximation: Gaussian draws of the last layer's weights.

    Draw k has the logits `logits + [features, 1] E_k`, where each column of E_k is N(0, S) and E_k
    serves all rows. S = (prior_precision I + sum over labelled rows of w h h^T)^-1 with
    h = [features, 1], shared by all classes. It needs no dropout and a single forward pass, and
    takes new labels into account without training.

    One product over the pool, 2 N D^2, a Cholesky of [D+1, D+1], and 2 N D C a draw.

    Args:
      num_draws: K.
      prior_precision: of each weight. It and the features' scale set how far draws stray.
      likelihood: "gaussian", w = 1, or "categorical", w = p (1 - p) for the likeliest class.

    Returns:
      A `Posterior`. Equal calls return the identical one.

    Raises:
      ValueError: K below 1, a precision not above 0, an unknown likelihood.

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
        root = _root_precision(view, prior_precision, likelihood)
        classes = view.observation.logits.shape[-1]
        noise = jax.random.normal(key, (num_draws, len(root), classes), root.dtype)
        solve = functools.partial(jax.scipy.linalg.solve_triangular, trans=1, lower=True)
        each = jax.vmap(solve, (None, 0))(root, noise)

        def kept(outputs):
            inputs = _with_one(outputs.features)
            return reduce(Draws(lambda w: outputs.logits + matmul(inputs, w), each))

        sets = ("observation", "query", "private", "validation")
        given = {name: getattr(view, name) for name in sets}
        return view._replace(
            **{name: kept(seen) for name, seen in given.items() if seen is not None}
        )

    name = (
        f"last_layer_laplace({num_draws}, prior_precision={prior_precision}, "
        f"likelihood={likelihood!r})"
    )
    return Posterior(observe, resolve, name=name)


def _root_precision(view: View, prior_precision: float, likelihood: str) -> jax.Array:
    """The lower Cholesky factor of the weights' posterior precision, [D+1, D+1]."""
    logits, features = view.observation
    # Rows that do not count may hold NaN, which a weight of 0 would let through.
    inputs = jnp.where(view.labeled[:, None], _with_one(features), 0.0)
    if likelihood == "categorical":
        top = jnp.max(jax.nn.softmax(logits), axis=-1, keepdims=True)
        inputs = jnp.where(view.labeled[:, None], jnp.sqrt(top * (1 - top)), 0.0) * inputs
    gram = matmul(inputs.T, inputs)
    # The sum is rounded to about a millionth of its trace: with a smaller ridge it may not be
    # positive definite.
    ridge = prior_precision + jnp.finfo(gram.dtype).eps * jnp.trace(gram)
    return jnp.linalg.cholesky(gram + ridge * jnp.eye(len(gram), dtype=gram.dtype))


def _with_one(features: jax.Array) -> jax.Array:
    """[features, 1], the inputs of a last layer with a bias."""
    return jnp.concatenate([features, jnp.ones((len(features), 1), features.dtype)], axis=1)
