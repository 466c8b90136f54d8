"""The loop in which people label: what they may answer, what is kept, and what is refused."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import CountTraces, bad_inputs, clouds

import jaxal

MODEL = jaxal.models.logistic(3)
LEARNER = jaxal.Learner(MODEL, optax.adam(0.1), batch_size=8, max_epochs=3)
INPUTS, LABELS = clouds(30)
UNKNOWN = jaxal.place(INPUTS, None)
PARTLY = jaxal.place(INPUTS, np.where(np.arange(30) < 7, LABELS, -1))


def begin(pool=UNKNOWN, initial: Any = 0, capacity=8, **options):
    key = jax.random.key(0)
    return jaxal.init(key, LEARNER, pool, initial=initial, capacity=capacity, **options)


def told(*answers, **options):
    state = begin(**options)
    for answer in answers:
        state = jaxal.tell(state, *answer)
    return state


@pytest.mark.slow
def test_a_row_of_minus_one_is_passed_over_wherever_it_stands():
    state = told(([11, -1, 13, -1, 14], [0, 2, 1, -1, 2], [0.5, 9.0, 1.0, 9.0, 2.0]))
    assert state.count == 3 and state.round == 1
    assert state.rows.tolist() == [11, 13, 14, -1, -1, -1, -1, -1]
    assert state.labels.tolist() == [0, 1, 2, -1, -1, -1, -1, -1]
    assert state.weights.tolist() == [0.5, 1.0, 2.0, 0, 0, 0, 0, 0]
    assert (np.asarray(state.skipped) == -1).all()


@pytest.mark.slow
def test_a_label_of_minus_one_is_skipped_and_kept():
    state = told(([11, 12, 13], [0, -1, 1]), ([5, 6], [-1, 2]))
    assert state.count == 3 and state.rows.tolist()[:4] == [11, 13, 6, -1]
    assert state.labels.tolist()[:4] == [0, 1, 2, -1]
    assert state.skipped.tolist() == [12, 5, -1, -1, -1, -1, -1, -1]


@pytest.mark.slow
def test_a_label_that_comes_after_all_is_taken():
    state = told(([12], [-1]), ([12], [1]))
    assert state.rows[0] == 12 and state.labels[0] == 1 and state.count == 1


def test_an_empty_answer_begins_the_next_round():
    state = told(([], []))
    assert state.count == 0 and state.round == 1


@pytest.mark.slow
def test_the_same_answers_inside_jit_mean_the_same():
    answers = jnp.array([11, -1, 13, 14]), jnp.array([0, 0, -1, 2])
    outside, inside = jaxal.tell(begin(), *answers), jax.jit(jaxal.tell)(begin(), *answers)
    jax.tree.map(np.testing.assert_array_equal, outside[:6], inside[:6])
    many = jnp.arange(10), jnp.full(10, -1)
    crowded = jax.jit(jaxal.tell)(begin(skips=4), *many)  # here the room ends it
    assert crowded.skipped.tolist() == [0, 1, 2, 3] and crowded.count == 0


@pytest.mark.slow
def test_skipped_rows_are_never_asked_again_and_never_trained_on():
    observe = CountTraces(jaxal.strategies.entropy().observe)
    strategy = jaxal.strategies.entropy()._replace(observe=observe)
    state, plain = begin(capacity=20), begin(capacity=20)
    seen: list[int] = []
    for _ in range(4):
        state, asked = jaxal.ask(state, LEARNER, strategy, UNKNOWN, 6)
        rows = np.asarray(asked.rows)
        labels = np.where(np.arange(6) % 2, LABELS[rows], -1)
        seen += rows.tolist()
        state = jaxal.tell(state, rows, labels)
        plain = jaxal.tell(plain, rows[1::2], labels[1::2])
    assert len(set(seen)) == 24 and state.count == 12
    for field in ("rows", "labels", "weights", "count", "round"):
        np.testing.assert_array_equal(getattr(state, field), getattr(plain, field))
    state, asked = jaxal.ask(state, LEARNER, strategy, UNKNOWN, 10)
    rows = asked.rows.tolist()
    assert set(rows[:6]) == set(range(30)) - set(seen) and rows[6:] == [-1] * 4
    assert observe.count <= 4, "one trace serves all rounds, and each budget"


def test_a_loop_without_any_label_begins_with_the_model_as_it_was_made():
    state = begin()
    after, asked = jaxal.ask(state, LEARNER, jaxal.strategies.random(), UNKNOWN, 5)
    jax.tree.map(np.testing.assert_array_equal, after.variables, state.variables)
    assert len(set(asked.rows.tolist())) == 5 and (asked.rows >= 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("balanced", [False, True])
def test_only_rows_whose_labels_are_known_are_drawn(balanced):
    state = begin(PARTLY, initial=7, balanced=balanced)
    rows, labels = np.asarray(state.rows), np.asarray(state.labels)
    assert sorted(rows[:7].tolist()) == list(range(7))
    np.testing.assert_array_equal(labels[:7], LABELS[rows[:7]])


def test_enlarge_makes_room_and_changes_nothing_else():
    state = told(([3, 4], [0, -1]), capacity=2, skips=1)
    more = jaxal.enlarge(state, capacity=5, skips=3)
    assert more.rows.tolist() == [3, -1, -1, -1, -1] and more.skipped.tolist() == [4, -1, -1]
    more = jaxal.tell(more, [5, 6, 7, 8], [1, 1, -1, -1])
    assert more.count == 3 and more.skipped.tolist() == [4, 7, 8]
    with pytest.raises(ValueError, match="capacity: expected an integer >= 2, got 1"):
        jaxal.enlarge(state, capacity=1)


def host_fit(key, variables, inputs, labels, weights, count, validation=None):
    """A loop of one's own in NumPy: class means, with a look at the values."""
    used, known = np.asarray(inputs)[: int(count)], np.asarray(labels)[: int(count)]
    means = [used[known == label].mean(0) if label in known else np.zeros(5) for label in range(3)]
    info = jaxal.FitInfo(jnp.float32(0), jnp.float32(1), jnp.int32(1))
    return {"params": np.asarray(means, np.float32)}, info


