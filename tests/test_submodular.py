import functools
import itertools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import ALL_MODES, assert_same_picks, bad_inputs

from jaxal import selection, submodular
from jaxal.points.embedding import Embedding

ROWS, WIDTH, BUDGET = 26, 5, 8
RNG = np.random.default_rng(0)
POOL = RNG.normal(size=(ROWS, WIDTH)).astype(np.float32)
QUERY = RNG.normal(size=(4, WIDTH)).astype(np.float32)
PRIVATE = RNG.normal(size=(3, WIDTH)).astype(np.float32)
SHARES = RNG.uniform(0, 0.9, size=(ROWS, WIDTH)).astype(np.float32)
WEIGHTS = np.array([0.5, 2.0, 1.0, 0.25, 3.0], np.float32)
PSI = {"log": np.log1p, "sqrt": np.sqrt, "inverse": lambda x: 1 - 1 / (1 + x)}
EVERY = jnp.ones(ROWS, bool)


def kernel(x, y, metric="cosine", shifted=False):
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    s = np.zeros((len(x), len(y)))
    for i, j in itertools.product(range(len(x)), range(len(y))):
        if metric == "euclidean":
            s[i, j] = np.exp(-np.linalg.norm(x[i] - y[j]) / x.shape[1])
        elif (norms := np.linalg.norm(x[i]) * np.linalg.norm(y[j])) > 0:
            s[i, j] = x[i] @ y[j] / norms
    return (s + 1) / 2 if shifted else s


@functools.cache
def kernel_of_all(pool, metric, shifted):
    """Similarities among the pool, given as bytes, the query and the private examples."""
    everything = np.concatenate(
        [np.frombuffer(pool, np.float32).reshape(-1, WIDTH), QUERY, PRIVATE]
    )
    return kernel(everything, everything, metric, shifted)


def reference(name, rows, *, x=POOL, metric="cosine", shifted=False, **h):
    """f(rows), written from the definition."""
    a = list(rows)
    if not a:
        return 0.0
    if name == "feature_based":
        m = (x - x.min(0)) / (x.max(0) - x.min(0))
        return h["weights"] @ PSI[h["concave"]](m[a].astype(np.float64).sum(0))
    if name == "set_cover":
        return h["weights"] @ (x[a] != 0).any(0).astype(float)
    if name == "probabilistic_set_cover":
        return h["weights"] @ (1 - np.prod(1 - x[a].astype(np.float64), axis=0))
    whole = kernel_of_all(x.tobytes(), metric, shifted)
    n, q = len(x), len(QUERY)
    pool, query, private = np.split(np.arange(len(whole)), [n, n + q])
    k, kq, kp = whole[:n, :n], whole[:n, query], whole[:n, private]
    eta, nu, lam = h.get("eta", 1), h.get("nu", 1), h.get("trade_off", 1)
    best = k[:, a].max(1)
    pairs = 1 - k[np.ix_(a, a)][np.triu_indices(len(a), 1)]

    def logdet(*parts):
        scaled = whole.copy()
        for others, weight in ((query, eta), (private, nu)):
            scaled[np.ix_(pool, others)] *= weight
            scaled[np.ix_(others, pool)] *= weight
        at = np.concatenate([np.asarray(part, int) for part in parts])
        block = scaled[np.ix_(at, at)] + h["ridge"] * np.eye(len(at))
        return np.linalg.slogdet(block)[1]

    def listed():
        count = h["num_neighbours"]
        near = np.argsort(-(k - 9 * np.eye(n)), axis=1)[:, :count]
        kept = np.eye(n, dtype=bool)
        np.put_along_axis(kept, near, True, axis=1)
        return np.maximum(np.where(kept, k, 0)[:, a].max(1), 0).sum()

    cut = k[:, a].sum() - lam * k[np.ix_(a, a)].sum()
    floor = nu * kp.max(1)
    values = {
        "facility_location": lambda: np.maximum(best, 0).sum(),
        "sparse_facility_location": listed,
        "graph_cut": lambda: cut,
        "log_determinant": lambda: logdet(a),
        "disparity_min": lambda: pairs.min() if len(a) > 1 else 0.0,
        "disparity_sum": lambda: pairs.sum(),
        "fl1mi": lambda: np.minimum(best, eta * kq.max(1)).sum(),
        "fl2mi": lambda: kq[a].max(0).sum() + eta * kq[a].max(1).sum(),
        "gcmi": lambda: kq[a].sum(),
        "com": lambda: (
            eta * PSI[h["concave"]](kq[a].sum(1)).sum() + PSI[h["concave"]](kq[a].sum(0)).sum()
        ),
        "logdetmi": lambda: logdet(a) + logdet(query) - logdet(a, query),
        "flcg": lambda: np.maximum(best - floor, 0).sum(),
        "gccg": lambda: cut - 2 * lam * nu * kp[a].sum(),
        "logdetcg": lambda: logdet(a, private) - logdet(private),
        "flcmi": lambda: np.maximum(np.minimum(best, eta * kq.max(1)) - floor, 0).sum(),
        "logdetcmi": lambda: (
            logdet(a, private)
            + logdet(query, private)
            - logdet(a, query, private)
            - logdet(private)
        ),
    }
    return values[name]()


