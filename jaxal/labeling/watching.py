"""Stopping rules of `jaxal.stopping` in a label project: what they remember is in its journal."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxal.base import PyTree
from jaxal.labeling.parts import Parts
from jaxal.labeling.stopping import StopConfig, rules_of
from jaxal.loop.plan import ExampleSets
from jaxal.loop.round import watch_rows
from jaxal.loop.state import State
from jaxal.loop.stop_set import drawn_rows
from jaxal.pools import Pool
from jaxal.stopping.rules import Rule
from jaxal.stopping.watch import Stopped, Watch, begin, needs, reason
from jaxal.training import AnyLearner, Metrics


class Watched(NamedTuple):
    """What the rules say after a fit, and what they remember, for the journal."""

    reason: str | None  # why to stop, in words
    memory: dict[str, list[Any]]  # of each rule, by how it is written: its arrays as lists


def watch(
    stop: StopConfig, parts: Parts, state: State, pool: Pool, before: Mapping[str, Sequence[Any]]
) -> Watched:
    """Has the rules look at a model that was just fitted.

    Args:
      stop: the settings.
      parts: of the project.
      state: with the fitted variables.
      pool: of the project; the rules that look at predictions look at the same rows each time.
      before: what they remembered after the batch before; a rule that is not there begins.
    """
    rules = rules_of(stop)
    if not rules:
        return Watched(None, {})
    size = min(stop.rows, len(parts.items.ids))
    rows = drawn_rows(len(parts.items.ids), size)
    start = begin(rules, size, int(state.num_classes))
    memory = tuple(
        _restored(own, before.get(repr(rule)))
        for rule, own in zip(rules, start.memory, strict=True)
    )
    stop_set = pool.take(jnp.asarray(rows, jnp.int32)) if needs(rules, "stop_set") else None
    labelled = pool.take(jnp.maximum(state.rows, 0)) if needs(rules, "labelled") else None
    state = state._replace(stop=Watch(memory, start.stopped))
    looked: Watch = _look(
        state, labelled, stop_set, learner=parts.learner, rules=rules, batch_size=pool.batch_size
    )
    kept = {
        repr(rule): [_listed(np.asarray(leaf)) for leaf in jax.tree.leaves(own)]
        for rule, own in zip(rules, looked.memory, strict=True)
    }
    return Watched(reason(rules, Stopped(*looked.stopped)), kept)


@partial(jax.jit, static_argnames=("learner", "rules", "batch_size"))
def _look(
    state: State,
    labelled: PyTree,
    stop_set: PyTree,
    *,
    learner: AnyLearner,
    rules: tuple[Rule, ...],
    batch_size: int,
) -> Watch:
    nothing = jnp.float32(jnp.nan)  # no rule here looks at a test
    tested = Metrics(loss=nothing, accuracy=nothing)
    sets = ExampleSets(stop_set=stop_set)
    after = watch_rows(
        state, labelled, sets, tested, learner=learner, stop=rules, batch_size=batch_size
    )
    return after.stop


def _restored(own: PyTree, kept: Sequence[Any] | None) -> PyTree:
    """What a rule remembers, from the journal; as it begins if that is of another form."""
    leaves, structure = jax.tree.flatten(own)
    if kept is None or [np.shape(one) for one in kept] != [leaf.shape for leaf in leaves]:
        return own
    arrays = [np.asarray(one, leaf.dtype) for one, leaf in zip(kept, leaves, strict=True)]
    return jax.tree.unflatten(structure, [jnp.asarray(one) for one in arrays])


def _listed(values: np.ndarray) -> Any:
    """The values as lists for JSON, where a number that is not finite is its name."""
    finite = np.isfinite(values)
    if finite.all():
        return values.tolist()
    return np.where(finite, values.astype(object), values.astype(str)).tolist()