MEANS = jaxal.models.from_functions(
    lambda key, inputs: jnp.zeros((3, inputs.shape[1])),
    lambda means, inputs: (-((inputs[:, None] - means[None]) ** 2).sum(-1), inputs),
)


@pytest.mark.slow
def test_a_training_loop_of_ones_own_in_python_works_in_ask_and_iterate():
    learner = jaxal.CustomLearner(MEANS, host_fit, fit_on_host=True)
    strategy = jaxal.strategies.margin()
    examples = jaxal.Examples(INPUTS, LABELS)
    plan: dict[str, Any] = dict(initial=6, budget=3, rounds=2)
    rounds = list(jaxal.iterate(jax.random.key(0), learner, strategy, examples, examples, **plan))
    last, info = rounds[-1]
    assert info.test.accuracy > 0.8 and last.count == 12
    pool = jaxal.place(INPUTS, LABELS)
    state = jaxal.init(jax.random.key(0), learner, pool, initial=6, capacity=12)
    for number in range(2):
        state, asked = jaxal.ask(state, learner, strategy, pool, 3)
        np.testing.assert_array_equal(asked.rows, rounds[number][1].rows)
        state = jaxal.tell(state, asked.rows, LABELS[asked.rows])
    for refusal in (
        lambda: jaxal.simulate(learner, strategy, examples, examples, **plan),
        lambda: jaxal.step(state, learner, strategy, pool, examples, 3),
        lambda: jaxal.ensemble(learner, 2),
    ):
        with pytest.raises(TypeError, match="fit_on_host.*jaxal.iterate"):
            refusal()


