"""GLISTER: labels after which the loss on held-out, or on all, examples is lowest."""

import jax.numpy as jnp

from jaxal import selection
from jaxal.base import Strategy, check_positive
from jaxal.selection.glister import check_regularizer
from jaxal.strategies.registry import register


@register
def glister(
    *,
    learning_rate: float = 0.01,
    regularizer: str = "none",
    strength: float | None = None,
) -> Strategy:
    """Queries gradients that agree with that of the loss on the validation examples.

    Without any, these are the whole pool under the predicted classes, and the labelled rows.

    References:
      Killamsetty et al., "GLISTER: generalization based data subset selection for efficient and robust
      learning", AAAI 2021.
    """
    check_positive(learning_rate=learning_rate)
    check_regularizer(regularizer, strength)

    def observe(key, model, variables, inputs, labels):
        return *model.apply(variables, inputs), labels

    def select(key, view, budget):
        logits, features, _ = view.observation
        pool, labels = (logits, features), view.labels  # -1 where to be predicted
        if view.validation is None:
            evaluation = *pool, labels, view.available | view.labeled
        else:
            evaluation = *view.validation, jnp.ones(len(view.validation[2]), bool)
        return selection.glister(
            key,
            pool,
            (*pool, labels, view.labeled),
            view.available,
            budget,
            learning_rate=learning_rate,
            validation=evaluation,
            regularizer=regularizer,
            strength=strength,
        )

    return Strategy(observe, select)
