"""Whole runs: one program, a loop on the host, many seeds, many devices, people."""

import logging
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import CountTraces, bad_inputs, clouds, keys

import jaxal
from jaxal.pools import devices

MODEL = jaxal.models.mlp(3, hidden=(8,))
LEARNER = jaxal.Learner(MODEL, optax.adam(1e-2), batch_size=8, max_epochs=8)
POOL, TEST = clouds(90, spread=2.0), clouds(40, seed=1, spread=2.0)
PLAN: dict[str, Any] = dict(initial=6, budget=4, rounds=5)
NAMES = ["random", "entropy", "core_set", "badge"]


def simulate(name, **changed):
    strategy = jaxal.strategies.make(name) if isinstance(name, str) else name
    return jaxal.simulate(LEARNER, strategy, POOL, TEST, **(PLAN | changed))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_no_row_is_picked_twice_and_all_is_told(name):
    state, history = simulate(name)(jax.random.key(0))
    total = PLAN["initial"] + PLAN["rounds"] * PLAN["budget"]
    rows = state.rows.tolist()
    assert len(set(rows)) == len(rows) == total == state.count
    np.testing.assert_array_equal(state.labels, POOL.labels[state.rows])
    np.testing.assert_array_equal(history.rows[:-1].ravel(), state.rows[PLAN["initial"] :])
    assert (history.rows[-1] == -1).all()
    assert history.labels.tolist() == list(range(6, total + 1, 4))
    assert jnp.isfinite(history.train.loss).all() and jnp.isfinite(history.test.loss).all()
    assert history.test.accuracy[-1] > 0.6


@pytest.mark.slow
@pytest.mark.parametrize("name", ["entropy", "core_set", "badge"])
def test_the_loop_on_the_host_makes_the_same_picks(name):
    strategy = jaxal.strategies.make(name)
    state, history = simulate(name)(jax.random.key(0))
    rounds = list(jaxal.iterate(jax.random.key(0), LEARNER, strategy, POOL, TEST, **PLAN))
    assert len(rounds) == PLAN["rounds"] + 1
    np.testing.assert_array_equal(rounds[-1][0].rows, state.rows)
    together = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(info for _, info in rounds))
    np.testing.assert_array_equal(together.rows, history.rows)
    np.testing.assert_allclose(together.test.accuracy, history.test.accuracy, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["core_set", "badge"])
def test_vmap_over_seeds_is_each_seed_alone(name):
    # Batched matrix products may round otherwise, so picks are compared up to the first
    # round in which the fitted models differ: there, scores within rounding of each
    # other may change places.
    run = simulate(name)
    together, history = jax.vmap(run)(keys(4))  # those of the eight devices
    for seed, key in enumerate(keys(4)):
        alone, report = run(key)
        same = np.asarray(report.train.loss == history.train.loss[seed])
        first = len(same) if same.all() else int(np.argmin(same))
        np.testing.assert_array_equal(report.rows[: first + 1], history.rows[seed, : first + 1])
        np.testing.assert_array_equal(alone.rows[:6], together.rows[seed, :6])
        np.testing.assert_allclose(
            report.test.accuracy[0], history.test.accuracy[seed, 0], atol=0.03
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["core_set", "badge"])
def test_eight_devices_make_the_same_picks(name):
    mesh = devices.make_mesh(4, seeds=2)
    alone, _ = jax.vmap(simulate(name))(keys(4))
    run = simulate(name, mesh=mesh)
    shared, _ = jax.vmap(run)(devices.place_seeds(keys(4), mesh))
    np.testing.assert_array_equal(shared.rows, alone.rows)


def counted(name="badge"):
    strategy = jaxal.strategies.make(name)
    observe = CountTraces(strategy.observe)
    return observe, strategy._replace(observe=observe)


@pytest.mark.slow
def test_one_trace_serves_all_rounds_and_seeds():
    observe, strategy = counted()
    run = simulate(strategy)
    run(jax.random.key(0))
    run(jax.random.key(1))
    several = observe.count
    observe, strategy = counted()
    jax.eval_shape(simulate(strategy, rounds=2), jax.random.key(0))
    assert several == observe.count <= 2
    observe, strategy = counted()
    list(jaxal.iterate(jax.random.key(0), LEARNER, strategy, POOL, TEST, **PLAN))
    assert observe.count <= 2


@pytest.mark.slow
def test_pool_arrays_are_arguments_of_the_program():
    inputs = np.random.default_rng(0).normal(size=(4000, 50)).astype(np.float32)
    pool = (inputs, np.arange(4000) % 3)
    learner = jaxal.Learner(MODEL, optax.sgd(0.1), max_epochs=1)
    run = jaxal.simulate(learner, jaxal.strategies.random(), pool, pool, **PLAN)
    text = jax.jit(lambda run, keys: jax.vmap(run)(keys)).lower(run, keys(2)).as_text()
    assert "4000x50xf32" in text and len(text) < inputs.nbytes / 2


