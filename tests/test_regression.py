"""Regressions: models of one output, targets that are floats, and errors in the records."""

import functools
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxal
from jaxal import data, models, posterior, report, scores, selection, strategies
from jaxal.training import evaluate

NAN = float("nan")


@functools.cache
def examples():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(60, 3)).astype(np.float32)
    targets = inputs @ np.array([1.0, -2.0, 0.5]) + 3.0 + 0.01 * rng.normal(size=60)
    return (inputs[:40], targets[:40]), (inputs[40:], targets[40:])


def learner(**options):
    model = models.mlp(1, hidden=(8,), dropout=0.1)
    return jaxal.Learner(model, optax.adam(0.03), **{"loss": "squared", "max_epochs": 40} | options)


def test_variance_as_defined():
    draws = np.random.default_rng(1).normal(size=(5, 7)) + 100
    found = scores.predictive_variance(jnp.asarray(draws, jnp.float32))
    mean = draws.astype(np.float32).astype(np.float64).mean(0)
    expected = ((draws.astype(np.float32) - mean) ** 2).mean(0)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    with pytest.raises(ValueError, match=r"predictions: expected \[K, ...\], K >= 1"):
        scores.predictive_variance(jnp.zeros((0, 3)))
    with pytest.raises(TypeError, match="predictions: expected floating point"):
        scores.predictive_variance(jnp.zeros((2, 3), jnp.int32))


@pytest.mark.slow
def test_errors_as_defined():
    (inputs, targets), _ = examples()
    model = models.linear(1)
    variables = model.init(jax.random.key(0), inputs)
    given = np.where(np.arange(40) % 3 > 0, targets, NAN).astype(np.float32)
    found = evaluate(model, variables, inputs, jnp.asarray(given), batch_size=16)
    logits = np.asarray(jax.jit(model.apply)(variables, inputs).logits, np.float64)
    error = logits[:, 0] - given
    error = error[np.isfinite(error)]
    np.testing.assert_allclose(found.rmse, np.sqrt((error**2).mean()), rtol=1e-5)
    np.testing.assert_allclose(found.loss, (error**2).mean(), rtol=1e-5)
    np.testing.assert_allclose(found.mae, np.abs(error).mean(), rtol=1e-5)
    assert found.accuracy is None


def test_gaussian_bait_as_defined():
    """Greedy by the traces themselves; there are no more rows than twice the batch."""
    rng = np.random.default_rng(3)
    features, budget = rng.normal(size=(9, 3)), 4
    labeled = np.arange(9) < 2
    each = np.einsum("ni,nj->nij", features, features)
    base = 0.5 * np.eye(3) + each[labeled].sum(0) / (2 + budget)

    def trace(rows):
        matrix = base + each[list(rows)].sum(0) * budget / (2 + budget)
        return np.trace(np.linalg.solve(matrix, each.mean(0)))

    rows = []
    while len(rows) < 7:
        rows.append(min(set(range(2, 9)) - {*rows}, key=lambda row: trace([*rows, row])))
    while len(rows) > budget:
        rows.remove(min(rows, key=lambda row: trace([other for other in rows if other != row])))
    found = selection.bait(
        jnp.zeros((9, 1)),
        jnp.asarray(features, jnp.float32),
        jnp.asarray(~labeled),
        budget,
        labeled=jnp.asarray(labeled),
        fisher="gaussian",
        ridge=0.5,
    )
    assert found.rows.tolist() == rows


@functools.cache
def run_of(name):
    pool, test = examples()
    options: Any = {"initial": 6, "budget": 4, "rounds": 2}
    run = jaxal.simulate(learner(), strategies.make(name), pool, test, **options)
    return run(jax.random.key(1))


@pytest.mark.slow
def test_simulation():
    state, info = run_of("lcmd")
    assert state.labels.dtype == jnp.float32 and info.labels.tolist() == [6, 10, 14]
    (_, targets), _ = examples()
    np.testing.assert_array_equal(state.labels, targets[np.asarray(state.rows)].astype(np.float32))
    assert info.test.rmse.shape == (3,) and info.test.accuracy is None
    assert info.test.rmse[-1] < 0.8 * np.std(targets)
    assert info.test.mae[-1] <= info.test.rmse[-1]