EUCLIDEAN = {"metric": "euclidean"}
SHIFTED = {"shifted": True}
CASES = [
    ("facility_location", {}),
    ("facility_location", EUCLIDEAN),
    ("sparse_facility_location", {"num_neighbours": 5}),
    ("sparse_facility_location", {"num_neighbours": 3, **EUCLIDEAN}),
    ("graph_cut", {"trade_off": 0.7}),
    ("graph_cut", {"trade_off": 0.3, **EUCLIDEAN}),
    ("log_determinant", {"ridge": 0.1}),
    ("feature_based", {"concave": "log", "weights": WEIGHTS}),
    ("feature_based", {"concave": "sqrt", "weights": WEIGHTS}),
    ("disparity_min", {}),
    ("disparity_min", {**EUCLIDEAN, **SHIFTED}),
    ("disparity_sum", {}),
    ("set_cover", {"weights": WEIGHTS}),
    ("probabilistic_set_cover", {"weights": WEIGHTS}),
    ("fl1mi", {"eta": 1.3}),
    ("fl1mi", {"eta": 0.99, **EUCLIDEAN}),
    ("fl2mi", {"eta": 0.8}),
    ("gcmi", SHIFTED),
    ("com", {"concave": "inverse", "eta": 0.5, **SHIFTED}),
    ("logdetmi", {"ridge": 2.0, "eta": 0.9, **SHIFTED}),
    ("flcg", {"nu": 0.7}),
    ("gccg", {"nu": 0.5, "trade_off": 0.8, **EUCLIDEAN}),
    ("logdetcg", {"ridge": 1.0, "nu": 0.6}),
    ("flcmi", {"eta": 1.1, "nu": 0.4, **SHIFTED}),
    ("logdetcmi", {"ridge": 2.0, "eta": 0.8, "nu": 0.5, **SHIFTED}),
]
PRIVATE_ONLY = ("flcg", "gccg", "logdetcg")
BOTH = ("flcmi", "logdetcmi")


def data_of(name):
    if name == "set_cover":
        return (SHARES > 0.6).astype(np.float32)
    return SHARES if name == "probabilistic_set_cover" else POOL


def build(name, hyper, x=None, usable=None):
    examples = {}
    if name.endswith("mi") or name == "com":
        examples["query"] = jnp.asarray(QUERY)
    if name in PRIVATE_ONLY + BOTH:
        examples["private"] = jnp.asarray(PRIVATE)
    x = data_of(name) if x is None else x
    return submodular.make(name, jnp.asarray(x), usable=usable, **examples, **hyper)


@pytest.mark.slow
@pytest.mark.parametrize("name, hyper", CASES)
def test_greedy_follows_the_definition(name, hyper):
    x, function = data_of(name), build(name, hyper)
    available = np.arange(ROWS) % 6 != 2
    picked = submodular.maximize(function, jnp.asarray(available), ROWS, optimizer="naive")
    count = available.sum()
    assert sorted(picked.rows[:count].tolist()) == np.flatnonzero(available).tolist()
    assert (picked.rows[count:] == -1).all()
    rows = picked.rows[:BUDGET].tolist()
    separated = BUDGET
    for t, row in enumerate(rows):
        before = reference(name, rows[:t], x=x, **hyper)
        gains = {
            other: reference(name, [*rows[:t], other], x=x, **hyper) - before
            for other in np.flatnonzero(available)
            if other not in rows[:t]
        }
        close = [other for other in gains if gains[other] > max(gains.values()) - 1e-4]
        assert row in close
        if len(close) > 1 and function.submodular:
            separated = min(separated, t)
        np.testing.assert_allclose(picked.scores[t], gains[row], rtol=1e-4, atol=2e-4)
    value = submodular.evaluate(function, jnp.asarray([*rows, -1]))
    np.testing.assert_allclose(value, reference(name, rows, x=x, **hyper), rtol=1e-4, atol=2e-4)
    if not function.submodular:
        return  # the same program
    lazily = submodular.maximize(
        function, jnp.asarray(available), ROWS, block_size=5, stop_if_negative_gain=True
    )
    # Two rows nearest to each other gain the same: from there on rounding decides.
    assert lazily.rows[:separated].tolist() == rows[:separated]
    kept = int((lazily.rows >= 0).sum())
    assert (picked.scores[:kept] > -1e-4).all()
    assert kept == count or picked.scores[kept] < 1e-4
    few = slice(min(kept, BUDGET))
    np.testing.assert_allclose(lazily.scores[few], picked.scores[few], atol=1e-4)


