"""Embeddings: what follows from inner products is what the written-out vectors give."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import greedy_k_center, keys

from jaxal import selection
from jaxal.greedy.d2 import d2_sampling
from jaxal.points.embedding import Dense, Embedding


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Plain(Embedding):
    """A user's embedding that offers only what it must."""

    vectors: jax.Array

    def inner(self, other: "Plain") -> jax.Array:
        return self.vectors @ other.vectors.T

    def squared_norm(self) -> jax.Array:
        return jnp.sum(self.vectors**2, axis=-1)


def embeddings(rows=150):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 5)).astype(np.float32)
    x[7] = 0.0
    logits = jnp.asarray(rng.normal(size=(rows, 3)), jnp.float32)
    gradients = selection.gradient_embedding(logits, jnp.asarray(x), kind="linear")
    return [
        pytest.param(Dense(jnp.asarray(x)), x, id="dense"),
        pytest.param(gradients, np.asarray(gradients.dense()), id="gradient"),
        pytest.param(Plain(jnp.asarray(x)), x, id="a user's"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("points", "vectors"), embeddings())
def test_normalised(points, vectors):
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(norms > 0, norms, 1)
    found = points.normalised()
    np.testing.assert_allclose(found.inner(found), unit @ unit.T, atol=1e-5)
    np.testing.assert_allclose(found.squared_norm(), (norms > 0)[:, 0], atol=1e-5)
    np.testing.assert_allclose(found.take(jnp.arange(3)).squared_norm(), 1, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_normalised_neither_overflows_nor_underflows(scale):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(9, 4)), jnp.float32)
    points = Dense(x * scale).normalised()
    np.testing.assert_allclose(points.features, Dense(x).normalised().features, rtol=1e-5)
    gradient = selection.GradientEmbedding(x * scale, x * scale).normalised()
    np.testing.assert_allclose(gradient.squared_norm(), 1, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("points", "vectors"), embeddings())
def test_total_inner(points, vectors):
    mask = np.arange(len(vectors)) % 3 != 1
    expected = vectors.astype(np.float64) @ vectors[mask].astype(np.float64).sum(0)
    np.testing.assert_allclose(points.total_inner(jnp.asarray(mask)), expected, atol=1e-3)
    holes = jax.tree.map(lambda leaf: leaf.at[4].set(jnp.nan), points)
    found = holes.total_inner(jnp.asarray(mask))
    np.testing.assert_allclose(found[mask], expected[mask], atol=1e-3)
    np.testing.assert_array_equal(points.finite(), True)
    np.testing.assert_array_equal(holes.finite(), np.arange(len(vectors)) != 4)


@pytest.mark.slow
def test_a_users_embedding_works_in_every_rule_by_products():
    x = np.random.default_rng(3).normal(size=(90, 4)).astype(np.float32)
    points, everything = Plain(jnp.asarray(x)), jnp.ones(90, bool)
    picked = selection.k_center(
        points, everything, 30, centers=points.take(jnp.arange(4)), block_size=8
    )
    rows, gaps = greedy_k_center(x, np.ones(90, bool), 30, x[:4])
    assert gaps.min() > 1e-6 and picked.rows.tolist() == rows.tolist()
    drawn = selection.k_means_plus_plus(jax.random.key(0), points, everything, 90)
    assert sorted(drawn.rows.tolist()) == list(range(90))
    dense = selection.nearest_pick(picked, jnp.asarray(x))
    np.testing.assert_array_equal(selection.nearest_pick(picked, points), dense)


@pytest.mark.slow
def test_a_users_embedding_follows_the_law_of_d2_sampling():
    x = np.random.default_rng(4).normal(size=(5, 3)).astype(np.float32)
    squared = ((x[:, None] - x[None]) ** 2).sum(-1)
    num = 4000

    @jax.jit
    @jax.vmap
    def draw(key):
        points = Plain(jnp.asarray(x))
        return d2_sampling(key, points, jnp.int32(1), jnp.ones(5, bool), 2, block_size=4)[0].rows

    rows = np.asarray(draw(keys(num)))
    assert (rows[:, 0] == 1).all()
    expected = squared[1] / squared[1].sum()
    found = np.bincount(rows[:, 1], minlength=5) / num
    assert (np.abs(found - expected) <= 5 * np.sqrt(expected * (1 - expected) / num)).all()


def test_points_of_another_kind_or_width_are_refused():
    points, everything = Dense(jnp.ones((4, 2))), jnp.ones(4, bool)
    with pytest.raises(ValueError, match="centers: expected the same kind"):
        selection.k_center(points, everything, 2, centers=Plain(jnp.ones((4, 2))))
