"""Data and reference implementations that several test files share."""

import contextlib
import functools
import gc
import itertools
import json
import os
import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxal

SHARED = pathlib.Path(__file__).parent.parent.parent / "shared" / "data"
SHARED = pathlib.Path(os.environ.get("JAXAL_DATA") or SHARED)
"""Real data, of which nothing is in the repository."""


class Rows:
    """Rows that are read: no array, but what gives some."""

    def __init__(self, rows):
        self.rows, self.shape, self.dtype = rows, rows.shape, rows.dtype

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, rows):
        return self.rows[rows]


def needs(*names):
    """Skips a test unless these files or folders of real data are there."""
    absent = [name for name in names if not (SHARED / name).exists()]
    return pytest.mark.skipif(bool(absent), reason=f"needs {', '.join(absent)} in {SHARED}")


def bad_inputs(table):
    """Parametrises a test by a table of inputs that are refused.

        @bad_inputs({"no rows": (lambda: take(0), ValueError, "rows: expected")})
        def test_bad_input(call, error, message):
            with pytest.raises(error, match=message):
                call()

    Args:
      table: name -> (what the test is given: a call, or the arguments of one, the error, the
        beginning of its message or what else it has to say). A command raises no error: its rows
        have two columns.
    """
    first, *error, _ = next(iter(table.values()))
    names = "call" if callable(first) else "given", *(["error"] if error else []), "message"
    return pytest.mark.parametrize(names, table.values(), ids=table)


def quick_first(cases, quick):
    """The cases as parameters of a test, slow but for those that are named."""
    return [
        pytest.param(case, id=case, marks=() if case in quick else pytest.mark.slow)
        for case in cases
    ]


@contextlib.contextmanager
def strict(nans=True):
    """Everything that JAX can be asked to refuse, at once: each alone refuses less."""
    # The leak check collects garbage at every trace: of what is made inside, not of all there is.
    gc.freeze()
    try:
        with (
            jax.numpy_dtype_promotion("strict"),
            jax.numpy_rank_promotion("raise"),
            jax.debug_nans(nans),
            jax.checking_leaks(),
        ):
            yield
    finally:
        gc.unfreeze()


@contextlib.contextmanager
def strict_x64(nans=True):
    """As `strict`, in 64 bits: numbers of 32 and of 64 bits may not meet either."""
    with jax.enable_x64(True), strict(nans):
        yield


numbered, numbers = jax.make_user_context(default_value=0), itertools.count(1)


def traced_anew():
    """A context with programs of its own, for a test that changes a constant they are made of.

    What other tests have compiled stays, which `jax.clear_caches` would forget.
    """
    return numbered(next(numbers))


MODES = {"x64": strict_x64}
ALL_MODES = {"strict": strict, **MODES}  # for what decides: 32 bits are what users have


class CountTraces:
    """Wraps a function and counts how often it is traced: its Python body runs only then."""

    def __init__(self, function):
        self.function, self.count = function, 0

    def __call__(self, *args, **kwargs):
        self.count += 1
        return self.function(*args, **kwargs)


def clouds(rows=120, classes=3, width=5, seed=0, spread=1.0):
    """Gaussian clouds, one a class, as `Examples` of numpy arrays."""
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(99).normal(size=(classes, width)) * 2
    labels = rng.integers(0, classes, rows).astype(np.int32)
    inputs = centers[labels] + spread * rng.normal(size=(rows, width))
    return jaxal.Examples(inputs.astype(np.float32), labels)


def table_model(logits, features):
    """A model whose inputs are row numbers into given logits and features."""
    logits, features = jnp.asarray(logits), jnp.asarray(features)

    def apply(variables, inputs, *, key=None):
        return jaxal.Outputs(logits[inputs], features[inputs])

    return jaxal.Model(
        init=lambda key, inputs: {"params": {}},
        apply=apply,
        train=lambda variables, inputs, *, key: (apply(variables, inputs), variables),
    )


