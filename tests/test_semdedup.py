"""SemDeDup against its definition in float64, and the clusters under it."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs

from jaxal import curation
from jaxal.curation import _clusters, _semdedup
from jaxal.pools import devices
from jaxal.rows import rows_over


def reference(features, available, clusters, threshold):
    """Row by row: dropped if a kept earlier row of the cluster is more alike than the threshold."""
    features = np.asarray(features, np.float64)
    norms = np.linalg.norm(features, axis=1)
    usable = np.asarray(available) & np.isfinite(norms) & (norms > 0)
    keep, kept_as = np.array(available), np.where(available, np.arange(len(features)), -1)
    for row in np.flatnonzero(usable):
        before = np.flatnonzero(usable & keep & (np.asarray(clusters) == clusters[row]))
        before = before[before < row]
        found = features[before] @ features[row] / (norms[before] * norms[row])
        if len(before) and found.max() > threshold:
            keep[row], kept_as[row] = False, before[found.argmax()]
    return keep, kept_as


def in_numpy(found):
    return jax.tree.map(np.asarray, found)


def data(rows=150, seed=0):
    """Copies with some noise, in clusters that differ much in size."""
    rng = np.random.default_rng(seed)
    originals = rng.normal(size=(40, 6))
    which = rng.integers(0, 40, rows)
    features = originals[which] + 0.15 * rng.normal(size=(rows, 6))
    features *= rng.uniform(0.1, 10, size=(rows, 1))
    clusters = rng.choice([0, 1, 5, 40], p=[0.7, 0.2, 0.07, 0.03], size=40)[which]
    features[7], features[8] = np.nan, 0.0
    features[rows // 2 :][:1] = 0.0
    available = rng.uniform(size=rows) < 0.9
    features = features.astype(np.float32)
    return jnp.asarray(features), jnp.asarray(available), jnp.asarray(clusters)


@pytest.mark.slow
@pytest.mark.parametrize("size", [256, 16, 7])
def test_as_defined(size, monkeypatch):
    monkeypatch.setattr(_semdedup, "BLOCK", size)
    features, available, clusters = data()
    run = jax.jit(
        lambda threshold: curation.semdedup(
            jax.random.key(0), features, available, threshold=threshold, clusters=clusters
        )
    )
    for threshold in (0.9, 0.97, -1.0, 1.0):
        keep, kept_as = reference(features, available, clusters, threshold)
        found = run(jnp.float32(threshold))
        np.testing.assert_array_equal(found.keep, keep)
        np.testing.assert_array_equal(found.kept_as, kept_as)
    assert 20 < reference(features, available, clusters, 0.9)[0].sum() < 120


@pytest.mark.slow
def test_exact_copies_are_found_whatever_their_lengths():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 4)).astype(np.float32)
    x[30:] = x[:30] * 2.0 ** rng.integers(-30, 30, size=(30, 1))
    found = in_numpy(
        curation.semdedup(jax.random.key(0), jnp.asarray(x), jnp.ones(60, bool), threshold=0.9999)
    )
    assert found.keep[:30].all() and not found.keep[30:].any()
    np.testing.assert_array_equal(found.kept_as, np.arange(60) % 30)


@pytest.mark.slow
def test_kept_rows_of_its_own_clusters_are_not_alike():
    features, available, _ = data()
    found = in_numpy(curation.semdedup(jax.random.key(0), features, available, num_clusters=5))
    again = curation.semdedup(jax.random.key(0), features, available, num_clusters=5)
    features, available = np.asarray(features), np.asarray(available)
    assert (~found.keep | available).all() and 20 < found.keep.sum() < 120
    np.testing.assert_array_equal(found.keep, again.keep)
    dropped = np.flatnonzero(available & ~found.keep)
    for row, kept in zip(dropped, found.kept_as[dropped], strict=True):
        one, other = features[row], features[kept]
        cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
        assert kept < row and found.keep[kept] and cosine > 0.95


@pytest.mark.slow
def test_devices_share_the_rows():
    features, available, _ = data(rows=160)
    plain = curation.semdedup(jax.random.key(0), features, available, num_clusters=6)
    mesh = devices.make_mesh(8)
    with rows_over(mesh):
        shared = devices.place_rows((features, available), mesh)
        again = curation.semdedup(jax.random.key(0), *shared, num_clusters=6)
    np.testing.assert_array_equal(plain.keep, again.keep)
    np.testing.assert_array_equal(plain.kept_as, again.kept_as)


@pytest.mark.slow
def test_clusters_of_clouds():
    """Three clouds are found, rows that do not count change nothing, and distances are right."""
    rng = np.random.default_rng(2)
    cloud = np.arange(90) % 3
    x = (rng.normal(size=(90, 4)) + 30 * np.eye(4)[cloud] + 1000).astype(np.float32)
    x[5] = np.nan
    available = np.arange(90) % 7 > 0
    clusters = jax.jit(curation.k_means_clusters, static_argnums=3)
    found = in_numpy(clusters(jax.random.key(0), x, available, 3))
    counted = available & (np.arange(90) != 5)
    assert (found.assigned[~counted] == 3).all()
    for group in range(3):
        own = counted & (cloud == group)
        assert len(set(found.assigned[own].tolist())) == 1
        center = found.centers[found.assigned[np.flatnonzero(own)[0]]]
        np.testing.assert_allclose(center, x[own].mean(0), rtol=1e-5)
        squared = ((x[own] - np.asarray(center, np.float64)) ** 2).sum(1)
        np.testing.assert_allclose(found.squared[own], squared, rtol=1e-3)
    wild = x.copy()
    wild[~available] = 1e20
    again = clusters(jax.random.key(0), wild, available, 3)
    np.testing.assert_array_equal(found.assigned, again.assigned)


@pytest.mark.slow
def test_seeds_of_few_clusters_are_greedy(monkeypatch):
    """They leave less inertia than plain ones, and rows that do not count are no seeds."""
    rng = np.random.default_rng(3)
    spots = 4 * rng.normal(size=(30, 8))
    x = (spots[rng.integers(0, 30, 600)] + rng.normal(size=(600, 8))).astype(np.float32)
    x[::50] = 1e6
    free = np.arange(600) % 50 > 0
    fit = inspect.unwrap(_clusters.fit_clusters)  # so that it is traced anew

    def inertia(seed):
        return fit(jax.random.key(seed), x, free, 30, 20).inertia

    def mean():
        return np.mean(jax.jit(lambda seeds: jax.vmap(inertia)(seeds))(jnp.arange(20)))

    greedy = mean()
    monkeypatch.setattr(_clusters, "GREEDY", 29)
    plain = mean()
    assert greedy < 0.97 * plain, (greedy, plain)
    assert plain < 600 * 8 * 10


def call(**given):
    features, available, _ = data(rows=9)
    return lambda: curation.semdedup(jax.random.key(0), features, available, **given)


@bad_inputs(
    {
        "threshold": (call(threshold=1.5), ValueError, "threshold: expected a cosine"),
        "text": (call(threshold="high"), TypeError, "threshold: expected"),
        "clusters": (call(num_clusters=10), ValueError, "num_clusters: expected 1 to 9"),
        "none": (call(num_clusters=0), ValueError, "num_clusters: expected an integer >= 1"),
        "outside": (call(clusters=jnp.full(9, 9)), ValueError, "clusters: expected numbers"),
        "both": (
            call(clusters=jnp.zeros(9, int), num_clusters=2),
            ValueError,
            "num_clusters: expected none",
        ),
        "too many": (
            lambda: curation.k_means_clusters(
                jax.random.key(0), jnp.ones((3, 2)), jnp.ones(3, bool), 4
            ),
            ValueError,
            "num_clusters: expected 1 to 3",
        ),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
