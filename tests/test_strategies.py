"""Every registered strategy through one table of properties."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import clouds, keys

import jaxal
from jaxal import strategies
from jaxal.loop._acquire import acquire_unchecked
from jaxal.pools import devices
from jaxal.pools.memory import place

ROWS, LABELED, BUDGET = 43, 5, 6
MODEL = jaxal.models.mlp(3, hidden=(8,), dropout=0.3)
# What a row is worth to these depends on a draw for its place in the pool.
RANDOM = {"random", "badge", "k_means", "partition", "stochastic"}
# Scores of few values, or rows that are parallel: among rows that tie, the first in the pool wins.
TIED = {"adversarial_bim", "variation_ratio", "scg", "scmi", "submodular"}
EVERY = strategies.names()
NEEDS = {"smi": ["query"], "scg": ["private"], "scmi": ["query", "private"]}


@functools.cache
def setting():
    """Inputs, labels of the first rows, and variables of an untrained model."""
    inputs, labels = clouds(ROWS, width=4, spread=2.0)
    labels = np.where(np.arange(ROWS) < LABELED, labels, -1)
    return inputs, labels, MODEL.init(jax.random.key(3), jnp.asarray(inputs[:1]))


def extras(name):
    """Further examples, for the strategies that need them."""
    return {need: clouds(4, width=4, seed=len(need)) for need in NEEDS.get(name, [])}


def pick(name, inputs=None, labels=None, available=None, budget=BUDGET, **options):
    given, known, variables = setting()
    return jaxal.acquire(
        jax.random.key(1),
        strategies.make(name),
        MODEL,
        variables,
        given if inputs is None else inputs,
        budget,
        labels=known if labels is None else labels,
        available=available,
        **extras(name),
        **options,
    )


@pytest.mark.parametrize("name", EVERY)
def test_picks_distinct_available_rows(name):
    picked = pick(name)
    assert picked.rows.shape == (BUDGET,) and picked.rows.dtype == jnp.int32
    assert picked.scores.shape == (BUDGET,) and picked.scores.dtype == jnp.float32
    assert len(set(picked.rows.tolist())) == BUDGET
    assert picked.rows.min() >= LABELED and picked.rows.max() < ROWS
    assert not jnp.isnan(picked.scores).any()


@pytest.mark.parametrize("name", EVERY)
def test_a_budget_of_all_that_is_left(name):
    picked = pick(name, budget=ROWS - LABELED)
    assert sorted(picked.rows.tolist()) == list(range(LABELED, ROWS))


@pytest.mark.parametrize("name", EVERY)
def test_rows_that_may_not_be_picked_are_not_and_change_nothing(name):
    inputs, labels, _ = setting()
    available = np.arange(ROWS) % 3 != 0
    labels = np.full(ROWS, -1)
    plain = pick(name, labels=labels, available=available)
    assert available[plain.rows].all()
    wild = np.where(available[:, None], inputs, 50.0).astype(np.float32)
    again = pick(name, inputs=wild, labels=labels, available=available)
    np.testing.assert_array_equal(plain.rows, again.rows)


@pytest.mark.parametrize("name", EVERY)
def test_labels_of_available_rows_stay_hidden(name):
    _, labels, _ = setting()
    told = np.where(labels < 0, 1, labels)
    np.testing.assert_array_equal(
        pick(name, available=labels < 0).rows,
        pick(name, labels=told, available=labels < 0).rows,
    )


@pytest.mark.parametrize("name", [name for name in EVERY if name not in RANDOM | TIED])
def test_permuting_the_pool_permutes_the_picks(name):
    inputs, labels, _ = setting()
    order = np.random.default_rng(0).permutation(ROWS)
    moved = pick(name, inputs=inputs[order], labels=labels[order])
    np.testing.assert_array_equal(order[np.asarray(moved.rows)], pick(name).rows)


@pytest.mark.parametrize("name", EVERY)
def test_batches_and_devices_change_nothing(name):
    shared = pick(name, batch_size=4, mesh=devices.make_mesh(8))
    np.testing.assert_array_equal(shared.rows, pick(name).rows)


@pytest.mark.parametrize("name", EVERY)
def test_jit_is_eager_and_vmap_is_a_loop(name):
    inputs, labels, variables = setting()
    strategy = strategies.make(name)
    pool = place(inputs, labels)
    available = pool.labels < 0
    further = extras(name)

    def choose(key):
        return acquire_unchecked(
            key,
            strategy,
            MODEL,
            variables,
            pool,
            available,
            BUDGET,
            jaxal.ExampleSets(**further),
        ).rows

    loop = np.stack([choose(key) for key in keys(2)])
    np.testing.assert_array_equal(jax.vmap(choose)(keys(2)), loop)
    with jax.debug_key_reuse(False):  # the same key again, on purpose
        key_observe, key_select = jax.random.split(keys(2)[0])

    def observe(inputs, labels):
        inputs, labels = jnp.asarray(inputs), jnp.asarray(labels)
        with jax.debug_key_reuse(False):
            return strategy.observe(key_observe, MODEL, variables, inputs, labels)

    observed = {need: observe(*examples) for need, examples in further.items()}
    view = jaxal.View(
        observe(pool.inputs, pool.labels),
        pool.labels,
        pool.labels >= 0,
        available,
        **observed,
    )
    eager = strategy.select(key_select, view, BUDGET)
    np.testing.assert_array_equal(eager.rows, loop[0])


@pytest.mark.parametrize("name", EVERY)
def test_is_described(name):
    described = {one.name: one for one in strategies.describe()}[name]
    assert described.summary.endswith(".") and len(described.summary) < 120
    assert described.paper or name == "random"
    assert strategies.make(name) is strategies.make(name)
    assert strategies.make(name) is getattr(strategies, name)()


def test_core_set_starts_from_the_labelled_rows():
    inputs, labels, variables = setting()
    features = MODEL.apply(variables, jnp.asarray(inputs)).features
    expected = jaxal.selection.k_center(
        features, jnp.asarray(labels < 0), BUDGET, centers=features[:LABELED]
    )
    np.testing.assert_array_equal(pick("core_set").rows, expected.rows)


@pytest.mark.parametrize("name", ["entropy", "margin", "least_confidence"])
def test_uncertainty_strategies_take_the_top_scores(name):
    inputs, labels, variables = setting()
    score = getattr(jaxal.scores, name)(MODEL.apply(variables, jnp.asarray(inputs)).logits)
    order = np.argsort(-np.where(labels < 0, score, -np.inf), kind="stable")
    np.testing.assert_array_equal(pick(name).rows, order[:BUDGET])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        pytest.param(lambda: strategies.make("badg"), "did you mean 'badge'", id="name"),
        pytest.param(
            lambda: strategies.make("badge", block=3),
            "did you mean 'block_size'",
            id="option",
        ),
        pytest.param(lambda: strategies.make("random", x=3), "it has none", id="no options"),
        pytest.param(lambda: strategies.badge(block_size=0), "block_size", id="badge"),
        pytest.param(lambda: strategies.core_set(block_size=-1), "block_size", id="core_set"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
