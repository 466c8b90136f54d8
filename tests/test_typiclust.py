"""TypiClust against its definition in float64."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxal import selection

ROWS = 70


def data():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(ROWS, 3)).astype(np.float32)
    clusters = rng.choice([0, 3, 9, 20, 41], ROWS, p=[0.45, 0.25, 0.2, 0.06, 0.04])
    return points, clusters, np.arange(ROWS) % 6 > 0, np.arange(ROWS) % 10 == 1


def reference(points, clusters, available, labeled, budget, neighbors, smallest):
    points, counted = points.astype(np.float64), available | labeled
    ids = np.unique(clusters[counted])
    size = {c: (counted & (clusters == c)).sum() for c in ids}
    known = {c: (labeled & (clusters == c)).sum() for c in ids}
    order = sorted(ids, key=lambda c: (known[c], -size[c], c))
    free = available & ~labeled
    rows, scores = [], []
    for group in (
        [c for c in order if size[c] >= smallest],
        [c for c in order if size[c] < smallest],
    ):
        while any(free[clusters == c].any() for c in group):
            for c in group:
                members = np.flatnonzero(free & (clusters == c))
                if len(members) == 0 or len(rows) == budget:
                    continue
                k = max(1, min(neighbors, len(members) // 2))
                distance = np.linalg.norm(points[members][:, None] - points[members], axis=-1)
                nearest = np.sort(distance + np.diag(np.full(len(members), np.inf)))[:, :k]
                typical = 1 / (nearest.mean(1) + 1e-5)
                rows.append(int(members[typical.argmax()]))
                scores.append(typical.max())
                free[rows[-1]] = False
            if len(rows) == budget:
                return rows, scores
    return rows, scores


def test_picks_as_defined():
    """As many as there are: past the clusters that are used up, into the small ones."""
    points, clusters, available, labeled = data()
    budget = int((available & ~labeled).sum())
    rows, scores = reference(points, clusters, available, labeled, budget, 5, 6)
    picked = selection.typiclust(
        jax.random.key(0),
        jnp.asarray(points),
        jnp.asarray(available),
        budget,
        labeled=jnp.asarray(labeled),
        clusters=jnp.asarray(clusters, jnp.int32),
        num_neighbors=5,
    )
    assert picked.rows.tolist() == rows
    alone = np.isinf(scores) | (np.asarray(scores) == 0)
    np.testing.assert_allclose(picked.scores[~alone], np.asarray(scores)[~alone], rtol=1e-3)


def test_more_members_than_are_compared_at_a_time():
    points = np.random.default_rng(1).normal(size=(150, 2)).astype(np.float32)
    every, one = np.ones(150, bool), np.zeros(150, np.int32)
    rows, _ = reference(points, one, every, ~every, 4, 20, 1)
    picked = selection.typiclust(
        jax.random.key(0), jnp.asarray(points), jnp.asarray(every), 4, clusters=jnp.asarray(one)
    )
    assert picked.rows.tolist() == rows


def test_clusters_of_its_own():
    """Four clouds, of which two have labels: the others come first."""
    rng = np.random.default_rng(2)
    cloud = np.arange(80) % 4
    points = rng.normal(size=(80, 2)) + 40 * np.eye(4)[cloud][:, :2] - 40 * (cloud == 3)[:, None]
    labeled = np.isin(np.arange(80), [0, 1])
    points[7] = np.nan
    picked = selection.typiclust(
        jax.random.key(0),
        jnp.asarray(points, jnp.float32),
        jnp.ones(80, bool),
        2,
        labeled=jnp.asarray(labeled),
    )
    assert sorted(cloud[np.asarray(picked.rows)].tolist()) == [2, 3]


def test_rows_that_fill_up_a_pool_change_nothing():
    """Of 403 rows a seed would be the best of fewer draws than of 404, were they by the rows."""
    points = np.random.default_rng(0).normal(size=(404, 3)).astype(np.float32)
    free = np.arange(404) < 403
    pick = jax.jit(selection.typiclust, static_argnums=3)
    alone, filled = (pick(jax.random.key(0), points[:n], free[:n], 5) for n in (403, 404))
    np.testing.assert_array_equal(alone.rows, filled.rows)
