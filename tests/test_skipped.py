"""Simulations in which rows of no class are picked, initial rows are chosen, and sets grow."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import MODES, CountTraces, assert_same_picks, bad_inputs, clouds, keys

import jaxal
from jaxal.data import scenarios
from jaxal.selection import take_top

WHOLE = clouds(90, classes=4)
MARK = 50.0  # in the inputs of rows of no class, to be known by
INPUTS = WHOLE.inputs + MARK * (WHOLE.labels == 1)[:, None].astype(np.float32)
POOL = scenarios.out_of_distribution(jaxal.Examples(INPUTS, WHOLE.labels), [1])
TEST = scenarios.in_distribution(clouds(40, classes=4, seed=1), [1])
OOD = POOL.labels < 0
PLAN: dict[str, Any] = dict(initial=6, budget=8, rounds=5, skip_unlabeled=True)
MEANS = jaxal.models.from_functions(
    lambda key, inputs: jnp.zeros((3, inputs.shape[1]), inputs.dtype),
    lambda means, inputs: (-((inputs[:, None] - means[None]) ** 2).sum(-1), inputs),
)


def fit(key, variables, inputs, labels, weights, count, validation=None):
    """Class means of the rows in use; the loss is infinite if one of them is of no class."""
    used = jnp.arange(len(labels), dtype=jnp.int32) < count
    member = jnp.where(used[:, None], jax.nn.one_hot(labels, 3, dtype=inputs.dtype), 0.0)
    means = (member.T @ inputs) / jnp.maximum(jnp.sum(member, axis=0), 1.0)[:, None]
    marked = jnp.any(used & (jnp.min(inputs, axis=1) > MARK / 2))
    loss = jnp.where(marked, jnp.inf, 0.0)
    return {"params": means}, jaxal.FitInfo(loss, jnp.float32(1), count)


LEARNER = jaxal.CustomLearner(MEANS, fit)


def simulate(strategy, **changed):
    return jaxal.simulate(LEARNER, strategy, POOL, TEST, **(PLAN | changed))


def check_picks(state, info, initial=6):
    """What holds of every run: each pick cost one, and none of no class was trained on."""
    rows, skipped = (np.asarray(buffer) for buffer in (state.rows, state.skipped))
    rows, skipped = rows[rows >= 0], skipped[skipped >= 0]
    assert not OOD[rows].any() and OOD[skipped].all()
    np.testing.assert_array_equal(state.labels[: len(rows)], POOL.labels[rows])
    together = [*rows, *skipped]
    assert len(set(together)) == len(together) == initial + 40
    cost = np.asarray(info.labels + info.skipped)
    np.testing.assert_array_equal(cost, initial + 8 * np.arange(6))
    picks = np.asarray(info.rows)[:-1].ravel()
    assert sorted(picks) == sorted(together[initial:])
    of_class = np.cumsum(OOD[np.asarray(info.rows)[:-1]].sum(axis=1))
    np.testing.assert_array_equal(info.skipped, [0, *of_class])


@pytest.mark.slow
def test_no_row_of_no_class_is_ever_trained_on_and_each_costs_one():
    observe = CountTraces(lambda key, model, variables, inputs, labels: inputs[:, 0])
    strategy = jaxal.Strategy(
        observe, lambda key, view, budget: take_top(view.observation, view.available, budget)
    )
    state, info = jax.vmap(simulate(strategy))(keys(3))
    assert observe.count == 1, "one trace serves all rounds and seeds"
    for seed in range(3):
        check_picks(*jax.tree.map(lambda leaf, seed=seed: leaf[seed], (state, info)))
    # The rule asks for the marked rows first: the first two rounds find nothing else.
    assert OOD.sum() >= 16 and (info.labels[:, 2] == 6).all() and (info.skipped[:, 2] == 16).all()
    assert jnp.isfinite(info.train.loss).all() and (state.count == info.labels[:, -1]).all()
    assert state.rows.shape == (3, 46) and state.skipped.shape == (3, 40)


def host_fit(key, variables, inputs, labels, weights, count, validation=None):
    used = np.asarray(inputs)[: int(count)]
    assert used.min(axis=1).max() < MARK / 2, "a row of no class is trained on"
    assert (np.asarray(labels)[: int(count)] >= 0).all() and len(used) == count
    return fit(key, variables, inputs, labels, weights, count)


@pytest.mark.slow
def test_the_loop_on_the_host_gives_a_fit_no_row_of_no_class():
    strategy = jaxal.strategies.random()
    learner = jaxal.CustomLearner(MEANS, host_fit, fit_on_host=True)
    rounds = list(jaxal.iterate(jax.random.key(4), learner, strategy, POOL, TEST, **PLAN))
    compiled, info = simulate(strategy)(jax.random.key(4))
    check_picks(compiled, info)
    state, last = rounds[-1]
    np.testing.assert_array_equal(state.rows, compiled.rows)
    np.testing.assert_array_equal(state.skipped, compiled.skipped)
    assert last.skipped == info.skipped[-1] > 0
    assert jnp.isfinite(info.train.loss).all() and float(info.test.accuracy[-1]) > 0.5


@pytest.mark.slow
def test_accuracy_by_class_is_that_of_its_rows():
    state, info = simulate(jaxal.strategies.random())(jax.random.key(0))
    logits = MEANS.apply(state.variables, TEST.inputs).logits
    right = np.argmax(logits, axis=-1) == TEST.labels
    expected = [right[TEST.labels == number].mean() for number in range(3)]
    np.testing.assert_allclose(info.test.class_accuracy[-1], expected, rtol=1e-6)
    np.testing.assert_allclose(info.test.accuracy[-1], right.mean(), rtol=1e-6)
    assert info.train.class_accuracy is None
    few = jaxal.Examples(TEST.inputs[TEST.labels == 2], TEST.labels[TEST.labels == 2])
    strategy = jaxal.strategies.random()
    _, info = jaxal.simulate(LEARNER, strategy, POOL, few, **PLAN)(jax.random.key(0))
    np.testing.assert_allclose(info.test.class_accuracy[-1], [0, 0, expected[2]], rtol=1e-6)


@pytest.mark.slow
def test_initial_rows_by_class_and_as_given():
    random = jaxal.strategies.random()
    state, info = jax.vmap(simulate(random, initial={2: 3, 0: 1}))(keys(6))
    first = np.sort(np.asarray(state.labels)[:, :4], axis=1)
    np.testing.assert_array_equal(first, np.tile([0, 2, 2, 2], (6, 1)))
    assert len({tuple(rows) for rows in np.asarray(state.rows)[:, :4]}) == 6, "drawn by each key"
    assert (info.labels[:, 0] == 4).all()
    given = np.flatnonzero(~OOD)[[7, 3, 5]]
    for rows in (given, given.tolist(), jnp.asarray(given)):
        state, info = simulate(random, initial=rows)(jax.random.key(1))
        assert state.rows[:3].tolist() == given.tolist() and info.labels[0] == 3
        np.testing.assert_array_equal(state.labels[:3], POOL.labels[given])


def sums_of_private():
    """A strategy that picks at random, and whose scores say what it saw of the private set."""

    def observe(key, model, variables, inputs, labels):
        return inputs[:, 1], labels

    def select(key, view, budget):
        values, labels = view.private
        there = view.private_usable
        seen = jnp.sum(jnp.where(there, values + 100 * labels, 0.0))
        picked = take_top(jax.random.uniform(key, view.available.shape), view.available, budget)
        return picked._replace(scores=jnp.full(budget, seen))

    return jaxal.Strategy(observe, select)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["labeled", "found"])
def test_private_examples_are_the_rows_so_far(kind):
    run = simulate(sums_of_private(), private=kind)
    state, info = run(jax.random.key(2))
    check_picks(state, info)
    for number in range(5):
        count = int((info.labels if kind == "labeled" else info.skipped)[number])
        rows = np.asarray(state.rows if kind == "labeled" else state.skipped)[:count]
        # What was found has no label; a labelled row has its own.
        expected = np.sum(INPUTS[rows, 1] + 100.0 * POOL.labels[rows])
        np.testing.assert_allclose(info.scores[number], expected, rtol=1e-4, atol=1e-3)
    rounds = jaxal.iterate(
        jax.random.key(2), LEARNER, sums_of_private(), POOL, TEST, private=kind, **PLAN
    )
    np.testing.assert_allclose(
        np.stack([one.scores for _, one in rounds])[:5], info.scores[:5], rtol=1e-5
    )


@pytest.mark.slow
def test_the_same_picks_on_several_devices():
    strategy = jaxal.strategies.scg(function="flcg", representation="features")
    given = {"private": "found", "initial": {0: 2, 1: 2, 2: 2}}
    state, info = simulate(strategy, **given)(jax.random.key(3))
    mesh = jaxal.devices.make_mesh(4, devices=jax.devices()[:4])
    spread, shared = simulate(strategy, mesh=mesh, **given)(jax.random.key(3))
    assert_same_picks(shared.rows, info.rows, shared.scores, info.scores)
    for one, its_info in ((state, info), (spread, shared)):
        check_picks(one, its_info)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_strict_settings_and_wide_numbers(mode):
    with MODES[mode]():
        strategy = jaxal.strategies.scg(function="gccg", representation="features")
        given = {"private": "found", "initial": {0: 2, 2: 4}}
        check_picks(*simulate(strategy, **given)(jax.random.key(3)))


@pytest.mark.slow
def test_private_rows_in_a_loop_in_which_people_label():
    placed = jaxal.place(INPUTS, None)
    state = jaxal.init(jax.random.key(0), LEARNER, placed, initial=0, capacity=10)
    first, second, third = map(int, np.flatnonzero(~OOD)[:3])
    state = jaxal.tell(state, [first, second, third], [0, 2, -1])
    for kind, rows in {"labeled": [first, second], "found": [third]}.items():
        _, asked = jaxal.ask(state, LEARNER, sums_of_private(), placed, 4, private=kind)
        labels = {"labeled": 200, "found": -100}[kind]
        np.testing.assert_allclose(asked.scores, INPUTS[rows, 1].sum() + labels, rtol=1e-5)


@pytest.mark.slow
def test_a_loop_with_skipped_rows_goes_on(tmp_path):
    strategy = jaxal.strategies.random()
    plan = PLAN | {"initial": {0: 2, 1: 2, 2: 2}}

    def rounds(**options):
        return jaxal.iterate(jax.random.key(0), LEARNER, strategy, POOL, TEST, **plan, **options)

    whole = [state for state, _ in rounds()]
    for number, _ in enumerate(rounds(checkpoint=tmp_path / "run")):
        if number == 2:
            break
    rest = [state for state, _ in rounds(checkpoint=tmp_path / "run")]
    assert len(rest) == 4
    for before, after in zip(whole[2:], rest, strict=True):
        np.testing.assert_array_equal(after.rows, before.rows)
        np.testing.assert_array_equal(after.skipped, before.skipped)
    plan["initial"] = {0: 3, 1: 1, 2: 2}
    with pytest.raises(ValueError, match="per_class was .* and is"):
        next(rounds(checkpoint=tmp_path / "run"))


def run_with(**changed):
    return lambda: simulate(jaxal.strategies.random(), **changed)


@pytest.mark.slow
@bad_inputs(
    {
        "both": (run_with(labeled_only=True), ValueError, "^skip_unlabeled: expected False"),
        "neither": (run_with(skip_unlabeled=False), ValueError, "pool labels: .* -1; labeled_only"),
        "more than are known": (run_with(initial=80, rounds=1), ValueError, "^initial: .* 1 to 6"),
        "of a class": (run_with(initial={0: 60}), ValueError, "^initial: .* rows of class 0, as"),
        "no class": (run_with(initial={}), ValueError, "^initial: .*at least one class"),
        "of no class": (
            run_with(initial=np.flatnonzero(OOD)[:2]),
            ValueError,
            "^initial: expected rows whose labels the pool knows",
        ),
        "more than the pool": (run_with(rounds=11), ValueError, "at most 10 rounds"),
        "another word": (run_with(private="lost"), ValueError, "^private: 'lost' is unknown"),
        "a set that cannot grow": (run_with(query="labeled"), TypeError, "^query: expected a pair"),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
