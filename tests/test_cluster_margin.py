"""Cluster-Margin against its definition: a round robin over clusters."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs

from jaxal.selection import cluster_margin


def reference(scores, clusters, available, budget, num_candidates):
    order = sorted(np.flatnonzero(available), key=lambda row: (-scores[row], row))
    groups = {}
    for row in order[:num_candidates]:
        groups.setdefault(clusters[row], []).append(row)
    queues = [groups[c] for c in sorted(groups, key=lambda c: (len(groups[c]), c))]
    rows = []
    while len(rows) < budget:
        for queue in queues:
            if queue:
                rows.append(queue.pop(0))
    return rows[:budget]


@pytest.mark.parametrize("num_candidates", [12, 30, 500])
@pytest.mark.parametrize("values", [5, 10**6])
def test_picks_as_defined(num_candidates, values):
    rng = np.random.default_rng(values)
    scores = (rng.integers(0, values, 60) / values).astype(np.float32)
    clusters, available = rng.integers(0, 9, 60), rng.uniform(size=60) < 0.7
    picked = cluster_margin(
        jnp.asarray(scores),
        jnp.asarray(clusters, jnp.int32),
        jnp.asarray(available),
        12,
        num_candidates=num_candidates,
    )
    rows = reference(scores, clusters, available, 12, num_candidates)
    assert picked.rows.tolist() == rows
    np.testing.assert_array_equal(picked.scores, scores[rows])


FOUR = jnp.arange(4)


@bad_inputs(
    {
        "fewer candidates": (
            lambda: cluster_margin(FOUR, FOUR, FOUR >= 0, 3, num_candidates=2),
            ValueError,
            "num_candidates: expected an integer >= 3",
        ),
        "cluster": (
            lambda: cluster_margin(FOUR, FOUR + 1, FOUR >= 0, 3, num_candidates=3),
            ValueError,
            "clusters: expected numbers of clusters from 0 to 3, got 4 in row 3",
        ),
        "too few": (
            lambda: cluster_margin(FOUR, FOUR, FOUR > 1, 3, num_candidates=3),
            ValueError,
            "budget: expected 1 to 2 ",
        ),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
