"""Core-set selection: labels that leave no example far from a labelled one."""

from jaxal import selection
from jaxal.base import Strategy, check_positive
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
