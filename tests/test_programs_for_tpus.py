"""Rules traced for a TPU and run here: blocks of rows whose order in memory is set, no copies."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import traced_anew

from jaxal import numerics, scores, selection, targets
from jaxal.points import placed
from jaxal.selection import _herding


@pytest.fixture
def for_tpus(monkeypatch):
    """A context in which programs are traced for a TPU."""

    @contextlib.contextmanager
    def context():
        with monkeypatch.context() as patched, traced_anew():
            patched.setattr(targets, "_platform", "tpu")
            yield

    return context


def replaced(matrix):
    some = numerics.rows_from(matrix, jnp.int32(1), 2)
    return numerics.with_rows(matrix, jnp.int32(0), 2 * some)


@pytest.mark.parametrize(("width", "calls"), {128: 2, 200: 2, 256: 2, 10: 0, 130: 0}.items())
def test_wide_matrices_are_held_by_rows(for_tpus, width, calls):
    """Rows of narrow ones would be filled up to whole vectors."""
    matrix = np.arange(3.0 * width, dtype=np.float32).reshape(3, width)
    assert "LayoutConstraint" not in jax.jit(replaced).lower(matrix).as_text()
    with for_tpus():
        lowered = jax.jit(replaced).lower(matrix)
    assert lowered.as_text().count("@LayoutConstraint") == calls
    expected = np.concatenate([2 * matrix[1:], matrix[2:]])
    np.testing.assert_array_equal(lowered.compile()(matrix), expected)


def herding(points):
    return selection.herding(points, jnp.arange(len(points)) % 7 != 0, 6, bandwidth=2.0)


def epig(points):
    logits = points.reshape(len(points), 8, 16).swapaxes(0, 1)
    return selection.take_top(scores.epig(logits, logits[:, :5]), jnp.ones(len(points), bool), 6)


@pytest.mark.slow
@pytest.mark.parametrize("rule", [herding, epig])
def test_programs_for_a_tpu_pick_the_same(for_tpus, monkeypatch, rule):
    points = jax.random.normal(jax.random.key(0), (301, 128)) / 8
    expected = rule(points)
    with for_tpus():
        for module in (placed, _herding):  # several tiles of few rows
            monkeypatch.setattr(module, "TILE", 1)
        compiled = jax.jit(rule)
        assert "@LayoutConstraint" in compiled.lower(points).as_text()
        found = compiled(points)
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)
