"""The state that a round hands the next, how it begins, and how labels are told to it.

Shapes never change: the labelled set is a buffer of row numbers with a count, so one trace serves
all rounds. The key of a round is `fold_in(key, round)`: a resumed run equals an unbroken one.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.base import PyTree, Selection
from jaxal.greedy.take import take_balanced, take_top
from jaxal.pools import Pool
from jaxal.training import AnyLearner


class State(NamedTuple):
    """What a round hands the next; M is the capacity, the most labels there will be."""

    rows: jax.Array  # [M] int32, labelled rows in the order labelled, then -1
    labels: jax.Array  # [M] int32, their labels, then -1
    weights: jax.Array  # [M] float32, their weights in training
    count: jax.Array  # [] int32, how many there are
    round: jax.Array  # [] int32
    key: jax.Array  # [] typed key, never consumed: each round folds its number in
    variables: PyTree  # of the newest model


def init(
    key: jax.Array,
    learner: AnyLearner,
    pool: Pool,
    *,
    initial: int | jax.Array,
    capacity: int,
    balanced: bool = False,
) -> State:
    """The state before the first round.

    Args:
      key: random key; it stays in the state.
      learner: whose model is initialised.
      pool: from `jaxal.place`.
      initial: how many rows to draw at random to begin with, or the rows themselves, whose labels
        the pool knows.
      capacity: M, the most labels there will be.
      balanced: draw as many rows of each class, as nearly as can be, if `initial` is a number.

    Returns:
      `State` of round 0.

    Raises:
      ValueError: more initial rows than capacity or pool rows, or none.
    """
    key_rows, key_model, key_rounds = jax.random.split(key, 3)
    if not isinstance(initial, int):
        rows = jnp.asarray(initial, jnp.int32)
    elif balanced:
        rows = take_balanced(key_rows, pool.labels, pool.valid, initial)
    else:
        noise = jax.random.uniform(key_rows, pool.valid.shape)
        rows = take_top(noise, pool.valid, initial).rows
    if not 1 <= len(rows) <= capacity:
        raise ValueError(f"initial: expected 1 to {capacity} (the capacity), got {len(rows)}")
    state = State(
        rows=jnp.full(capacity, -1, jnp.int32),
        labels=jnp.full(capacity, -1, jnp.int32),
        weights=jnp.zeros(capacity, jnp.float32),
        count=jnp.int32(0),
        round=jnp.int32(-1),
        key=key_rounds,
        variables=learner.model.init(key_model, pool.first()),
    )
    return tell(state, rows, pool.labels[rows])


def tell(
    state: State, rows: jax.Array, labels: jax.Array, weights: jax.Array | None = None
) -> State:
    """Adds labelled rows to the state and begins the next round.

    Args:
      state: before.
      rows: [B] int32. Entries from the first -1 on, and rows beyond the capacity, are ignored.
      labels: [B] integers.
      weights: [B] in training; 1 if not given.

    Returns:
      The state of the next round.
    """
    rows = jnp.asarray(rows, jnp.int32)
    used = jnp.cumprod(rows >= 0).astype(bool)
    # Slots past the end are dropped: rows that are not used, and those beyond the capacity.
    slots = jnp.where(used, state.count + jnp.arange(len(rows)), len(state.rows))
    if weights is None:
        weights = jnp.ones(len(rows))
    return state._replace(
        rows=state.rows.at[slots].set(rows),
        labels=state.labels.at[slots].set(jnp.asarray(labels, jnp.int32)),
        weights=state.weights.at[slots].set(jnp.asarray(weights, jnp.float32)),
        count=jnp.minimum(state.count + jnp.sum(used, dtype=jnp.int32), len(state.rows)),
        round=state.round + 1,
    )


def reveal(state: State, pool: Pool, selection: Selection) -> State:
    """Tells the state the labels that the pool, as an oracle, knows of the selected rows."""
    return tell(state, selection.rows, pool.labels[selection.rows], selection.weights)


def known_labels(state: State, pool: Pool) -> jax.Array:
    """The labels told so far by pool row, [N] int32, -1 elsewhere: all that a strategy may know."""
    rows = jnp.where(state.rows >= 0, state.rows, len(pool))
    return jnp.full(len(pool), -1, jnp.int32).at[rows].set(state.labels)


class Keys(NamedTuple):
    """The random keys of a round, by stage."""

    fit: jax.Array
    observe: jax.Array
    select: jax.Array


def round_keys(state: State) -> Keys:
    """The keys of the state's round."""
    keys = jax.random.split(jax.random.fold_in(state.key, state.round), len(Keys._fields))
    return Keys(*keys)
