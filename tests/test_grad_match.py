"""GradMatch and orthogonal matching pursuit against float64 on gradients written out."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from helpers import bad_inputs, cases, greedy, last_layer_gradients, load_case, table_model

import jaxal
from jaxal import loop, selection, strategies
from jaxal.checks import is_traced
from jaxal.loop.state import reveal
from jaxal.pools.memory import place
from jaxal.selection.gradient_matching._matching_pursuit import Problem, non_negative

ROWS, HELD_OUT, CLASSES, WIDTH, BUDGET = 60, 11, 4, 5, 10


def outputs(rows, seed, classes=CLASSES, width=WIDTH):
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(rows, classes))
    return logits.astype(np.float32), rng.normal(size=(rows, width)).astype(np.float32)


@functools.cache
def setting():
    """Pool, validation examples, and the rows that may be picked."""
    labels = np.random.default_rng(2).integers(0, CLASSES, HELD_OUT)
    validation = *outputs(HELD_OUT, 1), labels, np.arange(HELD_OUT) % 4 != 1
    return outputs(ROWS, 0), validation, np.arange(ROWS) % 5 != 3


def problem(kind, held_out):
    """Gradients of the pool, those to be matched, and the rows that may be picked."""
    (logits, features), validation, available = setting()
    gradients = last_layer_gradients(logits, features, logits.argmax(1), kind)
    if not held_out:
        return gradients, gradients[available], available
    taken = [part[validation[3]] for part in validation[:3]]
    return gradients, last_layer_gradients(taken[0], taken[1], taken[2], kind), available


def plain_greedy(gradients, target, available, budget):
    """Rows, and distances to the target after each, by the definition."""
    picked = greedy(
        lambda rows: -np.linalg.norm(gradients[rows].sum(0) - target),
        np.flatnonzero(available),
        budget,
    )
    return picked.rows, np.negative(picked.values)


def pursuit(gradients, target, available, budget, ridge, tolerance=1e-4):
    """Rows, scores and weights of orthogonal matching pursuit, by scipy's NNLS."""
    rows, scores, weights, residual = [], [], np.zeros(0), target
    for _ in range(budget):
        inner = np.where(available, gradients @ residual, -np.inf)
        inner[rows] = -np.inf
        far = np.linalg.norm(residual) >= tolerance * np.linalg.norm(target)
        if not far or inner.max() <= 0:
            break
        rows.append(int(inner.argmax()))
        scores.append(inner.max())
        picked = gradients[rows]
        system = np.concatenate([picked.T, ridge**0.5 * np.eye(len(rows))])
        aim = np.concatenate([target, np.zeros(len(rows))])
        weights, _ = scipy.optimize.nnls(system, aim)
        residual = target - weights @ picked
    return rows, scores, weights


def arrays(tree):
    return jax.tree.map(jnp.asarray, tree)


def in_numpy(picked):
    """Of what is known: slices of NumPy arrays are no programs."""
    return picked if is_traced(picked) else jax.tree.map(np.asarray, picked)


def match(pool=None, available=None, budget=BUDGET, validation=None, **options):
    available = setting()[2] if available is None else available
    picked = selection.grad_match(
        arrays(pool or setting()[0]),
        jnp.asarray(available),
        budget,
        validation=arrays(validation),
        **options,
    )
    return in_numpy(picked)


def pursue(pool=None, available=None, budget=BUDGET, validation=None, *, key=0, **options):
    available = setting()[2] if available is None else available
    picked = selection.orthogonal_matching_pursuit(
        jax.random.key(key),
        arrays(pool or setting()[0]),
        jnp.asarray(available),
        budget,
        validation=arrays(validation),
        **options,
    )
    return in_numpy(picked)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "held_out"),
    [("bias", False), ("linear", True), ("bias_linear", False), ("bias_linear", True)],
)
def test_is_the_definition(kind, held_out):
    gradients, matched, available = problem(kind, held_out)
    validation = setting()[1] if held_out else None
    for target, number in (("budget", BUDGET), ("pool", available.sum())):
        aim = number / len(matched) * matched.sum(0)
        rows, distances = plain_greedy(gradients, aim, available, BUDGET)
        picked = match(validation=validation, kind=kind, target=target)
        assert picked.rows.tolist() == rows
        np.testing.assert_allclose(-picked.scores, distances, rtol=1e-4, atol=1e-6)
    for ridge in (0.0, 0.7):
        rows, scores, weights = pursuit(gradients, matched.sum(0), available, BUDGET, ridge)
        picked, found = pursue(validation=validation, kind=kind, ridge=ridge)
        count = len(rows)
        assert picked.rows[:count].tolist() == rows
        atol = 1e-4 * scores[0]
        np.testing.assert_allclose(picked.scores[:count], scores, rtol=1e-3, atol=atol)
        atol = 1e-3 * weights.max()
        np.testing.assert_allclose(found[:count], weights, rtol=1e-3, atol=atol)
        assert len(set(picked.rows.tolist())) == BUDGET
        assert (found[count:] == 1).all() and (picked.scores[count:] == 0).all()


