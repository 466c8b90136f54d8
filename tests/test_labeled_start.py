"""Set functions and clusters that start from the labelled rows, and seed sets."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bad_values import (
    INTEGER,
    MASK,
    MATRIX,
    NAME,
    OTHERS,
    but,
    check_refused,
    each,
    refused,
    tables,
)
from helpers import greedy, table_model

import jaxal
from jaxal import selection, strategies, submodular
from jaxal.selection._k_means import _k_means
from jaxal.submodular import evaluate, given, maximize

ROWS = 14


def points(rows=ROWS, width=3, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)


MASKED = np.isin(np.arange(ROWS), [1, 5, 6])

FUNCTIONS = {
    "facility_location": {},
    "facility_location, euclidean": {"metric": "euclidean"},
    "graph_cut": {"shifted": True},
    "log_determinant": {},
    "feature_based": {},
    "set_cover": {},
    "probabilistic_set_cover": {},
    "disparity_sum": {},
}


@functools.cache
def function_of(case):
    name, features = case.split(",")[0], np.abs(points())
    if name == "set_cover":
        features = (features > 1).astype(np.float32)
    if name == "probabilistic_set_cover":
        features = features / features.max()
    return submodular.make(name, jnp.asarray(features), **FUNCTIONS[case])


@pytest.mark.slow
@pytest.mark.parametrize("case", FUNCTIONS)
def test_conditional_gains_are_those_of_the_function(case):
    function, chosen = function_of(case), np.flatnonzero(MASKED).tolist()

    def value(rows):
        padded = [*chosen, *rows, *[-1] * (4 - len(rows))]  # one program for all sizes
        return evaluate(function, jnp.array(padded, jnp.int32))

    expected = greedy(value, np.flatnonzero(~MASKED), 4)
    further = given(function, jnp.asarray(MASKED))
    for optimizer in ("naive", "lazy"):
        found = maximize(further, jnp.asarray(~MASKED), 4, optimizer=optimizer)
        if expected.gap > 1e-5:
            assert found.rows.tolist() == expected.rows
        total = float(value([])) + np.cumsum(found.scores)
        np.testing.assert_allclose(total, expected.values, rtol=1e-4, atol=1e-4)
    assert float(evaluate(further, found.rows)) == pytest.approx(sum(found.scores.tolist()), 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["facility_location", "log_determinant", "graph_cut"])
def test_without_rows_it_is_the_function(case):
    function, everything = function_of(case), jnp.ones(ROWS, bool)
    plain, further = (
        maximize(one, everything, 5) for one in (function, given(function, ~everything))
    )
    np.testing.assert_array_equal(further.rows, plain.rows)
    np.testing.assert_allclose(further.scores, plain.scores, rtol=1e-5)


def test_facility_location_covers_what_the_labelled_rows_do_not():
    features = np.random.default_rng(1).normal(size=(300, 5))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    similar, mask = unit @ unit.T, np.arange(300) < 280  # more than a block
    covered = similar[:, mask].max(1).clip(0)
    function = submodular.facility_location(jnp.asarray(features, jnp.float32))
    found = maximize(given(function, jnp.asarray(mask)), jnp.asarray(~mask), 3)
    for row, gain in zip(found.rows.tolist(), found.scores.tolist(), strict=True):
        gains = (similar - covered[:, None]).clip(0).sum(0)
        assert gains[row] == pytest.approx(gains[~mask].max(), abs=1e-4)
        assert gain == pytest.approx(gains[row], abs=1e-4)
        covered = np.maximum(covered, similar[:, row])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "conditional", "options"),
    [
        ("facility_location", "flcg", {"shifted": True}),
        ("log_determinant", "logdetcg", {}),
        ("graph_cut", "gccg", {"shifted": True, "trade_off": 0.3}),
    ],
)
def test_it_is_the_conditional_gain_over_private_examples(name, conditional, options):
    features, mask = jnp.asarray(points()), jnp.asarray(MASKED)
    further = given(submodular.make(name, features, **options), mask)
    private = submodular.make(conditional, features, private=features[mask], **options)
    one, other = (maximize(function, ~mask, 4) for function in (further, private))
    np.testing.assert_array_equal(one.rows, other.rows)
    np.testing.assert_allclose(one.scores, other.scores, rtol=1e-4, atol=1e-4)


def test_rows_that_are_no_numbers_add_nothing():
    features = points()
    features[5] = np.nan
    mask = jnp.asarray(MASKED)
    found = maximize(given(submodular.facility_location(jnp.asarray(features)), mask), ~mask, 3)
    without = mask.at[5].set(False)
    free = ~mask
    expected = maximize(
        given(submodular.facility_location(jnp.asarray(features)), without), free, 3
    )
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def view(labeled, features=None):
    features = points() if features is None else features
    labels = jnp.where(labeled, jnp.arange(ROWS) % 3, -1)
    return jaxal.View(jnp.asarray(features), labels, labeled, ~labeled)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["submodular", "k_means", "partition"])
def test_strategies_start_from_the_labelled_rows(name):
    options = {"start": "labeled"}
    if name == "partition":
        inner = {"name": "submodular", "start": "labeled"}
        options = {"strategy": inner, "num_partitions": 2}
    strategy, plain = strategies.make(name, **options), strategies.make(name)
    assert strategy.reads_labels
    labeled = jnp.asarray(MASKED)
    select = jax.jit(strategy.select, static_argnums=2)
    rows = select(jax.random.key(0), view(labeled), 4).rows
    assert len(set(rows.tolist())) == 4 and not labeled[rows].any()
    if name == "submodular":
        assert not plain.reads_labels
        function = submodular.facility_location(jnp.asarray(points()))
        np.testing.assert_array_equal(rows, maximize(given(function, labeled), ~labeled, 4).rows)
    # The features of the labelled rows decide.
    moved = points()
    moved[MASKED] = -moved[MASKED]
    other = select(jax.random.key(0), view(labeled, moved), 4).rows
    assert rows.tolist() != other.tolist()


@pytest.mark.slow
def test_a_strategy_observes_and_selects_as_a_whole():
    rng = np.random.default_rng(0)
    model = table_model(rng.normal(size=(ROWS, 3)).astype(np.float32), points())
    for options in ({}, {"representation": "bias_linear", "shifted": True}):
        picked = jaxal.acquire(
            jax.random.key(0),
            strategies.submodular(start="labeled", **options),
            model,
            {"params": {}},
            jnp.arange(ROWS),
            3,
            labels=jnp.where(jnp.asarray(MASKED), jnp.arange(ROWS) % 3, -1),
        )
        assert len(set(picked.rows.tolist())) == 3 and not MASKED[np.asarray(picked.rows)].any()


# Clusters


def test_a_cluster_that_is_labelled_gets_no_pick():
    rng = np.random.default_rng(0)
    centers = np.repeat([[0.0, 0], [10, 0], [0, 10]], [8, 8, 8], axis=0)
    features = jnp.asarray(centers + rng.normal(size=(24, 2)) * 0.1, jnp.float32)
    labeled = jnp.arange(24) == 3
    rows = selection.k_means(
        jax.random.key(0), features, ~labeled, 2, centers=features, center_mask=labeled
    ).rows
    assert sorted((rows // 8).tolist()) == [1, 2]


def test_centers_are_means_of_what_is_nearer_to_them_than_to_those_that_stay():
    features = points(60, 2).astype(np.float64)
    fixed = features[:5] + 0.05
    selected, clusters = jax.jit(_k_means, static_argnums=(3, 4, 5, 6))(
        jax.random.key(0),
        jnp.asarray(features, jnp.float32),
        jnp.ones(60, bool),
        6,
        300,
        0.0,
        3,
        (jnp.asarray(fixed, jnp.float32), None),
    )
    centers = np.asarray(clusters.centers, np.float64)
    both = np.concatenate([centers, fixed])
    squared = ((features[:, None] - both[None]) ** 2).sum(-1)
    nearest = squared.argmin(1)
    for k in range(6):
        np.testing.assert_allclose(features[nearest == k].mean(0), centers[k], atol=1e-4)
        own = np.flatnonzero(nearest == k)
        away = np.sqrt(squared[own, k])
        assert selected.rows[k] == own[away <= away.min() + 1e-5][0]  # of several, the lowest
    np.testing.assert_allclose(clusters.squared, squared.min(1), atol=1e-4)
    assert float(clusters.inertia) == pytest.approx(squared.min(1).sum(), rel=1e-4)
    np.testing.assert_array_equal(np.asarray(clusters.assigned), np.minimum(nearest, 6))


@pytest.mark.slow
def test_centers_outside_the_mask_or_without_numbers_do_not_count():
    features, free = jnp.asarray(points(30, 2)), jnp.ones(30, bool)
    fixed = jnp.concatenate([features[:3], jnp.full((1, 2), jnp.nan), features[20:25]])
    mask = jnp.arange(9) < 4

    def select(**centers):
        return selection.k_means(jax.random.key(0), features, free, 4, **centers)

    found = select(centers=fixed, center_mask=mask)
    expected = select(centers=features[:3])
    np.testing.assert_array_equal(found.rows, expected.rows)
    none = select(centers=fixed, center_mask=jnp.zeros(9, bool))
    assert len(set(none.rows.tolist())) == 4
    covered = select(centers=features)  # every row lies on a center
    assert len(set(covered.rows.tolist())) == 4


# Seed sets


def test_seed_rows_are_those_of_greedy_facility_location():
    features = jnp.asarray(points())
    found = submodular.seed_rows(features, 5)
    expected = maximize(submodular.facility_location(features), jnp.ones(ROWS, bool), 5)
    np.testing.assert_array_equal(found, expected.rows)


@pytest.mark.slow
def test_seed_rows_of_classes_are_balanced_and_nested():
    features = jnp.asarray(points())
    labels = np.array([0] * 2 + [2] * 5 + [5] * 5 + [-1] * 2)
    found = np.asarray(submodular.seed_rows(features, 9, labels=labels))
    assert len(set(found.tolist())) == 9
    assert np.bincount(labels[found], minlength=6).tolist() == [2, 0, 4, 0, 0, 3]
    assert labels[found[:3]].tolist() == [0, 2, 5]
    for count in (1, 3, 8):
        some = submodular.seed_rows(features, count, labels=labels)
        np.testing.assert_array_equal(some, found[:count])
    own = np.flatnonzero(labels == 2)
    alone = submodular.seed_rows(features[own], 4)
    np.testing.assert_array_equal(own[np.asarray(alone)], found[labels[found] == 2])


FEATURES = jnp.asarray(points(6, 2))
SEEDS = functools.partial(submodular.seed_rows, FEATURES)


@refused(
    tables(
        seeds=each(
            lambda features=FEATURES, count=2, metric="cosine": submodular.seed_rows(
                features, count, metric=metric
            ),
            features=MATRIX,
            count=INTEGER | {"above the rows": 7},
            metric=NAME,
        ),
        labels=each(
            lambda labels: SEEDS(2, labels=labels),
            labels={
                "floats": np.ones(6),
                "another length": [0, 1],
                "a matrix": np.ones((6, 1), int),
            },
        ),
        known=each(lambda count: SEEDS(count, labels=[0, -1, -1, 1, -1, -1]), count={"3": 3}),
        given=each(
            lambda mask, function=submodular.facility_location: given(function(FEATURES), mask),
            mask=but(MASK, "none"),
        ),
        function=each(
            lambda function: given(function, jnp.ones(6, bool)), function=OTHERS | {"none": None}
        ),
        centers=each(
            lambda centers: selection.k_means(
                jax.random.key(0), FEATURES, jnp.ones(6, bool), 2, centers=centers
            ),
            centers=but(MATRIX, "none") | {"wider": np.ones((2, 3))},
        ),
        mask=each(
            lambda center_mask: selection.k_means(
                jax.random.key(0),
                FEATURES,
                jnp.ones(6, bool),
                2,
                centers=FEATURES,
                center_mask=center_mask,
            ),
            center_mask=but(MASK, "none"),
        ),
    )
)
def test_refused(call, argument):
    check_refused(call, argument)
