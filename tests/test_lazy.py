"""The block-lazy engine, by a rule whose bounds and scores are given."""

import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxal.greedy.lazy import highest_bounds
from jaxal.selection import Rule, lazy_greedy


class Given(NamedTuple):
    bounds: jax.Array
    scores: jax.Array


RULE = Rule(
    bounds=lambda state: state.bounds,
    load_block=lambda state, rows: state.scores[rows],
    scores=lambda block: block,
    pick=lambda block, position: block,
    flush=lambda state, block, rows: state._replace(bounds=state.bounds.at[rows].set(block)),
)


def pick(bounds, scores, budget, block_size, rule=RULE):
    state = Given(jnp.asarray(bounds, jnp.float32), jnp.asarray(scores, jnp.float32))
    available = jnp.ones(len(scores), bool)
    return lazy_greedy(rule, state, available, budget, block_size=block_size)


@pytest.mark.parametrize("block_size", [1, 2, 3, 8])
def test_ties_go_to_the_lowest_row_inside_a_block_or_outside(block_size):
    # Row 5 looks best, and turns out to be as good as row 2, which is outside of a small block.
    scores = [1.0, 1.0, 3.0, 1.0, 0.0, 3.0, 3.0, 1.0]
    bounds = [1.0, 2.0, 3.0, 1.0, 4.0, 5.0, 3.0, 1.0]
    picked, _ = pick(bounds, scores, 8, block_size)
    assert picked.rows.tolist() == [2, 5, 6, 0, 1, 3, 7, 4]
    np.testing.assert_array_equal(picked.scores, np.array(scores)[picked.rows])


@pytest.mark.parametrize("block_size", [1, 3])
def test_rows_that_all_tie_are_picked_in_order_without_idle_passes(block_size):
    picked, end = pick([2.0] * 7, [2.0] * 7, 7, block_size)
    assert picked.rows.tolist() == list(range(7))
    assert end.idle == 0 and end.passes == -(-7 // block_size)


def test_a_rule_that_breaks_its_promise_ends():
    stuck = RULE._replace(flush=lambda state, *block: state)  # a bound that never comes down
    picked, end = pick([9.0, 9.0, 1.0, 2.0], [0.0, 0.0, 1.0, 2.0], 3, 1, stuck)
    assert picked.rows.tolist() == [-1] * 3 and end.passes <= 5


def test_the_highest_bounds_are_found_without_sorting_all():
    def find(bounds):
        return highest_bounds(bounds, jnp.ones(4000, bool), 8)

    text = jax.jit(find).lower(jnp.zeros(4000)).compile().as_text() or ""
    assert "[4000]" in text and not re.search(r"\[4000\]\S* sort\(", text)
    rows, limit, limit_row = find(jnp.arange(4000.0) % 1000)
    assert rows.tolist() == [998, 999, 1998, 1999, 2998, 2999, 3998, 3999]
    assert (limit, limit_row) == (997, 997)
