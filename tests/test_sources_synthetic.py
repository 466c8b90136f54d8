"""The two sets of CDALBench: their definitions, their parts, what is refused, and drawn anew."""

import numpy as np
import pytest
from helpers import bad_inputs

from jaxal import data, experiment
from jaxal.experiment.config import to_toml

SWEEP = """
seeds = 3
[data]
source = "diverging_sine:100"
{data}
standardize = false
[model]
name = "logistic"
[learner]
newton_l2 = 1.0
[strategy]
names = ["random"]
initial = 4
rounds = 1
budget = 2
[sweep]
"""


def loaded(source, **options):
    parts = data.load(source, standardize=False, options=options)
    for part in parts:
        assert part.inputs.min(axis=0).tolist() == [0, 0]
        assert part.inputs.max(axis=0).tolist() == [1, 1]
    return parts


def test_the_honeypot():
    pool, test = loaded("honeypot:40000", seed=3)
    assert (len(pool.labels), len(test.labels)) == (32_000, 8_000)
    assert sum(part.labels.sum() for part in (pool, test)) == 20_000
    # Each class is two Gaussians of unit variance, at (2, 1.5) or (2, 4.5) plus or minus (2, 1.5),
    # or (2, -1.5) of class 0; what follows does not depend on the scale.
    ones, zeros = (np.asarray(pool.inputs[pool.labels == each], np.float64) for each in (1, 0))
    expected = 3 / np.sqrt(5 * 3.25)
    assert np.asarray(np.corrcoef(ones.T))[0, 1] == pytest.approx(expected, abs=0.01)
    assert np.asarray(np.corrcoef(zeros.T))[0, 1] == pytest.approx(-expected, abs=0.01)
    apart = (zeros.mean(axis=0) - ones.mean(axis=0)) / ones.std(axis=0)
    np.testing.assert_allclose(apart, [0, 3 / np.sqrt(3.25)], atol=0.04)


def test_the_diverging_sine():
    pool, test = loaded("diverging_sine:20000", noise=0.0)
    assert (len(pool.labels), len(test.labels)) == (16_000, 4_000)
    for part in (pool, test):
        t = 10 * np.asarray(part.inputs[:, 0], np.float64)
        curve = np.sin(2 * t) + np.where(part.labels == 1, t, -t) / 2
        low, high = curve.min(), curve.max()
        np.testing.assert_allclose(part.inputs[:, 1], (curve - low) / (high - low), atol=5e-3)
    noisy, _ = loaded("diverging_sine:20000", noise=0.5)
    np.testing.assert_allclose(noisy.inputs[:, 0], pool.inputs[:, 0], atol=2e-7)
    other, _ = loaded("diverging_sine:20000", noise=0.5, seed=1)
    assert not np.array_equal(other.inputs, noisy.inputs)
    t = 10 * np.asarray(noisy.inputs[:, 0], np.float64)
    curve = np.sin(2 * t) + np.where(noisy.labels == 1, t, -t) / 2
    slope, shift = np.polyfit(curve, noisy.inputs[:, 1], 1)
    left = noisy.inputs[:, 1] - slope * curve - shift
    assert np.std(left) / slope == pytest.approx(0.5, abs=0.01)


@bad_inputs(
    {
        "no number": (("honeypot:many", {}), "honeypot: expected a number of rows of at least 20"),
        "few": (("diverging_sine:19", {}), "diverging_sine: expected a number of rows of at"),
        "noise": (("diverging_sine:40", {"noise": -1.0}), "noise: expected"),
        "seed": (("honeypot:40", {"seed": -1}), "seed: expected"),
        "other": (("honeypot:40", {"noise": 0.1}), "option 'noise' is unknown"),
    }
)
def test_bad_input(given, message):
    with pytest.raises(ValueError, match=message):
        data.load(given[0], options=given[1])


def sweep_of(folder, settings):
    path = folder / "drawn.toml"
    path.write_text(SWEEP.format(data=settings))
    return experiment.load_grid(path)


def test_each_seed_of_a_sweep_draws_data_of_its_own(tmp_path):
    grid = sweep_of(tmp_path, "redraw = true\noptions = { seed = 5 }")
    (cell,) = experiment.Sweep(grid)._cells
    for number, parts in enumerate(cell.splits):
        pool, test = data.load(
            "diverging_sine:100", standardize=False, options={"seed": 5 + number}
        )
        np.testing.assert_array_equal(parts.pool.inputs, pool.inputs)
        np.testing.assert_array_equal(parts.test.labels, test.labels)
    assert number == 2
    with pytest.raises(ValueError, match="data.redraw: expected false but in `jaxal sweep`"):
        experiment.run(grid.cells[0].config, tmp_path / "run")
    assert "redraw" not in to_toml(sweep_of(tmp_path, "").cells[0].config)


@pytest.mark.parametrize(
    ("seed", "error"), [('"a"', TypeError), ("true", TypeError), ("-1", ValueError)]
)
def test_the_seed_to_begin_at_is_checked(tmp_path, seed, error):
    grid = sweep_of(tmp_path, f"redraw = true\noptions = {{ seed = {seed} }}")
    with pytest.raises(error, match="data.options.seed: expected an integer"):
        experiment.Sweep(grid)


def test_a_source_without_a_seed_is_not_drawn_anew(tmp_path):
    sweep_of(tmp_path, "redraw = true")
    grid = experiment.load_grid(tmp_path / "drawn.toml", ["data.source=sklearn:iris"])
    with pytest.raises(ValueError, match="source sklearn: option 'seed' is unknown"):
        experiment.Sweep(grid)
