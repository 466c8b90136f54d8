"""What a filter is: it reduces a pool to candidates, an array of rows whose size is constant."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal.base import ObserveFn, Selection, Strategy, View
from jaxal.rows import rows_over, top_rows
from jaxal.strategies.subpool import select_rows


class Request(NamedTuple):
    """What a filter is given."""

    strategy: Strategy  # that will select among the candidates
    view: View  # of the pool, as this strategy observed it
    views: tuple[View, ...]  # as each of `Filter.observers` did
    labeled: jax.Array  # [L] int32, labelled rows for rules that read them, in order, then -1
    size: int  # m, how many candidates at most, from the budget to N
    budget: int


class Filter(NamedTuple):
    """A way to choose candidates."""

    find: Callable[[jax.Array, Request], jax.Array]  # (key, request) -> [m] int32, -1 for no row
    observers: tuple[ObserveFn, ...] = ()  # what it needs of the pool beside the strategy's own
    reads_labels: bool = False  # whether it looks at labelled rows


def in_order(rows: jax.Array) -> jax.Array:
    """The rows sorted, those of -1 at the end; [M] int32."""
    last = jnp.iinfo(jnp.int32).max
    rows = jnp.sort(jnp.where(rows < 0, last, rows))
    return jnp.where(rows == last, -1, rows).astype(jnp.int32)


def draw(key: jax.Array, mask: jax.Array, num: int) -> jax.Array:
    """Rows of a mask at random and in random order, -1 where there are fewer; [num] int32."""
    noise, rows = top_rows(jnp.where(mask, jax.random.uniform(key, mask.shape), -1.0), num)
    return jnp.where(noise >= 0, rows, -1).astype(jnp.int32)


def select_among(
    key: jax.Array,
    strategy: Strategy,
    view: View,
    rows: jax.Array,
    labeled: jax.Array,
    budget: int,
) -> Selection:
    """The strategy's decision among these available rows, with the labelled ones if it reads them.

    Args:
      key: PRNG key, consumed.
      strategy: the rule.
      view: of the pool, as it observed it.
      rows: [m] int32, each once; -1 is none.
      labeled: [L] int32, likewise.
      budget: how many rows, at most m + L.
    """
    # Every device has the rows that are gathered, and none shares them.
    with rows_over(None):
        seen = labeled if strategy.reads_labels else labeled[:0]
        return select_rows(key, strategy, view, rows, seen, budget)
