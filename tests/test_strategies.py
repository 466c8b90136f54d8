"""Every registered strategy through one table of properties."""

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import (
    MODES,
    SYMMETRIC,
    Rows,
    assert_same_picks,
    bad_inputs,
    clouds,
    keys,
    quick_first,
    strict,
    strict_x64,
)

import jaxal
from jaxal import Strategy, selection, strategies
from jaxal.loop._acquire import acquire_unchecked
from jaxal.numerics import derive_keys
from jaxal.pools import devices, place, size_class, streaming

ROWS, LABELED, BUDGET = 43, 5, 6
MODEL = jaxal.models.mlp(3, hidden=(8,), dropout=0.3)
LEARNER = jaxal.Learner(MODEL, optax.sgd(0.1), max_epochs=2, batch_size=4)
# What a row is worth to these depends on a draw for its place in the pool.
RANDOM = {"random", "badge", "k_means", "partition", "stochastic", "k_means from the labelled"}
RANDOM |= {"candidates", "candidates at random", "candidates of parts", "candidates of rules"}
RANDOM |= {"alfa_mix", "cluster_margin", "drop_query", "falcun", "prob_cover", "typi_clust"}
# Scores of few values, or rows that are parallel: among rows that tie, the first in the pool wins.
TIED = {"adversarial_bim", "variation_ratio", "scg", "scmi", "submodular"}
TIED |= {"submodular from the labelled"}
# Two rows that cover each other and nothing else gain the same.
TIED |= {"max_herding", "u_herding"}
DROPOUT = {"bald", "batch_bald", "core_mse", "epig", "mean_std", "variance"} | {
    f"{name}_dropout" for name in ("entropy", "least_confidence", "margin")
}
# What these take first depends on how much they are to take.
BY_BUDGET = {"bait", "fass", "gist"}
# Options under which a rule reads what it does not otherwise.
VARIANTS = {
    "k_means from the labelled": strategies.k_means(start="labeled"),
    "submodular from the labelled": strategies.submodular(start="labeled"),
}
# Fewer candidates than the pool has rows.
FEW = {
    "candidates at random": strategies.candidates("core_set", size=24),
    "candidates at the top": strategies.candidates("core_set", kind="top", size=24),
    "candidates nearby": strategies.candidates(
        "core_set", kind="neighbours", size=24, num_neighbours=4
    ),
    "candidates of parts": strategies.candidates("core_set", kind="greedi", size=24),
    "candidates of rules": strategies.candidates(
        "core_set", kind="progressive", size=24, num_batches=6, depth=2, subset=30
    ),
}
VARIANTS |= FEW
EVERY = (*strategies.names(), *VARIANTS)
# One for each kind of observation: a score, features, gradients, draws of logits, labels; and sets.
KINDS = ["entropy", "core_set", "badge", "batch_bald", "glister", "smi"]
NEEDS = {"smi": ["query"], "scg": ["private"], "scmi": ["query", "private"]}


@functools.cache
def setting():
    """Inputs, labels of the first rows, and variables of an untrained model."""
    inputs, labels = clouds(ROWS, width=4, spread=2.0)
    labels = np.where(np.arange(ROWS) < LABELED, labels, -1)
    return inputs, labels, MODEL.init(jax.random.key(3), jnp.asarray(inputs[:1]))


def made(name):
    return VARIANTS[name] if name in VARIANTS else strategies.make(name)


def extras(name):
    """Further examples, for the strategies that need them."""
    return {need: clouds(4, width=4, seed=len(need)) for need in NEEDS.get(name, [])}


def pick(name, inputs=None, labels=None, available=None, budget=BUDGET, key=None, **options):
    given, known, variables = setting()
    return jaxal.acquire(
        jax.random.key(1) if key is None else key,
        made(name),
        MODEL,
        variables,
        given if inputs is None else inputs,
        budget,
        labels=known if labels is None else labels,
        available=available,
        **extras(name),
        **options,
    )


