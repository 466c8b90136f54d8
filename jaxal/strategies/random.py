"""The baseline that every strategy is measured against."""

import jax
import jax.numpy as jnp

from jaxal import selection
from jaxal.base import Strategy
from jaxal.strategies.registry import register


@register
def random() -> Strategy:
    """Queries uniformly at random, without a look at the model."""

    def observe(key, model, variables, inputs, labels):
        return jnp.zeros((*labels.shape, 0))

    def select(key, view, budget):
        # The draw of a row does not depend on how many rows there are, so padding changes nothing.
        noise = jax.random.uniform(key, view.available.shape)
        return selection.take_top(noise, view.available, budget)

    return Strategy(observe, select)
