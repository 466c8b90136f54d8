"""One decision: which rows of a pool to label next, given a trained model."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxal import data
from jaxal.base import (
    Model,
    Outputs,
    PyTree,
    Selection,
    Strategy,
    View,
)
from jaxal.checks import check_budget, check_positive, check_rank, is_traced
from jaxal.models import as_outputs
from jaxal.pools import devices
from jaxal.pools.memory import Pool, map_rows, place


class ExampleSets(NamedTuple):
    """Further examples that a strategy may take: `(inputs, labels)` each, or None."""

    query: Any = None
    private: Any = None
    validation: Any = None


def observe(
    key: jax.Array,
    strategy: Strategy,
    model: Model,
    variables: PyTree,
    inputs: PyTree,
    labels: jax.Array,
    *,
    batch_size: int,
    mesh: Mesh | None = None,
) -> PyTree:
    """Maps the strategy's `observe` over all rows in batches; leaves [N, ...], sharded as the rows are."""

    def function(shared, rows):
        key, variables = shared
        return strategy.observe(key, model, variables, *rows)

    return map_rows(function, (key, variables), (inputs, labels), batch_size=batch_size, mesh=mesh)


def select(
    key: jax.Array,
    strategy: Strategy,
    observation: PyTree,
    labels: jax.Array,
    available: jax.Array,
    budget: int,
    extras: PyTree = None,
) -> Selection:
    """Has the strategy decide; labels of rows that are available stay hidden.

    Args:
      key: random key, consumed.
      strategy: the rule.
      observation: leaves [N, ...], from `observe`.
      labels: [N] int32, -1 where unknown.
      available: [N] bool.
      budget: how many rows.
      extras: observations by the field names of `ExampleSets`.
    """
    labels = jnp.where(available, -1, labels)
    view = View(observation, labels, labels >= 0, available, **(extras or {}))
    selection = strategy.select(key, view, budget)
    if not isinstance(selection, Selection) or selection.rows.shape != (budget,):
        raise TypeError(
            f"strategy.select: expected a Selection of {budget} rows, got {selection!r}"
        )
    if selection.weights is not None and selection.weights.shape != (budget,):
        raise TypeError(
            f"strategy.select: expected weights [{budget}], got {selection.weights.shape}"
        )
    return selection


@partial(jax.jit, static_argnames=("strategy", "model", "budget", "batch_size", "mesh"))
def decide(
    key: jax.Array,
    strategy: Strategy,
    model: Model,
    variables: PyTree,
    pool: Pool,
    available: jax.Array,
    budget: int,
    extras: ExampleSets = ExampleSets(),
    *,
    batch_size: int,
    mesh: Mesh | None = None,
) -> Selection:
    """`acquire` without its checks, on a placed pool; pure and compiled."""
    available = available & pool.valid
    labels = jnp.where(available, -1, pool.labels)
    # One key for all observations: a draw of the model is the same for the pool and the query.
    key_observe, key_select = jax.random.split(key)
    observation = observe(
        key_observe,
        strategy,
        model,
        variables,
        pool.inputs,
        labels,
        batch_size=batch_size,
        mesh=mesh,
    )
    observed = {
        name: observe(key_observe, strategy, model, variables, *examples, batch_size=batch_size)
        for name, examples in extras._asdict().items()
        if examples is not None
    }
    return select(key_select, strategy, observation, labels, available, budget, observed)


