"""What a strategy does, on a pool: it observes the rows, and decides on what it observed."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxal.base import Model, PyTree, Selection, Strategy, View
from jaxal.loop.plan import ExampleSets
from jaxal.loop.returned import (
    are_free,
    check_selection_type,
    explained,
    flawed_row,
    is_finite,
    strategy_name,
)
from jaxal.numerics import are_targets, derive_keys, is_known, unknown_label
from jaxal.pools import Pool, map_rows
from jaxal.rows import rows_over
from jaxal.sameness import ByStructure
from jaxal.threefry import short_key


class Observed(NamedTuple):
    """What a strategy observed of the pool, leaves [N, ...], and of each further set."""

    pool: PyTree
    sets: dict[str, PyTree]  # by the field names of `View`


@dataclass(frozen=True, eq=False)
class Observer(ByStructure):
    """What is mapped over the rows of a pool; equal ones share compiled programs.

    Attributes:
      strategy: whose `observe` is called.
      model: whose variables are shared.
      seeds: whether keys and variables are those of several seeds, [S, ...], and labels [n, S]; the
        results are then [n, S, ...].
    """

    strategy: Strategy
    model: Model
    seeds: bool = False

    def __call__(self, shared: PyTree, inputs: PyTree, labels: jax.Array) -> PyTree:
        """What the strategy observes of a batch, by the shared (key, variables)."""
        key, variables = shared

        def one(key, variables, labels):
            return self.strategy.observe(key, self.model, variables, inputs, labels)

        if self.seeds:
            return jax.vmap(one, (0, 0, 1), out_axes=1)(key, variables, labels)
        return one(key, variables, labels)


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
    check_task(strategy, labels)
    observer, shared = Observer(strategy, model), (short_key(key), variables)
    with explained(f"{strategy_name(strategy)}: observe"):
        observed = pool.map(observer, shared, labels)
        if not sets.given():
            return Observed(observed, {})
        return Observed(observed, observe_sets(observer, shared, sets, pool.batch_size))


@partial(jax.jit, static_argnames=("observer", "batch_size"))
def observe_sets(
    observer: Observer, shared: PyTree, sets: ExampleSets, batch_size: int
) -> dict[str, Any]:
    """What is observed of further examples, by name.

    Args:
      observer: of one seed.
      shared: (key, variables).
      sets: the examples.
      batch_size: rows that go through the model at once.
    """

    def of_set(examples):
        return map_rows(
            lambda shared, rows: observer(shared, *rows),
            shared,
            tuple(examples),
            batch_size=batch_size,
        )

    return {name: of_set(some) for name, some in sets.given().items()}


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
    labels = hidden(available, labels)
    view = View(observed.pool, labels, is_known(labels), available, **observed.sets)
    with explained(strategy_name(strategy)), rows_over(mesh):
        selection = strategy.select(short_key(key), view, budget)
        check_selection_type(selection, budget)
    # Some rules compute in the widest type there is; what they report is the same everywhere.
    return selection._replace(scores=selection.scores.astype(jnp.float32))


def hidden(available: jax.Array, labels: jax.Array) -> jax.Array:
    """The labels [N], unknown where rows are available."""
    return jnp.where(available, jnp.asarray(unknown_label(labels.dtype), labels.dtype), labels)


def check_task(strategy: Strategy, labels: jax.Array) -> None:
    """Raises ValueError if a strategy that needs classes is to select in a regression."""
    if are_targets(labels) and strategy.regresses is False:
        raise ValueError(
            f"{strategy_name(strategy)}: needs the probabilities of classes, and this is a "
            "regression, whose labels are floats; of those that work there, jaxal.strategies."
            "names(task='regression') tells"
        )


class Facts(NamedTuple):
    """What is to be looked at on the host after a decision."""

    is_finite: jax.Array  # [] bool, whether the variables are
    flawed_row: jax.Array  # [] int32, of the observation
    free: jax.Array  # [B] bool, whether the picks were available
    left: jax.Array  # [] int32, how many rows were


def decide(
    key, strategy, model, variables, pool, available, budget, sets
) -> tuple[Selection, Observed]:
    """Observes the pool, and selects: arguments as of `acquire_unchecked`."""
    keys, labels, available = _known(key, pool, available)
    observed = observe(keys[0], strategy, model, variables, pool, labels, sets)
    chosen = select(keys[1], strategy, observed, labels, available, budget, pool.mesh)
    return chosen, observed


@partial(jax.jit, static_argnames=("strategy", "model", "budget"))
def decide_in_memory(
    key, strategy, model, variables, pool, available, budget, sets
) -> tuple[Selection, Facts]:
    """`decide` as one program, with what is to be looked at afterwards."""
    selection, observed = decide(key, strategy, model, variables, pool, available, budget, sets)
    return selection, _facts(variables, pool, available, observed, selection)


def decide_streamed(
    key, strategy, model, variables, pool, available, budget, sets
) -> tuple[Selection, Facts]:
    """The same of a pool whose rows are read: what comes before and after is compiled."""
    keys, labels, available = known_compiled(key, pool, available)
    observed = observe(keys[0], strategy, model, variables, pool, labels, sets)
    return _select_with_facts(
        keys[1], strategy, variables, pool, labels, available, observed, budget
    )


def _known(
    key: jax.Array, pool: Pool, available: jax.Array
) -> tuple[tuple[jax.Array, ...], jax.Array, jax.Array]:
    """The keys to observe and to select by, the labels that a strategy may know, and the mask."""
    keys, available = tuple(derive_keys(key, jnp.arange(1, 3))), available & pool.valid
    return keys, hidden(available, pool.labels), available


known_compiled = jax.jit(_known)


@partial(jax.jit, static_argnames=("strategy", "budget"))
def _select_with_facts(
    key, strategy, variables, pool, labels, available, observed, budget
) -> tuple[Selection, Facts]:
    chosen = select(key, strategy, observed, labels, available, budget, pool.mesh)
    return chosen, _facts(variables, pool, available, observed, chosen)


def _facts(variables, pool, available, observed, selection) -> Facts:
    row = flawed_row(observed.pool, pool.valid)
    free = are_free(selection.rows, available & pool.valid)
    return Facts(is_finite(variables), row, *free)
