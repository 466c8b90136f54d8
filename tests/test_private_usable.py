"""Private examples that are not there: no set function sees them, and shapes stay."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxal import submodular

RNG = np.random.default_rng(0)
POINTS, QUERY, PRIVATE = (jnp.asarray(RNG.normal(size=(n, 4)), jnp.float32) for n in (20, 3, 6))
THERE = np.array([True, False, True, True, False, False])
SETS = jnp.asarray([[3, 7, 11, -1], [0, -1, -1, -1], [19, 2, 5, 8]])
NAMES = ("flcg", "gccg", "logdetcg", "flcmi", "logdetcmi")
METRICS = [
    pytest.param({}, id="cosine"),
    pytest.param({"shifted": True}, id="shifted", marks=pytest.mark.slow),
    pytest.param({"metric": "euclidean"}, id="euclidean", marks=pytest.mark.slow),
]


def values(name, private, masks=None, **options):
    """Of all sets by one program, for each mask of the private examples."""
    query = {"query": QUERY} if name.endswith("cmi") else {}

    @jax.jit
    def of_sets(private, mask):
        given = {"private": private, "private_usable": mask, **query, **options}
        function = submodular.make(name, POINTS, **given)
        return jax.vmap(submodular.evaluate, (None, 0))(function, SETS)

    return [np.asarray(of_sets(private, mask)) for mask in masks or [None]]


@pytest.mark.slow
@pytest.mark.parametrize("options", METRICS)
@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_function_of_those_that_are_there(name, options):
    given, everyone = values(name, PRIVATE, [THERE, np.ones(6, bool)], **options)
    (expected,) = values(name, np.asarray(PRIVATE)[THERE], **options)
    np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-4)
    (expected,) = values(name, PRIVATE, **options)
    np.testing.assert_allclose(everyone, expected, rtol=1e-6, atol=1e-6)


ALONE = {  # what a function is where no private example is there
    "flcg": ("facility_location", {}, False),
    "gccg": ("graph_cut", {"trade_off": 1.0}, False),
    "logdetcg": ("log_determinant", {}, False),
    "flcmi": ("fl1mi", {}, True),
    "logdetcmi": ("logdetmi", {}, True),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_where_none_is_there_nothing_is_avoided(name):
    other, options, queried = ALONE[name]
    query = QUERY if queried else None

    @jax.jit
    def of_sets(query):
        function = submodular.make(other, POINTS, query=query, shifted=True, **options)
        return jax.vmap(submodular.evaluate, (None, 0))(function, SETS)

    expected = of_sets(query)
    (given,) = values(name, PRIVATE, [np.zeros(6, bool)], shifted=True)
    np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mask", [np.ones(5, bool), np.ones(6), [True] * 6], ids=str)
def test_bad_masks(mask):
    with pytest.raises((TypeError, ValueError), match="^private_usable: expected"):
        submodular.make("flcg", POINTS, private=PRIVATE, private_usable=mask)


def test_a_function_without_private_examples_takes_none():
    with pytest.raises(ValueError, match="^private_usable: "):
        submodular.make("fl2mi", POINTS, query=QUERY, private_usable=jnp.asarray(THERE))