def test_every_function_has_a_case():
    assert {name for name, _ in CASES} == set(submodular.names())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fl1mi", "flcmi", "logdetmi", "fl2mi"])
def test_differences_of_prefixes_are_the_scores(name):
    function = build(name, {"shifted": False})
    picked = submodular.maximize(function, EVERY, BUDGET)
    prefixes = [jnp.where(jnp.arange(BUDGET) < t, picked.rows, -1) for t in range(BUDGET + 1)]
    values = [submodular.evaluate(function, prefix) for prefix in prefixes]
    assert values[0] == 0
    np.testing.assert_allclose(np.diff(values), picked.scores, atol=2e-5)


@pytest.mark.parametrize("name", ["facility_location", "logdetmi", "graph_cut"])
def test_a_permutation_of_the_pool_permutes_the_picks(name):
    order = np.random.default_rng(2).permutation(ROWS)
    plain = submodular.maximize(build(name, {}), EVERY, 3)
    moved = submodular.maximize(build(name, {}, POOL[order]), EVERY, 3)
    # Log-determinants of rows given nothing tie; the others do not.
    assert order[moved.rows].tolist() == plain.rows.tolist()


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Spread(submodular.SetFunction):
    """Concave in the number of picks of each group: a function of the user's own."""

    groups: jax.Array  # [N] integers below 8
    worth: jax.Array  # [N]

    @property
    def size(self):
        return len(self.groups)

    def init(self, capacity):
        return jnp.zeros(8)

    def gains(self, state, columns):
        taken = state[self.groups[columns]]
        return self.worth[columns] / (1.0 + taken)

    def add(self, state, column):
        return state.at[self.groups[column]].add(1.0)