@pytest.mark.slow
@cases("gradmatch")
def test_conformance(path):
    case, meta = load_case(path)
    pool = case["in_unlabeled_logits"], case["in_unlabeled_features"]
    everything, validation = np.ones(len(pool[0]), bool), None
    if meta["validation"]:
        parts = [case[f"in_val_{part}"] for part in ("logits", "features", "labels")]
        validation = *parts, np.ones(len(parts[0]), bool)
    budget, kind = meta["budget"], "bias_linear"
    for target, name in (("budget", "doc"), ("pool", "code")):
        picked = match(pool, everything, budget, validation, kind=kind, target=target)
        np.testing.assert_array_equal(picked.rows, case[f"out_fixed_order_{name}_{kind}"])
        distances = case[f"out_fixed_residual_{name}_{kind}"]
        np.testing.assert_allclose(-picked.scores, distances, rtol=1e-4)
    for number, ridge in enumerate(meta["omp_lams"]):
        order = case[f"out_omp_order_l{number}_{kind}"]
        weights = case[f"out_omp_weights_l{number}_{kind}"]
        picked, found = pursue(pool, everything, budget, validation, kind=kind, ridge=ridge)
        np.testing.assert_array_equal(picked.rows[: len(order)], order)
        np.testing.assert_allclose(
            found[: len(order)], weights, rtol=1e-3, atol=1e-3 * weights.max()
        )


@pytest.mark.slow
def test_many_picks_do_not_drift():
    """What is added up pick by pick stays near what float64 finds for the same rows."""
    logits, features = outputs(3_000, 4, width=12)
    features = np.maximum(features, 0) + 1
    everything = np.ones(3_000, bool)
    for target in ("budget", "pool"):
        picked = match((logits, features), everything, 1_000, target=target)
        rows = np.asarray(picked.rows)
        gradients = last_layer_gradients(logits, features, logits.argmax(1), "bias_linear")
        aim = (1.0 if target == "pool" else 1 / 3) * gradients.sum(0)
        totals = np.cumsum(gradients[rows], axis=0) - aim
        np.testing.assert_allclose(
            -picked.scores, np.linalg.norm(totals, axis=1), rtol=1e-4, atol=1e-3
        )
        for turn in (1, 10, 100, 500, 999):
            after = np.linalg.norm(gradients + totals[turn - 1], axis=1)
            after[rows[:turn]] = np.inf
            assert after[rows[turn]] <= after.min() + 1e-4 * (1 + after.min())


def test_non_negative_least_squares():
    """The minimum of the quadratic, from a cold start, also of a singular one."""
    solve = jax.jit(non_negative)
    rng = np.random.default_rng(0)
    for trial in range(12):
        system, aim = rng.normal(size=(12, 9)), rng.normal(size=12)
        if trial % 3 == 1:
            system[:, 5:] = system[:, :4]  # equal columns
        if trial % 3 == 2:
            system = system[:5]  # more columns than rows
            aim = aim[:5]
        gram, inner = system.T @ system, system.T @ aim
        given = Problem(
            jnp.asarray(gram.astype(np.float32)),
            jnp.asarray(inner.astype(np.float32)),
            jnp.arange(9) < 8,
            jnp.full(9, 1e-6),
        )
        fit = solve(given, jnp.zeros(9), jnp.zeros(9, bool))
        weights = np.asarray(fit.weights, np.float64)
        assert (weights >= 0).all() and weights[8] == 0 and fit.done
        _, least = scipy.optimize.nnls(system[:, :8], aim)
        reached = np.linalg.norm(system @ weights - aim)
        np.testing.assert_allclose(reached, least, rtol=1e-4, atol=2e-3)