@functools.cache
def by_number(reads_labels=False):
    """Selects the last rows; each weighs its number, plus 100 for each labelled row in sight."""

    def observe(key, model, variables, inputs, labels):
        return inputs

    def select(key, view, budget):
        numbers = view.observation.astype(jnp.float32)
        picked = jaxal.selection.take_top(numbers, view.available, budget)
        seen = 100.0 * jnp.sum(view.labeled, dtype=jnp.float32)
        weights = jnp.where(picked.rows >= 0, seen + numbers[picked.rows], 0.0)
        return picked._replace(weights=weights)

    return jaxal.Strategy(observe, select, reads_labels)


def greedy_k_center(points, available, budget, centers):
    """Plain greedy k-center in float64; also the relative gap that decided each pick."""
    points, centers = np.asarray(points, np.float64), np.asarray(centers, np.float64)
    squared = np.full(len(points), np.inf)
    for center in centers:
        squared = np.minimum(squared, ((points - center) ** 2).sum(-1))
    squared = np.where(available, squared, -1.0)
    rows, gaps = [], []
    for _ in range(budget):
        row = int(np.argmax(squared))
        rows.append(row)
        rest = np.delete(squared, row)
        gaps.append((squared[row] - rest.max()) / max(squared[row], 1e-300))
        squared = np.minimum(squared, ((points - points[row]) ** 2).sum(-1))
        squared = np.where(available, squared, -1.0)
        squared[rows] = -1.0
    return np.array(rows), np.array(gaps)


def softmax(logits):
    """Probabilities in float64, over the last axis."""
    logits = np.asarray(logits, np.float64)
    probs = np.exp(logits - logits.max(-1, keepdims=True))
    return probs / probs.sum(-1, keepdims=True)


def last_layer_gradients(logits, features, labels, kind="bias_linear"):
    """Gradients of the cross-entropy by the last layer's weights, float64 [n, C * D]."""
    features, ones = np.asarray(features, np.float64), np.ones((len(features), 1))
    inputs = {"bias": ones, "linear": features, "bias_linear": np.hstack([ones, features])}[kind]
    residuals = softmax(logits) - np.eye(np.shape(logits)[1])[labels]
    width = residuals.shape[1] * inputs.shape[1]
    return np.einsum("nc,nd->ncd", residuals, inputs).reshape(len(inputs), width)


class Greedy(NamedTuple):
    """What plain greedy picked."""

    rows: list[int]  # in order
    values: list[float]  # of the picks so far, after each
    gap: float  # the least by which a pick was better than the next best


def greedy(value, rows, budget):
    """Plain greedy by the definition: each pick makes `value` of all picks largest."""
    picks, values, gap = [], [], np.inf
    for _ in range(budget):
        rest = [int(row) for row in rows if row not in picks]
        found = [float(value([*picks, row])) for row in rest]
        best = int(np.argmax(found))
        gap = min(gap, found[best] - max(np.delete(found, best), default=-np.inf))
        picks.append(rest[best])
        values.append(found[best])
    return Greedy(picks, values, gap)


SYMMETRIC = ("fass", "submodular", "smi", "scg", "scmi", "max_herding", "u_herding")
"""Strategies by similarities between rows, in which two rows may tie whatever the data."""


def assert_same_picks(found, expected, scores, expected_scores):
    """The same rows; where some differ, their gains are equal.

    Two rows that represent each other alone have the same gain in a set function of similarities,
    whatever the data: which of them is picked is up to rounding, and so to the processor.
    """
    found, expected = np.ravel(found), np.ravel(expected)
    differ = found != expected
    assert differ.sum() <= max(1, len(found) // 10), (found, expected)
    np.testing.assert_allclose(
        np.ravel(scores)[differ], np.ravel(expected_scores)[differ], rtol=1e-5
    )


def cases(group):
    """Parametrises a test by the `path` of each conformance case of a group."""
    folder = pathlib.Path(__file__).parent / "conformance"
    paths = sorted(folder.glob(f"{group}__*.npz"))
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.stem.split("__")[1])


def load_case(path):
    """The arrays of a conformance case, and what is said about it."""
    with np.load(path) as file:
        case = {name: file[name] for name in file.files}
    return case, json.loads(str(case.pop("meta")))


def keys(count, seed=0):
    return jax.random.split(jax.random.key(seed), count)