@pytest.mark.parametrize("name", quick_first(EVERY, KINDS))
def test_picks_distinct_available_rows(name):
    picked = pick(name)
    assert picked.rows.shape == (BUDGET,) and picked.rows.dtype == jnp.int32
    assert picked.scores.shape == (BUDGET,) and picked.scores.dtype == jnp.float32
    assert len(set(picked.rows.tolist())) == BUDGET
    assert picked.rows.min() >= LABELED and picked.rows.max() < ROWS
    assert not jnp.isnan(picked.scores).any()


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_a_budget_of_all_that_is_left(name):
    left = np.arange(LABELED + 1, ROWS, ROWS // BUDGET)
    assert len(left) == BUDGET
    picked = pick(name, available=np.isin(np.arange(ROWS), left))
    assert sorted(picked.rows.tolist()) == left.tolist()


@pytest.mark.parametrize("name", quick_first(EVERY, KINDS))
def test_rows_that_may_not_be_picked_are_not_and_change_nothing(name):
    inputs, labels, _ = setting()
    available = np.arange(ROWS) % 3 != 0
    labels = np.full(ROWS, -1)
    plain = pick(name, labels=labels, available=available)
    assert available[plain.rows].all()
    wild = np.where(available[:, None], inputs, 50.0).astype(np.float32)
    again = pick(name, inputs=wild, labels=labels, available=available)
    np.testing.assert_array_equal(plain.rows, again.rows)


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_labels_of_available_rows_change_nothing(name):
    _, labels, _ = setting()
    told = np.where(labels < 0, 1, labels)
    np.testing.assert_array_equal(
        pick(name, available=labels < 0).rows,
        pick(name, labels=told, available=labels < 0).rows,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in EVERY if name not in RANDOM | TIED])
def test_permuting_the_pool_permutes_the_picks(name):
    inputs, labels, _ = setting()
    order = np.random.default_rng(0).permutation(ROWS)
    moved = pick(name, inputs=inputs[order], labels=labels[order])
    np.testing.assert_array_equal(order[np.asarray(moved.rows)], pick(name).rows)


def by_label():
    """A strategy that takes rows of high labels, as far as its `observe` is told them."""

    def observe(key, model, variables, inputs, labels):
        return labels

    def select(key, view, budget):
        picked = selection.take_top(view.observation.astype(jnp.float32), view.available, budget)
        known = (view.observation >= 0).sum() + (view.labels >= 0).sum()
        return picked._replace(weights=jnp.full(budget, known, jnp.float32))

    return Strategy(observe, select)


def test_observe_sees_no_label_of_an_available_row():
    inputs, labels, variables = setting()
    told = np.where(labels < 0, np.arange(ROWS), labels)
    picked = jaxal.acquire(
        jax.random.key(1),
        by_label(),
        MODEL,
        variables,
        inputs,
        BUDGET,
        labels=told % 3,
        available=labels < 0,
    )
    assert picked.rows.tolist() == list(range(LABELED, LABELED + BUDGET))
    assert (picked.scores == -1).all()
    assert picked.weights is not None and (picked.weights == 2 * LABELED).all()


@pytest.mark.slow
def test_observe_sees_no_label_that_a_simulation_has_not_bought():
    pool, test = clouds(ROWS, width=4), clouds(9, width=4)
    run = jaxal.simulate(LEARNER, by_label(), pool, test, initial=4, budget=3, rounds=2)
    state, info = run(jax.random.key(0))
    assert (info.scores[:2] == -1).all()
    rows = np.asarray(state.rows)
    for before, picked in ((4, info.rows[0]), (7, info.rows[1])):
        free = np.setdiff1d(np.arange(ROWS), rows[:before])
        np.testing.assert_array_equal(picked, free[:3])


@functools.cache
def large(name, shards):
    """Picks from 1,003 rows, which no number of devices divides."""
    inputs, labels = clouds(1003, width=4, spread=2.0)
    options = {"mesh": devices.make_mesh(shards), "batch_size": 100} if shards > 1 else {}
    labels = np.where(np.arange(1003) < LABELED, labels, -1)
    picked = pick(name, inputs=inputs, labels=labels, budget=20, **options)
    return np.asarray(picked.rows), np.asarray(picked.scores)


# Eight are those of test_processes.py, which has every registered one decide: here the others.
SHARED = [(name, 8) for name in VARIANTS] + [
    *zip([*KINDS, "k_means", "lcmd", "partition", "submodular"], itertools.cycle((2, 3)))
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "shards"), SHARED)
def test_batches_and_devices_change_nothing(name, shards):
    (rows, scores), (expected, expected_scores) = large(name, shards), large(name, 1)
    if name in SYMMETRIC:
        assert_same_picks(rows, expected, scores, expected_scores)
    else:
        np.testing.assert_array_equal(rows, expected)


OBSERVED = ["entropy", "core_set", "badge", "smi", "bait"]  # one of each kind of observation


