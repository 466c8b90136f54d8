"""GLISTER against its recurrences on gradients written out, in float64."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs, cases, last_layer_gradients, load_case, table_model

import jaxal
from jaxal import selection, strategies
from jaxal.points.gradient import gradient_embedding
from jaxal.selection.gradient_matching._regularizers import largest_distance

ROWS, LABELED, HELD_OUT, CLASSES, WIDTH, BUDGET, RATE = 60, 12, 9, 4, 5, 10, 0.03


def outputs(rows, seed, offset=0.0):
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(rows, CLASSES))
    features = rng.normal(size=(rows, WIDTH)) + offset
    return logits.astype(np.float32), features.astype(np.float32)


def labelled(rows, seed):
    rng = np.random.default_rng(seed)
    mask = np.arange(rows) % 4 != 1
    return *outputs(rows, seed), rng.integers(0, CLASSES, rows), mask


@functools.cache
def setting():
    """Pool, labelled and validation examples, and the rows that may be picked."""
    available = np.arange(ROWS) % 5 != 3
    return outputs(ROWS, 0), labelled(LABELED, 1), labelled(HELD_OUT, 2), available


def reference(pool, labeled, validation, available, budget, regularizer, strength):
    """The rows, and their scores, by the definition."""
    names = pool[0].argmax(1)
    gradients = last_layer_gradients(pool[0], pool[1], names)
    taken = [part[labeled[3]] for part in labeled[:3]]
    if validation is None:
        mine = [part[available] for part in (*pool, names)]
        evaluation = [np.concatenate(pair) for pair in zip(mine, taken, strict=True)]
    else:
        evaluation = [part[validation[3]] for part in validation[:3]]
    logits, features, labels = evaluation
    logits = logits.astype(np.float64)
    ones = np.ones((len(features), 1))
    extended = np.concatenate([ones, features.astype(np.float64)], 1)

    def descend(logits, gradient):
        return logits - RATE * extended @ gradient.reshape(CLASSES, WIDTH + 1).T

    logits = descend(logits, last_layer_gradients(*taken).sum(0))
    squared = ((gradients[:, None] - gradients[None]) ** 2).sum(-1)
    nearest = np.full(len(names), squared[np.ix_(available, available)].max())
    rows, scores = [], []
    for _ in range(budget):
        gains = gradients @ last_layer_gradients(logits, features, labels).mean(0)
        if regularizer == "diversity":
            gains = gains - strength * np.exp(-squared[:, rows] / 2).sum(1)
        if regularizer == "facility_location":
            gap = np.maximum(nearest - squared, 0)[:, available]
            gains = gains + strength * gap.sum(1)
        gains = np.where(available, gains, -np.inf)
        gains[rows] = -np.inf
        rows.append(int(gains.argmax()))
        scores.append(gains[rows[-1]])
        logits = descend(logits, gradients[rows[-1]])
        nearest = np.minimum(nearest, squared[rows[-1]])
    return rows, scores


def pick(
    pool=None,
    labeled=None,
    available=None,
    budget=BUDGET,
    *,
    key=0,
    validation=None,
    learning_rate=RATE,
    **options,
):
    given = setting()
    pool, labeled = pool or given[0], labeled or given[1]
    available = given[3] if available is None else available
    picked = selection.glister(
        jax.random.key(key),
        jax.tree.map(jnp.asarray, pool),
        jax.tree.map(jnp.asarray, labeled),
        jnp.asarray(available),
        budget,
        learning_rate=learning_rate,
        validation=jax.tree.map(jnp.asarray, validation),
        **options,
    )
    return jax.tree.map(np.asarray, picked)  # slices of these are no programs


@pytest.mark.slow
@pytest.mark.parametrize("held_out", [False, True], ids=["pool", "validation"])
@pytest.mark.parametrize(
    ("regularizer", "strengths"),
    [
        ("none", [None]),
        ("diversity", [0.0, 0.1, 1.0]),
        ("facility_location", [1e-4, 1e-3, 1e-2, 1.0]),
    ],
)
def test_is_the_recurrence(regularizer, strengths, held_out):
    pool, labeled, validation, available = setting()
    validation = validation if held_out else None
    for strength in strengths:
        rows, scores = reference(
            pool, labeled, validation, available, BUDGET, regularizer, strength
        )
        picked = pick(validation=validation, regularizer=regularizer, strength=strength)
        assert picked.rows.tolist() == rows
        np.testing.assert_allclose(picked.scores, scores, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@cases("glister")
def test_conformance(path):
    case, meta = load_case(path)

    def given(name):
        parts = [case[f"in_{name}_{part}"] for part in ("logits", "features", "labels")]
        return *parts, np.ones(len(parts[0]), bool)

    names = {
        "none": "none",
        "Diversity": "diversity",
        "FacLoc": "facility_location",
    }
    for number, setup in enumerate(meta["settings"]):
        order = case[f"out_order_p{number}"]
        picked = pick(
            (case["in_unlabeled_logits"], case["in_unlabeled_features"]),
            given("labeled"),
            np.ones(len(case["in_unlabeled_logits"]), bool),
            len(order),
            validation=given("val") if "in_val_logits" in case else None,
            learning_rate=meta["lr"],
            regularizer=names[setup["typeOf"]],
            strength=setup["lam"],
        )
        np.testing.assert_array_equal(picked.rows, order)
        gains = case[f"out_gains_p{number}"]
        expected = gains[np.arange(4), order[:4]]
        atol = 1e-4 * np.nanmax(np.abs(gains))
        np.testing.assert_allclose(picked.scores[:4], expected, rtol=1e-3, atol=atol)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strength", "budget", "drawn"),
    [(0.25, BUDGET, 2), (0.04, BUDGET, 0), (0.99, BUDGET, BUDGET)],
)
def test_random_picks_are_as_many_as_asked(strength, budget, drawn):
    options: dict[str, Any] = dict(budget=budget, regularizer="random", strength=strength)
    plain, one, other = pick(budget=budget), pick(**options), pick(key=1, **options)
    kept = budget - drawn
    for found in (one, other):
        np.testing.assert_array_equal(found.rows[:kept], plain.rows[:kept])
        assert len(set(found.rows.tolist())) == budget
        assert setting()[3][found.rows].all() and np.isfinite(found.scores).all()
    assert (one.rows.tolist() == other.rows.tolist()) == (drawn == 0)


@pytest.mark.slow
@pytest.mark.parametrize("regularizer", ["none", "diversity", "facility_location"])
def test_what_does_not_count_changes_nothing(regularizer):
    pool, labeled, validation, available = setting()
    options: dict[str, Any] = dict(regularizer=regularizer, strength=0.2)

    def spoil(examples, mask):
        parts = [np.where(mask[:, None], part, np.nan) for part in examples[:2]]
        parts[0][:1] = np.where(mask[:1, None], parts[0][:1], 1e4)
        return *parts, *examples[2:]

    for given in (None, validation):
        plain = pick(validation=given, **options)
        spoiled = pick(
            spoil(pool, available),
            spoil(labeled, labeled[3]),
            validation=given and spoil(given, given[3]),
            **options,
        )
        np.testing.assert_array_equal(plain.rows, spoiled.rows)
        np.testing.assert_array_equal(plain.scores, spoiled.scores)


@pytest.mark.slow
@pytest.mark.parametrize("regularizer", ["random", "diversity", "facility_location"])
def test_extremes(regularizer):
    (logits, features), labeled, _, available = setting()
    logits = logits.copy()
    logits[0] = np.nan  # available, and used only when nothing else is left
    logits[1, 0] = -np.inf
    logits[2] *= 1e4
    logits[6:9], features = logits[5], features.copy()
    features[6:9] = features[5]  # copies
    options: dict[str, Any] = dict(regularizer=regularizer, strength=0.5, learning_rate=10.0)
    picked = pick((logits, features), budget=ROWS, **options)
    found = picked.rows[: available.sum()].tolist()
    assert sorted(found) == np.flatnonzero(available).tolist() and found[-1] == 0
    assert (picked.rows[len(found) :] == -1).all()
    assert np.isfinite(picked.scores[: len(found) - 1]).all()
    nobody = pick((logits, features), None, np.zeros(ROWS, bool), ROWS, **options)
    assert (nobody.rows == -1).all() and (nobody.scores == -np.inf).all()


def test_an_empty_labelled_set():
    pool, labeled, validation, available = setting()
    nothing = tuple(part[:0] for part in labeled)
    for given in (None, validation):
        rows, _ = reference(pool, nothing, given, available, BUDGET, "none", None)
        found = pick(labeled=nothing, validation=given)
        assert found.rows.tolist() == rows


@pytest.mark.slow
def test_jit_and_vmap():
    _, labeled, _, available = jax.tree.map(jnp.asarray, setting())
    pools = jax.tree.map(lambda leaf: np.stack([leaf, leaf[::-1]]), setting()[0])

    def choose(pool):
        return selection.glister(
            jax.random.key(0),
            pool,
            labeled,
            available,
            BUDGET,
            learning_rate=RATE,
            regularizer="facility_location",
            strength=1e-3,
        ).rows

    one_by_one = [choose(jax.tree.map(lambda leaf, i=i: leaf[i], pools)) for i in (0, 1)]
    np.testing.assert_array_equal(jax.jit(jax.vmap(choose))(pools), one_by_one)


@pytest.mark.slow
def test_largest_distance():
    @jax.jit
    def find(logits, features, counts):
        points = gradient_embedding(logits, features)
        points = jax.tree.map(lambda leaf: leaf * counts[:, None], points)
        return points.dense(), largest_distance(points, counts)

    for seed, scale in ((0, 1.0), (1, np.linspace(0.01, 3, 600)[:, None])):
        logits, features = outputs(600, seed, offset=1.0)
        counts = np.arange(600) % 3 != 0
        written, found = find(logits, (features * scale).astype(np.float32), counts)
        written = np.asarray(written, np.float64)[counts]
        squared = ((written[:, None] - written[None]) ** 2).sum(-1)
        np.testing.assert_allclose(found, squared.max(), rtol=1e-5)


@pytest.mark.slow
def test_the_strategy():
    """Its pool holds the labelled rows too; validation examples bring their labels."""
    pool, _, _, _ = setting()
    truth = np.random.default_rng(5).integers(0, CLASSES, ROWS)
    model = table_model(*pool)
    labels = np.where(np.arange(ROWS) < 8, truth, -1)
    held_out = np.arange(50, 60)
    strategy = strategies.glister(learning_rate=RATE)
    for validation in (None, (held_out, truth[held_out])):
        picked = jaxal.acquire(
            jax.random.key(0),
            strategy,
            model,
            {},
            np.arange(ROWS),
            BUDGET,
            labels=labels,
            available=(labels < 0) & (np.arange(ROWS) < 50),
            validation=validation,
        )
        everything = np.ones(10, bool)
        rows, _ = reference(
            tuple(part[8:50] for part in pool),
            tuple(part[:8] for part in (*pool, truth, np.ones(8, bool))),
            validation and (*(part[held_out] for part in (*pool, truth)), everything),
            np.ones(42, bool),
            BUDGET,
            "none",
            None,
        )
        assert (np.asarray(picked.rows) - 8).tolist() == rows


ONE = (np.zeros((1, CLASSES)), np.zeros((1, WIDTH)), np.zeros(1, int), np.ones(1, bool))


@bad_inputs(
    {
        "rate 0": (dict(learning_rate=0.0), ValueError, "learning_rate"),
        "rate NaN": (dict(learning_rate=float("nan")), ValueError, "learning_rate"),
        "name": (dict(regularizer="rand"), ValueError, "did you mean 'random'"),
        "none given": (dict(regularizer="random"), ValueError, "strength"),
        "share": (dict(regularizer="random", strength=1.0), ValueError, "strength"),
        "diversity": (dict(regularizer="diversity"), ValueError, "strength"),
        "-1": (dict(regularizer="facility_location", strength=-1.0), ValueError, "strength"),
        "budget 0": (dict(budget=0), ValueError, "budget"),
        "budget": (dict(budget=ROWS + 1), ValueError, "budget"),
        "pool": (dict(pool=(np.zeros((3, 2)),)), ValueError, "pool"),
        "rank": (dict(pool=(ONE[0], ONE[1][0])), ValueError, "pool features"),
        "parts": (dict(labeled=ONE[:3]), ValueError, "labeled"),
        "available": (dict(available=np.ones(3, bool)), ValueError, "must agree"),
        "classes": (dict(labeled=(np.zeros((1, 9)), *ONE[1:])), ValueError, "labeled logits"),
        "width": (
            dict(validation=(ONE[0], np.zeros((1, 9)), *ONE[2:])),
            ValueError,
            "validation features",
        ),
        "empty validation": (
            dict(validation=tuple(part[:0] for part in ONE)),
            ValueError,
            "validation: expected at least 1",
        ),
    }
)
def test_bad_input(given, error, message):
    with pytest.raises(error, match=message):
        pick(**given)


def test_bad_strategy_options():
    with pytest.raises(ValueError, match="strength"):
        strategies.glister(regularizer="diversity")
    with pytest.raises(ValueError, match="learning_rate"):
        strategies.make("glister", learning_rate=-1.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("regularizer", "strength"),
    [("none", None), ("random", 0.4), ("facility_location", 0.1), ("diversity", 0.1)],
)
@pytest.mark.parametrize("x64", [True, False], ids=["x64", "strict"])
def test_strict_settings(regularizer, strength, x64):
    expected = pick(budget=4, regularizer=regularizer, strength=strength).rows
    with jax.enable_x64(True) if x64 else jax.numpy_dtype_promotion("strict"):
        picked = pick(budget=4, regularizer=regularizer, strength=strength)
    assert picked.rows.dtype == jnp.int32 and picked.scores.dtype == jnp.float32
    if regularizer != "random":
        assert picked.rows.tolist() == expected.tolist()
