"""One decision: which rows of a pool to label next, given a trained model."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxal import data, processes
from jaxal.base import Model, PyTree, Selection, Strategy
from jaxal.checks import (
    check_budget,
    check_integer,
    check_key,
    check_mask,
    is_traced,
)
from jaxal.data.checks import check_labels, check_structure, check_task
from jaxal.loop.copied import decide_copied, rule_of
from jaxal.loop.decision import Facts, decide, decide_in_memory, decide_streamed
from jaxal.loop.plan import NO_SETS, OF_NO_CLASS, ExampleSets, check_model, check_same_shapes
from jaxal.loop.returned import (
    check_observation,
    check_selection,
    check_strategy,
    strategy_name,
)
from jaxal.loop.sources import refuse_processes
from jaxal.numerics import is_known, num_rows
from jaxal.pools import ArrayPool, Pool, StreamedPool, devices, size_class, stream
from jaxal.pools.memory import check_values, put
from jaxal.pools.sources import are_sources, check_sources
from jaxal.training.base import check_model_functions


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
    return decide(key, strategy, model, variables, pool, available, budget, sets)[0]


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
        pool from `jaxal.place`, which has its labels, batch size and mesh. A pool on disk
        (`pools.open`), memory maps outside of jit, any `pools.Source`, or a pool from
        `pools.stream` is read block by block, and so may be larger than any memory; the picks are
        the same.
      budget: B, how many rows, 1 to the number available.
      labels: [N] integers of the rows labelled already, -1 elsewhere, or the targets of a
        regression, floats, NaN elsewhere; none, if not given. Those that a pool on disk has itself
        are not looked at.
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
      ValueError: NaN or infinite inputs in memory, labels outside [0, C), leading axes that
        disagree, a budget below 1 or above the rows available, a model whose outputs have the wrong
        shapes, labels or a mesh beside a placed pool, a pool that is read where several processes
        share the mesh. Values are not looked at inside jit; there, missing rows are -1.
      ValueError, TypeError: a strategy that returns rows twice, rows that are not available, none
        while some are, or something else than a `Selection`; says which strategy.
      TypeError: a model that does not return `Outputs`, arguments of another type, or a pool that
        is read where something is traced.
      FloatingPointError: variables, or what the strategy observes, that are not finite.
    """
    devices.check_mesh(mesh)
    sets = ExampleSets(query, private, validation)
    check_strategy(strategy)
    over = inputs.mesh if isinstance(inputs, ArrayPool | StreamedPool) else mesh
    devices.check_alike(over, inputs=inputs)
    asked = {"strategy": strategy_name(strategy), "budget": budget, "batch_size": batch_size}
    asked |= {"labels": labels, "available": available, **sets._asdict()}
    devices.check_same(over, key=key, variables=variables, **asked)
    check_key(key)
    check_model_functions("model", model)
    check_integer(1, batch_size=batch_size)
    inside_jit = is_traced(key, variables, inputs, labels, available, sets)
    is_read = are_sources(inputs, maps=not inside_jit)
    if is_read or isinstance(inputs, StreamedPool):
        refuse_processes("inputs", over)
    pool = _placed(
        inputs,
        labels,
        sets,
        partial(check_model, model, variables),
        mesh=mesh,
        batch_size=batch_size,
        traced=is_traced(inputs, labels, available),
        is_read=is_read,
    )
    rows = num_rows(inputs)
    available = _available(pool, rows, available)
    check_budget(budget, rows)
    _check_left(budget, available, pool)
    if devices.is_shared(pool.mesh):
        key = devices.replicate(key, pool.mesh)
    variables, sets = devices.replicate((variables, sets), pool.mesh)
    if inside_jit:
        return acquire_unchecked(key, strategy, model, variables, pool, available, budget, sets)
    decide = _decision(strategy, pool)
    selection, facts = decide(key, strategy, model, variables, pool, available, budget, sets)
    if is_traced(selection):  # in a program none of whose tracers is an argument here
        return selection
    selection = processes.whole(selection)
    _check(strategy_name(strategy), selection, jax.device_get(facts))
    return selection


def _decision(strategy: Strategy, pool: Pool) -> Callable[..., tuple[Selection, Facts]]:
    """How it is decided, by where the rows are and what is kept of them."""
    if not isinstance(pool, StreamedPool):
        return decide_in_memory
    return decide_streamed if rule_of(strategy) is None else decide_copied


def _placed(
    inputs: PyTree | Pool,
    labels: Any,
    sets: ExampleSets,
    classes_of: Callable[[PyTree], int],
    *,
    mesh: Mesh | None,
    batch_size: int,
    traced: bool,
    is_read: bool,
) -> Pool:
    """The pool, once it and the further examples are seen to suit the model."""
    for name, examples in sets.given().items():
        check_structure(examples, name)
    pool = None
    if isinstance(inputs, ArrayPool | StreamedPool):
        if labels is not None or mesh is not None:
            raise ValueError("inputs: a placed pool has labels and a mesh of its own, got more")
        pool = inputs
    elif is_read:
        pool = _streamed(inputs, labels, mesh, batch_size)
    else:
        check_structure((inputs, labels))
    some = inputs if pool is None else pool.first()
    classes = classes_of(some)
    if labels is None and classes == 1 and (pool is None or is_read):  # a regression
        labels = (jnp if traced else np).full(num_rows(inputs), jnp.nan, jnp.float32)
        pool = _streamed(inputs, labels, mesh, batch_size) if is_read else None
    if labels is not None:
        check_task(labels, classes, "labels")
    elif pool is not None:
        check_task(pool.labels, classes, "inputs: labels of the placed pool")
    check_same_shapes(some, sets.given())
    size = None if traced or pool is not None else size_class(num_rows(inputs))
    if not traced:
        if is_read and labels is not None:
            check_labels(labels, classes, "pool labels", allow_unknown=True)
        elif pool is None:
            check_values((inputs, labels), classes, mesh, size, allow_unknown=True)
        for name, examples in sets.given().items():
            data.check(examples, classes, name, allow_unknown=name in OF_NO_CLASS)
    if pool is not None:
        return pool
    return put(inputs, labels, mesh, batch_size=batch_size, size=size)


def _streamed(inputs: PyTree, labels: Any, mesh: Mesh | None, batch_size: int) -> StreamedPool:
    """The pool of rows that are read, padded to one of few sizes."""
    size = size_class(max(check_sources(inputs), 1))
    return stream(inputs, labels, mesh, batch_size=batch_size, size=size)


def _check(where: str, selection: Selection, facts: Facts) -> None:
    if not facts.is_finite:
        raise FloatingPointError("variables: expected finite numbers, got NaN or inf")
    check_observation(where, facts.flawed_row)
    rows, weights = jax.device_get((selection.rows, selection.weights))
    check_selection(where, rows, np.asarray(facts.free), int(facts.left), weights)


def _available(pool: Pool, rows: int, given: Any) -> jax.Array:
    """The rows that may be picked, [N] bool with padding, from a mask of the rows without it."""
    if given is None:
        return ~is_known(pool.labels)
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
