"""Hierarchical k-means, and samples shared equally down its tree."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs

from jaxal import curation

# Six leaves of two parents; what is of no leaf, or may not be drawn, is beside them.
SIZES = [40, 3, 1, 2, 30, 0]
LEAF = np.concatenate([np.repeat(np.arange(6), SIZES), [6, 6]])
PARENT = np.array([0, 0, 0, 1, 1, 2])


def tree():
    centers = jnp.zeros((6, 1)), jnp.zeros((2, 1))
    return curation.ClusterTree(
        centers, (jnp.asarray(LEAF, jnp.int32), jnp.asarray(PARENT, jnp.int32))
    )


def fill(total, capacity):
    """One each in turn, to those that have room, as far as turns are whole; and what is left."""
    given = np.zeros(len(capacity), int)
    while (room := given < capacity).any() and given.sum() + room.sum() <= total:
        given += room
    return given, total - given.sum()


@pytest.mark.slow
@pytest.mark.parametrize("budget", [7, 30, 78])
def test_shares_are_equal_as_far_as_there_are_rows(budget):
    available = np.arange(len(LEAF)) != 0
    counts = np.bincount(LEAF[available], minlength=7)
    draw = jax.jit(
        jax.vmap(
            lambda key: (
                curation.hierarchical_sampling(key, tree(), jnp.asarray(available), budget).rows
            )
        )
    )
    found = np.asarray(draw(jax.random.split(jax.random.key(0), 20)))
    top, rest = fill(min(budget, counts[:6].sum()), np.array([counts[:3].sum(), counts[3:6].sum()]))
    for rows in found:
        taken = rows[rows >= 0]
        assert len(set(taken.tolist())) == len(taken) == min(budget, available.sum())
        assert available[taken].all()
        drawn = np.bincount(LEAF[taken], minlength=7)
        parents = np.array([drawn[:3].sum(), drawn[3:6].sum()])
        assert ((parents == top) | (parents == top + 1)).all()
        assert (parents - top).sum() == min(rest, (parents - top).sum() + rest)
        for own, number in ((slice(0, 3), parents[0]), (slice(3, 6), parents[1])):
            equal, left = fill(number, counts[own])
            more = drawn[own] - equal
            assert set(more.tolist()) <= {0, 1} and more.sum() == left
        assert drawn[6] == max(0, len(taken) - counts[:6].sum())


def test_who_has_one_more_and_which_rows_are_drawn_at_random():
    draw = jax.jit(
        jax.vmap(
            lambda key: (
                curation.hierarchical_sampling(key, tree(), jnp.ones(len(LEAF), bool), 3).rows
            )
        )
    )
    found = np.asarray(draw(jax.random.split(jax.random.key(0), 1000)))
    first = (LEAF[found] < 3).sum(1)
    assert set(first.tolist()) == {1, 2}
    assert abs((first == 2).mean() - 0.5) < 4 * np.sqrt(0.25 / 1000)
    ones = np.bincount(found[LEAF[found] == 0], minlength=40)[:40]
    chi_squared = ((ones - ones.mean()) ** 2 / ones.mean()).sum()
    assert chi_squared < 39 + 4 * np.sqrt(2 * 39)


def data(rows=600):
    """One dense cloud with nine rows of ten, nine others."""
    rng = np.random.default_rng(0)
    group = np.where(rng.uniform(size=rows) < 0.9, 0, rng.integers(1, 10, rows))
    features = 10 * np.eye(10)[group] + rng.normal(size=(rows, 10))
    return features.astype(np.float32), group


@pytest.mark.slow
def test_rare_groups_have_their_share():
    features, group = data()
    features[5] = np.nan
    every = jnp.ones(len(group), bool)
    tree = curation.hierarchical_k_means(
        jax.random.key(0), jnp.asarray(features), every, (60, 12), resamples=3, nearest=3
    )
    assert [len(level) for level in tree.assigned] == [600, 60]
    assert tree.assigned[0][5] == 60 and tree.centers[1].shape == (12, 10)
    assert len(set(tree.assigned[1].tolist()) - {12}) > 6
    rows = curation.hierarchical_sampling(jax.random.key(1), tree, every, 60).rows
    drawn = np.bincount(group[rows], minlength=10)
    assert drawn[1:].min() >= 2 and drawn[0] < 40 < np.bincount(group)[0] / 10
    # The centers of the upper level are those that its members are nearest to.
    leaves = np.asarray(tree.centers[0])
    squared = ((leaves[:, None] - np.asarray(tree.centers[1])) ** 2).sum(-1)
    groups = np.asarray(tree.assigned[1])
    there = groups < 12
    least = squared[there, groups[there]]
    np.testing.assert_allclose(least, squared[there].min(1), rtol=1e-4)


def call(number=(4, 2), **given):
    features = jnp.ones((9, 2))
    return lambda: curation.hierarchical_k_means(
        jax.random.key(0), features, jnp.ones(9, bool), number, **given
    )


@bad_inputs(
    {
        "one number": (call(4), TypeError, "num_clusters: expected a tuple"),
        "rising": (call((2, 4)), ValueError, "num_clusters: expected numbers that fall"),
        "above": (call((10, 4)), ValueError, "num_clusters: expected at most 9"),
        "resamples": (call(resamples=-1), ValueError, "resamples: expected"),
        "nearest": (call(nearest=0), ValueError, "nearest: expected"),
        "rows": (
            lambda: curation.hierarchical_sampling(jax.random.key(0), tree(), jnp.ones(9, bool), 2),
            ValueError,
            "leading axes must agree",
        ),
        "tree": (
            lambda: curation.hierarchical_sampling(
                jax.random.key(0), jnp.zeros(9), jnp.ones(9, bool), 2
            ),
            TypeError,
            "tree: expected ClusterTree",
        ),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