def test_strategies_see_no_label_before_it_is_told():
    seen = []

    def observe(key, model, variables, inputs, labels):
        return labels

    def select(key, view, budget):
        jax.debug.callback(lambda *given: seen.append(given), *view[:4])
        return jaxal.selection.take_top(view.labels, view.available, budget)

    for _ in jaxal.iterate(
        jax.random.key(0), LEARNER, jaxal.Strategy(observe, select), POOL, TEST, **PLAN
    ):
        jax.effects_barrier()
    assert len(seen) == PLAN["rounds"]
    for number, (observed, labels, labeled, available) in enumerate(seen):
        assert labeled.sum() == 6 + 4 * number and not (labeled & available).any()
        for told in (observed, labels):
            np.testing.assert_array_equal(told, np.where(labeled, POOL.labels, -1))


@pytest.mark.slow
def test_a_resumed_run_equals_an_unbroken_one():
    strategy = jaxal.strategies.badge()
    rounds = jaxal.iterate(jax.random.key(4), LEARNER, strategy, POOL, TEST, **PLAN)
    states = [state for state, _ in rounds]
    saved = jax.tree.map(np.asarray, states[2]._replace(key=jax.random.key_data(states[2].key)))
    resumed = jax.tree.map(jnp.asarray, saved)
    resumed = resumed._replace(key=jax.random.wrap_key_data(resumed.key))
    pool = jaxal.place(*POOL)
    for expected in states[3:-1]:
        resumed, _ = jaxal.step(resumed, LEARNER, strategy, pool, TEST, PLAN["budget"])
        np.testing.assert_array_equal(resumed.rows, expected.rows)


@pytest.mark.slow
def test_people_label_by_ask_and_tell():
    strategy = jaxal.strategies.entropy()
    expected, _ = jaxal.simulate(LEARNER, strategy, POOL, TEST, **PLAN)(jax.random.key(0))
    start = expected.rows[:6]
    unknown = jnp.full(90, -1).at[start].set(POOL.labels[start])
    pool = jaxal.place(POOL.inputs, unknown)
    state = jaxal.init(jax.random.key(0), LEARNER, pool, initial=start, capacity=26)
    for _ in range(PLAN["rounds"]):
        state, asked = jaxal.ask(state, LEARNER, strategy, pool, PLAN["budget"])
        state = jaxal.tell(state, asked.rows, POOL.labels[asked.rows])
    np.testing.assert_array_equal(state.rows, expected.rows)
    np.testing.assert_array_equal(state.labels, expected.labels)


def test_a_fit_of_ones_own():
    def fit(key, variables, inputs, labels, weights, count, validation=None):
        used = jnp.arange(len(labels)) < count
        means = jnp.stack(
            [
                jnp.mean(inputs, axis=0, where=(used & (labels == label))[:, None])
                for label in range(3)
            ]
        )
        info = jaxal.FitInfo(jnp.float32(0), jnp.float32(1), jnp.int32(1))
        return {"params": {"means": jnp.nan_to_num(means)}}, info

    def apply(params, inputs):
        squared = ((inputs[:, None] - params["means"][None]) ** 2).sum(-1)
        return jaxal.Outputs(-squared, inputs)

    model = jaxal.models.from_functions(
        lambda key, inputs: {"means": jnp.zeros((3, inputs.shape[1]))}, apply
    )
    learner = jaxal.CustomLearner(model, fit)
    run = jaxal.simulate(learner, jaxal.strategies.margin(), POOL, TEST, **PLAN)
    _, history = run(jax.random.key(0))
    assert history.test.accuracy[-1] > 0.7


@pytest.mark.slow
def test_a_loss_that_is_not_finite_is_told():
    learner = jaxal.Learner(MODEL, optax.sgd(1e30), max_epochs=5)
    strategy = jaxal.strategies.entropy()
    _, history = jaxal.simulate(learner, strategy, POOL, TEST, **PLAN)(jax.random.key(0))
    assert not jnp.isfinite(history.train.loss).all()
    with pytest.raises(FloatingPointError, match="not finite in round 0.*learning rate"):
        list(jaxal.iterate(jax.random.key(0), learner, strategy, POOL, TEST, **PLAN))


@pytest.mark.slow
def test_the_learner_is_given_the_validation_examples():
    learner = jaxal.Learner(MODEL, optax.adam(1e-2), window=0, patience=2)
    strategy = jaxal.strategies.margin()
    arguments: Any = (learner, strategy, POOL, TEST)
    with pytest.raises(ValueError, match="no validation examples"):
        jaxal.simulate(*arguments, **PLAN)(jax.random.key(0))
    plan = PLAN | dict(validation=clouds(30, seed=2, spread=2.0))
    state, history = jaxal.simulate(*arguments, **plan)(jax.random.key(0))
    assert (history.epochs > 2).any() and (history.epochs < 100).all()
    *_, (last, _) = jaxal.iterate(jax.random.key(0), *arguments, **plan)
    np.testing.assert_array_equal(last.rows, state.rows)
    pool = jaxal.place(*POOL)
    start = jaxal.init(jax.random.key(0), learner, pool, initial=6, capacity=26)
    _, asked = jaxal.ask(start, learner, strategy, pool, 4, validation=plan["validation"])
    np.testing.assert_array_equal(asked.rows, history.rows[0])


