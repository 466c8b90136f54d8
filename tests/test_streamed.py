"""Rounds over a pool that is read block by block: those of the same pool in memory, bit for bit."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import Rows, bad_inputs, clouds

import jaxal
from jaxal import pools, strategies
from jaxal.loop.streamed import streamed_round
from jaxal.pools import devices, streaming

MODEL = jaxal.models.mlp(3, hidden=(8,), dropout=0.3)
LEARNER = jaxal.Learner(MODEL, optax.sgd(0.1), max_epochs=2, batch_size=4)
POOL, TEST, WANTED = clouds(203, width=4), clouds(30, width=4), clouds(6, width=4, seed=3)
KEY = jax.random.key(1)
PLAN: Any = {"initial": 4, "budget": 4, "rounds": 2}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("on disk") / "pool"
    return pools.create(folder, POOL.inputs, labels=POOL.labels, shard_rows=50)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(streaming, "BLOCK", 40 * 16)


def rounds(pool, strategy="margin", *, learner: Any = LEARNER, **options: Any):
    made = strategies.make(strategy)
    given: Any = {**PLAN, "batch_size": 16, **options}
    return [*jaxal.iterate(jax.random.key(0), learner, made, pool, TEST, **given)]


def assert_equal(left, right):
    jax.tree.map(np.testing.assert_array_equal, without_keys(left), without_keys(right))


def without_keys(rounds):
    return [(state._replace(key=jax.random.key_data(state.key)), info) for state, info in rounds]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "shards"),
    [("margin", None), ("badge", None), ("bald", 3), ("badge", 3), ("glister", 3)],
)
def test_rounds_are_those_in_memory(strategy, shards, source):
    options: Any = {} if shards is None else {"mesh": devices.make_mesh(shards)}
    if strategy == "glister":
        options["validation"] = WANTED
    assert_equal(rounds(source, strategy, **options), rounds(POOL, strategy, **options))


def test_every_form_of_a_pool_is_the_same(source, tmp_path):
    np.save(tmp_path / "inputs.npy", POOL.inputs)
    mapped = np.load(tmp_path / "inputs.npy", mmap_mode="r")
    expected = rounds(source)
    streamed = pools.stream(source, POOL.labels, batch_size=16)
    for pool in ((mapped, POOL.labels), streamed):
        assert_equal(rounds(pool), expected)


@pytest.mark.slow
def test_a_set_of_rows_so_far(source):
    options = {"private": "labeled"}
    assert_equal(rounds(source, "scg", **options), rounds(POOL, "scg", **options))


@pytest.mark.slow
def test_rows_without_labels_are_left_out(source):
    labels = np.where(np.arange(203) % 5 == 0, -1, POOL.labels)
    streamed = pools.stream(source, labels, batch_size=16)
    with pytest.raises(ValueError, match="pool labels: expected all to be known, .* got 41 of 203"):
        rounds(streamed)
    found = rounds(streamed, labeled_only=True)
    assert_equal(found, rounds((POOL.inputs, labels), labeled_only=True))
    assert all(row % 5 for _, info in found[:2] for row in info.rows.tolist())


@pytest.mark.slow
def test_a_fit_on_the_host_gets_arrays(source):
    def fit(key, variables, inputs, labels, weights, count, validation=None):
        info: Any = {"loss": 0.0, "accuracy": 1.0, "epochs": 1}
        rows = np.asarray(inputs)[: int(count)]
        seen.append(rows)
        return variables, jaxal.FitInfo(**info)

    seen = []
    learner = jaxal.CustomLearner(MODEL, fit, fit_on_host=True)
    states = [state for state, _ in rounds(source, learner=learner)]
    for rows, state in zip(seen, states, strict=True):
        np.testing.assert_array_equal(rows, POOL.inputs[state.rows[: len(rows)]])


@pytest.mark.slow
def test_seeds_share_a_pass(source):
    """Every stage of two seeds is that of the seeds one by one, as nearly as they are rounded."""
    pool = pools.stream(source, source.labels, batch_size=16)
    test = jaxal.Examples(*map(jnp.asarray, TEST))

    def begin(key):
        return jaxal.init(key, LEARNER, pool, initial=4, capacity=12)

    states = jax.vmap(begin)(jax.random.split(jax.random.key(0)))
    strategy = strategies.core_set()
    alone, together = (streamed_round(LEARNER, strategy, 4, seeds=seeds) for seeds in (False, True))
    reads = []

    class Watched(Rows):
        def __getitem__(self, rows):
            reads.append(rows)
            return super().__getitem__(rows)

    watched = pools.stream(Watched(source), source.labels, batch_size=16)
    reads.clear()
    sets = jaxal.ExampleSets(query=WANTED)
    both, fitted = together.fit(states, watched, sets)
    together.measure(both, watched, test, fitted)
    assert len(reads) == 2
    observed = together.observe(both, watched, sets)
    assert len(reads) == 2 + 7, "one pass for both seeds"
    after, picked = together.select(both, watched, observed)
    of_seed = jax.jit(lambda states, seed: jax.tree.map(lambda leaf: leaf[seed], states))
    observed_pool, observed_query = np.asarray(observed.pool), np.asarray(observed.sets["query"])
    for seed in range(2):
        one, _ = alone.fit(of_seed(states, seed), pool, sets)
        found = alone.observe(one, pool, sets)
        np.testing.assert_allclose(observed_pool[seed], found.pool, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(observed_query[seed], found.sets["query"], rtol=1e-4, atol=1e-5)
        _, alone_picked = alone.select(one, pool, found)
        np.testing.assert_array_equal(picked.rows[seed], alone_picked.rows)
    assert (after.count == 8).all()


@pytest.mark.slow
def test_people_may_label(source):
    def asked(pool):
        state = jaxal.init(jax.random.key(0), LEARNER, pool, initial=[3, 50, 7], capacity=9)
        found = []
        for _ in range(2):
            state, selection = jaxal.ask(state, LEARNER, strategies.margin(), pool, 3)
            found.append(selection.rows)
            state = jaxal.tell(state, selection.rows, POOL.labels[selection.rows])
        return np.stack(found)

    read = pools.stream(source, POOL.labels, batch_size=16)
    np.testing.assert_array_equal(asked(read), asked(jaxal.place(*POOL, batch_size=16)))


@pytest.mark.slow
def test_goes_on_with_the_same_pool_alone(source, tmp_path):
    whole = rounds(source)
    run = jaxal.iterate(
        jax.random.key(0),
        LEARNER,
        strategies.margin(),
        source,
        TEST,
        batch_size=16,
        checkpoint=tmp_path / "saved",
        **PLAN,
    )
    first = [next(run), next(run)]
    run.close()
    changed = pools.create(tmp_path / "other", POOL.inputs + 1, labels=POOL.labels)
    with pytest.raises(ValueError, match=r"not the same run: pool \(SHA-256\) was"):
        rounds(changed, checkpoint=tmp_path / "saved")
    rest = rounds(source, checkpoint=tmp_path / "saved")
    assert_equal([first[0], *rest], whole)
    assert rounds(source, checkpoint=tmp_path / "saved") == []


def acquire(**given):
    variables = MODEL.init(jax.random.key(0), jnp.asarray(POOL.inputs[:1]))
    good: Any = {"key": KEY, "inputs": pools.stream(POOL.inputs), "budget": 3}
    return jaxal.acquire(
        strategy=strategies.margin(), model=MODEL, variables=variables, **{**good, **given}
    )


def test_inside_jit_a_memory_map_is_an_array(tmp_path):
    np.save(tmp_path / "inputs.npy", POOL.inputs)
    mapped = np.load(tmp_path / "inputs.npy", mmap_mode="r")
    assert jax.eval_shape(lambda key: acquire(key=key, inputs=mapped), KEY).rows.shape == (3,)
    for read in (Rows(POOL.inputs), pools.stream(*POOL)):
        with pytest.raises(TypeError, match="got a StreamedPool, whose rows are read on the host"):
            jax.eval_shape(lambda key, read=read: acquire(key=key, inputs=read), KEY)
    with pytest.raises(TypeError, match="got a StreamedPool"):
        jax.eval_shape(lambda labels: acquire(inputs=Rows(mapped), labels=labels), POOL.labels)


WITH_NAN = POOL.inputs.copy()
WITH_NAN[150, 2] = np.nan


@bad_inputs(
    {
        "labels beside": (
            lambda: acquire(labels=POOL.labels),
            ValueError,
            "inputs: a placed pool has labels and a mesh of its own",
        ),
        "labels of no class": (
            lambda: acquire(inputs=Rows(POOL.inputs), labels=np.full(203, 3)),
            ValueError,
            "pool labels: expected -1 to 2, got 3 at row 0",
        ),
        "no rows": (
            lambda: acquire(inputs=Rows(POOL.inputs[:0])),
            ValueError,
            "expected at least one row",
        ),
        "too many": (lambda: acquire(budget=204), ValueError, "budget: expected 1 to 203"),
        "NaN": (
            lambda: acquire(inputs=Rows(WITH_NAN)),
            FloatingPointError,
            "observe returned NaN or inf for row 150",
        ),
        "another width": (
            lambda: acquire(inputs=Rows(POOL.inputs[:, :2])),
            ValueError,
            "model.apply with these variables and inputs",
        ),
        "another mesh": (
            lambda: rounds(pools.stream(*POOL), mesh=devices.make_mesh(2)),
            ValueError,
            "mesh: expected none beside a streamed pool's own",
        ),
        "no labels": (
            lambda: rounds(pools.stream(POOL.inputs)),
            ValueError,
            "pool labels: expected all to be known, .* got 203 of 203",
        ),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
