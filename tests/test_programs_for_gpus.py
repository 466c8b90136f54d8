"""Rules traced for a GPU and run here: other tiles, no copies and loops of few kernels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import traced_anew

from jaxal import rows as _tiles
from jaxal import selection, submodular, targets
from jaxal.points import distances, placed
from jaxal.selection import _herding


def k_center(points, available):
    return selection.k_center(points, available, 40)


def facility_location(points, available):
    function = submodular.facility_location(points)
    return submodular.maximize(function, available, 40, optimizer="lazy", block_size=32)


def batch_bald(points, available):
    logits = jnp.stack([points[:, :3], points[:, 3:6], points[:, 6:9]])
    key = jax.random.key(1)
    return selection.batch_bald(key, logits, available, 4, num_samples=9, block_size=16)


def herding(points, available):
    return selection.herding(points, available, 10, bandwidth=2.0)


def herding_of_close_points(points, available):
    return selection.herding(100.0 + 1e-3 * points, available, 10, bandwidth=2e-3)


def gist(points, available):
    return selection.gist(points, points[:, 0], available, 10, trade_off=1.0)


def k_means(points, available):
    return selection.k_means(jax.random.key(2), points, available, 10, restarts=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "rows"),
    [
        (k_center, 9_001),
        (facility_location, 301),
        (batch_bald, 301),
        (herding, 301),
        (herding_of_close_points, 301),
        (gist, 301),
        (k_means, 301),
    ],
)
def test_programs_for_a_card_pick_the_same(monkeypatch, rule, rows):
    """Larger tiles, and a kernel that is traced and, on this device, not used."""
    points = jax.random.normal(jax.random.key(0), (rows, 16))  # of a shape of its own
    available = jnp.arange(rows) % 7 != 0
    expected = rule(points, available)
    with monkeypatch.context() as patched, traced_anew():
        patched.setattr(targets, "_platform", "gpu")
        if rows < 1_000:  # several tiles of few rows
            for module, name in [(placed, "TILE"), (_herding, "TILE"), (distances, "GPU_COPIED")]:
                patched.setattr(module, name, 1)
            patched.setattr(_tiles, "GPU_TILES", 1)
        found = rule(points, available)
        text = jax.jit(rule).lower(points, available).as_text()
    assert "triton" not in text
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-4, atol=1e-6)