@pytest.mark.slow
def test_asked_and_told_is_simulated():
    """People who tell the same targets; a row that has none is skipped."""
    (inputs, targets), _ = examples()
    given, rule = learner(), strategies.lcmd()
    simulated, info = run_of("lcmd")
    pool = jaxal.place(inputs, targets)
    state = jaxal.init(jax.random.key(1), given, pool, initial=6, capacity=14)
    blank = jaxal.place(inputs, np.full(40, NAN))
    state, asked = jaxal.ask(state, given, rule, blank, 4)
    np.testing.assert_array_equal(asked.rows, info.rows[0])
    told = jaxal.tell(state, asked.rows, targets[np.asarray(asked.rows)])
    np.testing.assert_array_equal(np.asarray(told.labels)[:10], np.asarray(simulated.labels)[:10])
    skipped = jaxal.tell(state, np.asarray(asked.rows)[:2], [NAN, -1.0])
    assert skipped.count == 7 and skipped.skipped[0] == asked.rows[0]
    with pytest.raises(ValueError, match="labels: expected finite numbers, or NaN, got inf"):
        jaxal.tell(state, [30], [np.inf])
    with pytest.raises(TypeError, match=r"labels: expected numbers \[B\], as this is a regression"):
        jaxal.tell(state, [30], ["much"])


@pytest.mark.slow
def test_acquisition_without_labels_and_with():
    (inputs, targets), _ = examples()
    model = learner().model
    variables = model.init(jax.random.key(0), inputs)
    rule = strategies.variance(posterior=posterior.last_layer_laplace(50))
    some = np.where(np.arange(40) < 5, targets, NAN)
    picked = jaxal.acquire(
        jax.random.key(0), rule, model, variables, inputs, 3, labels=some, batch_size=16
    )
    assert (np.asarray(picked.rows) >= 5).all() and (np.asarray(picked.scores) > 0).all()
    assert (
        len(set(jaxal.acquire(jax.random.key(0), rule, model, variables, inputs, 3).rows.tolist()))
        == 3
    )


@functools.partial(jax.jit, static_argnums=0)
def of_members(model, variables, inputs):
    """Logits of each and of all."""
    each = jax.vmap(learner().model.apply, (0, None))(variables, inputs).logits
    return each, model.apply(variables, inputs).logits


@pytest.mark.slow
def test_the_mean_of_an_ensemble():
    given = jaxal.ensemble(learner(), 3)
    inputs = jnp.asarray(examples()[0][0])
    variables = given.model.init(jax.random.key(0), inputs)
    each, mean = of_members(given.model, variables, inputs)
    np.testing.assert_allclose(mean, np.mean(each, 0), rtol=1e-5, atol=1e-6)


def refused(strategy=None, pool=None, test=None, **options):
    known = examples()
    given: Any = {"initial": 4, "budget": 2, "rounds": 1} | options
    return jaxal.simulate(
        given.pop("learner", learner()),
        strategy or strategies.random(),
        pool or known[0],
        test or known[1],
        **given,
    )(jax.random.key(0))


