"""How good a model is: loss and accuracy over a set of examples."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxal.base import Model, PyTree
from jaxal.numerics import are_targets, first, is_known
from jaxal.pools.memory import map_rows


class Metrics(NamedTuple):
    """Means over a set of examples; of a regression the errors, of a classification the rest."""

    loss: jax.Array  # [] cross-entropy in nats; of a regression the mean squared error
    accuracy: Any = None  # [] fraction predicted right
    class_accuracy: Any = None  # [C], of the examples of each class; 0 where there is none
    rmse: Any = None  # [] root mean squared error
    mae: Any = None  # [] mean absolute error


def evaluate(
    model: Model,
    variables: PyTree,
    inputs: PyTree,
    labels: jax.Array,
    *,
    batch_size: int,
    by_class: bool = False,
) -> Metrics:
    """Cross-entropy and accuracy, or the errors of a regression, where the label is known.

    Args:
      model: what to measure; dropout is off.
      variables: its variables.
      inputs: leaves [N, ...].
      labels: [N] integers, -1 where unknown; of a regression floats, NaN where unknown.
      batch_size: rows that go through the model at once.
      by_class: the accuracy of each class as well.

    Returns:
      The means; 0 if no label is known.
    """

    if are_targets(labels):
        return _errors(model, variables, inputs, labels, batch_size)

    def function(variables, rows):
        inputs, labels = rows
        log_p = jax.nn.log_softmax(model.apply(variables, inputs).logits)
        taken = jnp.take_along_axis(log_p, jnp.maximum(labels, 0)[:, None], axis=-1)
        return -taken[:, 0], jnp.argmax(log_p, axis=-1).astype(labels.dtype) == labels

    losses, right = map_rows(function, variables, (inputs, labels), batch_size=batch_size)
    known = labels >= 0
    count = jnp.maximum(jnp.sum(known), 1)
    loss = jnp.sum(jnp.where(known, losses, 0.0))
    mean = Metrics(loss / count.astype(loss.dtype), jnp.sum(right & known) / count)
    if not by_class:
        return mean
    classes = jax.eval_shape(model.apply, variables, first(inputs)).logits.shape[-1]
    slots = jnp.where(known, labels, classes)  # past the end, where adding does nothing
    of_class, right_of_class = (
        jnp.zeros(classes, jnp.int32).at[slots].add(counted.astype(jnp.int32))
        for counted in (known, right)
    )
    return mean._replace(class_accuracy=right_of_class / jnp.maximum(of_class, 1))


def _errors(
    model: Model, variables: PyTree, inputs: PyTree, targets: jax.Array, batch_size: int
) -> Metrics:
    """The errors of a regression over the rows whose target is known; 0 if none is."""

    def function(variables, inputs):
        return model.apply(variables, inputs).logits[:, 0].astype(jnp.float32)

    predicted = map_rows(function, variables, inputs, batch_size=batch_size)
    known = is_known(targets)
    error = jnp.where(known, predicted - jnp.where(known, targets, 0.0), 0.0)
    count = jnp.maximum(jnp.sum(known), 1).astype(jnp.float32)
    squared = jnp.sum(error**2) / count
    return Metrics(squared, rmse=jnp.sqrt(squared), mae=jnp.sum(jnp.abs(error)) / count)