def first_labels(seed, initial, pool=POOL):
    placed = jaxal.place(*pool)
    state = jaxal.init(
        jax.random.key(seed),
        LEARNER,
        placed,
        initial=initial,
        capacity=initial,
        balanced=True,
    )
    rows = state.rows[: state.count]
    return rows, np.bincount(pool.labels[rows], minlength=3)


@pytest.mark.slow
@pytest.mark.parametrize("initial", [1, 2, 6, 7, 20])
def test_balanced_initial_rows(initial):
    rows, counts = first_labels(0, initial)
    assert len(set(rows.tolist())) == counts.sum() == initial
    assert counts.max() - counts.min() <= 1
    np.testing.assert_array_equal(rows, first_labels(0, initial)[0])
    assert set(rows.tolist()) != set(first_labels(1, initial)[0].tolist())


def test_beginning_and_telling_compile_few_programs(caplog):
    """Where people label nothing around them is compiled: each operation would be a program."""

    def compiled():
        found = re.findall(r"Compiling jit\((\w+)\)", caplog.text)
        caplog.clear()
        return found

    pool = jaxal.place(*clouds(97))  # of a size of its own
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        state = jaxal.init(jax.random.key(0), LEARNER, pool, initial=6, capacity=19)
        first = compiled()
        assert first.count("_draw") == first.count("_filled") == 1
        assert not {"_uniform", "top_k", "gather", "scatter", "cumsum"} & {*first}
        rows = np.setdiff1d(np.arange(20, dtype=np.int32), state.rows)[:7]
        labels = np.asarray(pool.labels)[rows]
        compiled()
        jaxal.tell(state, rows, labels)
    assert compiled() == ["_filled"]


@pytest.mark.slow
def test_balanced_initial_rows_where_a_class_runs_out():
    labels = np.array([0] * 2 + [1] * 80 + [2] * 8, np.int32)
    _, counts = first_labels(0, 30, jaxal.Examples(POOL.inputs, labels))
    assert counts.tolist() == [2, 20, 8]


@pytest.mark.slow
def test_balanced_simulations_begin_balanced():
    run = simulate("random", balanced=True)
    states, _ = jax.vmap(run)(keys(3))
    for seed, key in enumerate(keys(3)):
        first = states.rows[seed, : PLAN["initial"]]
        assert np.bincount(POOL.labels[first]).tolist() == [2, 2, 2]
        rounds = jaxal.iterate(
            key,
            LEARNER,
            jaxal.strategies.random(),
            POOL,
            TEST,
            **PLAN,
            balanced=True,
        )
        state, _ = next(iter(rounds))
        np.testing.assert_array_equal(state.rows[: PLAN["initial"]], first)


def broken(examples, **changed):
    inputs, labels = np.array(examples.inputs), np.array(examples.labels)
    for name, (row, value) in changed.items():
        (inputs if name == "inputs" else labels)[row] = value
    return jaxal.Examples(inputs, labels)


@bad_inputs(
    {
        "plan": (
            (POOL, TEST, dict(rounds=22)),
            ValueError,
            r"= 94, but the pool has 90 rows: at most 21 rounds",
        ),
        "initial": ((POOL, TEST, dict(initial=0)), ValueError, "initial.*0"),
        "budget": ((POOL, TEST, dict(budget=-1)), ValueError, "budget.*-1"),
        "rounds": ((POOL, TEST, dict(rounds=0)), ValueError, "rounds.*0"),
        "label": (
            (broken(POOL, labels=(3, 7)), TEST, {}),
            ValueError,
            "pool labels.*0 to 2, got 7 at row 3",
        ),
        "unknown": (
            (broken(POOL, labels=(3, -1)), TEST, {}),
            ValueError,
            "pool labels: expected all to be known.*got 1 of 90",
        ),
        "NaN": (
            (broken(POOL, inputs=((5, 1), np.nan)), TEST, {}),
            ValueError,
            "pool inputs.*row 5",
        ),
        "test": (
            (POOL, broken(TEST, inputs=((2, 0), np.inf)), {}),
            ValueError,
            "test inputs.*row 2",
        ),
        "rows": (((POOL.inputs, POOL.labels[:80]), TEST, {}), ValueError, "must agree.*90.*80"),
    }
)
def test_bad_input(given, error, message):
    pool, test, changed = given
    strategy = jaxal.strategies.random()
    with pytest.raises(error, match=message):
        jaxal.simulate(LEARNER, strategy, pool, test, **(PLAN | changed))
