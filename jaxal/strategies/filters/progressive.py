"""Candidates by repeated filtering with an ensemble of rules: the first stage of REFINE."""

import math
from functools import partial
from typing import cast

import jax
import jax.numpy as jnp

from jaxal.base import Strategy
from jaxal.checks import check_at_least, check_integer
from jaxal.numerics import derive_keys
from jaxal.rows import rows_over
from jaxal.strategies.copies import refuse_copy
from jaxal.strategies.filters.base import Filter, Request, draw, select_among
from jaxal.strategies.registry import by_name


@by_name
def progressive(
    *,
    rules: tuple[Strategy | str, ...] = ("random", "margin", "badge"),
    depth: int = 5,
    num_batches: int = 100,
    subset: int = 5000,
    share: float = 0.4,
) -> Filter:
    """Filters the pool level by level: what an ensemble of rules selects from random subsets stays.

    On each level every rule selects equally many batches, each from a random subset of what the
    level before has left; all that is selected, at most the size, at random where it is more, is
    left to the next level and at last makes the candidates. As in REFINE's code, but that the
    subsets of a level are cut from one random order, and so share rows only once all are used.
    `depth` x `num_batches` selections a round. Where devices share the rows, each sends as many row
    numbers as the first level's subsets hold together: half a million by default, at most N.

    Args:
      rules: strategies of any kind, or their names.
      depth: levels.
      num_batches: selections on a level, shared out among the rules; rounded down to a multiple
        of their number.
      subset: rows of a subset of the pool, on the first level; at least the budget.
      share: rows of a subset on further levels, of those that are left.

    Raises:
      TypeError: what is no strategy, or a number of another type.
      ValueError: no rule, or a number out of range.

    References:
      Huseljic et al., "Cleaning the pool: progressive filtering of unlabeled pools in deep active
      learning", CVPR 2026, arXiv 2511.22344.
    """
    check_integer(1, depth=depth, subset=subset)
    check_at_least(0, share=share)
    if share > 1:
        raise ValueError(f"share: expected a number in [0, 1], got {share}")
    if not rules:
        raise ValueError("rules: expected at least one strategy, got none")
    check_integer(len(rules), num_batches=num_batches)
    made = cast(tuple[Strategy, ...], rules)  # of names by now
    for rule in made:
        refuse_copy("rules", rule)
    batches = num_batches // len(rules) * len(rules)

    def find(key, request):
        total = len(request.view.available)
        limit = min(request.size, batches * request.budget)
        first = min(max(subset, request.budget), total)
        # Slots of a subset, on any level, and of the rows that are left to a level.
        slots = min(max(first, math.ceil(share * limit)), total)
        room = max(min(batches * first, total), limit)
        key_draw, key_levels = jax.random.split(key)
        start = draw(key_draw, request.view.available, min(room, total))
        start = jnp.pad(start, (0, room - len(start)), constant_values=-1)

        def level(left, number):
            count = jnp.sum(left >= 0, dtype=jnp.int32)
            further = jnp.floor(share * count.astype(float)).astype(jnp.int32)
            taken = jnp.maximum(jnp.where(number == 0, first, further), request.budget)
            key_union, key_rules = jax.random.split(derive_keys(key_levels, number))
            subsets = _cut(left, count, jnp.minimum(taken, count), batches, slots)
            picked = _picks(key_rules, made, subsets, request)
            chosen = _distinct(key_union, picked, limit)
            return jnp.pad(chosen, (0, room - limit), constant_values=-1), None

        return jax.lax.scan(level, start, jnp.arange(depth))[0][:limit]

    observers = tuple(rule.observe for rule in made)
    return Filter(find, observers, any(rule.reads_labels for rule in made))


def _cut(
    left: jax.Array, count: jax.Array, taken: jax.Array, batches: int, slots: int
) -> jax.Array:
    """Subsets of `taken` rows, one after the other in random order, then from its start again.

    Args:
      left: [n] int32, `count` rows in random order, then -1.
      count: [].
      taken: [] rows of a subset, at most `count` and `slots`.
      batches: how many subsets.
      slots: room for each.

    Returns:
      [batches, slots] int32, -1 past the last of each.
    """
    slot = jnp.arange(slots, dtype=jnp.int32)[None, :]
    place = jnp.arange(batches, dtype=jnp.int32)[:, None] * taken + slot
    return jnp.where(slot < taken, left[place % jnp.maximum(count, 1)], -1)


def _picks(
    key: jax.Array, rules: tuple[Strategy, ...], subsets: jax.Array, request: Request
) -> jax.Array:
    """What the rules select, each from its share of the subsets, [batches * B] int32."""
    numbers = jnp.arange(len(subsets), dtype=jnp.int32).reshape(len(rules), -1)
    subsets = subsets.reshape(*numbers.shape, -1)

    def select(given, rule, view):
        number, rows = given
        (own_key,) = jax.random.split(derive_keys(key, number), 1)
        return select_among(own_key, rule, view, rows, request.labeled, request.budget).rows

    found = [
        jax.lax.map(partial(select, rule=rule, view=view), given)
        for rule, view, *given in zip(rules, request.views, numbers, subsets, strict=True)
    ]
    return jnp.concatenate(found).reshape(-1)


def _distinct(key: jax.Array, rows: jax.Array, num: int) -> jax.Array:
    """The distinct rows in random order, `num` at most, -1 where there are fewer; [num] int32."""
    rows = jnp.sort(rows)
    is_new = (rows >= 0) & jnp.concatenate([jnp.ones(1, bool), rows[1:] != rows[:-1]])
    with rows_over(None):  # they are no rows that devices share
        places = draw(key, is_new, num)
    return jnp.where(places >= 0, rows[places], -1)
