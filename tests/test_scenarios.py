"""Scenarios as functions of examples, against what their definitions say in plain Python."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxal import submodular
from jaxal.base import Examples
from jaxal.data import scenarios
from jaxal.data.scenarios import Facts, Found, found

RNG = np.random.default_rng(0)
LABELS = RNG.permutation(np.repeat(np.arange(5), [30, 25, 20, 15, 10])).astype(np.int32)
POOL = Examples(np.arange(100.0)[:, None], LABELS)  # inputs are row numbers


def rows_of(examples):
    """The rows of the pool, which the inputs are."""
    return np.asarray(examples.inputs)[:, 0].astype(int)


def counts(examples, classes=5):
    return np.bincount(examples.labels, minlength=classes).tolist()


@pytest.mark.parametrize(
    ("keep", "others", "expected"),
    [
        ({3: 2, 4: 1}, None, [30, 25, 20, 2, 1]),
        ({3: 0.2, 4: 0.01}, None, [30, 25, 20, 3, 1]),  # a share rounds, to one row at least
        ({4: 1}, 7, [7, 7, 7, 7, 1]),
        ({}, 10, [10] * 5),
        ({0: 1.0, 4: 10}, 5, [30, 5, 5, 5, 10]),
        ({}, None, [30, 25, 20, 15, 10]),
    ],
)
def test_so_many_rows_of_a_class_stay(keep, others, expected):
    some = scenarios.imbalanced(POOL, keep, others=others, seed=3)
    assert counts(some) == expected
    rows = rows_of(some)
    assert (np.diff(rows) > 0).all(), "in the order they had, each once"
    np.testing.assert_array_equal(some.labels, LABELS[rows])
    again = scenarios.imbalanced(POOL, keep, others=others, seed=3)
    np.testing.assert_array_equal(again.inputs, some.inputs)


def test_which_rows_stay_is_drawn():
    draws = {tuple(rows_of(scenarios.imbalanced(POOL, {4: 3}, seed=n))) for n in range(8)}
    assert len(draws) == 8


@pytest.mark.parametrize("outside", [[1], [0, 4], [4, 0], [3], []])
def test_rows_of_no_class_stay_and_the_others_are_renumbered_in_order(outside):
    inside = [number for number in range(5) if number not in outside]
    expected = [inside.index(label) if label in inside else -1 for label in LABELS]
    pool = scenarios.out_of_distribution(POOL, outside)
    assert pool.labels.tolist() == expected and pool.labels.dtype == np.int32
    np.testing.assert_array_equal(pool.inputs, POOL.inputs)
    test = scenarios.in_distribution(POOL, outside)
    known = np.flatnonzero(np.array(expected) >= 0)
    np.testing.assert_array_equal(rows_of(test), known)
    np.testing.assert_array_equal(test.labels, np.array(expected)[known])


def test_a_label_that_is_unknown_stays_so():
    pool = Examples(np.zeros((4, 1)), np.array([-1, 0, 1, 2]))
    assert scenarios.out_of_distribution(pool, [1]).labels.tolist() == [-1, 0, -1, 1]


@pytest.mark.parametrize("classes", [None, [4], [3, 1]])
def test_what_is_held_out_is_no_longer_in_the_pool(classes):
    rest, held = scenarios.hold_out(POOL, 4, classes=classes, seed=1)
    chosen = range(5) if classes is None else sorted(classes)
    assert held.labels.tolist() == np.repeat([*chosen], 4).tolist()
    np.testing.assert_array_equal(held.labels, LABELS[rows_of(held)])
    assert sorted([*rows_of(rest), *rows_of(held)]) == [*range(100)]
    np.testing.assert_array_equal(rest.labels, LABELS[rows_of(rest)])


@pytest.mark.parametrize(
    ("times", "unique", "copied", "sizes"),
    [
        (3, None, None, [3] * 100),
        (1, None, None, [1] * 100),
        (10, 40, 5, [1] * 35 + [10] * 5),
        (2, 7, None, [2] * 7),
    ],
)
def test_copies_are_equal_and_say_of_what(times, unique, copied, sizes):
    pool, originals = scenarios.redundant(POOL, times, unique=unique, copied=copied, seed=2)
    assert originals.dtype == np.int32 and len(originals) == len(pool.labels) == sum(sizes)
    assert sorted(np.bincount(originals)) == sizes
    rows = rows_of(pool)
    for number in range(len(sizes)):
        assert len({*rows[originals == number]}) == 1
    assert len({*rows}) == len(sizes)
    np.testing.assert_array_equal(pool.labels, LABELS[rows])
    assert (np.diff(originals) < 0).any(), "in random order"


@pytest.mark.parametrize("share", [0.0, 0.1, 0.34, 0.9])
def test_a_share_of_each_class_is_wrong(share):
    pool = scenarios.noisy_labels(POOL, share, seed=4)
    np.testing.assert_array_equal(pool.inputs, POOL.inputs)
    wrong = pool.labels != LABELS
    assert wrong.sum() == round(share * 100)
    for number, size in enumerate(np.bincount(LABELS)):
        assert abs(wrong[number == LABELS].sum() - share * size) < 1
    assert set(pool.labels) <= set(range(5)) and POOL.labels is LABELS


def test_each_other_class_is_as_likely():
    labels = np.repeat(np.arange(4), 3000)
    pool = scenarios.noisy_labels(Examples(np.zeros((12000, 1)), labels), 0.9, seed=0)
    table = np.array([np.bincount(pool.labels[labels == n], minlength=4) for n in range(4)])
    assert (np.diag(table) == 300).all()
    others = table[~np.eye(4, dtype=bool)]  # each 2700 draws with probability 1 / 3
    assert (abs(others - 900) < 5 * np.sqrt(2700 * 2 / 9)).all()


def test_labels_change_by_a_transition():
    transition = [[0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.25, 0.25, 0.5]]
    labels = np.tile([0, 1, 2, -1], 4000)
    pool = Examples(np.zeros((16000, 1)), labels)
    noisy = scenarios.noisy_labels(pool, transition=transition, seed=0).labels
    assert (noisy[labels == -1] == -1).all()
    for number, row in enumerate(transition):
        shares = np.bincount(noisy[labels == number], minlength=3) / 4000
        np.testing.assert_allclose(shares, row, atol=5 * np.sqrt(0.25 / 4000))
        assert (shares[np.array(row) == 0] == 0).all()


def test_counts_of_picks_are_those_of_a_loop_in_python():
    rng = np.random.default_rng(5)
    classes, originals = rng.integers(-1, 4, 60), rng.integers(0, 25, 60)
    facts = Facts(classes, originals, rare=(0, 3))
    order = rng.permutation(60)
    initial, picks = order[:8], [*order[8:30], -1]
    seen, expected = set(originals[initial].tolist()), [0, 0, 0]
    for row in picks[:-1]:
        expected[0] += classes[row] in (0, 3)
        expected[1] += originals[row] not in seen
        expected[2] += classes[row] == -1
        seen.add(originals[row])
    assert found(facts, picks, initial) == Found(*expected)
    alone = facts._replace(originals=None)
    assert found(alone, picks, initial).unique == 22
    some = facts.take(order)
    assert found(some, np.arange(8, 30), np.arange(8)) == Found(*expected)
    assert found(facts, [], []) == Found(0, 0, 0)


def facility_location(points, rows, among):
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    similar = unit[among] @ unit[rows].T
    return np.maximum(similar.max(axis=1), 0).sum()


def naive(points, among, budget):
    picks = []
    for _ in range(budget):
        rest = [row for row in among if row not in picks]
        values = [facility_location(points, [*picks, row], among) for row in rest]
        picks.append(rest[int(np.argmax(values))])
    return picks


def test_seed_rows_represent_each_class_by_itself():
    points = np.random.default_rng(6).normal(size=(30, 4)).astype(np.float32)
    there = np.arange(30) % 5 > 0
    features = jnp.asarray(points)
    rows = submodular.seed_rows(features, 4, labels=np.where(there, 0, -1))
    assert rows.tolist() == naive(points, np.flatnonzero(there), 4)
    labels = np.arange(30) % 3
    rows = submodular.seed_rows(features, 5, labels=labels)
    own = [naive(points, np.flatnonzero(labels == n), 2) for n in range(3)]
    assert rows.tolist() == [own[0][0], own[1][0], own[2][0], own[0][1], own[1][1]]
