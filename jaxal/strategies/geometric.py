"""Strategies that spread the batch out in feature or gradient space: core-set, BADGE, k-means."""

import jax
import jax.numpy as jnp

from jaxal import selection
from jaxal.base import Strategy
from jaxal.checks import check_name, check_positive
from jaxal.strategies.registry import register


@register
def core_set(*, block_size: int = 256) -> Strategy:
    """Queries the example farthest, in features, from all labelled and picked ones, again and again.

    References:
      Sener and Savarese, "Active learning for convolutional neural networks: a core-set approach",
      ICLR 2018.
    """
    check_positive(block_size=block_size)

    def observe(key, model, variables, inputs, labels):
        return model.apply(variables, inputs).features

    def select(key, view, budget):
        return selection.k_center(
            view.observation,
            view.available,
            budget,
            centers=view.observation,
            center_mask=view.labeled,
            block_size=block_size,
        )

    return Strategy(observe, select)


@register
def badge(*, block_size: int = 256) -> Strategy:
    """Queries large last-layer gradients far from each other, by D^2 sampling.

    References:
      Ash et al., "Deep batch active learning by diverse, uncertain gradient lower bounds", ICLR 2020.
    """
    check_positive(block_size=block_size)

    def observe(key, model, variables, inputs, labels):
        gradient = selection.gradient_embedding(*model.apply(variables, inputs))
        return gradient.residuals, gradient.features

    def select(key, view, budget):
        residuals, features = view.observation
        return selection.badge(
            key, residuals, features, view.available, budget, block_size=block_size
        )

    return Strategy(observe, select)


REPRESENTATIONS = ("features", "inputs")


@register
def k_means(
    *,
    representation: str = "features",
    max_steps: int = 300,
    tolerance: float = 1e-4,
    restarts: int = 10,
) -> Strategy:
    """Queries the examples nearest to the centers of k-means clusters, one a cluster.

    The clusters are of the available examples, in the model's features, or in the inputs as they are:
    all leaves of the pytree, flattened and side by side, without a look at the model.

    References:
      Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory, 1982. Zhdanov,
      "Diverse mini-batch active learning", 2019.
    """
    check_name("representation", representation, REPRESENTATIONS)
    check_positive(max_steps=max_steps, restarts=restarts)
    if not tolerance >= 0:
        raise ValueError(f"tolerance: expected a number >= 0, got {tolerance!r}")

    def observe(key, model, variables, inputs, labels):
        if representation == "features":
            return model.apply(variables, inputs).features
        flat = [leaf.reshape(len(labels), -1).astype(float) for leaf in jax.tree.leaves(inputs)]
        return jnp.concatenate(flat, axis=1)

    def select(key, view, budget):
        return selection.k_means(
            key,
            view.observation,
            view.available,
            budget,
            max_steps=max_steps,
            tolerance=tolerance,
            restarts=restarts,
        )

    return Strategy(observe, select)
