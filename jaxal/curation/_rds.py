"""RDS: the rows most like examples of target tasks, each example in turn."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import Selection
from jaxal.checks import check_budget, check_rows, check_some_like
from jaxal.curation._cosines import NOT_FINITE, cosines
from jaxal.greedy.take import take_top
from jaxal.numerics import row_norms, unit_rows
from jaxal.rows import in_blocks, top_rows

KINDS = ("round_robin", "max")
BLOCK = 2**24  # cosines at once
FEWEST, MOST = 8, 256  # queries at once


@entry.checked(
    features=entry.matrix("[N, D]"),
    queries=entry.matrix("[Q, D]"),
    available=entry.mask,
    budget=entry.budget,
    tasks=entry.integers,
    kind=entry.one_of(KINDS),
)
def rds(
    features: jax.Array,
    queries: jax.Array,
    available: jax.Array,
    budget: int,
    *,
    tasks: jax.Array | None = None,
    kind: str = "round_robin",
) -> Selection:
    """Representation-based data selection (RDS+): the rows nearest to target examples by cosine.

    With "round_robin" each query in turn takes the row most like it that nobody has taken, and the
    tasks have their turns in equal number: one query of the first, one of the second, and so on,
    then the next query of each; a task with fewer queries begins with its first again. With "max"
    a row is worth its largest cosine to any query, and the best rows are taken. Features and
    queries are best made by `weighted_mean_pool`.

    Exact: each query has a list of its best rows, and the lists are made anew where one is used up.
    Time O(N Q D) a pass as matrix products, of queries that have a turn at all, one pass at least
    and at most one for every 16 picks, in practice a few; no [N, Q] array: memory is that of some
    2^24 cosines, or of 8 a row if that is more, and of the lists, O(Q + budget) in all. Under
    `jaxal.rows.rows_over` the rows may be shared by devices; queries are on all of them.

    It is the rule that held up where influence and gradients of examples (LESS) fell below random,
    in pools of up to 5.8 million; near its targets alone, and it says nothing of other abilities.

    Args:
      features: [N, D] of the pool.
      queries: [Q, D], the same of examples like those wanted. One that holds a NaN or an infinity
        has no turn.
      available: [N] bool.
      budget: how many rows, 1 to N.
      tasks: [Q] integers, the task that a query is of; all of one if not given.
      kind: "round_robin" or "max"; the latter has no use for `tasks`.

    Returns:
      `Selection` in the order taken; a score is the cosine to the query whose turn it was, or the
      largest. Rows that hold a NaN or an infinity come last, with scores -inf.

    Raises:
      TypeError: if an array or the mask is none, or the budget is not an integer.
      ValueError: if shapes disagree, there is no query, the budget is outside 1 to N, the kind is
        unknown, or tasks are given with "max".

    References:
      Ivison et al., "Large-scale data selection for instruction tuning", 2025.

    Example:

    >>> features = jnp.array([[1.0, 0.0], [2.0, 0.1], [0.0, 1.0], [-1.0, 0.0]])
    >>> rds(features, jnp.array([[1.0, 0.0], [0.0, 3.0]]), jnp.ones(4, bool), 3).rows.tolist()
    [0, 2, 1]
    """
    check_rows(features=features, available=available)
    check_budget(budget, len(available))
    check_some_like(features, queries=queries)
    if tasks is not None:
        if kind == "max":
            raise ValueError('tasks: expected none with kind "max", which has no turns')
        check_rows(queries=queries, tasks=tasks)
    return _rds(features, queries, available, budget, tasks, kind)


@partial(jax.jit, static_argnames=("budget", "kind"))
def _rds(features, queries, available, budget, tasks, kind) -> Selection:
    features = jnp.asarray(features).astype(float)
    queries = jnp.asarray(queries).astype(float)
    available = jnp.asarray(available)
    usable = jnp.all(jnp.isfinite(queries), axis=1)
    unit = unit_rows(jnp.where(usable[:, None], queries, 0.0))
    if kind == "max":
        worth = _largest(features, unit, usable)
        picked = take_top(worth, available, budget)
    else:
        if tasks is None:
            tasks = jnp.zeros(len(queries), jnp.int32)
        turns = _turns(jnp.asarray(tasks), usable, budget)
        picked = _in_turn(features, unit, turns, available)
    scores = jnp.where(picked.scores > NOT_FINITE, picked.scores, -jnp.inf)
    return Selection(picked.rows, scores)


def _at_once(rows: int, queries: int) -> int:
    """How many queries are compared with all rows at a time."""
    return min(max(FEWEST, min(MOST, BLOCK // rows)), queries)


def _largest(features: jax.Array, unit: jax.Array, usable: jax.Array) -> jax.Array:
    """The largest cosine of each row to a usable query, [N]."""
    lengths = row_norms(features)

    def some(best: jax.Array, block: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        queries, counts = block
        found = jnp.where(counts[None, :], cosines(features, lengths, queries), NOT_FINITE)
        return jnp.maximum(best, jnp.max(found, axis=1)), None

    blocks = in_blocks((unit, usable), _at_once(len(features), len(unit)))
    return jax.lax.scan(some, jnp.full_like(lengths, NOT_FINITE), blocks)[0]


class Turns(NamedTuple):
    """Whose turn it is."""

    queries: jax.Array  # [L] int32, the queries that have a turn, L = min(Q, B), by the first
    lists: jax.Array  # [B] int32, the place in `queries` of the one whose turn it is
    any: jax.Array  # [] bool, whether there is a query


def _turns(tasks: jax.Array, usable: jax.Array, budget: int) -> Turns:
    """The tasks in turn, in the order of their numbers, and the queries of each in turn."""
    total = len(tasks)
    order = jnp.lexsort((tasks, ~usable)).astype(jnp.int32)  # stable: as the queries are given
    sorted_tasks, counted = tasks[order], usable[order]
    begins = counted & jnp.concatenate([jnp.ones(1, bool), sorted_tasks[1:] != sorted_tasks[:-1]])
    number = jnp.cumsum(begins, dtype=jnp.int32) - 1  # of its task, counted from 0
    tasks_in_all = number[-1] + 1
    starts = jnp.nonzero(begins, size=total, fill_value=0)[0].astype(jnp.int32)
    sizes = jnp.zeros(total, jnp.int32).at[number].add(counted.astype(jnp.int32))
    place = jnp.arange(total, dtype=jnp.int32) - starts[number]
    # The first turn of each query in that order; those that are none come last.
    lacks = jnp.iinfo(jnp.int32).max
    early = place < (budget // jnp.maximum(tasks_in_all, 1) + 1)  # so that nothing overflows
    first = jnp.where(counted & early, place * tasks_in_all + number, lacks)
    by_turn = jnp.argsort(first).astype(jnp.int32)
    rank = jnp.zeros(total, jnp.int32).at[by_turn].set(jnp.arange(total, dtype=jnp.int32))
    turn = jnp.arange(budget, dtype=jnp.int32)
    task = turn % jnp.maximum(tasks_in_all, 1)
    query = starts[task] + (turn // jnp.maximum(tasks_in_all, 1)) % jnp.maximum(sizes[task], 1)
    return Turns(order[by_turn[: min(total, budget)]], rank[query], tasks_in_all > 0)


class Taken(NamedTuple):
    """What has been taken so far."""

    rows: jax.Array  # [B] int32
    scores: jax.Array  # [B]
    gone: jax.Array  # [N] bool
    count: jax.Array  # []
    found: jax.Array  # [] bool, whether the last turn found a row in its list


def _in_turn(features: jax.Array, unit: jax.Array, turns: Turns, available: jax.Array) -> Selection:
    """Each query in turn takes the best row that is left."""
    budget, rows = len(turns.lists), len(features)
    lengths = row_norms(features)
    queries = unit[turns.queries]
    length = min(rows, max(16, 2 * -(-budget // len(queries))))
    blocks = in_blocks(queries, _at_once(rows, len(queries)))
    total = jnp.minimum(budget, jnp.sum(available, dtype=jnp.int32)) * turns.any

    def best_rows(free: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The best free rows of each query, [L, length] cosines and rows."""

        def some(block: jax.Array) -> tuple[jax.Array, jax.Array]:
            found = jnp.where(free[:, None], cosines(features, lengths, block), -jnp.inf)
            return jax.vmap(lambda column: top_rows(column, length), in_axes=1)(found)

        values, places = jax.lax.map(some, blocks)
        return values.reshape(-1, length), places.reshape(-1, length)

    def pass_over(taken: Taken) -> Taken:
        values, places = best_rows(available & ~taken.gone)

        def turn(taken: Taken) -> Taken:
            own = turns.lists[taken.count]
            free = (values[own] > -jnp.inf) & ~taken.gone[places[own]]
            slot = jnp.argmax(free)
            found, row = free[slot], places[own, slot]
            # A turn without a row is one for which the lists are made anew.
            at = jnp.where(found, taken.count, budget)
            return Taken(
                taken.rows.at[at].set(row, mode="drop"),
                taken.scores.at[at].set(values[own, slot], mode="drop"),
                taken.gone.at[jnp.where(found, row, rows)].set(True, mode="drop"),
                taken.count + found,
                found,
            )

        goes_on = taken._replace(found=jnp.bool_(True))
        return jax.lax.while_loop(lambda taken: taken.found & (taken.count < total), turn, goes_on)

    start = Taken(
        jnp.full(budget, -1, jnp.int32),
        jnp.full_like(lengths, -jnp.inf, shape=budget),
        jnp.zeros(rows, bool),
        jnp.int32(0),
        jnp.bool_(True),
    )
    taken = jax.lax.while_loop(lambda taken: taken.count < total, pass_over, start)
    return Selection(taken.rows, taken.scores.astype(jnp.float32))