@pytest.mark.parametrize("name", quick_first(OBSERVED, ["entropy"]))
def test_a_pool_that_is_read_gives_the_same_picks(name, monkeypatch):
    monkeypatch.setattr(streaming, "BLOCK", 2 * 10 * 16)  # two batches
    inputs, _, _ = setting()
    picked, read = pick(name), pick(name, inputs=Rows(inputs), batch_size=10)
    np.testing.assert_array_equal(read.rows, picked.rows)
    np.testing.assert_array_equal(read.scores, picked.scores)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_acquires_in_strict_mode(name):
    """The whole of `acquire`; the decision of every strategy is that of `test_vmap_is_a_loop`."""
    expected = pick(name)
    with strict():
        picked = pick(name)
    assert picked.rows.dtype == jnp.int32 and picked.scores.dtype == jnp.float32
    np.testing.assert_array_equal(picked.rows, expected.rows)


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_acquires_in_64_bits(name):
    """All that is left, where the first picks are those of a smaller budget."""
    budget = BUDGET if name in FEW or name in BY_BUDGET else ROWS - LABELED
    expected = pick(name)
    with strict_x64():
        picked = pick(name, budget=budget)
    assert picked.rows.dtype == jnp.int32 and picked.scores.dtype == jnp.float32
    assert len(set(picked.rows.tolist())) == budget
    assert picked.rows.min() >= LABELED and picked.rows.max() < ROWS
    if name not in RANDOM | TIED | DROPOUT:  # those have other random bits, other roundings
        np.testing.assert_array_equal(picked.rows[:BUDGET], expected.rows)


# One of each kind of observation: `acquire` runs every strategy under these settings.
SIMULATED = [
    "badge",
    "bald",
    "candidates nearby",
    "core_set",
    "entropy",
    "glister",
    "partition",
    "smi",
]


def simulation(name, rounds=2):
    pool, test = clouds(ROWS, width=4), clouds(9, width=4)
    sets: dict[str, Any] = extras(name)
    strategy = made(name)
    return jaxal.simulate(LEARNER, strategy, pool, test, initial=4, budget=4, rounds=rounds, **sets)


@pytest.mark.slow
@pytest.mark.parametrize("name", SIMULATED)
@pytest.mark.parametrize("mode", MODES)
def test_simulates_under_other_settings_of_jax(name, mode):
    """What these refuse but NaNs shows in tracing; one strategy is run."""
    with MODES[mode]():
        run, key = simulation(name), jax.random.key(0)
        state, info = jax.eval_shape(run, key) if name != "badge" else run(key)
        assert info.rows.dtype == jnp.int32 and info.scores.dtype == jnp.float32
        assert info.rows.shape == (3, 4) and state.rows.dtype == jnp.int32


@functools.cache
def placed():
    """The pool as `acquire` places it, so that tests share compiled programs."""
    inputs, labels, _ = setting()
    return place(inputs, labels, size=size_class(ROWS))


def choose(name, key):
    _, _, variables = setting()
    pool, sets = placed(), jaxal.ExampleSets(**extras(name))
    free = pool.labels < 0
    strategy = made(name)
    return acquire_unchecked(key, strategy, MODEL, variables, pool, free, BUDGET, sets)


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_vmap_is_a_loop(name):
    """The batched program is made in strict mode: one program holds every strategy to both."""
    loop = [pick(name, key=key) for key in keys(2)]
    with strict():
        found = jax.vmap(functools.partial(choose, name))(keys(2))
    assert found.rows.dtype == jnp.int32 and found.scores.dtype == jnp.float32
    np.testing.assert_array_equal(found.rows, np.stack([picked.rows for picked in loop]))


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_jit_is_eager(name):
    _, _, variables = setting()
    strategy, pool = made(name), placed()
    with jax.debug_key_reuse(False):  # the same key again, on purpose
        key_observe, key_select = derive_keys(keys(2)[0], jnp.arange(1, 3))

    def observe(inputs, labels):
        inputs, labels = jnp.asarray(inputs), jnp.asarray(labels)
        with jax.debug_key_reuse(False):
            return strategy.observe(key_observe, MODEL, variables, inputs, labels)

    observed = {need: observe(*examples) for need, examples in extras(name).items()}
    view = jaxal.View(
        observe(pool.inputs, pool.labels),
        pool.labels,
        pool.labels >= 0,
        (pool.labels < 0) & pool.valid,
        **observed,
    )
    eager = strategy.select(key_select, view, BUDGET)
    np.testing.assert_array_equal(eager.rows, pick(name, key=keys(2)[0]).rows)


@pytest.mark.parametrize("name", strategies.names())
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


@bad_inputs(
    {
        "name": (lambda: strategies.make("badg"), ValueError, "did you mean 'badge'"),
        "option": (lambda: strategies.make("badge", block=3), ValueError, "'block_size'"),
        "no options": (lambda: strategies.make("random", x=3), ValueError, "it has none"),
        "badge": (lambda: strategies.badge(block_size=0), ValueError, "block_size"),
        "core_set": (lambda: strategies.core_set(block_size=-1), ValueError, "block_size"),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
