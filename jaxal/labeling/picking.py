"""What to ask next: a fit on what was told and the strategy's picks, or picks without a model."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxal import selection
from jaxal.base import Model, PyTree, Selection, prepared
from jaxal.labeling.ledger import Told
from jaxal.labeling.parts import Parts
from jaxal.labeling.settings import Settings
from jaxal.loop.checkpoint import Checkpoints
from jaxal.loop.state import State, init, round_keys
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
    notes: tuple[str, ...] = ()


def start(settings: Settings, parts: Parts, told: Told, number: int) -> tuple[State, Pool]:
    """The state of a loop that was told all this, before batch `number`, and the pool.

    It depends on nothing else: not on the order in which answers came, or the process.

    Args:
      settings: of the project.
      parts: what it is made of.
      told: what the answers come to.
      number: of the batch, from 1.
    """
    pool = place(parts.inputs, None, batch_size=settings.config.run.batch_size)
    plan = settings.config.strategy
    # Room in whole plans, so that the rounds of one share their compiled programs.
    planned = plan.initial + plan.rounds * plan.budget
    capacity, skips = (planned * (1 + len(rows) // planned) for rows in (told.rows, told.skipped))
    key = jax.random.key(settings.config.seed)
    state = init(key, parts.learner, pool, initial=0, capacity=capacity, skips=skips)
    if state.num_classes != len(settings.label.classes):
        raise ValueError(
            f"learner: expected a model of {len(settings.label.classes)} classes, as label.classes "
            f"has, got {state.num_classes}"
        )
    return state._replace(
        rows=_filled(told.rows, capacity, -1),
        labels=_filled(told.labels, capacity, -1),
        weights=_filled(told.weights, capacity, 0),
        count=jnp.int32(len(told.rows)),
        skipped=_filled(told.skipped, skips, -1),
        round=jnp.int32(number - 1),
    ), pool


def _filled(values: np.ndarray, size: int, rest: float) -> jax.Array:
    buffer = np.full(size, rest, values.dtype)
    buffer[: len(values)] = values
    return jnp.asarray(buffer)


def pick(
    settings: Settings,
    parts: Parts,
    told: Told,
    number: int,
    budget: int,
    saved: Checkpoints,
    *,
    fitted: bool,
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
    """
    state, pool = start(settings, parts, told, number)
    if not len(told.rows):
        return _first(settings, parts, told, state, budget)
    notes = []
    if settings.config.learner.warm_start:
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
    there = np.asarray(picks.rows) >= 0
    model, variables, accuracy = parts.learner.model, state.variables, None
    if parts.held_out is not None:
        size = settings.config.run.batch_size
        accuracy = float(_evaluate(model, variables, *parts.held_out, batch_size=size).accuracy)
    probabilities = _probabilities(model, variables, pool.take(jnp.maximum(picks.rows, 0)))
    rows, scores = np.asarray(picks.rows)[there], np.asarray(picks.scores)[there]
    return Picked(
        rows,
        parts.strategy.name or "a strategy of one's own",
        scores,
        None if picks.weights is None else np.asarray(picks.weights)[there],
        np.asarray(probabilities)[there],
        accuracy,
        tuple(notes),
    )


_evaluate = jax.jit(evaluate, static_argnames=("model", "batch_size"))


@partial(jax.jit, static_argnames="model")
def _probabilities(model: Model, variables: PyTree, inputs: PyTree) -> jax.Array:
    return jax.nn.softmax(model.apply(variables, inputs).logits)


def _first(settings: Settings, parts: Parts, told: Told, state: State, budget: int) -> Picked:
    """Rows to begin with, picked without a model: there is no label that one could learn from."""
    rule = settings.label.first
    blind = parts.features is None and parts.tokens
    if blind and rule not in (None, "random"):
        raise ValueError(
            f"label.first: expected random, as token ids have no distances, got {rule!r}; "
            "label.features names vectors that have"
        )
    rule = rule or ("random" if blind else "k_center")
    available = np.ones(len(parts.items.ids), bool)
    available[told.skipped] = False
    key = round_keys(state).select
    if rule == "random":
        scores = jax.random.uniform(key, available.shape)
        picks = selection.take_top(scores, jnp.asarray(available), budget)
        return _without_model(picks, "random", None)
    points, of = parts.features, "label.features"
    if points is None:
        points, of = _flat(prepared(parts.learner.model, parts.inputs)), "the inputs"
    points, usable = jnp.asarray(points), jnp.asarray(available)
    if rule == "k_center":
        picks = selection.k_center(points, usable, budget)
    elif rule == "k_means":
        picks = selection.k_means(key, points, usable, budget)
    else:  # which compares what has length 1, as its bandwidth of 1 supposes
        picks = selection.herding(unit_rows(points), usable, budget)
    return _without_model(picks, f"{rule} of {of}", picks.scores)


def _flat(inputs: PyTree) -> np.ndarray:
    leaves = [np.asarray(leaf, np.float32) for leaf in jax.tree.leaves(inputs)]
    return np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)


def _without_model(picks: Selection, rule: str, scores: Any) -> Picked:
    rows = np.asarray(picks.rows)
    there = rows >= 0
    kept = None if scores is None else np.asarray(scores)[there]
    return Picked(rows[there], f"{rule}, without a model", kept)
