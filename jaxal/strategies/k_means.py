"""k-means sampling: one example from each of as many clusters as labels are asked for."""

import jax
import jax.numpy as jnp

from jaxal import selection
from jaxal.base import Strategy, check_name, check_positive
from jaxal.strategies.registry import register

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
        flat = [
            leaf.reshape(len(labels), -1).astype(float)
            for leaf in jax.tree.leaves(inputs)
        ]
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