INPUTS, TARGETS = examples()[0]
REFUSED = {
    "entropy": ({"strategy": strategies.entropy()}, "strategy entropy: needs the prob.*regression"),
    "parts of badge": ({"strategy": strategies.partition()}, "strategy partition: needs the prob"),
    "gradients": (
        {"strategy": strategies.lcmd(representation="linear")},
        "strategy lcmd: observe: representation: expected 'features'",
    ),
    "classes": ({"pool": (INPUTS, np.arange(40) % 2)}, r"pool labels: expected floats \[N\]"),
    "classes to test": ({"test": (INPUTS, np.arange(40))}, r"test labels: expected floats"),
    "targets for classes": (
        {"learner": jaxal.Learner(models.linear(3), optax.sgd(0.1))},
        "pool labels: expected integers .* 3 classes, got float64",
    ),
    "several targets": ({"pool": (INPUTS, INPUTS)}, "pool labels: .* one target a row"),
    "unknown": ({"pool": (INPUTS, TARGETS * NAN)}, "got 40 of 40 that are NaN"),
    "infinite": ({"pool": (INPUTS, TARGETS + np.inf)}, "pool labels: expected finite .* inf"),
    "balanced": ({"balanced": True}, "balanced: expected no classes"),
    "by class": ({"initial": {0: 2}}, "initial: expected no classes"),
    "cross-entropy": ({"learner": learner(loss="cross_entropy")}, "loss: expected 'squared'"),
    "calibrated": ({"learner": jaxal.calibrated(learner())}, "calibrated: expected classes"),
    "subsets": ({"learner": learner(subset_fraction=0.5)}, "subset_fraction: expected 1"),
    "rules of classes": ({"stop": "kappa"}, "stop: expected rules without classes"),
    "a mean": (
        {"learner": learner(loss=lambda predicted, targets: jnp.mean(predicted - targets))},
        "loss: expected one number for each",
    ),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_mixed_up_is_refused(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        refused(**options)


def test_a_page_shows_a_regression(tmp_path):
    records = report.from_history("lcmd", run_of("lcmd")[1])
    page = report.write_page(records, tmp_path / "page.html").read_text()
    classes = report.from_curve("lcmd", [4, 8], [[0.1, 0.2]])
    other = report.write_page(classes, tmp_path / "other.html").read_text()
    said = re.compile('"regression": ?true')
    assert said.search(page) and not said.search(other)


FRIEDMAN = {
    "friedman1": lambda x: (
        10 * np.sin(np.pi * x[0] * x[1]) + 20 * (x[2] - 0.5) ** 2 + 10 * x[3] + 5 * x[4]
    ),
    "friedman3": lambda x: np.arctan((x[1] * x[2] - 1 / (x[1] * x[3])) / x[0]),
}


@pytest.mark.parametrize("name", FRIEDMAN)
def test_a_function_of_friedman(name):
    given = {"task": "regression", "standardize": False}
    pool, test = data.load(f"{name}:80", options={"noise": 0.0}, **given)
    expected = FRIEDMAN[name](np.asarray(pool.inputs, np.float64).T)
    np.testing.assert_allclose(pool.labels, expected, rtol=1e-4, atol=1e-5)
    noisy, _ = data.load(f"{name}:80", options={"noise": 0.5, "seed": 0}, **given)
    np.testing.assert_array_equal(noisy.inputs, pool.inputs)
    assert 0.3 < np.std(noisy.labels - pool.labels) < 0.7 and len(test.labels) == 16
    for rows, options in (("none", {}), ("0", {}), ("80", {"noise": -1.0})):
        with pytest.raises(ValueError, match=f"{name}: expected a number of rows|noise: expected"):
            data.load(f"{name}:{rows}", options=options, **given)


def test_squared_loss_is_not_for_classes():
    given = jaxal.Learner(models.linear(3), optax.sgd(0.1), loss="squared")
    with pytest.raises(ValueError, match="loss: 'squared' is for labels that are floats"):
        refused(learner=given, pool=(INPUTS, np.arange(40) % 3), test=(INPUTS, np.arange(40) % 3))
    with pytest.raises(ValueError, match="loss: 'squares' is unknown"):
        learner(loss="squares")


def test_targets_of_a_source_are_standardised(tmp_path):
    pool, test = data.load("sklearn:diabetes", task="regression")
    assert pool.labels.dtype == np.float32 and len(test.labels) == 88
    assert abs(pool.labels.mean()) < 1e-5 and abs(pool.labels.std() - 1) < 1e-5
    file = tmp_path / "some.csv"
    file.write_text("a,b,y\n1,2,0.5\n2,1,1.5\n3,1,\n4,4,-1\n")
    raw, _ = data.load(
        f"csv:{file}", task="regression", standardize=False, labeled_only=True, test_fraction=0.34
    )
    assert set(raw.labels.tolist()) < {0.5, 1.5, -1.0}
    with pytest.raises(TypeError, match="task='regression' takes them as targets"):
        data.load("sklearn:diabetes")
    file.write_text("a,y\n1,low\n2,3\n")
    with pytest.raises(ValueError, match="expected numbers, as the task is .* 'low' at row 0"):
        data.load(f"csv:{file}", task="regression")