def acquire(
    key: jax.Array,
    strategy: Strategy,
    model: Model,
    variables: PyTree,
    inputs: PyTree,
    budget: int,
    *,
    labels: Any = None,
    available: Any = None,
    query: Any = None,
    private: Any = None,
    validation: Any = None,
    batch_size: int = 1024,
    mesh: Mesh | None = None,
) -> Selection:
    """Picks the rows of a pool to label next.

    Args:
      key: random key, consumed.
      strategy: from `jaxal.strategies`, or any pair of functions like those.
      model: from `jaxal.models`, or any three functions like those.
      variables: the trained model's.
      inputs: the pool, a pytree of arrays [N, ...] (or row numbers that the model looks up).
      budget: how many rows, 1 to the number available.
      labels: [N] integers of the rows labelled already, -1 elsewhere; none, if not given.
      available: [N] bool, rows that may be picked; those without a label, if not given. Labels of
        available rows are hidden from the strategy.
      query: `(inputs, labels)` of examples like those wanted.
      private: `(inputs, labels)` of examples like those to avoid.
      validation: `(inputs, labels)` of held-out examples.
      batch_size: rows that go through the model at once on a device.
      mesh: devices that share the rows (`devices.make_mesh`); the picks are the same.

    Returns:
      `Selection`: rows [B] int32, each once, in the order picked, and their scores [B]; a
      `WeightedSelection`, with weights [B] for training, of a strategy that weighs its picks.

    Raises:
      ValueError: NaN or infinite inputs, labels outside [0, C), leading axes that disagree, a budget
        below 1 or above the rows available, a model whose outputs have the wrong shapes. Values are
        not looked at inside jit; there, missing rows are -1.
      TypeError: a model that does not return `Outputs`, or arrays of the wrong type.
    """
    check_positive(batch_size=batch_size)
    rows = len(jax.tree.leaves(inputs)[0])
    classes = check_model(model, variables, inputs)
    extras = ExampleSets(query, private, validation)
    check_alike(inputs, extras)
    if not is_traced(inputs, labels, available):
        data.check((inputs, labels), classes, allow_unknown=True)
        for name, examples in extras._asdict().items():
            if examples is not None:
                data.check(examples, classes, name)
    pool = place(inputs, labels, mesh)
    available = pool.labels < 0 if available is None else jnp.asarray(available)
    check_rank("available", available, 1, "[N]")
    if available.shape[0] != len(pool.valid):
        available = _padded_mask(available, rows, len(pool.valid))
    check_budget(budget, rows)
    if not is_traced(available):
        left = int(np.sum(np.asarray(available)[:rows]))
        if budget > left:
            raise ValueError(f"budget: expected 1 to {left} (available rows), got {budget}")
    return decide(
        key,
        strategy,
        model,
        devices.replicate(variables, mesh),
        pool,
        available,
        budget,
        extras,
        batch_size=batch_size,
        mesh=mesh,
    )


def _padded_mask(available: jax.Array, rows: int, padded: int) -> jax.Array:
    if available.shape[0] != rows:
        raise ValueError(f"available: expected {rows} rows, got {available.shape[0]}")
    return jnp.zeros(padded, bool).at[:rows].set(available)


def check_alike(inputs: PyTree, extras: ExampleSets) -> None:
    """Raises ValueError unless the rows of all further examples have the shapes of the pool's."""

    def shapes(inputs):
        return jax.tree.map(lambda leaf: tuple(leaf.shape[1:]), inputs)

    for name, examples in extras._asdict().items():
        if examples is not None and shapes(examples[0]) != shapes(inputs):
            raise ValueError(
                f"{name} inputs: expected rows of shape {shapes(inputs)}, as in the pool, "
                f"got {shapes(examples[0])}"
            )


def check_model(model: Model, variables: PyTree, inputs: PyTree) -> int:
    """Checks, without running it, that the model returns `Outputs`; returns the number of classes."""

    def outputs(variables, inputs):
        outputs = model.apply(variables, inputs)
        if not isinstance(outputs, Outputs):
            raise TypeError(
                f"model.apply: expected Outputs(logits, features), got {type(outputs).__name__};"
                " the adapters in jaxal.models make it of a pair"
            )
        return as_outputs(outputs, "model.apply")

    one = jax.tree.map(lambda leaf: leaf[:1], inputs)
    return jax.eval_shape(outputs, variables, one).logits.shape[-1]
