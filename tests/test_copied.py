"""Strategies that decide from a short copy of a pool that is read: the picks of the rule itself."""

import gc
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import CountTraces, Rows, bad_inputs, clouds

import jaxal
from jaxal import pools, strategies
from jaxal.loop import copied
from jaxal.pools import devices

ROWS = 1003
MODEL = jaxal.models.mlp(3, hidden=(8,))
POOL, TEST = clouds(ROWS, width=4), clouds(30, width=4, seed=1)
LABELS = np.where(np.isin(np.arange(ROWS), [3, 50, 700]), POOL.labels, -1)
VARIABLES = MODEL.init(jax.random.key(0), jnp.asarray(POOL.inputs[:1]))
KEY = jax.random.key(1)


class Counted(Rows):
    """Counts the rows that are asked for one by one."""

    read = 0

    def __getitem__(self, rows):
        if not isinstance(rows, slice):
            self.read += len(rows)
        return self.rows[rows]


@pytest.fixture(autouse=True)
def few_sampled(monkeypatch):
    monkeypatch.setattr(copied, "SAMPLED", 50)


def acquire(strategy, inputs=None, budget=20, *, model: Any = MODEL, mesh: Any = None):
    if inputs is None:
        inputs = POOL.inputs
    options: Any = {"labels": LABELS, "batch_size": 50, "mesh": mesh}
    return jaxal.acquire(KEY, strategy, model, VARIABLES, inputs, budget, **options)


@pytest.mark.parametrize(
    ("precision", "shards"),
    [
        ("int8", None),
        pytest.param("bfloat16", 8, marks=pytest.mark.slow),
    ],
)
def test_core_set_picks_what_it_picks_of_all_features(precision, shards, tmp_path):
    mesh = None if shards is None else devices.make_mesh(shards)
    expected = acquire(strategies.core_set())
    strategy = strategies.core_set(block_size=32, precision=precision)
    source = Counted(pools.create(tmp_path / "pool", POOL.inputs, shard_rows=300))
    found = acquire(strategy, source, mesh=mesh)
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)
    passes, rest = divmod(source.read - 100 - 3, 32)  # beside those sampled and those labelled
    assert rest == 0 and 1 <= passes < 8


@pytest.mark.parametrize("shards", [None, pytest.param(8, marks=pytest.mark.slow)])
def test_badge_draws_gradients_that_are_exact(shards):
    mesh = None if shards is None else devices.make_mesh(shards)
    strategy = strategies.badge(block_size=32, precision="int8")
    source = Counted(POOL.inputs)
    found = acquire(strategy, source, mesh=mesh)
    assert source.read < 400
    outputs = jax.jit(MODEL.apply)(VARIABLES, POOL.inputs)
    logits, features = (np.asarray(leaf, np.float64) for leaf in outputs)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    residuals = chances - np.eye(3)[logits.argmax(axis=1)]
    gradients = (residuals[:, :, None] * features[:, None, :]).reshape(ROWS, -1)
    norms = np.where(LABELS < 0, (gradients**2).sum(axis=1), -1)
    rows, nearest = found.rows.tolist(), np.full(ROWS, np.inf)
    assert rows[0] == norms.argmax() and len(set(rows)) == 20 and (LABELS[rows] < 0).all()
    for place, row in enumerate(rows):
        score = nearest[row] if place else norms[row]
        np.testing.assert_allclose(found.scores[place], score, rtol=1e-3, atol=1e-7)
        nearest = np.minimum(nearest, ((gradients - gradients[row]) ** 2).sum(axis=1))
    if mesh is not None:
        np.testing.assert_array_equal(found.rows, acquire(strategy, source).rows)


@pytest.mark.slow
def test_another_decision_compiles_nothing():
    strategy = strategies.core_set(block_size=32, precision="int8")
    traces = CountTraces(strategy.observe)
    strategy = strategy._replace(observe=traces)
    first = acquire(strategy, Rows(POOL.inputs))
    count = traces.count
    assert acquire(strategy, Rows(POOL.inputs)).rows.tolist() == first.rows.tolist()
    assert traces.count == count
    gc.collect()  # nothing is kept of a copy, as compiled programs keep the pool they met first
    assert not any(type(one) is copied.ObservedRows for one in gc.get_objects())


LEARNER = jaxal.Learner(MODEL, optax.sgd(0.1), max_epochs=2, batch_size=4)


