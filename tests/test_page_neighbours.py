"""The second layout of a page's map: its graph, its forces, and how many neighbours it keeps."""

import jax
import numpy as np
import pytest
from page_runs import folder_of_run, read, records
from sklearn.datasets import load_digits

from jaxal import report
from jaxal.base import Examples
from jaxal.cli import main
from jaxal.report.page import near_rows, neighbours, tsne
from jaxal.report.page.layout import layout
from jaxal.report.page.shown import LAYOUTS


def nearest(rows, count):
    """By the definition, in float64."""
    rows = np.asarray(rows, np.float64)
    away = ((rows[:, None] - rows) ** 2).sum(-1)
    np.fill_diagonal(away, np.inf)
    return away.argsort(1, kind="stable")[:, :count]


def share_kept(found, expected):
    pairs = zip(found, expected, strict=True)
    return np.mean([np.isin(one, other).mean() for one, other in pairs])


def test_nearest_rows(monkeypatch):
    rows = np.random.default_rng(0).normal(size=(700, 5)).astype(np.float32)
    rows[:40] = rows[0]  # more at one place than neighbours are asked for
    expected = nearest(rows, 6)
    monkeypatch.setattr(near_rows, "_BLOCK", 64)
    order, near = near_rows.near_rows(rows, 6)
    assert order.tolist() == list(range(700))
    away = [((rows[own].astype(float) - rows[:, None]) ** 2).sum(-1) for own in (near, expected)]
    np.testing.assert_allclose(np.sort(away[0], 1), np.sort(away[1], 1), atol=1e-6)
    assert (near != np.arange(700)[:, None]).all()
    monkeypatch.setattr(near_rows, "EXACT", 100)
    monkeypatch.setattr(near_rows, "_IN_CELL", 30)
    order, near = near_rows.near_rows(rows, 6, seed=1)
    assert sorted(order) == list(range(700))
    found = np.empty_like(near)
    found[order] = order[near]
    assert (found != np.arange(700)[:, None]).all()
    assert all(len(set(row)) == 6 for row in found.tolist())
    assert share_kept(found[40:], expected[40:]) > 0.85 and (found[:40] < 40).all()
    alike = near_rows.near_rows(np.ones((150, 3), np.float32), 4)[1]  # all in one cell
    assert all(len(set(row) - {at}) == 4 for at, row in enumerate(alike.tolist()))


@pytest.mark.slow
def test_forces_are_those_of_t_sne():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(150, 2)) * (6, 3)
    near = nearest(points + rng.normal(size=(150, 2)), 4)
    p = np.zeros((150, 150))
    p[np.arange(150)[:, None], near] = 1 / 4
    p = (p + p.T) / (2 * 150)
    apart = points[:, None] - points
    q = 1 / (1 + (apart**2).sum(-1))
    np.fill_diagonal(q, 0)
    pull = 150 * ((p * q)[..., None] * apart).sum(1)
    push = 150 * ((q**2)[..., None] * apart).sum(1) / q.sum()
    placed = points.astype(np.float32)
    np.testing.assert_allclose(jax.jit(tsne.attraction)(placed, near), pull, atol=1e-5)
    repulsion = jax.jit(tsne.repulsion, static_argnums=1)
    coarse, fine = (np.abs(repulsion(placed, nodes) - push).max() for nodes in (128, 512))
    assert coarse < 0.08 * np.abs(push).max() and fine < 0.006 * np.abs(push).max()


@pytest.fixture
def cheap(monkeypatch):
    """Few landmarks, and a coarse grid."""
    monkeypatch.setattr(neighbours, "LANDMARKS", 150)
    monkeypatch.setattr(neighbours, "_nodes", lambda rows: 48)


@pytest.mark.slow
def test_neighbours_are_kept(cheap):
    digits = load_digits(return_X_y=True)[0][:600]
    placed = layout(digits, np.arange(600)).coordinates
    found = neighbours.neighbour_layout(placed)
    assert found is not None and found.shape == (600, 2) and found.dtype == np.float32
    expected = nearest(digits, 10)
    plane, ours = (share_kept(nearest(own, 10), expected) for own in (placed[:, :2], found))
    assert plane < 0.3 and ours > 0.6, (plane, ours)
    np.testing.assert_array_equal(found, neighbours.neighbour_layout(placed))
    other = neighbours.neighbour_layout(placed, seed=1)
    assert other is not None and not np.array_equal(found, other)


def test_rows_that_have_no_such_layout(cheap):
    rows = np.random.default_rng(0).normal(size=(150, 3)).astype(np.float32)
    assert neighbours.neighbour_layout(rows[:9]) is None
    assert neighbours.neighbour_layout(rows[:, :2]) is None
    alike = neighbours.neighbour_layout(np.ones_like(rows))
    assert alike is not None and np.isfinite(alike).all()


def test_layouts_of_a_page(cheap, tmp_path, capsys):
    pool = Examples(np.random.default_rng(0).normal(size=(150, 4)), np.arange(150) % 2)
    own, path = records(["badge"], 20, classes=2), tmp_path / "page.html"
    expected = {
        "auto": ["pca", "t-sne"],
        "pca": ["pca"],
        "t-sne": ["t-sne"],
        "both": ["pca", "t-sne"],
    }
    assert set(expected) == set(LAYOUTS)
    for asked, names in expected.items():
        _, found, array, _ = read(report.write_page(own, path, pool=pool, layout=asked))
        assert list(found["atlas"]["layouts"]) == names
        assert all(array(one).shape == (150, 2) for one in found["atlas"]["layouts"].values())
    flat = pool._replace(inputs=pool.inputs[:, :2])
    _, found, *_ = read(report.write_page(own, path, pool=flat, layout="t-sne"))
    assert list(found["atlas"]["layouts"]) == ["pca"]
    run = folder_of_run(tmp_path / "run", own, "data.source=sklearn:iris", "seeds=2")
    assert main(["report", str(run), "--layout", "t-sne"]) == 2
    assert "--layout: needs --html" in capsys.readouterr().err
    assert main(["report", str(run), "--html", str(path), "--layout", "pca", "-q"]) == 0
    assert list(read(path)[1]["atlas"]["layouts"]) == ["pca"]
