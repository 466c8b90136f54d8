"""One decision on a pool of one's own, and what it says of bad input."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import CountTraces, bad_inputs, clouds, table_model

import jaxal
from jaxal.pools import devices, size_class

MODEL = jaxal.models.mlp(3, hidden=(8,))
INPUTS, LABELS = clouds(20)
VARIABLES = MODEL.init(jax.random.key(0), jnp.asarray(INPUTS[:1]))


def acquire(**changed):
    given: dict[str, Any] = dict(
        key=jax.random.key(0),
        strategy=jaxal.strategies.entropy(),
        model=MODEL,
        variables=VARIABLES,
        inputs=INPUTS,
        budget=3,
    )
    return jaxal.acquire(**(given | changed))


def test_inputs_may_be_any_pytree_or_row_numbers():
    logits = MODEL.apply(VARIABLES, jnp.asarray(INPUTS)).logits
    expected = acquire().rows
    table = table_model(logits, INPUTS)
    looked_up = acquire(model=table, variables={"params": {}}, inputs=np.arange(20))
    np.testing.assert_array_equal(looked_up.rows, expected)

    def joined(variables, inputs, *, key=None):
        return MODEL.apply(variables, jnp.concatenate([inputs["left"], inputs["right"]], 1))

    model = MODEL._replace(apply=joined)
    halves = {"left": INPUTS[:, :2], "right": INPUTS[:, 2:]}
    np.testing.assert_array_equal(acquire(model=model, inputs=halves).rows, expected)


def test_is_traced_once_for_equal_shapes():
    observe = CountTraces(jaxal.strategies.entropy().observe)
    strategy = jaxal.strategies.entropy()._replace(observe=observe)
    for seed in range(4):
        acquire(strategy=strategy, key=jax.random.key(seed), inputs=INPUTS + seed)
    assert observe.count == 1


def test_a_pool_that_grows_or_shrinks_by_some_rows_compiles_nothing():
    inputs, labels = clouds(1000)
    expected = acquire(inputs=inputs[:990], budget=5)
    observe = CountTraces(jaxal.strategies.entropy().observe)
    strategy = jaxal.strategies.entropy()._replace(observe=observe)
    for rows in (1000, 990, 993, 1003):
        more, _ = clouds(rows)
        picked = acquire(strategy=strategy, inputs=more, budget=5)
        assert (picked.rows < rows).all()
    assert observe.count == 1
    same = acquire(strategy=strategy, inputs=inputs[:990], budget=5)
    np.testing.assert_array_equal(same.rows, expected.rows)
    known = np.where(np.arange(990) < 986, labels[:990], -1)
    last = acquire(strategy=strategy, inputs=inputs[:990], labels=known, budget=4)
    assert sorted(last.rows.tolist()) == [986, 987, 988, 989]


@pytest.mark.parametrize("rows", [1, 2, 15, 16, 17, 33, 1000, 12345, 10**6 + 1])
def test_size_classes_are_few_and_close(rows):
    size = size_class(rows)
    assert rows <= size <= rows * 9 / 8 and size_class(size) == size
    assert size == rows or rows > 16


def test_a_placed_pool_is_taken_as_it_is():
    known = np.where(np.arange(20) < 4, LABELS, -1)
    expected = acquire(labels=known)
    mesh = devices.make_mesh(3)
    for pool in (jaxal.place(INPUTS, known), jaxal.place(INPUTS, known, mesh, batch_size=3)):
        np.testing.assert_array_equal(acquire(inputs=pool).rows, expected.rows)
        with pytest.raises(ValueError, match="placed pool has labels"):
            acquire(inputs=pool, labels=known)


def test_arrays_that_a_program_closes_over():
    """They are no tracers, and what is computed of them inside is."""
    labels, free = np.where(np.arange(20) < 5, LABELS, -1), jnp.arange(20) > 6
    expected = acquire(labels=labels, available=free).rows
    pool = {"inputs": jnp.asarray(INPUTS), "labels": jnp.asarray(labels), "available": free}
    for inside in (lambda key: acquire(key=key, **pool), lambda key: acquire(**pool)):
        np.testing.assert_array_equal(jax.jit(inside)(jax.random.key(0)).rows, expected)
    with pytest.raises(ValueError, match="pool labels: expected -1 to 2, got -3 at row 0"):
        pool["labels"] = jnp.full(20, -3)
        jax.jit(lambda key: acquire(key=key, **pool))(jax.random.key(0))
    placed = jax.jit(lambda: jaxal.place(pool["inputs"], jnp.asarray(labels)).labels)()
    np.testing.assert_array_equal(placed[:20], labels)


def test_works_inside_jit():
    @jax.jit
    def inside(inputs, labels):
        return acquire(inputs=inputs, labels=labels).rows

    labels = np.where(np.arange(20) < 4, LABELS, -1)
    np.testing.assert_array_equal(inside(INPUTS, labels), acquire(labels=labels).rows)


def test_missing_rows_are_minus_one_inside_jit():
    inside = jax.jit(lambda available: acquire(available=available).rows)
    assert inside(jnp.arange(20) < 2).tolist()[2:] == [-1]


def test_further_examples_reach_the_strategy():
    def observe(key, model, variables, inputs, labels):
        return inputs[:, 0], labels

    def select(key, view, budget):
        assert view.private is None
        wanted = jnp.mean(view.query[0])
        shown = jnp.stack([*view.query[1], *view.validation[1]]).astype(float)
        nearest = jaxal.selection.take_top(
            -jnp.abs(view.observation[0] - wanted), view.available, budget
        )
        return nearest._replace(scores=shown)

    query = (INPUTS[7:8], LABELS[7:8])
    validation = (INPUTS[:2], LABELS[:2])
    strategy = jaxal.Strategy(observe, select)
    picked = acquire(strategy=strategy, query=query, validation=validation)
    assert picked.rows[0] == 7
    assert picked.scores.tolist() == [LABELS[7], *LABELS[:2]]


def no_selection(key, view, budget) -> Any:
    return view.labels


def with_nan():
    inputs = INPUTS.copy()
    inputs[4, 1] = np.nan
    return inputs


def outputs(logits=(3,), features=(5,), wrap: Any = jaxal.Outputs):
    def apply(variables, inputs, *, key=None):
        n = inputs.shape[0]
        return wrap(jnp.zeros((n, *logits)), jnp.zeros((n, *features)))

    return MODEL._replace(apply=apply)


@bad_inputs(
    {
        "zero": (dict(budget=0), ValueError, "budget.*1 to 20.*got 0"),
        "negative": (dict(budget=-2), ValueError, "budget.*got -2"),
        "fraction": (dict(budget=2.5), TypeError, "budget.*2.5"),
        "above N": (dict(budget=21), ValueError, "budget.*1 to 20.*got 21"),
        "above what is left": (
            dict(labels=np.where(np.arange(20) < 18, LABELS, -1)),
            ValueError,
            r"budget.*1 to 2 \(available rows\), got 3",
        ),
        "NaN": (dict(inputs=with_nan()), ValueError, "pool inputs.*row 4"),
        "label": (dict(labels=np.full(20, 3)), ValueError, "pool labels.*got 3 at row 0"),
        "labels' length": (dict(labels=LABELS[:9]), ValueError, "must agree.*20.*9"),
        "mask": (dict(available=np.ones(7, bool)), ValueError, "available.*20 rows.*7"),
        "query label": (
            dict(query=(INPUTS[:2], np.array([0, 9]))),
            ValueError,
            "query labels.*got 9 at row 1",
        ),
        "query width": (
            dict(query=(INPUTS[:2, :3], np.zeros(2, np.int32))),
            ValueError,
            r"query inputs.*\(5,\), as in the pool, got \(3,\)",
        ),
        "a plain pair": (
            dict(model=outputs(wrap=lambda *pair: pair)),
            TypeError,
            "expected Outputs.*got tuple",
        ),
        "logits alone": (
            dict(model=outputs(wrap=lambda logits, _: logits)),
            TypeError,
            "expected Outputs",
        ),
        "logits' rank": (dict(model=outputs(logits=())), ValueError, r"logits.*\[n, C\]"),
        "features' rank": (dict(model=outputs(features=(2, 2))), ValueError, r"features.*\[n, D\]"),
        "one class": (
            dict(model=outputs(logits=(1,))),
            ValueError,
            "strategy entropy: needs the probabilities of classes",
        ),
        "batch size": (dict(batch_size=0), ValueError, "batch_size"),
        "no selection": (
            dict(
                strategy=jaxal.Strategy(
                    jaxal.strategies.entropy().observe,
                    no_selection,
                )
            ),
            TypeError,
            "expected a Selection of 3 rows",
        ),
    }
)
def test_bad_input(given, error, message):
    with pytest.raises(error, match=message):
        acquire(**given)
