"""The strategies over set functions: what is in the ground set, and what they are told."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import bad_inputs, clouds, greedy, keys, table_model

import jaxal
from jaxal import scores, selection, strategies, submodular

ROWS, CLASSES, WIDTH, BUDGET = 34, 3, 4, 5
RNG = np.random.default_rng(0)
LOGITS = (2 * RNG.normal(size=(ROWS + 8, CLASSES))).astype(np.float32)
FEATURES = RNG.normal(size=(ROWS + 8, WIDTH)).astype(np.float32)
AVAILABLE = np.arange(ROWS) % 3 != 1
MODEL = table_model(LOGITS, FEATURES)
QUERY = (jnp.arange(ROWS, ROWS + 4), jnp.array([0, 1, 2, 0]))
PRIVATE = (jnp.arange(ROWS + 4, ROWS + 8), jnp.array([2, 2, 1, 0]))


def acquire(strategy, rows=ROWS, budget=BUDGET, **options):
    return jaxal.acquire(keys(1)[0], strategy, MODEL, {}, jnp.arange(rows), budget, **options)


def gradients(rows, labels=None, kind="bias_linear"):
    embedding = jax.jit(selection.gradient_embedding, static_argnames="kind")
    return embedding(LOGITS[rows], FEATURES[rows], labels=labels, kind=kind)


def cosine(left, right):
    left, right = (np.asarray(points, np.float64) for points in (left, right))
    norms = [np.linalg.norm(points, axis=1) for points in (left, right)]
    return left @ right.T / np.outer(*norms)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("facility_location", {"metric": "euclidean", "shifted": True}),
        ("graph_cut", {"shifted": True}),
        ("gccg", {"metric": "euclidean"}),
        ("fl1mi", {"eta": 0.7}),
        ("flcg", {"shifted": True, "nu": 0.4}),
        ("flcmi", {"nu": 0.3}),
    ],
)
def test_rows_that_are_not_finite_are_not_in_the_ground_set(name, options):
    takes = {"fl1mi": ["query"], "flcmi": ["query", "private"]}
    takes |= dict.fromkeys(("gccg", "flcg"), ["private"])
    further = {"query": FEATURES[ROWS : ROWS + 4], "private": FEATURES[ROWS + 4 :]}
    options = options | {need: further[need] for need in takes.get(name, [])}
    masked = np.where(AVAILABLE[:, None], FEATURES[:ROWS], np.nan)
    whole = submodular.make(name, jnp.asarray(masked), **options)
    part = submodular.make(name, jnp.asarray(FEATURES[:ROWS][AVAILABLE]), **options)
    rows = np.array([3, 0, 7])
    found = submodular.evaluate(whole, jnp.asarray(np.flatnonzero(AVAILABLE)[rows]))
    expected = submodular.evaluate(part, jnp.asarray(rows))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.slow
def test_submodular_represents_the_available_rows():
    free = np.flatnonzero(AVAILABLE)
    dense = np.asarray(gradients(np.arange(ROWS)).dense())
    near = cosine(dense, dense)[free]

    def value(picks):
        return np.maximum(near[:, picks].max(1), 0).sum()

    strategy = strategies.submodular(representation="bias_linear")
    picked = acquire(strategy, available=AVAILABLE)
    assert picked.rows.tolist() == greedy(value, free, BUDGET).rows
    np.testing.assert_allclose(np.sum(picked.scores), value(np.asarray(picked.rows)), rtol=1e-5)


@pytest.mark.slow
def test_fass_looks_at_the_most_uncertain_rows_alone():
    free = np.flatnonzero(AVAILABLE)
    margin = np.asarray(jax.jit(scores.margin)(LOGITS[:ROWS]))
    kept = free[np.argsort(-margin[free], kind="stable")][: 2 * BUDGET]
    squared = ((FEATURES[:, None] - FEATURES[None]) ** 2).sum(-1).astype(np.float64)
    near = (np.exp(-np.sqrt(squared) / WIDTH) + 1) / 2

    def value(picks):
        total = near[np.ix_(kept, picks)].sum()
        return total - 0.4 * near[np.ix_(picks, picks)].sum()

    strategy = strategies.fass(
        uncertainty="margin",
        function="graph_cut",
        top_n=2,
        metric="euclidean",
        shifted=True,
        trade_off=0.4,
    )
    picked = acquire(strategy, available=AVAILABLE)
    assert picked.rows.tolist() == greedy(value, kept, BUDGET).rows
    # Fewer rows than are kept, and fewer than asked for.
    few = np.isin(np.arange(ROWS), free[:3])
    choose = jax.jit(lambda few: acquire(strategy, available=few).rows)
    rows = choose(few).tolist()
    assert sorted(rows[:3]) == free[:3].tolist() and rows[3:] == [-1, -1]


@pytest.mark.slow
def test_targets_have_their_labels_and_the_pool_its_predictions():
    free = np.flatnonzero(AVAILABLE)
    pool = gradients(np.arange(ROWS)).dense()
    query = gradients(np.asarray(QUERY[0]), labels=QUERY[1]).dense()
    private = gradients(np.asarray(PRIVATE[0]), labels=PRIVATE[1]).dense()
    near, to_query, to_private = (
        (cosine(pool, points) + 1) / 2 for points in (pool, query, private)
    )
    low, high = 0.4 * to_private.max(1), 0.9 * to_query.max(1)

    def value(picks):
        best = np.minimum(near[:, picks].max(1), high)
        return np.maximum(best - low, 0)[free].sum()

    picked = acquire(
        strategies.scmi(eta=0.9, nu=0.4),
        available=AVAILABLE,
        query=QUERY,
        private=PRIVATE,
    )
    assert picked.rows.tolist() == greedy(value, free, BUDGET).rows
    np.testing.assert_allclose(np.sum(picked.scores), value(np.asarray(picked.rows)), rtol=1e-5)


@pytest.mark.parametrize(
    ("given", "kind"),
    [("grad_bias", "bias"), ("linear", "linear"), ("grad_bias_linear", "bias_linear")],
)
def test_representations(given, kind):
    rows = jnp.arange(6)
    labels = jnp.array([0, -1, -1, 2, -1, 1])
    strategy = strategies.submodular(representation=given)
    observe = jax.jit(strategy.observe, static_argnums=1)
    found = observe(keys(1)[0], MODEL, {}, rows, labels)
    expected = gradients(np.arange(6), labels, kind)
    for leaf, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(leaf, other)


def test_a_set_function_may_be_given_as_a_table():
    table = {"name": "graph_cut", "trade_off": 0.4}
    nested, flat = (
        acquire(strategies.make("submodular", shifted=True, **options), available=AVAILABLE)
        for options in ({"function": table}, {"function": "graph_cut", "trade_off": 0.4})
    )
    assert nested.rows.tolist() == flat.rows.tolist()
    assert strategies.submodular(function=table) is strategies.submodular(function=dict(table))
    weighted = {"name": "feature_based", "concave": "sqrt", "weights": [1, 0.5, 2, 1]}
    assert min(acquire(strategies.submodular(function=weighted)).rows.tolist()) >= 0
    with pytest.raises(ValueError, match="trade_off: given twice"):
        strategies.submodular(function=table, trade_off=0.5)
    with pytest.raises(ValueError, match="metrc: .* did you mean 'metric'"):
        strategies.submodular(metrc="cosine")


def test_a_config_may_give_weights_as_a_list():
    options: dict[str, Any] = {"function": "feature_based", "concave": "sqrt"}
    made = strategies.make("submodular", weights=[1, 0.5, 2, 1], **options)
    assert made is strategies.submodular(weights=(1, 0.5, 2, 1), **options)
    with pytest.raises(ValueError, match=r"weights: expected shape \(4,\)"):
        acquire(strategies.submodular(function="set_cover", weights=(1.0, 2.0)))


@pytest.mark.slow
def test_in_the_loop():
    pool, test = clouds(60, spread=2.0), clouds(20, seed=1)
    pool = pool._replace(inputs=np.repeat(pool.inputs[:6], 10, axis=0))
    learner = jaxal.Learner(
        jaxal.models.mlp(3, hidden=(8,)), optax.adam(1e-2), batch_size=8, max_epochs=2
    )

    def labels(strategy, **examples):
        run = jaxal.simulate(
            learner, strategy, pool, test, initial=4, budget=8, rounds=2, **examples
        )
        state, _ = run(jax.random.key(0))
        rows = state.rows[: state.count].tolist()
        assert len(set(rows)) == len(rows) and min(rows) >= 0
        return len(rows)

    assert labels(strategies.smi(), query=test) == 20
    # Six points in all, each ten times: the rest of a batch would add nothing.
    stops = strategies.submodular(metric="euclidean", stop_if_zero_gain=True)
    assert labels(stops) <= 4 + 2 * 6


@bad_inputs(
    {
        "not of mutual information": (
            lambda: strategies.smi(function="flcg"),
            ValueError,
            "function: 'flcg' is unknown; .*gcmi",
        ),
        "needs a query": (
            lambda: strategies.submodular(function="fl2mi"),
            ValueError,
            "function: 'fl2mi'",
        ),
        "representation": (
            lambda: strategies.scg(representation="grad"),
            ValueError,
            "did you mean 'grad_",
        ),
        "metric": (lambda: strategies.scmi(metric="l2"), ValueError, "metric: 'l2' is unknown"),
        "optimizer": (lambda: strategies.smi(optimizer="lazi"), ValueError, "did you mean 'lazy'"),
        "uncertainty": (
            lambda: strategies.fass(uncertainty="bald"),
            ValueError,
            "uncertainty: 'bald'",
        ),
        "top_n": (lambda: strategies.fass(top_n=0), ValueError, "top_n: expected"),
        "eta": (
            lambda: strategies.smi(function="gcmi", eta=2.0),
            ValueError,
            "eta: gcmi does not take",
        ),
        "ridge of none": (
            lambda: strategies.scg(ridge=2.0),
            ValueError,
            "ridge: flcg does not take",
        ),
        "trade_off": (
            lambda: strategies.submodular(trade_off=2.0),
            ValueError,
            "trade_off: facility_location",
        ),
        "ridge": (
            lambda: strategies.submodular(function="log_determinant", ridge=0.0),
            ValueError,
            "ridge: expected",
        ),
        "concave": (
            lambda: strategies.fass(function="feature_based", concave="cube"),
            ValueError,
            "concave: 'cube'",
        ),
        "gradients of a cover": (
            lambda: strategies.fass(function="set_cover", representation="bias"),
            ValueError,
            "representation: expected 'features' for set_cover, got 'bias'",
        ),
        "nu": (
            lambda: strategies.make("smi", nu=1.0),
            ValueError,
            "nu: fl2mi does not take it; .*eta",
        ),
        "no query": (lambda: acquire(strategies.smi()), ValueError, "query: fl2mi needs it"),
        "no private": (
            lambda: acquire(strategies.scmi(), query=QUERY),
            ValueError,
            "private: flcmi needs it",
        ),
        "a query too many": (
            lambda: acquire(strategies.scg(), query=QUERY, private=PRIVATE),
            ValueError,
            "query: flcg does not take it",
        ),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
