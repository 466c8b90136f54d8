"""k-means selection, the iteration under it, and which pick stands for which row."""

import functools
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import CountTraces, bad_inputs, clouds, keys, table_model

import jaxal
from jaxal import selection, strategies
from jaxal.numerics import derive_keys
from jaxal.points import distances
from jaxal.points.embedding import Dense
from jaxal.pools import devices
from jaxal.rows import rows_over
from jaxal.selection._k_means import _k_means, closest
from jaxal.selection._lloyd import Clusters, assign, lloyd
from jaxal.selection._mini_batch import drawn_rows, mini_batches

CASES = sorted((pathlib.Path(__file__).parent / "conformance").glob("kmeans__*.npz"))
ROWS, BUDGET = 64, 9


fit = jax.jit(_k_means, static_argnums=(3, 4, 5, 6))


def cluster(features, available=None, budget=BUDGET):
    """The selection and its clusters; one compilation for all that have the usual shapes."""
    features = jnp.asarray(features)
    if available is None:
        available = np.ones(len(features), bool)
    key = jax.random.key(0)
    return fit(key, features, jnp.asarray(available), budget, 300, 1e-4, 10)


def pick(features, available=None, budget=BUDGET):
    return cluster(features, available, budget)[0]


def grid(rows=ROWS, width=4, seed=0):
    """Points whose coordinates stay exact under an offset of 1024."""
    x = np.random.default_rng(seed).normal(size=(rows, width))
    return (np.round(64 * x) / 64).astype(np.float32)


def pairwise(points, others):
    points, others = np.asarray(points, np.float64), np.asarray(others, np.float64)
    return ((points[:, None] - others[None]) ** 2).sum(-1)


@functools.partial(jax.jit, static_argnames=("max_steps", "tolerance"))
def iterate(points, usable, centers, live, **stop):
    """The clusters of given centers, those that Lloyd's iteration makes of them, and the picks."""
    squared, assigned = assign(points, usable, centers, live)
    inertia = jnp.sum(jnp.where(usable, squared, 0.0))
    fixed = Clusters(centers, assigned, squared, inertia, jnp.int32(0))
    moved = lloyd(points, usable, centers, live, **stop)
    return (fixed, closest(fixed)), (moved, closest(moved))


