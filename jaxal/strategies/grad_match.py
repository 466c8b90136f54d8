"""GradMatch: a batch that pulls the model where the whole pool, or held-out examples, would."""

import jax.numpy as jnp

from jaxal import selection
from jaxal.base import Strategy, WeightedSelection, check_name
from jaxal.selection.grad_match import TARGETS
from jaxal.selection.matching_pursuit import check_limits
from jaxal.strategies.registry import register


@register
def grad_match(
    *,
    kind: str = "bias_linear",
    target: str = "budget",
    weighted: bool = False,
    ridge: float = 0.0,
) -> Strategy:
    """Queries a batch whose summed gradient matches that of the pool, or of the validation examples.

    If `weighted`, by orthogonal matching pursuit, to which `ridge` belongs and `target` does not: the picks
    are then trained on with the weights found, scaled to a mean of 1 over the batch, as a learning rate
    is chosen for examples of weight 1.

    References:
      Killamsetty et al., "GRAD-MATCH: gradient matching based data subset selection for efficient deep
      model training", ICML 2021.
    """
    check_name("kind", kind, selection.GRADIENT_KINDS)
    check_name("target", target, TARGETS)
    check_limits(ridge=ridge)

    def observe(key, model, variables, inputs, labels):
        return *model.apply(variables, inputs), labels

    def select(key, view, budget):
        logits, features, _ = view.observation
        pool, validation = (logits, features), view.validation
        if validation is not None:
            validation = *validation, jnp.ones(len(validation[2]), bool)
        if not weighted:
            return selection.grad_match(
                pool,
                view.available,
                budget,
                validation=validation,
                kind=kind,
                target=target,
            )
        (rows, scores), weights = selection.orthogonal_matching_pursuit(
            key,
            pool,
            view.available,
            budget,
            validation=validation,
            kind=kind,
            ridge=ridge,
        )
        total = jnp.sum(weights)
        scale = jnp.sum(rows >= 0) / jnp.where(total > 0, total, 1.0)
        return WeightedSelection(rows, scores, weights * scale)

    return Strategy(observe, select)