def test_a_gram_matrix_that_rounding_spoilt_keeps_the_weights():
    given = Problem(
        jnp.array([[1.0, 1.01], [1.01, 1.0]]),
        jnp.array([1.0, 1.5]),
        jnp.ones(2, bool),
        jnp.zeros(2),
    )
    fit = jax.jit(non_negative)(given, jnp.array([1.0, 0.0]), jnp.ones(2, bool))
    assert fit.weights.tolist() == [1.0, 0.0] and fit.passive.tolist() == [True, False]


@pytest.mark.slow
def test_pursuit_ends_early_and_fills_up_at_random():
    """Three classes' biases span a plane: two picks match any target in their cone."""
    logits, features = outputs(40, 0, classes=3)
    everything = np.ones(40, bool)
    options: dict[str, Any] = dict(pool=(logits, features), available=everything, kind="bias")
    (one, scores, _), weights = pursue(**options)
    (other, *_), _ = pursue(**options, key=1)
    count = int(np.sum(scores > 0))
    assert 1 <= count < BUDGET and (weights[count:] == 1).all()
    np.testing.assert_array_equal(one[:count], other[:count])
    assert one.tolist() != other.tolist()
    assert len(set(one.tolist())) == len(set(other.tolist())) == BUDGET
    nothing = np.zeros_like(logits)
    nothing[:, 0] = 200.0  # residuals of exactly 0, so is the target
    (rows, scores, _), weights = pursue((nothing, features), everything, kind="bias")
    assert len(set(rows.tolist())) == BUDGET
    assert (weights == 1).all() and (scores == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("rule", [match, pursue])
def test_what_does_not_count_changes_nothing_and_nan_comes_last(rule):
    pool, validation, available = setting()

    def rows_of(picked):
        return (picked[0] if isinstance(picked[0], tuple) else picked).rows

    def spoil(examples, mask):
        parts = [np.where(mask[:, None], part, np.nan) for part in examples[:2]]
        return *parts, *examples[2:]

    for given in (None, validation):
        plain = rule(validation=given)
        bad = given and spoil(given, given[3])
        spoiled = rule(spoil(pool, available), validation=bad)
        jax.tree.map(np.testing.assert_array_equal, plain, spoiled)
    logits, features = (part.copy() for part in pool)
    logits[0] = np.nan
    logits[1, 0] = -np.inf
    logits[5:7], features[5:7] = logits[4], features[4]
    picked = rule((logits, features), budget=ROWS)
    count = int(available.sum())
    rows = rows_of(picked)
    assert sorted(rows[:count].tolist()) == np.flatnonzero(available).tolist()
    assert rows[count - 1] == 0 and (rows[count:] == -1).all()
    if rule is pursue:
        assert np.isfinite(picked[1]).all() and (picked[1] >= 0).all()
        assert (picked[1][count:] == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("rule", [match, pursue])
def test_jit_and_vmap(rule):
    pools = jax.tree.map(lambda leaf: np.stack([leaf, leaf[::-1]]), setting()[0])
    each = [rule(jax.tree.map(lambda leaf, i=i: leaf[i], pools)) for i in (0, 1)]
    loop_ = jax.tree.map(lambda *parts: np.stack(parts), *each)
    found = jax.jit(jax.vmap(lambda one: rule(one)))(pools)
    # Weights of a batched solve are rounded in another order.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3),
        found,
        loop_,
    )


WEIGHTED = strategies.grad_match()


def test_weighted_picks_have_a_mean_of_one():
    pool, _, available = setting()
    picked = jaxal.acquire(
        jax.random.key(0),
        WEIGHTED,
        table_model(*pool),
        {},
        np.arange(ROWS),
        BUDGET,
        available=available,
    )
    assert picked.weights is not None
    (rows, *_), weights = pursue()
    np.testing.assert_array_equal(picked.rows, rows)
    np.testing.assert_allclose(picked.weights, weights / weights.mean(), rtol=1e-4)


def test_validation_examples_bring_their_labels():
    pool, validation, available = setting()
    both = [np.concatenate(pair) for pair in zip(pool, validation[:2], strict=True)]
    model = table_model(*both)
    kept = np.flatnonzero(validation[3])
    picked = jaxal.acquire(
        jax.random.key(0),
        strategies.grad_match(weighted=False),
        model,
        {},
        np.arange(ROWS),
        BUDGET,
        available=available,
        validation=(ROWS + kept, validation[2][kept]),
    )
    np.testing.assert_array_equal(picked.rows, match(validation=validation).rows)


def recording_learner(model):
    """A learner whose variables are the weights that it was given."""

    def fit(key, variables, inputs, labels, weights, count, validation=None):
        info = jaxal.FitInfo(jnp.float32(0), jnp.float32(0), jnp.int32(1))
        return {"params": {"weights": weights}}, info

    def init(key, inputs):
        return {"params": {"weights": jnp.zeros(4 + 2 * BUDGET)}}

    return jaxal.CustomLearner(model._replace(init=init), fit)


@pytest.mark.slow
def test_the_loop_stores_and_uses_the_weights():
    pool, _, _ = setting()
    labels = pool[0].argmax(1)
    learner = recording_learner(table_model(*pool))
    rows = np.arange(ROWS)
    run = jaxal.simulate(
        learner,
        WEIGHTED,
        (rows, labels),
        (rows, labels),
        initial=4,
        budget=BUDGET,
        rounds=2,
    )
    state, history = run(jax.random.key(0))
    weights = np.asarray(state.weights)
    batches = weights[4:].reshape(2, BUDGET)
    np.testing.assert_array_equal(weights[:4], 1.0)
    np.testing.assert_allclose(batches.mean(1), 1.0, rtol=1e-5)
    assert (batches.std(1) > 0.1).all()
    np.testing.assert_array_equal(state.variables["params"]["weights"], state.weights)
    assert history.rows.shape == (3, BUDGET)
    # One at a time, `ask` hands the weights to whom it asks, and `reveal` to the state.
    placed = place(rows, labels)
    start = loop.init(jax.random.key(0), learner, placed, initial=4, capacity=4 + 2 * BUDGET)
    after, picked = jaxal.ask(start, learner, WEIGHTED, placed, BUDGET)
    assert picked.weights is not None
    told = reveal(after, placed, picked)
    np.testing.assert_allclose(np.asarray(told.weights)[4:14], weights[4:14], rtol=1e-5)


@pytest.mark.parametrize("rule", [match, pursue])
@bad_inputs(
    {
        "kind": (dict(kind="biases"), ValueError, "did you mean 'bias'"),
        "budget 0": (dict(budget=0), ValueError, "budget"),
        "budget": (dict(budget=ROWS + 1), ValueError, "budget"),
        "available": (dict(available=np.ones(3, bool)), ValueError, "must agree"),
        "parts": (dict(validation=(np.zeros((2, 4)),)), ValueError, "validation"),
        "empty validation": (
            dict(
                validation=(
                    np.zeros((0, CLASSES)),
                    np.zeros((0, WIDTH)),
                    np.zeros(0, int),
                    np.zeros(0, bool),
                )
            ),
            ValueError,
            "validation: expected at least 1",
        ),
    }
)
def test_bad_input(rule, given, error, message):
    with pytest.raises(error, match=message):
        rule(**given)


def test_bad_options():
    with pytest.raises(ValueError, match="did you mean 'budget'"):
        match(target="budgets")
    for name in ("ridge", "tolerance"):
        for number in (-1.0, float("nan"), float("inf")):
            with pytest.raises(ValueError, match=name):
                pursue(**dict[str, Any]({name: number}))
    for option in (dict(kind="x"), dict(target="x"), dict(ridge=-1.0)):
        with pytest.raises(ValueError, match=next(iter(option))):
            strategies.make("gradmatch_active", **option)


def test_weights_of_the_wrong_shape():
    def select(key, view, budget):
        rows = jnp.arange(budget)
        return jaxal.Selection(rows, jnp.ones(budget), jnp.ones(2))

    wrong = jaxal.Strategy(strategies.random().observe, select)
    with pytest.raises(TypeError, match="weights"):
        jaxal.acquire(jax.random.key(0), wrong, table_model(*setting()[0]), {}, np.arange(ROWS), 3)
