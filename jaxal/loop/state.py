"""The state that a round hands the next, how it begins, and how labels are told to it.

Shapes never change: the labelled set is a buffer of row numbers with a count, so one trace serves
all rounds. The key of a round is `fold_in(key, round)`: a resumed run equals an unbroken one.
Nothing in a state is as long as the pool, so it is the same on any number of devices.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxal import processes
from jaxal.base import PyTree, Selection
from jaxal.checks import (
    check_flag,
    check_integer,
    check_key,
    describe,
    is_integer,
    is_traced,
)
from jaxal.data.checks import check_task
from jaxal.greedy.take import take_balanced, take_per_class, take_top
from jaxal.loop.answers import (
    Told,
    check_answers,
    check_classes_to_count,
    check_initial_counts,
    check_initial_rows,
)
from jaxal.loop.plan import check_model, check_pool
from jaxal.numerics import are_targets, is_known, unknown_label
from jaxal.pools import Pool, devices
from jaxal.threefry import short_key, with_kind
from jaxal.training import AnyLearner
from jaxal.training.base import check_learner

ANSWERED = ("rows", "labels", "weights", "count", "skipped", "round")
"""The fields of a state that answers change."""


class State(NamedTuple):
    """What a round hands the next; M is the capacity, S the room for skipped rows."""

    rows: jax.Array  # [M] int32, labelled rows in the order labelled, then -1
    labels: jax.Array  # [M] int32, their labels, then -1; of a regression float32, then NaN
    weights: jax.Array  # [M] float32, their weights in training
    count: jax.Array  # [] int32, how many there are
    skipped: jax.Array  # [S] int32, rows that were answered with -1, in that order, then -1
    round: jax.Array  # [] int32
    key: jax.Array  # [] typed key, never consumed: each round folds its number in
    variables: PyTree  # of the newest model
    pool_rows: jax.Array  # [] int32, N without padding
    num_classes: jax.Array  # [] int32, C; 1 is a regression
    stop: Any = None  # the `Watch`: what stopping rules remember, in a loop that has some


def init(
    key: jax.Array,
    learner: AnyLearner,
    pool: Pool,
    *,
    initial: int | Any,
    capacity: int,
    balanced: bool = False,
    skips: int | None = None,
) -> State:
    """The state before the first round.

    A loop in which people label begins with the rows whose labels are known, or with none:
    `initial=0`, and the first rows asked for are best drawn by `strategies.random()`.

    Args:
      key: random key; it stays in the state.
      learner: whose model is initialised.
      pool: from `jaxal.place` or `jaxal.pools.stream`.
      initial: how many rows to draw at random to begin with, of those whose labels the pool knows,
        or these rows themselves; may be 0 or empty. A mapping {class: count} draws so many of each.
      capacity: M, the most labels there will be.
      balanced: draw as many rows of each class, as nearly as can be, if `initial` is a number.
      skips: S, the most rows that will be skipped; as many as the capacity, if not given.

    Returns:
      `State` of round 0.

    Raises:
      TypeError: arguments of another type.
      ValueError: more initial rows than the capacity has room for or the pool knows labels of (in
        a class, if it is counted by class), rows that are not in the pool, have no label or come
        twice, or labels outside [0, C).
    """
    check_key(key)
    check_learner(learner)
    check_pool(pool)
    given = {"initial": initial, "balanced": balanced, "capacity": capacity, "skips": skips}
    devices.check_same(pool.mesh, key=key, **given)
    check_integer(1, capacity=capacity)
    check_flag(balanced=balanced)
    skips = capacity if skips is None else skips
    check_integer(0, skips=skips)
    key_rows, key_model, key_rounds = jax.random.split(key, 3)
    variables = learner.model.init(key_model, pool.first())
    num_classes = check_model(learner.model, variables, pool.first())
    check_task(pool.labels, num_classes, "pool labels")
    by_class = isinstance(initial, Mapping)
    check_classes_to_count(pool.labels, balanced=balanced, by_class=by_class)
    if not is_traced(pool.labels, pool.valid, initial):
        _check_initial(pool, initial, capacity, num_classes)
    if isinstance(initial, Mapping):
        rows = take_per_class(key_rows, pool.labels, pool.valid, initial)
    else:
        rows = initial
        if is_integer(initial):
            known = pool.valid & is_known(pool.labels)
            rows = _draw(key_rows, pool.labels, known, int(initial), balanced)
    rows = jnp.asarray(rows, jnp.int32)
    state = State(
        rows=jnp.full(capacity, -1, jnp.int32),
        labels=jnp.full(capacity, unknown_label(pool.labels.dtype), pool.labels.dtype),
        weights=jnp.zeros(capacity, jnp.float32),
        count=jnp.int32(0),
        skipped=jnp.full(skips, -1, jnp.int32),
        round=jnp.int32(-1),
        key=key_rounds,
        variables=variables,
        pool_rows=pool_size(pool),
        num_classes=jnp.int32(num_classes),
    )
    state = _add(state, rows, _of_rows(pool.labels, rows), None)
    if devices.is_shared(pool.mesh) and not is_traced(state):
        state = devices.replicate(state, pool.mesh)
    return state


@partial(jax.jit, static_argnames=("count", "balanced"))
def _draw(
    key: jax.Array, labels: jax.Array, known: jax.Array, count: int, balanced: bool
) -> jax.Array:
    """So many rows of known labels; -1 where there are fewer."""
    if count == 0:
        return jnp.zeros(0, jnp.int32)
    if balanced:
        return take_balanced(key, labels, known, count)
    return take_top(jax.random.uniform(key, known.shape), known, count).rows


@jax.jit
def pool_size(pool: Pool) -> jax.Array:
    """[] int32, the rows of the pool without the padding at its end."""
    return (len(pool) - jnp.argmax(pool.valid[::-1])).astype(jnp.int32)


@jax.jit
def _known(pool: Pool) -> tuple[jax.Array, jax.Array]:
    """How many rows have a label that is known, and the largest class."""
    known = pool.valid & is_known(pool.labels)
    classes = jnp.zeros(len(pool), jnp.int32) if are_targets(pool.labels) else pool.labels
    return jnp.sum(known), jnp.max(jnp.where(known, classes, -1))


def _check_initial(pool: Pool, initial: Any, capacity: int, num_classes: int) -> None:
    known, largest = map(int, _known(pool))
    if largest >= num_classes:
        raise ValueError(f"pool labels: expected 0 to {num_classes - 1}, got {largest}")
    if is_integer(initial):
        most = min(capacity, known)
        if not 0 <= initial <= most:
            raise ValueError(
                f"initial: expected 0 to {most}, got {initial}: the capacity is {capacity}, and "
                f"the pool knows the labels of {known} rows"
            )
        return
    if isinstance(initial, Mapping):
        valid, labels = processes.to_host((pool.valid, pool.labels))
        check_initial_counts(initial, np.where(valid, labels, -1))
        count = sum(initial.values())
    else:
        count = len(check_initial_rows(initial, pool.labels, int(pool_size(pool))))
    if count > capacity:
        raise ValueError(f"initial: expected at most {capacity} (the capacity), got {count}")


def tell(state: State, rows: Any, labels: Any, weights: Any = None) -> State:
    """Adds answers to the state and begins the next round.

    A row of -1 is no row, and is passed over wherever it stands. A label of -1 means that the row
    was skipped: it is not trained on, not asked again, takes none of the capacity, and is kept in
    `State.skipped`. A label that is told later is taken.

    Args:
      state: before.
      rows: [B] integers, each once; an array or a list.
      labels: [B] integers, from 0 to C - 1, or -1; of a regression finite numbers, or NaN, which
        means what -1 does.
      weights: [B] in training, at least 0; 1 if not given.

    Returns:
      The state of the next round.

    Raises:
      TypeError: no state, rows or classes that are not integers, targets or weights that are not
        numbers.
      ValueError: lengths that disagree, rows outside the pool, labelled already or told twice,
        labels outside [0, C), weights that are negative or not finite, or more answers than there
        is room for (`enlarge` makes more). Nothing is checked of values that are traced: there,
        answers beyond the room are dropped.
    """
    check_state(state)
    if not is_traced(state.rows, state.count, rows, labels, weights):
        if processes.is_shared(state.rows):
            processes.check_same(rows=rows, labels=labels, weights=weights)
        if state.rows.ndim != 1:
            raise ValueError("state: expected that of one seed; jax.vmap tells several")
        check_answers(_told(state), rows, labels, weights)
    return _add(state, rows, labels, weights)


def check_state(state: Any) -> None:
    """Raises TypeError unless it is a state."""
    if not isinstance(state, State):
        raise TypeError(f"state: expected a State, as jaxal.init returns, got {describe(state)}")


def _add(state: State, rows: Any, labels: Any, weights: Any) -> State:
    """`tell` without its checks."""
    rows, labels = jnp.asarray(rows, jnp.int32), jnp.asarray(labels, state.labels.dtype)
    weights = None if weights is None else jnp.asarray(weights)
    before = {name: getattr(state, name) for name in ANSWERED}
    return state._replace(**_filled(before, rows, labels, weights))


@jax.jit
def _of_rows(labels: jax.Array, rows: jax.Array) -> jax.Array:
    """The labels [B] of these rows."""
    return labels[rows]


@jax.jit  # where people label nothing around it is compiled, and it is a dozen operations
def _filled(
    before: dict[str, jax.Array], rows: jax.Array, labels: jax.Array, weights: jax.Array | None
) -> dict[str, jax.Array]:
    """The fields ANSWERED once the answers [B] are added: rows, labels, weights (ones if None)."""
    weights = jnp.ones(len(rows)) if weights is None else weights
    used, known, skipped = rows >= 0, is_known(labels), before["skipped"]
    labelled, capacity = used & known, len(before["rows"])
    slots = _slots(labelled, before["count"], capacity)
    if len(skipped):
        taken = jnp.sum(skipped >= 0, dtype=jnp.int32)
        places = _slots(used & ~known, taken, len(skipped))
        skipped = skipped.at[places].set(rows)
    count = before["count"] + jnp.sum(labelled, dtype=jnp.int32)
    return {
        "rows": before["rows"].at[slots].set(rows),
        "labels": before["labels"].at[slots].set(labels),
        "weights": before["weights"].at[slots].set(weights.astype(jnp.float32)),
        "count": jnp.minimum(count, capacity),
        "skipped": skipped,
        "round": before["round"] + 1,
    }


def _slots(used: jax.Array, taken: jax.Array, size: int) -> jax.Array:
    """Places in a buffer for what is used; past its end, where writing does nothing, for the rest.

    Args:
      used: [B] bool.
      taken: [] int32, entries of the buffer that are in use.
      size: of the buffer.
    """
    return jnp.where(used, taken + jnp.cumsum(used, dtype=jnp.int32) - 1, size)


def _told(state: State) -> Told:
    rows, skipped = processes.to_host((state.rows, state.skipped))
    return Told(rows, skipped, int(state.count), int(state.pool_rows), int(state.num_classes))


def enlarge(state: State, *, capacity: int | None = None, skips: int | None = None) -> State:
    """The same state with more room; the next round compiles anew.

    Args:
      state: of one seed.
      capacity: M, the most labels there will be; as before, if not given.
      skips: S, the most rows that will be skipped; as before, if not given.

    Returns:
      `State`.

    Raises:
      TypeError: a number that is not an integer.
      ValueError: less room than before.
    """
    check_state(state)
    more = []
    for name, wanted, buffer in (
        ("capacity", capacity, state.rows),
        ("skips", skips, state.skipped),
    ):
        wanted = len(buffer) if wanted is None else wanted
        check_integer(len(buffer), **{name: wanted})
        more.append((0, wanted - len(buffer)))
    return state._replace(
        rows=jnp.pad(state.rows, more[0], constant_values=-1),
        labels=jnp.pad(state.labels, more[0], constant_values=unknown_label(state.labels.dtype)),
        weights=jnp.pad(state.weights, more[0]),
        skipped=jnp.pad(state.skipped, more[1], constant_values=-1),
    )


def reveal(state: State, pool: Pool, selection: Selection) -> State:
    """Tells the state the labels that the pool, as an oracle, knows of the selected rows.

    A row whose label is unknown is of no class, out of distribution: it is skipped, as in `tell`.
    """
    labels = _of_rows(pool.labels, selection.rows)
    return _add(state, selection.rows, labels, selection.weights)


def known_labels(state: State, pool: Pool) -> jax.Array:
    """The labels told so far by pool row, [N], unknown elsewhere: all that a strategy may know."""
    rows = jnp.where(state.rows >= 0, state.rows, len(pool))
    dtype = state.labels.dtype
    return jnp.full(len(pool), unknown_label(dtype), dtype).at[rows].set(state.labels)


def available_rows(state: State, pool: Pool, labels: jax.Array) -> jax.Array:
    """The rows that may be asked for, [N] bool: neither labelled nor skipped.

    Args:
      state: of the round.
      pool: N rows.
      labels: from `known_labels`.
    """
    available = ~is_known(labels) & pool.valid
    if not len(state.skipped):
        return available
    rows = jnp.where(state.skipped >= 0, state.skipped, len(pool))
    return available.at[rows].set(False)


class Keys(NamedTuple):
    """The random keys of a round, by stage."""

    fit: jax.Array
    observe: jax.Array
    select: jax.Array


def round_keys(state: State) -> Keys:
    """The keys of the state's round."""
    key = jax.random.fold_in(short_key(state.key), state.round)
    return Keys(*with_kind(jax.random.split(key, len(Keys._fields)), state.key))
