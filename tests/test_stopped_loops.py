# pyright: reportArgumentType=false, reportOptionalMemberAccess=false
"""Stopping rules in a loop: as over the whole history, compiled, vmapped, on the host."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import MODES, CountTraces, bad_inputs, clouds, keys

import jaxal
from jaxal import stopping
from jaxal.pools import devices
from jaxal.stopping import watch

POOL, TEST = clouds(60), clouds(30, seed=1)
LEARNER = jaxal.Learner(jaxal.models.logistic(3), optax.adam(0.1), max_epochs=30)
PLAN = {"initial": 6, "budget": 4, "rounds": 5}
KAPPA = stopping.Kappa(window=2, threshold=0.85)
HISTORIES = {
    "kappa": lambda logits, gaps, given: stopping.stabilizing_predictions(
        logits.argmax(-1), num_classes=logits.shape[-1], **given
    ),
    "classification_change": lambda logits, gaps, given: stopping.classification_change(
        logits.argmax(-1), **given
    ),
    "overall_uncertainty": lambda logits, gaps, given: stopping.overall_uncertainty(
        logits, **given
    ),
    "error_stability": lambda logits, gaps, given: stopping.error_stability(gaps, **given),
}
ROUNDS = [
    ("kappa", {"window": 2, "threshold": 0.6}),
    ("kappa", {"window": 3, "threshold": 0.99}),
    ("classification_change", {"threshold": 0.2}),
    ("overall_uncertainty", {"threshold": 0.6}),
    ("error_stability", {"threshold": 0.3}),
]


def simulate(stop, strategy=None, **more):
    strategy = strategy or jaxal.strategies.margin()
    return jaxal.simulate(LEARNER, strategy, POOL, TEST, **{**PLAN, "stop": stop, **more})


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), ROUNDS)
def test_a_rule_by_rounds_is_that_of_the_history(name, options):
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(8, 20, 3)) * 2.0 ** -np.arange(8)[:, None, None]
    logits = (3 * steps.cumsum(0)).astype(np.float32)
    features, labels = rng.normal(size=(40, 2)).astype(np.float32), rng.integers(0, 3, 40)
    counts = [5, 15, 25, 30, 32, 33, 33, 40]
    number, gaps = np.arange(40), []
    gap = jax.jit(functools.partial(stopping.error_gap, num_classes=3))
    for before, after in zip([0, *counts], counts, strict=False):
        gaps.append(gap(features, labels, number < before, number < after))
    history = jax.jit(lambda logits, gaps: HISTORIES[name](logits, gaps, options))
    expected = np.asarray(history(logits, np.stack(gaps)))
    rules = (stopping.rule(name, **options),)
    seen = stopping.Seen(features=jnp.asarray(features), known=jnp.asarray(labels))
    look = jax.jit(
        lambda state, logits, count: watch.look(
            rules, state, seen._replace(logits=logits, count=count)._replace(num_classes=3)
        )
    )
    for mode in MODES.values():
        with mode():
            state, fired = watch.begin(rules, 20, 3), []
            for one, count in zip(logits, counts, strict=True):
                state = look(state, one, np.int32(count))
                fired.append(int(state.stopped.rule) == 0)
            first = int(np.argmax(expected)) if expected.any() else len(counts)
            assert fired == [one >= first for one in range(len(counts))]
    assert expected.any() or name == "kappa"


@pytest.mark.slow
def test_simulate_stops_and_repeats_the_last_report():
    observe = CountTraces(jaxal.strategies.margin().observe)
    run = simulate(KAPPA, jaxal.strategies.margin()._replace(observe=observe), stop_set=40)
    whole = simulate(None)
    state, history = jax.vmap(run)(keys(4))
    _, longer = jax.vmap(whole)(keys(4))
    assert observe.count == 1
    held = np.asarray(history.stopped.rule)
    ends = np.where((held >= 0).any(1), (held >= 0).argmax(1), PLAN["rounds"])
    assert 1 < ends.min() < PLAN["rounds"]
    for seed, end in enumerate(ends):
        np.testing.assert_array_equal(history.rows[seed, :end], longer.rows[seed, :end])
        assert (np.asarray(history.rows[seed, end:]) == -1).all()
        assert (
            held[seed, end:] == (0 if end < PLAN["rounds"] or held[seed, -1] == 0 else -1)
        ).all()
        labels = 6 + 4 * np.minimum(np.arange(6), end)
        np.testing.assert_array_equal(history.labels[seed], labels)
        assert int(state.count[seed]) == labels[-1]
        last = history.test.accuracy[seed, end:]
        np.testing.assert_array_equal(last, np.full_like(last, last[0]))
        assert last[0] == longer.test.accuracy[seed, end]
        values = np.asarray(history.stopped.values[seed, :, 0])
        assert np.isinf(values[:2]).all() and np.isfinite(values[2:]).all()


@pytest.mark.slow
def test_iterate_ends_where_simulate_does():
    _, history = simulate(KAPPA, stop_set=POOL.inputs[:40])(jax.random.key(3))
    given = {**PLAN, "stop": KAPPA, "stop_set": POOL.inputs[:40]}
    found = list(
        jaxal.iterate(jax.random.key(3), LEARNER, jaxal.strategies.margin(), POOL, TEST, **given)
    )
    rule = np.asarray(history.stopped.rule)
    assert (rule >= 0).any()
    assert len(found) == int((rule >= 0).argmax()) + 1
    for number, (_, info) in enumerate(found):
        np.testing.assert_array_equal(info.rows, history.rows[number])
        assert int(info.stopped.rule) == rule[number]
    assert stopping.reason(KAPPA, found[0][1].stopped) is None
    assert stopping.reason(KAPPA, found[-1][1].stopped).startswith("kappa: kappa of consecutive")


@pytest.mark.slow
def test_a_loop_goes_on_as_one_that_was_not_broken_off(tmp_path):
    given = {**PLAN, "stop": ["error_stability", KAPPA], "stop_set": 40}
    arguments = (LEARNER, jaxal.strategies.margin(), POOL, TEST)
    whole = [info for _, info in jaxal.iterate(jax.random.key(3), *arguments, **given)]
    parts = []
    for _ in range(len(whole) + 2):
        for _, info in jaxal.iterate(jax.random.key(3), *arguments, **given, checkpoint=tmp_path):
            parts.append(info)
            if len(parts) % 2 == 0:
                break
    labels = [int(info.labels) for info in parts]
    assert sorted({*labels}) == [int(info.labels) for info in whole]
    assert int(parts[-1].stopped.rule) == int(whole[-1].stopped.rule) >= 0
    np.testing.assert_array_equal(parts[-1].stopped.values, whole[-1].stopped.values)
    with pytest.raises(ValueError, match="stop"):
        next(
            jaxal.iterate(
                jax.random.key(3), *arguments, **{**given, "stop": KAPPA}, checkpoint=tmp_path
            )
        )


@pytest.mark.slow
def test_low_scores_end_a_loop_and_are_not_labelled():
    scores = [0.9, 0.7, 0.2]

    def observe(key, model, variables, inputs, labels):
        return inputs[:, 0]

    def select(key, view, budget):
        picked = jaxal.selection.take_top(view.observation, view.available, budget)
        round_ = (jnp.sum(view.labeled) - 6) // 4
        level = jnp.asarray(scores)[jnp.minimum(round_, 2)]
        return picked._replace(scores=jnp.full(budget, level))

    strategy = jaxal.Strategy(observe, select)
    rules = [stopping.Tolerance(threshold=0.5), stopping.Budget(labels=18)]
    state, history = jax.vmap(simulate(rules, strategy))(keys(2))
    np.testing.assert_array_equal(history.labels[0], [6, 10, 14, 14, 14, 14])
    np.testing.assert_array_equal(history.stopped.rule[0], [-1, -1, 0, 0, 0, 0])
    np.testing.assert_allclose(history.stopped.values[0, :3, 0], scores)
    assert int(state.count[0]) == 14 and int(state.round[0]) == 2
    given = {**PLAN, "stop": rules}
    *_, (last, info) = jaxal.iterate(jax.random.key(1), LEARNER, strategy, POOL, TEST, **given)
    assert int(last.count) == 14 and (np.asarray(info.rows) == -1).all()
    assert (
        stopping.reason(rules, info.stopped) == "tolerance: the highest score of the picks is 0.2"
    )


@pytest.mark.slow
def test_accuracy_on_validation_examples_and_of_several_devices():
    rules = [stopping.Accuracy(threshold=0.95, on="validation"), "overall_uncertainty"]
    given = {"stop_set": 16, "validation": clouds(24, seed=5)}
    _, alone = jax.vmap(simulate(rules, **given))(keys(2))
    mesh = devices.make_mesh(4, seeds=2)
    run = simulate(rules, **given, mesh=mesh)
    _, shared = jax.vmap(run)(devices.place_seeds(keys(2), mesh))
    np.testing.assert_array_equal(shared.stopped.rule, alone.stopped.rule)
    np.testing.assert_array_equal(shared.rows, alone.rows)
    np.testing.assert_allclose(shared.stopped.values, alone.stopped.values, atol=1e-4)


@bad_inputs(
    {
        "a class": (
            lambda: simulate(stopping.Kappa),
            TypeError,
            r"stop: expected rules.*Kappa\(\)",
        ),
        "a number": (lambda: simulate(3), TypeError, "stop: expected rules"),
        "no rule": (lambda: simulate([]), ValueError, "stop: expected one rule"),
        "a name": (lambda: simulate("kapa"), ValueError, "stop: 'kapa' is unknown; did you mean"),
        "a rule's name": (lambda: stopping.rule("kapa"), ValueError, "rule: 'kapa' is unknown"),
        "an option": (lambda: stopping.rule("kappa", windw=1), ValueError, "rule kappa: option"),
        "a missing one": (lambda: stopping.rule("budget"), ValueError, "rule budget: labels: miss"),
        "a window": (
            lambda: stopping.rule("kappa", window=0),
            ValueError,
            "window: expected an in",
        ),
        "a word": (lambda: stopping.rule("kappa", threshold="1"), TypeError, "threshold: expected"),
        "NaN": (lambda: stopping.Kappa(threshold=float("nan")), ValueError, "threshold: expected"),
        "labels": (lambda: stopping.Budget(labels=1.5), TypeError, "labels: expected an integer"),
        "on": (
            lambda: stopping.Accuracy(threshold=0.5, on="pool"),
            ValueError,
            "on: expected test",
        ),
        "above 1": (lambda: stopping.Accuracy(threshold=95.0), ValueError, "threshold: expected"),
        "no validation": (
            lambda: simulate(stopping.Accuracy(threshold=0.5, on="validation")),
            ValueError,
            "stop: expected validation examples",
        ),
        "a stop set that none looks at": (
            lambda: simulate(stopping.Budget(labels=9), stop_set=5),
            ValueError,
            "stop_set: expected a rule",
        ),
        "no stop set": (
            lambda: simulate(KAPPA, stop_set=0),
            ValueError,
            "stop_set: expected an in",
        ),
        "text": (lambda: simulate(KAPPA, stop_set="all"), TypeError, "stop_set: expected inputs"),
        "other inputs": (
            lambda: simulate(KAPPA, stop_set=np.ones((3, 2))),
            ValueError,
            "stop_set inputs: expected rows of shape",
        ),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
