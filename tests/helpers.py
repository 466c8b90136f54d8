"""Data and reference implementations that several test files share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxal


def bad_inputs(table):
    """Parametrises a test by a table of inputs that are refused.

        @bad_inputs({"no rows": (lambda: take(0), ValueError, "rows: expected")})
        def test_bad_input(call, error, message):
            with pytest.raises(error, match=message):
                call()

    Args:
      table: name -> (what the test is given: a call, or the arguments of one, the error, the
        beginning of its message or what else it has to say).
    """
    first = next(iter(table.values()))[0]
    what = "call" if callable(first) else "given"
    return pytest.mark.parametrize((what, "error", "message"), table.values(), ids=table)


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


def keys(count, seed=0):
    return jax.random.split(jax.random.key(seed), count)