def test_host_code_in_a_traced_fit_is_told_the_way_out():
    learner = jaxal.CustomLearner(MEANS, host_fit)
    state = begin(PARTLY, initial=7)
    with pytest.raises(TypeError, match=r"learner.fit: .*host.*fit_on_host=True"):
        jaxal.ask(state, learner, jaxal.strategies.margin(), PARTLY, 3)


@bad_inputs(
    {
        "known already": (lambda: told(([3], [0]), ([4, 3], [1, 1])), ValueError, "rows.*got 3 at"),
        "told twice": (lambda: told(([3, 3], [0, 1])), ValueError, "rows.*got 3 twice"),
        "outside the pool": (lambda: told(([30], [0])), ValueError, "rows.*-1 to 29, got 30"),
        "below -1": (lambda: told(([-2], [0])), ValueError, "rows.*got -2"),
        "a label above C": (lambda: told(([3], [3])), ValueError, "labels.*-1 to 2, got 3"),
        "a label below -1": (lambda: told(([3], [-2])), ValueError, "labels.*got -2"),
        "a label of 2**32": (lambda: told(([3], [2**32])), ValueError, "labels.*got 4294967296"),
        "a label of 1.7": (lambda: told(([3], [1.7])), TypeError, "labels.*integers.*float64"),
        "one-hot": (lambda: told(([1, 2, 3], np.eye(3))), TypeError, "labels.*integers"),
        "one-hot integers": (
            lambda: told(([1, 2, 3], np.eye(3, dtype=int))),
            ValueError,
            r"labels: expected integers \[B\].*\(3, 3\)",
        ),
        "one label for three": (lambda: told(([1, 2, 3], [1])), ValueError, "labels.*3 rows"),
        "bools": (lambda: told(([1], [True])), TypeError, "labels.*bool"),
        "NaN weights": (lambda: told(([3], [0], [np.nan])), ValueError, "weights.*nan"),
        "negative weights": (lambda: told(([3], [0], [-1.0])), ValueError, "weights.*-1.0"),
        "weights' length": (lambda: told(([3], [0], [1.0, 1.0])), ValueError, "weights.*1 rows"),
        "above the capacity": (
            lambda: told((range(8), [0] * 8), capacity=6),
            ValueError,
            "capacity.*room for 6 more labels, got 8.*enlarge",
        ),
        "above the room to skip": (
            lambda: told((range(3), [-1] * 3), skips=2),
            ValueError,
            "skips.*room for 2 more skipped rows, got 3.*enlarge",
        ),
        "skipped twice": (lambda: told(([3], [-1]), ([3], [-1])), ValueError, "rows.*got 3"),
        "too few known": (
            lambda: begin(PARTLY, initial=8, capacity=9),
            ValueError,
            "initial.*0 to 7, got 8.*labels of 7 rows",
        ),
        "rows of unknown labels": (lambda: begin(initial=[3]), ValueError, "initial.*got 3"),
        "rows twice": (lambda: begin(PARTLY, initial=[3, 3]), ValueError, "initial.*3 twice"),
        "rows outside": (lambda: begin(PARTLY, initial=[30]), ValueError, "initial.*got 30"),
        "rows above the capacity": (
            lambda: begin(PARTLY, initial=[1, 2], capacity=1),
            ValueError,
            "initial.*at most 1",
        ),
        "rows as floats": (lambda: begin(PARTLY, initial=[1.0]), TypeError, "initial.*integers"),
        "a share": (lambda: begin(PARTLY, initial=0.5), TypeError, "initial.*integer, rows"),
        "labels above C": (
            lambda: begin(jaxal.place(INPUTS, LABELS + 1), initial=1),
            ValueError,
            "pool labels.*0 to 2, got 3",
        ),
        "another pool": (
            lambda: jaxal.ask(
                begin(), LEARNER, jaxal.strategies.random(), jaxal.place(INPUTS[:9], None), 3
            ),
            ValueError,
            "pool.*30 rows.*got 9",
        ),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
