"""Candidates by repeated filtering with an ensemble of rules: the first stage of REFINE."""

import math
from typing import cast

import jax
import jax.numpy as jnp

from jaxal.base import Strategy
from jaxal.checks import check_at_least, check_integer
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
    `depth` x `num_batches` selections a round.

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

        def level(left, given):
            key, is_first = given
            count = jnp.sum(left >= 0, dtype=jnp.int32)
            further = jnp.floor(share * count.astype(float)).astype(jnp.int32)
            taken = jnp.maximum(jnp.where(is_first, first, further), request.budget)
            key_union, key_rules = jax.random.split(key)
            subsets = _cut(left, count, jnp.minimum(taken, count), batches, slots)
            picked = _picks(key_rules, made, subsets, request)
            chosen = _distinct(key_union, picked, limit)
            return jnp.pad(chosen, (0, room - limit), constant_values=-1), None

        levels = jax.random.split(key_levels, depth), jnp.arange(depth) == 0
        return jax.lax.scan(level, start, levels)[0][:limit]

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
    keys = jax.random.split(key, (len(rules), len(subsets) // len(rules)))
    subsets = subsets.reshape(*keys.shape, -1)

    def select(rule, view):
        def one(given):
            key, rows = given
            labeled, budget = request.labeled, request.budget
            return select_among(key, rule, view, rows, labeled, budget).rows

        return one

    found = [
        jax.lax.map(select(rule, view), (keys[number], subsets[number]))
        for number, (rule, view) in enumerate(zip(rules, request.views, strict=True))
    ]
    return jnp.concatenate(found).reshape(-1)


def _distinct(key: jax.Array, rows: jax.Array, num: int) -> jax.Array:
    """The distinct rows in random order, `num` at most, -1 where there are fewer; [num] int32."""
    rows = jnp.sort(rows)
    is_new = (rows >= 0) & jnp.concatenate([jnp.ones(1, bool), rows[1:] != rows[:-1]])
    places = draw(key, is_new, num)
    return jnp.where(places >= 0, rows[places], -1)
