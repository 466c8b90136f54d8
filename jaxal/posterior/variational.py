"""Variational last layer: draws of its weights, by the Gaussian that a bound on the loss fits."""

import functools

import jax
import jax.numpy as jnp

from jaxal.checks import check_integer, check_positive
from jaxal.factories import cached_factory
from jaxal.numerics import matmul
from jaxal.posterior.draws import Posterior
from jaxal.posterior.laplace import cholesky, with_draws, with_one


@cached_factory
def variational_last_layer(
    num_draws: int = 20, *, prior_precision: float = 1.0, num_steps: int = 10
) -> Posterior:
    """Variational last layer (VBLL) after training: draws by the covariance that its bound fits.

    With the means of the weights those of the trained layer, the covariance S_c of each class
    maximises VBLL's bound on the evidence of the labelled rows: `S_c = (prior_precision I + sum of
    pi_c h h^T)^-1`, with h = [features, 1] and `pi = softmax_c(logit_c + h^T S_c h / 2)`. That is
    solved for by `num_steps` steps, each half of the way, from `pi` = the predictions. So the
    weights of a class are the narrower, the more labelled rows may be of it. Nothing is drawn or
    trained to find it, and new labels count without training.

    A step takes two products for each class, 3 N D^2, and a Cholesky of [D+1, D+1]; a draw 2 N D C.

    Args:
      num_draws: K.
      prior_precision: of each weight. It and the features' scale set how far draws stray.
      num_steps: of the fixed point, at least 1.

    Returns:
      A `Posterior`. Equal calls return the identical one.

    Raises:
      TypeError: a number of draws or of steps that is no integer.
      ValueError: a number below 1, or a precision not above 0; when it selects, a regression.

    References:
      Harrison et al., "Variational Bayesian last layers", ICLR 2024, the discriminative classifier,
      here without noise of the logits.

    Example:
      >>> variational_last_layer(10)
      variational_last_layer(10, prior_precision=1.0, num_steps=10)
    """
    check_integer(1, num_draws=num_draws, num_steps=num_steps)
    check_positive(prior_precision=prior_precision)

    def observe(key, model, variables, inputs, reduce):
        return model.apply(variables, inputs)

    def resolve(key, view, reduce):
        logits, features = view.observation
        if logits.shape[1] == 1:
            raise ValueError(
                "variational_last_layer: expected classes, got a regression, whose draws are those "
                "of last_layer_laplace"
            )
        # Rows that do not count may hold NaN, which a weight of 0 would let through.
        known = view.labeled[:, None]
        inputs, logits = jnp.where(known, with_one(features), 0.0), jnp.where(known, logits, 0.0)

        def root_of(share: jax.Array) -> jax.Array:
            """The Cholesky factor of a class's precision, from its part of each row [N]."""
            return cholesky(matmul((inputs * share[:, None]).T, inputs), prior_precision)

        def variance(share: jax.Array) -> jax.Array:
            # By the inverse: to solve for all rows, devices would send each other theirs.
            eye = jnp.eye(inputs.shape[1], dtype=inputs.dtype)
            inverse = jax.scipy.linalg.solve_triangular(root_of(share), eye, lower=True)
            return jnp.sum(matmul(inputs, inverse.T) ** 2, axis=1)

        def step(_, shares: jax.Array) -> jax.Array:
            raised = logits + jax.lax.map(variance, shares.T).T / 2
            return (shares + jax.nn.softmax(raised)) / 2

        shares = jax.lax.fori_loop(0, num_steps, step, jax.nn.softmax(logits))
        roots = jax.lax.map(root_of, shares.T)
        noise = jax.random.normal(key, (num_draws, *roots.shape[:2], 1), roots.dtype)
        solve = functools.partial(jax.scipy.linalg.solve_triangular, trans=1, lower=True)
        each = jax.vmap(jax.vmap(solve), (None, 0))(roots, noise)[..., 0]
        return with_draws(view, jnp.swapaxes(each, 1, 2), reduce)

    name = (
        f"variational_last_layer({num_draws}, prior_precision={prior_precision}, "
        f"num_steps={num_steps})"
    )
    return Posterior(observe, resolve, name=name)
