"""What to ask next: a fit on what was told and the strategy's picks, or picks without a model."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxal import selection
from jaxal.base import Model, PyTree, prepared
from jaxal.labeling.ledger import Told
from jaxal.labeling.parts import Parts
from jaxal.labeling.settings import Settings
from jaxal.labeling.watching import Watched, watch
from jaxal.loop.checkpoint import Checkpoints
from jaxal.loop.state import State, init, round_keys, tell
from jaxal.loop.stepwise import ask
from jaxal.numerics import unit_rows
from jaxal.pools import Pool, place
from jaxal.training import evaluate


class Picked(NamedTuple):
    """Rows to ask for, in order, and what was found out on the way."""

    rows: np.ndarray  # [B] int32
    rule: str  # how they were picked, in words
    scores: np.ndarray | None  # [B]; None of rows that were drawn at random
    weights: np.ndarray | None = None  # [B]
    probabilities: np.ndarray | None = None  # [B, C], the model's
    accuracy: float | None = None  # on the held-out rows
    watched: Watched = Watched(None, {})  # what stopping rules say
    notes: tuple[str, ...] = ()


ROOM = 128
"""Labels that there is room for at least: a program is compiled anew where the room is doubled."""


def start(
    settings: Settings, parts: Parts, told: Told, number: int, mesh: Mesh | None = None
) -> tuple[State, Pool]:
    """The state of a loop that was told all this, before batch `number`, and the pool.

    It depends on nothing else: not on the order in which answers came, or the process.

    Args:
      settings: of the project.
      parts: what it is made of.
      told: what the answers come to.
      number: of the batch, from 1.
      mesh: devices that share the pool's rows; one device if None.
    """
    pool = place(parts.inputs, None, mesh, batch_size=settings.run.batch_size)
    most = max(len(told.rows), len(told.skipped), ROOM)
    room = 1 << (most - 1).bit_length()
    key = jax.random.key(settings.seed)
    state = init(key, parts.learner, pool, initial=0, capacity=room, skips=room)
    if state.num_classes != len(settings.label.classes):
        raise ValueError(
            f"learner: expected a model of {len(settings.label.classes)} classes, as label.classes "
            f"has, got {state.num_classes}"
        )
    # Filled up with -1, which is no row, so that all sittings run the same program.
    rows, labels = np.full((2, 2 * room), -1, np.int32)
    weights = np.ones(2 * room, np.float32)
    count = len(told.rows)
    rows[:count], labels[:count], weights[:count] = told.rows, told.labels, told.weights
    rows[room : room + len(told.skipped)] = told.skipped
    return tell(state, rows, labels, weights)._replace(round=jnp.int32(number - 1)), pool


def pick(
    settings: Settings,
    parts: Parts,
    told: Told,
    number: int,
    budget: int,
    saved: Checkpoints,
    *,
    fitted: bool,
    remembered: Mapping[str, Sequence[Any]],
    mesh: Mesh | None = None,
) -> Picked:
    """Picks the rows of a batch, and saves the variables of the fitted model.

    Args:
      settings: of the project.
      parts: what it is made of.
      told: what the answers come to.
      number: of the batch, from 1.
      budget: B, at most the rows that are left.
      saved: checkpoints by the number of the batch.
      fitted: whether there was a model for the batch before.
      remembered: what stopping rules remembered after that batch.
      mesh: devices that share the pool's rows; one device if None.
    """
    state, pool = start(settings, parts, told, number, mesh)
    if not len(told.rows):
        return _first(settings, parts, told, state, budget)
    notes = []
    if settings.learner.warm_start:
        found = saved.newest(state.variables, lambda where: where["batch"] == number - 1)
        if found is not None:
            state = state._replace(variables=found[1])
        elif fitted:
            notes.append(
                f"the model of batch {number - 1} was not saved: learner.warm_start goes on from "
                "initial variables, and picks may not be those of an unbroken loop"
            )
    state, picks = ask(
        state, parts.learner, parts.strategy, pool, budget, validation=parts.held_out
    )
    saved.save(number, state.variables, {"batch": number})
    watched = watch(settings.label.stop, parts, state, pool, remembered)
    model, variables, accuracy = parts.learner.model, state.variables, None
    if parts.held_out is not None:
        size = settings.run.batch_size
        accuracy = float(_evaluate(model, variables, *parts.held_out, batch_size=size).accuracy)
    probabilities = _probabilities(model, variables, pool.take(jnp.maximum(picks.rows, 0)))
    there = np.asarray(picks.rows) >= 0
    weights = None if picks.weights is None else np.asarray(picks.weights)[there]
    rows, scores, likely = (
        np.asarray(values)[there] for values in (picks.rows, picks.scores, probabilities)
    )
    rule = parts.strategy.name or "a strategy of one's own"
    return Picked(rows, rule, scores, weights, likely, accuracy, watched, tuple(notes))


_evaluate = jax.jit(evaluate, static_argnames=("model", "batch_size"))


@partial(jax.jit, static_argnames="model")
def _probabilities(model: Model, variables: PyTree, inputs: PyTree) -> jax.Array:
    """Of each class, [B, C], for inputs [B, ...]."""
    return jax.nn.softmax(model.apply(variables, inputs).logits)


def first_rule(settings: Settings, parts: Parts) -> str:
    """How rows are picked while there is no label; raises ValueError if they cannot be so."""
    blind = parts.features is None and parts.tokens
    rule = settings.label.first or ("random" if blind else "k_center")
    if blind and rule != "random":
        raise ValueError(
            f"label.first: expected random, as token ids have no distances, got {rule!r}; "
            "label.features names vectors that have"
        )
    return rule


def _first(settings: Settings, parts: Parts, told: Told, state: State, budget: int) -> Picked:
    """Rows to begin with, picked without a model: there is no label that one could learn from."""
    rule, key = first_rule(settings, parts), round_keys(state).select
    available = jnp.ones(len(parts.items.ids), bool).at[told.skipped].set(False)
    if rule == "random":
        picks = selection.take_top(jax.random.uniform(key, available.shape), available, budget)
        return Picked(np.asarray(picks.rows), "random, without a model", None)
    points, of = parts.features, "label.features"
    if points is None:
        points, of = _flat(prepared(parts.learner.model, parts.inputs)), "the inputs"
    points = jnp.asarray(points)
    if rule == "k_center":
        picks = selection.k_center(points, available, budget)
    elif rule == "k_means":
        picks = selection.k_means(key, points, available, budget)
    else:  # which compares what has length 1, as its bandwidth of 1 supposes
        picks = selection.herding(unit_rows(points), available, budget)
    rows, scores = np.asarray(picks.rows), np.asarray(picks.scores)
    return Picked(rows, f"{rule} of {of}, without a model", scores)


def _flat(inputs: PyTree) -> np.ndarray:
    """All numbers of a row as one vector, float32 [N, D]."""
    leaves = [np.asarray(leaf, np.float32) for leaf in jax.tree.leaves(inputs)]
    return np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)


def listed(values: np.ndarray | None) -> list[float | None] | None:
    """The values for JSON, which has no infinity, as the first score of k-center is."""
    if values is None:
        return None
    return [value if math.isfinite(value) else None for value in values.astype(float).tolist()]


def suggestions(picked: Picked, classes: tuple[str, ...]) -> list[list[Any]] | None:
    """For each pick the likeliest class and its probability, if there was a model."""
    if picked.probabilities is None:
        return None
    best, chances = picked.probabilities.argmax(1), listed(picked.probabilities.max(1))
    return [[classes[k], chance] for k, chance in zip(best, chances or (), strict=True)]