def rounds(name, precision, pool, **options):
    strategy = strategies.make(name, precision=precision)
    plan: Any = {"initial": 4, "budget": 4, "rounds": 2, "batch_size": 50, **options}
    run = jaxal.iterate(jax.random.key(0), LEARNER, strategy, pool, TEST, **plan)
    return [info.rows.tolist() for _, info in run]


@pytest.mark.slow
def test_rounds_are_those_of_all_features():
    source = Rows(POOL.inputs), POOL.labels
    assert rounds("core_set", "int8", source) == rounds("core_set", "int8", POOL)


@pytest.mark.slow
def test_rounds_of_badge(tmp_path):
    source, saved = (Rows(POOL.inputs), POOL.labels), {"checkpoint": tmp_path / "saved"}
    whole = rounds("badge", "int8", source, **saved)
    assert len({row for rows in whole[:2] for row in rows}) == 8
    with pytest.raises(ValueError, match="not the same run: precision was 'int8'"):
        rounds("badge", "bfloat16", source, **saved)
    pool = pools.stream(*source, batch_size=50)
    state = jaxal.init(jax.random.key(0), LEARNER, pool, initial=4, capacity=12)
    strategy = strategies.badge(precision="int8")
    assert jaxal.ask(state, LEARNER, strategy, pool, 4)[1].rows.tolist() == whole[0]


@pytest.mark.slow
def test_what_is_missing_is_minus_one():
    pool = pools.stream(Rows(POOL.inputs[:30]), POOL.labels[:30], devices.make_mesh(), batch_size=8)
    state = jaxal.init(jax.random.key(0), LEARNER, pool, initial=4, capacity=12)
    names: Any = ("float32", "int8")
    asked = [
        jaxal.ask(state, LEARNER, strategies.core_set(precision=name), pool, 31)[1]
        for name in names
    ]
    expected, found = asked
    assert len(pool) == 32 and (np.asarray(found.rows)[26:] == -1).all()
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)


WITH_NAN = POOL.inputs.copy()
WITH_NAN[150, 2] = np.nan


def minus_mean(variables, inputs, *, key=None):
    outputs = MODEL.apply(variables, inputs)
    return outputs._replace(
        features=outputs.features - outputs.features.mean(axis=0, keepdims=True)
    )


COPY: Any = strategies.core_set(precision="int8")


def rounded_by_place(variables, inputs, *, key=None):
    """As a model that computes in bfloat16, whose products are others at the end of a batch."""
    outputs = MODEL.apply(variables, inputs)
    odd = jnp.arange(len(outputs.features)) % 2
    return outputs._replace(features=outputs.features * (1.0 + 1e-3 * odd[:, None]))


def test_bounds_allow_for_what_a_model_rounds():
    rounded = MODEL._replace(apply=rounded_by_place)
    assert len(set(acquire(COPY, Rows(POOL.inputs), model=rounded).rows.tolist())) == 20


def test_features_that_are_read_are_compared_with_those_of_the_pass(monkeypatch):
    monkeypatch.setattr(copied, "MARGIN", 0.0)
    monkeypatch.setattr(copied, "MOST", np.inf)
    with pytest.raises(ValueError, match="core_set: model.apply: expected features of a row that"):
        acquire(COPY, Rows(POOL.inputs), model=MODEL._replace(apply=minus_mean))


@bad_inputs(
    {
        "NaN": (
            lambda: acquire(COPY, Rows(WITH_NAN)),
            FloatingPointError,
            "strategy core_set: observe returned NaN or inf for row 150",
        ),
        "features of a batch": (
            lambda: acquire(COPY, Rows(POOL.inputs), model=MODEL._replace(apply=minus_mean)),
            ValueError,
            "model.apply: expected features of a row that depend on that row alone, .* for row",
        ),
        "too many": (
            lambda: acquire(COPY, Rows(POOL.inputs), 1001),
            ValueError,
            "budget: expected 1 to 1000",
        ),
        "in parts": (
            lambda: strategies.partition(COPY),
            ValueError,
            "strategy: expected a strategy of all features, precision='float32'",
        ),
        "among candidates": (
            lambda: strategies.candidates(COPY),
            ValueError,
            "strategy: expected a strategy of all features",
        ),
        "as a filter": (
            lambda: strategies.candidates("badge", kind="progressive", rules=["random", COPY]),
            ValueError,
            "rules: expected a strategy of all features",
        ),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
