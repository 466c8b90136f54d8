"""One decision: which rows of a pool to label next, given a trained model."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxal import data, processes
from jaxal.base import Model, PyTree, Selection, Strategy, View
from jaxal.checks import check_budget, check_integer, check_key, check_mask, is_traced
from jaxal.data.checks import check_structure
from jaxal.loop.plan import (
    NO_SETS,
    OF_NO_CLASS,
    ExampleSets,
    check_model,
    check_same_shapes,
    refuse_streamed,
)
from jaxal.loop.returned import (
    are_free,
    check_observation,
    check_selection,
    check_selection_type,
    check_strategy,
    explained,
    flawed_row,
    is_finite,
    strategy_name,
)
from jaxal.numerics import derive_keys, num_rows
from jaxal.pools import ArrayPool, Pool, devices, map_rows, size_class
from jaxal.pools.memory import check_values, put
from jaxal.rows import rows_over
from jaxal.training.base import check_model_functions


class Observed(NamedTuple):
    """What a strategy observed of the pool, leaves [N, ...], and of each further set."""

    pool: PyTree
    sets: dict[str, PyTree]  # by the field names of `View`


def observe(
    key: jax.Array,
    strategy: Strategy,
    model: Model,
    variables: PyTree,
    pool: Pool,
    labels: jax.Array,
    sets: ExampleSets,
) -> Observed:
    """Maps the strategy's `observe` over the pool, in batches, and over the further examples.

    Args:
      key: random key, consumed; one for all rows, so that a draw of the model is the same for all.
      strategy: the rule.
      model: whose variables follow.
      variables: of the trained model.
      pool: N rows.
      labels: [N] int32, those that the strategy may know, -1 elsewhere.
      sets: further examples.
    """

    def function(shared, inputs, labels):
        key, variables = shared
        return strategy.observe(key, model, variables, inputs, labels)

    def of_set(examples):
        return map_rows(
            lambda shared, rows: function(shared, *rows),
            (key, variables),
            tuple(examples),
            batch_size=pool.batch_size,
        )

    with explained(f"{strategy_name(strategy)}: observe"):
        observed = pool.map(function, (key, variables), labels)
        return Observed(observed, {name: of_set(some) for name, some in sets.given().items()})


def select(
    key: jax.Array,
    strategy: Strategy,
    observed: Observed,
    labels: jax.Array,
    available: jax.Array,
    budget: int,
    mesh: Mesh | None,
) -> Selection:
    """Has the strategy decide; labels of rows that are available stay hidden.

    Args:
      key: random key, consumed.
      strategy: the rule.
      observed: from `observe`.
      labels: [N] int32, -1 where unknown.
      available: [N] bool.
      budget: how many rows.
      mesh: of the devices that share the rows.

    Raises:
      TypeError: the strategy returns something else than a `Selection` of `budget` rows; any error
        of its own says which strategy it is.
    """
    labels = jnp.where(available, -1, labels)
    view = View(observed.pool, labels, labels >= 0, available, **observed.sets)
    with explained(strategy_name(strategy)), rows_over(mesh):
        selection = strategy.select(key, view, budget)
        check_selection_type(selection, budget)
    # Some rules compute in the widest type there is; what they report is the same everywhere.
    return selection._replace(scores=selection.scores.astype(jnp.float32))


@partial(jax.jit, static_argnames=("strategy", "model", "budget"))
def acquire_unchecked(
    key: jax.Array,
    strategy: Strategy,
    model: Model,
    variables: PyTree,
    pool: Pool,
    available: jax.Array,
    budget: int,
    sets: ExampleSets = NO_SETS,
) -> Selection:
    """`acquire` without its checks, on a placed pool; pure and compiled.

    Args:
      key: random key, consumed.
      strategy: the rule.
      model: whose variables follow.
      variables: of the trained model.
      pool: N rows, padding included.
      available: [N] bool; padding is never available.
      budget: how many rows.
      sets: further examples.
    """
    return _decide(key, strategy, model, variables, pool, available, budget, sets)[0]


def _decide(
    key, strategy, model, variables, pool, available, budget, sets
) -> tuple[Selection, Observed]:
    available = available & pool.valid
    labels = jnp.where(available, -1, pool.labels)
    key_observe, key_select = derive_keys(key, jnp.arange(1, 3))
    observed = observe(key_observe, strategy, model, variables, pool, labels, sets)
    chosen = select(key_select, strategy, observed, labels, available, budget, pool.mesh)
    return chosen, observed


class _Facts(NamedTuple):
    """What is to be looked at on the host after a decision."""

    is_finite: jax.Array  # [] bool, whether the variables are
    flawed_row: jax.Array  # [] int32, of the observation
    free: jax.Array  # [B] bool, whether the picks were available
    left: jax.Array  # [] int32, how many rows were


@partial(jax.jit, static_argnames=("strategy", "model", "budget"))
def _decide_with_facts(
    key, strategy, model, variables, pool, available, budget, sets
) -> tuple[Selection, _Facts]:
    selection, observed = _decide(key, strategy, model, variables, pool, available, budget, sets)
    row = flawed_row(observed.pool, pool.valid)
    free = are_free(selection.rows, available & pool.valid)
    return selection, _Facts(is_finite(variables), row, *free)


def acquire(
    key: jax.Array,
    strategy: Strategy,
    model: Model,
    variables: PyTree,
    inputs: PyTree | Pool,
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
    """Selects the rows of a pool to label next.

    The first call for a strategy, a model and shapes compiles, later ones do not, and a pool that
    has grown or shrunk by some rows does not either: its rows are padded to one of few sizes, at
    most an eighth larger (`pools.size_class`). That costs a copy of the inputs at each call; a pool
    from `jaxal.place` is taken as it is.

    Args:
      key: random key, consumed.
      strategy: from `jaxal.strategies`, or any pair of functions like those.
      model: from `jaxal.models`, or any three functions like those.
      variables: the trained model's.
      inputs: the pool, a pytree of arrays [N, ...] (or row numbers that the model looks up), or a
        pool from `jaxal.place`, which has its labels, batch size and mesh.
      budget: B, how many rows, 1 to the number available.
      labels: [N] integers of the rows labelled already, -1 elsewhere; none, if not given.
      available: [N] bool, rows that may be picked; those without a label, if not given. Labels of
        available rows are hidden from the strategy.
      query: `(inputs, labels)` of examples like those wanted.
      private: `(inputs, labels)` of examples like those to avoid.
      validation: `(inputs, labels)` of held-out examples.
      batch_size: rows that go through the model at once on a device.
      mesh: devices that share the rows (`devices.make_mesh`); the picks are the same.

    Returns:
      `Selection`: rows [B] int32, each once, in the order picked, their scores [B], and weights [B]
      for training if the strategy weighs its picks.

    Raises:
      ValueError: NaN or infinite inputs, labels outside [0, C), leading axes that disagree, a
        budget below 1 or above the rows available, a model whose outputs have the wrong shapes,
        labels or a mesh beside a placed pool. Values are not looked at inside jit; there, missing
        rows are -1.
      ValueError, TypeError: a strategy that returns rows twice, rows that are not available, none
        while some are, or something else than a `Selection`; says which strategy.
      TypeError: a model that does not return `Outputs`, or arguments of another type.
      FloatingPointError: variables, or what the strategy observes, that are not finite.
    """
    devices.check_mesh(mesh)
    sets = ExampleSets(query, private, validation)
    check_strategy(strategy)
    over = inputs.mesh if isinstance(inputs, ArrayPool) else mesh
    devices.check_alike(over, inputs=inputs)
    asked = {"strategy": strategy_name(strategy), "budget": budget, "batch_size": batch_size}
    asked |= {"labels": labels, "available": available, **sets._asdict()}
    devices.check_same(over, key=key, variables=variables, **asked)
    check_key(key)
    check_model_functions("model", model)
    check_integer(1, batch_size=batch_size)
    traced = is_traced(inputs, labels, available)
    pool = _placed(
        inputs, labels, sets, model, variables, mesh=mesh, batch_size=batch_size, traced=traced
    )
    rows = num_rows(inputs)
    available = _available(pool, rows, available)
    check_budget(budget, rows)
    _check_left(budget, available, pool)
    if devices.is_shared(pool.mesh):
        key = devices.replicate(key, pool.mesh)
    variables, sets = devices.replicate((variables, sets), pool.mesh)
    if is_traced(key, variables, pool, available, sets):
        return acquire_unchecked(key, strategy, model, variables, pool, available, budget, sets)
    selection, facts = _decide_with_facts(
        key, strategy, model, variables, pool, available, budget, sets
    )
    selection = processes.whole(selection)
    _check(strategy_name(strategy), selection, jax.device_get(facts))
    return selection


def _placed(
    inputs: PyTree | Pool,
    labels: Any,
    sets: ExampleSets,
    model: Model,
    variables: PyTree,
    *,
    mesh: Mesh | None,
    batch_size: int,
    traced: bool,
) -> Pool:
    """The pool on the devices, once it and the further examples are seen to suit the model."""
    for name, examples in sets.given().items():
        check_structure(examples, name)
    refuse_streamed("inputs", inputs)
    is_placed = isinstance(inputs, ArrayPool)
    if not is_placed:
        check_structure((inputs, labels))
    elif labels is not None or mesh is not None:
        raise ValueError("inputs: a placed pool has labels and a mesh of its own, got more")
    some = inputs.first() if is_placed else inputs
    classes = check_model(model, variables, some)
    check_same_shapes(some, sets.given())
    size = None if traced or is_placed else size_class(num_rows(inputs))
    if not (traced or is_placed):
        check_values((inputs, labels), classes, mesh, size, allow_unknown=True)
    if not traced:
        for name, examples in sets.given().items():
            data.check(examples, classes, name, allow_unknown=name in OF_NO_CLASS)
    if is_placed:
        return inputs
    return put(inputs, labels, mesh, batch_size=batch_size, size=size)


def _check(where: str, selection: Selection, facts: _Facts) -> None:
    if not facts.is_finite:
        raise FloatingPointError("variables: expected finite numbers, got NaN or inf")
    check_observation(where, facts.flawed_row)
    rows, weights = jax.device_get((selection.rows, selection.weights))
    check_selection(where, rows, np.asarray(facts.free), int(facts.left), weights)


def _available(pool: Pool, rows: int, given: Any) -> jax.Array:
    """The rows that may be picked, [N] bool with padding, from a mask of the rows without it."""
    if given is None:
        return pool.labels < 0
    check_mask("available", given, rows)
    if devices.is_shared(pool.mesh):
        return devices.place_rows(given, pool.mesh, len(pool))
    return jnp.zeros(len(pool), bool).at[:rows].set(given)


def _check_left(budget: int, available: jax.Array, pool: Pool) -> None:
    """Raises ValueError if fewer rows than are asked for may be picked."""
    if is_traced(available):
        return
    if devices.is_shared(pool.mesh):
        left = int(jnp.sum(available & pool.valid))
    else:  # compiles nothing
        left = int(np.sum(np.asarray(available) & np.asarray(pool.valid)))
    if budget > left:
        raise ValueError(f"budget: expected 1 to {left} (available rows), got {budget}")
