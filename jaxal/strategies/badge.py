"""BADGE: uncertain and diverse at once, in the space of last-layer gradients."""

from jaxal import selection
from jaxal.base import Strategy, check_positive
from jaxal.strategies.registry import register


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