@pytest.mark.slow
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem.split("__")[1])
def test_conformance(path):
    with np.load(path) as file:
        case = {name: file[name] for name in file.files if name != "meta"}
    x, budget = case["in_features"], len(case["in_fixed_centers"])
    rows, width = x.shape
    # Padded to the same shapes, the three cases compile once.
    padded, usable, live = (
        np.zeros((300, 8), np.float32),
        np.arange(300) < rows,
        np.arange(12) < budget,
    )
    padded[:rows, :width] = x
    for name, turn in (("fixed", 0), ("init", 1)):
        centers = np.zeros((12, 8), np.float32)
        centers[:budget, :width] = case[f"in_{name}_centers"]
        found = iterate(padded, usable, centers, live, max_steps=300, tolerance=0.0)
        found = jax.tree.map(np.asarray, found)
        clusters, nearest = found[turn]
        out = {"fixed": "out_fixed", "init": "out_lloyd"}[name]
        np.testing.assert_array_equal(clusters.assigned[:rows], case[f"{out}_assign"])
        np.testing.assert_allclose(clusters.inertia, case[f"{out}_inertia"][0], rtol=1e-4)
        np.testing.assert_array_equal(nearest[:budget], case[f"{out}_closest"])
        if name == "init":
            np.testing.assert_allclose(
                clusters.centers[:budget, :width], case["out_lloyd_centers"], atol=1e-3
            )

    picked, best = cluster(x, budget=budget)
    rtol = 0.02 if "separated" in path.stem else 0.05
    assert best.inertia <= (1 + rtol) * case["out_best_inertia"][0]
    squared = pairwise(x, best.centers)
    np.testing.assert_allclose(best.inertia, squared.min(1).sum(), rtol=1e-4)
    inside = squared.argmin(1)[:, None] == np.arange(budget)
    squared = np.where(inside, squared, np.inf)
    np.testing.assert_array_equal(picked.rows, squared.argmin(0))
    np.testing.assert_allclose(picked.scores, -squared.min(0), rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_offset_and_scale_change_nothing():
    x = grid()
    plain = pick(x)
    for shift, scale in ((1024.0, 1.0), (0.0, 2.0**50), (0.0, 2.0**-50)):
        again = pick((x + np.float32(shift)) * np.float32(scale))
        np.testing.assert_array_equal(again.rows, plain.rows)
        np.testing.assert_allclose(
            again.scores, plain.scores * scale**2, rtol=1e-4, atol=1e-4 * scale**2
        )


@pytest.mark.slow
def test_numbers_change_without_a_new_compilation():
    x, everything = jnp.asarray(grid()), jnp.ones(ROWS, bool)
    counted = CountTraces(_k_means)
    run = jax.jit(counted, static_argnums=(3, 6))
    for key, steps, tolerance in zip(keys(2), (300, 7), (1e-4, 0.5), strict=True):
        found, _ = run(key, x, everything, BUDGET, steps, tolerance, 2)
        expected = selection.k_means(
            jax.random.clone(key),
            x,
            everything,
            BUDGET,
            max_steps=steps,
            tolerance=tolerance,
            restarts=2,
        )
        np.testing.assert_array_equal(found.rows, expected.rows)
    assert counted.count == 1


@pytest.mark.slow
def test_points_without_coordinates_are_refused():
    points = selection.GradientEmbedding(jnp.ones((4, 2)), jnp.ones((4, 3)))
    with pytest.raises(TypeError, match="means of points, got GradientEmbedding"):
        selection.k_means(jax.random.key(0), points, jnp.ones(4, bool), 2)
    dense = selection.k_means(
        jax.random.key(0), Dense(jnp.asarray(grid())), jnp.ones(ROWS, bool), 5
    )
    array = selection.k_means(jax.random.key(0), jnp.asarray(grid()), jnp.ones(ROWS, bool), 5)
    np.testing.assert_array_equal(dense.rows, array.rows)


def test_rows_that_may_not_be_picked_change_nothing():
    x, available = grid(), np.arange(ROWS) % 3 != 0
    plain = pick(x, available)
    assert available[plain.rows].all() and len(set(plain.rows.tolist())) == BUDGET
    for wild in (1e20, np.nan, np.inf):
        again = pick(np.where(available[:, None], x, wild).astype(np.float32), available)
        np.testing.assert_array_equal(again.rows, plain.rows)


def test_fewer_distinct_points_than_clusters():
    x = np.repeat(3 * grid(rows=4), ROWS // 4, axis=0)
    _, clusters = cluster(x)
    assert clusters.steps < 5 and clusters.inertia < 1e-6
    for points in (x, np.full_like(x, 0.3), np.zeros_like(x)):
        picked = pick(points)
        assert len(set(picked.rows.tolist())) == BUDGET and picked.rows.min() >= 0
        np.testing.assert_allclose(picked.scores, 0.0, atol=1e-6)
    assert sorted((pick(x).rows[:4] // (ROWS // 4)).tolist()) == [0, 1, 2, 3]


def test_rows_without_numbers_come_last():
    x = grid()
    x[7], x[20, 1] = np.nan, np.inf
    available = np.isin(np.arange(ROWS), [3, 7, 12, 20, 33, 40])
    picked = pick(x, available)
    assert sorted(picked.rows[:4].tolist()) == [3, 12, 33, 40]
    assert sorted(picked.rows[4:6].tolist()) == [7, 20]
    assert picked.rows[6:].tolist() == [-1] * 3
    np.testing.assert_array_equal(picked.scores[4:], -np.inf)
    assert not np.isin([7, 20], pick(x).rows).any()


def test_an_empty_cluster_moves_to_the_farthest_row():
    x = np.concatenate([grid(rows=30) / 8, grid(rows=34) / 8 + 4.0])
    centers = np.array([[0.0] * 4, [99.0] * 4, [-99.0] * 4], np.float32)
    live = jnp.array([True, True, False])
    usable = jnp.ones(ROWS, bool)
    _, (found, _) = iterate(
        jnp.asarray(x), usable, jnp.asarray(centers), live, max_steps=20, tolerance=0.0
    )
    np.testing.assert_array_equal(np.bincount(found.assigned), [30, 34])
    np.testing.assert_array_equal(found.centers[2], centers[2])
    expected = [part.var(0).sum() * len(part) for part in (x[:30], x[30:])]
    np.testing.assert_allclose(found.inertia, sum(expected), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("shared", [False, True])
def test_nearest_center_in_tiles(monkeypatch, shared):
    monkeypatch.setattr(distances, "CACHED", 1)  # so that a tile has 128 rows
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 5)).astype(np.float32)
    x[13] = np.nan
    centers = np.concatenate([x[:3] + 0.1, x[:20], x[13:14], x[:1] + 9]).astype("f4")
    usable = np.arange(len(centers)) != 4
    points = jnp.asarray(x)
    if shared:
        points = devices.place_rows(points, devices.make_mesh(8))
    squared, position = jax.jit(distances.nearest_center)(
        Dense(points), Dense(jnp.asarray(centers)), jnp.asarray(usable)
    )
    expected = pairwise(x, centers)
    expected[:, ~usable] = np.inf
    expected = np.where(np.isnan(expected), np.inf, expected)
    expected_position = np.where(np.arange(400) == 13, -1, expected.argmin(1))
    np.testing.assert_array_equal(position, expected_position)
    np.testing.assert_allclose(squared, expected.min(1), rtol=1e-4, atol=1e-5)
    none = distances.nearest_center(
        Dense(points), Dense(jnp.asarray(centers)), jnp.zeros(len(centers), bool)
    )
    assert (none[1] == -1).all() and jnp.isinf(none[0]).all()


def test_represents():
    x = grid() + 1024
    x[40] = x[5]
    x[50] = np.nan
    rows = np.array([9, 5, 40, -1, 22, 63], np.int32)
    picked = jaxal.Selection(jnp.asarray(rows), jnp.zeros(6))
    found = selection.nearest_pick(picked, jnp.asarray(x))
    assert found.shape == (ROWS,) and found.dtype == jnp.int32
    some = rows[rows >= 0]
    expected = some[pairwise(x, x[some]).argmin(1)]
    expected[40], expected[50] = 40, -1
    np.testing.assert_array_equal(found, expected)
    assert (found == 40).sum() == 1, "ties go to the earlier pick"
    nothing = jaxal.Selection(jnp.full(6, -1), jnp.zeros(6))
    assert (selection.nearest_pick(nothing, jnp.asarray(x)) == -1).all()


@pytest.mark.slow
def test_represents_in_gradients():
    rng = np.random.default_rng(0)
    points = selection.gradient_embedding(
        jnp.asarray(rng.normal(size=(30, 3)), jnp.float32),
        jnp.asarray(rng.normal(size=(30, 4)), jnp.float32),
    )
    picked = jaxal.Selection(jnp.array([4, 28, 11, 0, 17]), jnp.zeros(5))
    dense = points.dense()
    expected = picked.rows[pairwise(dense, dense[picked.rows]).argmin(1)]
    np.testing.assert_array_equal(selection.nearest_pick(picked, points), expected)


@pytest.mark.slow
def test_strategy():
    features, _ = clouds(ROWS, width=4)
    model = table_model(np.zeros((ROWS, 3), np.float32), features)
    image = np.random.default_rng(0).integers(0, 255, (ROWS, 1, 2), dtype=np.uint8)
    leaves = {"speed": features[:, :2], "image": image}
    for representation, inputs, expected in (
        ("features", jnp.arange(ROWS), features),
        ("inputs", leaves, np.concatenate([image[:, 0], features[:, :2]], axis=1)),
    ):
        strategy = strategies.make("kmeans_sampling", representation=representation)
        unknown = jnp.full(ROWS, -1)
        found = strategy.observe(jax.random.key(0), model, {}, inputs, unknown)
        np.testing.assert_array_equal(found, expected)
        everything = jnp.ones(ROWS, bool)
        view = jaxal.View(found, unknown, unknown >= 0, everything)
        picked = strategy.select(jax.random.key(0), view, BUDGET)
        np.testing.assert_array_equal(picked.rows, pick(found).rows)


def ask(**change):
    given: dict[str, Any] = dict(features=jnp.ones((4, 2)), available=jnp.ones(4, bool), budget=2)
    return selection.k_means(jax.random.key(0), **(given | change))


@bad_inputs(
    {
        "rank": (lambda: ask(features=jnp.ones(4)), ValueError, r"features.*\[N, D\]"),
        "rows": (lambda: ask(available=jnp.ones(3, bool)), ValueError, "must agree"),
        "budget": (lambda: ask(budget=5), ValueError, "expected 1 to 4.*got 5"),
        "steps": (lambda: ask(max_steps=0), ValueError, "max_steps"),
        "tolerance": (lambda: ask(tolerance=-1.0), ValueError, "tolerance"),
        "restarts": (lambda: ask(restarts=0), ValueError, "restarts"),
        "batch": (lambda: ask(batch_size=0), ValueError, "batch_size"),
        "strategy's batch": (lambda: strategies.k_means(batch_size=0), ValueError, "batch_size"),
        "represents": (
            lambda: selection.nearest_pick(
                jaxal.Selection(jnp.zeros(1, int), jnp.zeros(1)), jnp.ones(3)
            ),
            ValueError,
            r"features.*\[N, D\]",
        ),
        "representation": (
            lambda: strategies.k_means(representation="input"),
            ValueError,
            "did you mean 'inputs'",
        ),
        "strategy": (lambda: strategies.k_means(tolerance=-1), ValueError, "tolerance"),
        "restart": (lambda: strategies.k_means(restarts=0), ValueError, "restarts"),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_rows_that_are_as_near_but_for_rounding_tie():
    """As the two rows of a cluster of two are: the lower is picked on any number of devices."""
    clusters = Clusters(
        centers=jnp.zeros((2, 1)),
        assigned=jnp.array([0, 0, 1, 1, 2]),
        squared=jnp.array([0.25 + 1e-7, 0.25, 0.5, 0.1, jnp.inf]),
        inertia=jnp.zeros(()),
        steps=jnp.int32(1),
    )
    assert closest(clusters).tolist() == [0, 3]


@pytest.mark.slow
def test_mini_batches_as_defined():
    """Each center is the mean of all that ever joined it, the seed itself not among them."""
    x, key = grid(), jax.random.key(3)
    usable, taken = np.arange(ROWS) % 4 != 1, np.full(ROWS, np.inf, np.float32)
    taken[:16] = 0.0  # rows that lie on a center which stays: they move none
    start = x[[0, 2, 30, 42, 60]]
    run = jax.jit(mini_batches, static_argnums=5)
    found = run(
        key,
        jnp.asarray(x),
        jnp.asarray(usable),
        jnp.asarray(start),
        jnp.ones(5, bool),
        8,
        max_steps=9,
        tolerance=0.0,
        taken=jnp.asarray(taken),
    )
    centers, joined = start.astype(np.float64), [[] for _ in range(5)]
    free = np.flatnonzero(usable)
    for step in range(9):
        draw = derive_keys(key, jnp.int32(step + 1))
        rows = free[np.asarray(jax.random.randint(draw, (8,), 0, len(free)))]
        for row, own in zip(rows, pairwise(x[rows], centers).argmin(1), strict=True):
            if taken[row] > 0:
                joined[own].append(x[row].astype(np.float64))
        means = [
            np.mean(rows, 0) if rows else old for rows, old in zip(joined, centers, strict=True)
        ]
        centers = np.stack(means)
    assert found.steps == 9
    np.testing.assert_allclose(found.centers, centers, atol=1e-5)
    kept = usable & (taken > 0)
    np.testing.assert_array_equal(found.assigned[kept], pairwise(x[kept], centers).argmin(1))
    assert (found.assigned[~kept] == 5).all()
    np.testing.assert_allclose(found.inertia, pairwise(x[kept], centers).min(1).sum(), rtol=1e-5)


@pytest.mark.slow
def test_mini_batches_on_devices():
    """The same picks on 1 and 8 devices, of usable rows alone, and about Lloyd's inertia."""
    x, available = np.concatenate([grid(256) / 8 + 4 * i for i in range(4)]), np.ones(1024, bool)
    available[::5] = False
    arrays = jnp.asarray(x), jnp.asarray(available)
    plain = selection.k_means(jax.random.key(1), arrays[0], arrays[1], 8, batch_size=64, restarts=2)
    assert available[plain.rows].all() and len(set(plain.rows.tolist())) == 8
    assert set((plain.rows // 256).tolist()) == {0, 1, 2, 3}
    mesh = devices.make_mesh(8)
    features, mask = (devices.place_rows(array, mesh) for array in arrays)
    with rows_over(mesh):
        shared = selection.k_means(jax.random.key(1), features, mask, 8, batch_size=64, restarts=2)
    np.testing.assert_array_equal(shared.rows, plain.rows)
    rows = drawn_rows(jax.random.key(0), jnp.asarray(available), 5000)
    assert available[rows].all() and len(set(rows.tolist())) > 800