@pytest.mark.parametrize("optimizer", ["naive", "lazy"])
def test_a_function_of_ones_own(optimizer):
    groups = np.random.default_rng(4).integers(0, 8, 40)
    worth = np.random.default_rng(5).uniform(1, 2, 40).astype(np.float32)
    function = Spread(jnp.asarray(groups), jnp.asarray(worth))
    picked = submodular.maximize(
        function, jnp.ones(40, bool), 15, optimizer=optimizer, block_size=4
    )
    expected, taken = [], np.zeros(8)
    for _ in range(15):
        gains = worth / (1 + taken[groups])
        gains[expected] = -1
        expected.append(int(gains.argmax()))
        taken[groups[expected[-1]]] += 1
    assert picked.rows.tolist() == expected
    total = submodular.evaluate(function, picked.rows)
    np.testing.assert_allclose(total, picked.scores.sum(), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("metric", submodular.METRICS)
@pytest.mark.parametrize("kind", selection.GRADIENT_KINDS)
def test_factorised_gradients_are_as_dense_ones(kind, metric):
    rng = np.random.default_rng(6)
    given = [(3 * rng.normal(size=(rows, 3)), rng.normal(size=(rows, 4))) for rows in (ROWS, 5)]

    @jax.jit
    def factorised_and_dense(given):
        pool, query = (selection.gradient_embedding(*some, kind=kind) for some in given)
        rows = jnp.arange(ROWS)

        def of(pool, query):
            cut = submodular.graph_cut(pool, metric=metric)
            aimed = submodular.make("fl2mi", pool, query=query, metric=metric)
            return (
                cut.similarity.rows(rows),
                cut.values,
                submodular.evaluate(aimed, rows[:BUDGET]),
            )

        return of(pool, query), of(pool.dense(), query.dense())

    found, dense = factorised_and_dense(jax.tree.map(np.float32, given))
    np.testing.assert_allclose(found[0], dense[0], atol=1e-4)
    np.testing.assert_allclose(found[1], dense[1], atol=1e-3)
    np.testing.assert_allclose(found[2], dense[2], rtol=1e-4)


@pytest.mark.slow
def test_similarities_at_the_edges():
    x = np.array([[0, 0], [1, 1], [-2, -2], [3, 3], [1e30, 1e30], [1e-30, 0]])
    pool = submodular.graph_cut(jnp.asarray(x, jnp.float32), trade_off=0.0).similarity
    expected = kernel(x / np.maximum(np.abs(x).max(1, keepdims=True), 1e-300), x / 1e30)
    expected[:, 5] = expected[5] = [0, 0.5**0.5, -(0.5**0.5), 0.5**0.5, 0.5**0.5, 1]
    np.testing.assert_allclose(pool.rows(jnp.arange(6)), expected, atol=1e-6)
    far = np.array([[1000.0, 1001.0], [1000.0, 1001.0], [1000.5, 1001.0]])
    pool = submodular.disparity_min(jnp.asarray(far), metric="euclidean").similarity
    np.testing.assert_allclose(pool.rows(jnp.arange(3)), kernel(far, far, "euclidean"), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["facility_location", "log_determinant", "graph_cut"])
def test_a_row_with_nan_comes_last(name):
    x = POOL.copy()
    x[3, 1] = np.nan
    picked = submodular.maximize(build(name, {}, x), EVERY, ROWS)
    assert picked.rows[-1] == 3
    assert jnp.isfinite(picked.scores[:-1]).all()


@pytest.mark.slow
@pytest.mark.parametrize("name, hyper", CASES)
def test_rows_that_are_not_usable_are_not_there(name, hyper):
    usable = np.arange(ROWS) % 3 != 1
    wild = np.where(usable[:, None], data_of(name), 1e5).astype(np.float32)
    wild[1] = np.nan
    masked = build(name, hyper, wild, usable=jnp.asarray(usable))

    def evaluate(*rows):
        padded = np.pad(rows, (0, BUDGET + 1 - len(rows)), constant_values=-1)
        return submodular.evaluate(masked, jnp.asarray(padded))

    # Programs are those of `test_greedy_follows_the_definition`.
    expected = reference(name, [3, 0, 7], x=data_of(name)[usable], **hyper)
    found = evaluate(*np.flatnonzero(usable)[[3, 0, 7]])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert evaluate(3, 1) == -np.inf
    last = submodular.maximize(masked, EVERY, ROWS, optimizer="naive").rows[usable.sum() :]
    assert last.tolist() == np.flatnonzero(~usable).tolist()


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Halves(Embedding):
    """Vectors in two pieces, known by inner products alone: an embedding of the user's own."""

    left: jax.Array  # [N, 2]
    right: jax.Array  # [N, 3]

    def inner(self, other: Any):
        return self.left @ other.left.T + self.right @ other.right.T

    def squared_norm(self):
        return jnp.sum(self.left**2, 1) + jnp.sum(self.right**2, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["facility_location", "graph_cut", "logdetmi", "flcmi"])
def test_an_embedding_of_ones_own(name):
    def halves(x):
        return Halves(jnp.asarray(x[:, :2]), jnp.asarray(x[:, 2:]))

    takes = {"logdetmi": ["query"], "flcmi": ["query", "private"]}.get(name, [])
    given = {"query": QUERY, "private": PRIVATE}
    examples: dict[str, Any] = {one: given[one] for one in takes}
    own_examples: dict[str, Any] = {one: halves(x) for one, x in examples.items()}
    own = submodular.make(name, halves(POOL), **own_examples)
    dense = submodular.make(name, jnp.asarray(POOL), **examples)
    picked, expected = (submodular.maximize(one, EVERY, BUDGET) for one in (own, dense))
    assert_same_picks(picked.rows, expected.rows, picked.scores, expected.scores)
    np.testing.assert_allclose(picked.scores, expected.scores, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ALL_MODES)
@pytest.mark.parametrize(
    "name", ["facility_location", "graph_cut", "feature_based", "flcmi", "logdetmi"]
)
def test_strict_settings(name, mode):
    usable = np.arange(ROWS) % 3 != 1
    missing, wild = (np.where(usable[:, None], POOL, other) for other in (np.nan, 1e3))
    expected = submodular.maximize(build(name, {}, missing), jnp.asarray(usable), 3).rows
    with ALL_MODES[mode]():
        picked = submodular.maximize(
            build(name, {}, wild, usable=jnp.asarray(usable)), jnp.asarray(usable), 3
        )
        assert picked.rows.dtype == jnp.int32 and picked.scores.dtype == jnp.float32
        assert picked.rows.tolist() == expected.tolist()


def test_traced_once_for_all_data_of_a_shape():
    traces = []

    @jax.jit
    def picks(function):
        traces.append(function)
        return submodular.maximize(function, EVERY, 2).rows

    for ridge in (0.1, 1.0):
        picks(submodular.log_determinant(jnp.asarray(POOL) * ridge, ridge=ridge))
    assert len(traces) == 1


X, Q = jnp.asarray(POOL), jnp.asarray(QUERY)


def pick(*, available=EVERY, budget=2, **options):
    return submodular.maximize(submodular.facility_location(X), available, budget, **options)


@bad_inputs(
    {
        "name": (lambda: submodular.make("facility_locaton", X), ValueError, "did you mean 'facil"),
        "hyper": (lambda: submodular.make("graph_cut", X, ridge=1.0), ValueError, "trade_off"),
        "metric": (
            lambda: submodular.make("graph_cut", X, metric="dot"),
            ValueError,
            "metric: 'dot'",
        ),
        "concave": (
            lambda: submodular.feature_based(X, concave="exp"),
            ValueError,
            "concave: 'exp'",
        ),
        "no query": (lambda: submodular.make("fl1mi", X), ValueError, "query: fl1mi needs it"),
        "private": (lambda: submodular.make("gcmi", X, query=Q, private=Q), ValueError, "private:"),
        "rank": (lambda: submodular.make("graph_cut", X[0]), ValueError, r"features: .*\[N, D\]"),
        "width": (
            lambda: submodular.make("gcmi", X, query=Q[:, :3]),
            ValueError,
            "query: expected 5",
        ),
        "empty": (lambda: submodular.make("gcmi", X, query=Q[:0]), ValueError, "query: .* one row"),
        "weights": (lambda: submodular.feature_based(X, weights=X[0, :2]), ValueError, "weights:"),
        "ridge": (lambda: submodular.log_determinant(X, ridge=0.0), ValueError, "ridge: expected"),
        "ridge below rounding": (
            lambda: submodular.make("logdetmi", X, query=Q, ridge=1e-8),
            ValueError,
            "ridge: expected a finite number >= 1.2e-07",
        ),
        "trade_off": (
            lambda: submodular.graph_cut(X, trade_off=-0.1),
            ValueError,
            "trade_off: expected",
        ),
        "eta": (
            lambda: submodular.make("fl1mi", X, query=Q, eta=np.nan),
            ValueError,
            "eta: expected",
        ),
        "negative weights": (
            lambda: submodular.set_cover(X, weights=X[0]),
            ValueError,
            "weights: expected",
        ),
        "usable": (
            lambda: submodular.make("graph_cut", X, usable=EVERY[1:]),
            ValueError,
            "usable: expected 26",
        ),
        "budget": (lambda: pick(budget=ROWS + 1), ValueError, "budget: expected 1 to 26"),
        "no budget": (lambda: pick(budget=0), ValueError, "budget: expected 1 to 26"),
        "optimizer": (lambda: pick(optimizer="lasy"), ValueError, "did you mean 'lazy'"),
        "key": (lambda: pick(optimizer="stochastic"), ValueError, "key: stochastic"),
        "epsilon": (lambda: pick(epsilon=1.0), ValueError, "epsilon: expected"),
        "available": (lambda: pick(available=EVERY[1:]), ValueError, "available: expected 26"),
        "rows": (
            lambda: submodular.evaluate(build("flcg", {}), X[0]),
            TypeError,
            "rows: .* integers",
        ),
    }
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_graph_cut_of_similarities_below_0_is_not_known_to_be_monotone():
    features = jnp.array([[1.0, 0.0], [-1.0, 0.1], [-1.0, -0.1]])
    function = submodular.make("graph_cut", features)
    assert function.gains(function.init(1), jnp.arange(3)).min() < 0 and not function.monotone
    assert submodular.make("graph_cut", features, shifted=True).monotone
