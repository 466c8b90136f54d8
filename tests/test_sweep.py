"""Sweeps: ragged data sets in one program, each as a run of its own would be; and resumed."""

import json

import numpy as np
import pytest
from helpers import bad_inputs

from jaxal import experiment, report
from jaxal.cli import main
from jaxal.experiment import sweep as sweeps
from jaxal.records import figures

GRID = """
seeds = 3
[model]
name = "logistic"
[learner]
newton_l2 = 1.0
[strategy]
names = ["margin", "random"]
initial = 4
rounds = 3
[data]
test_fraction = 0.3
{data}
[sweep]
{sweep}
[sweep.data.long]
source = "npz:{folder}/long.npz"
[sweep.data.short]
source = "npz:{folder}/short.npz"
"""


def grid_in(folder, data="", sweep="budgets = [2]"):
    """A grid of two data sets of one size class, made in `folder`."""
    rng = np.random.default_rng(0)
    for name, rows in {"long": 60, "short": 57}.items():
        inputs = rng.normal(size=(rows, 2)).astype("float32")
        labels = (inputs[:, 0] + 0.5 * rng.normal(size=rows) > 0).astype(int)
        np.savez(folder / f"{name}.npz", inputs=inputs, labels=labels)
    path = folder / "grid.toml"
    path.write_text(GRID.format(folder=folder.as_posix(), data=data, sweep=sweep))
    return path


def alike(one, other):
    """Whether records agree: rows and counts exactly, metrics to rounding."""
    one, other = figures(one), figures(other)
    for name, value in one.items():
        if isinstance(value, float) and not name.endswith("accuracy"):
            assert value == pytest.approx(other[name], rel=1e-3, abs=1e-5), name
        elif name != "epochs":  # a step more or less, by rounding
            assert value == pytest.approx(other[name], abs=1e-6), name


@pytest.mark.slow
def test_cells_are_the_runs_of_their_settings(tmp_path, monkeypatch):
    grid = experiment.load_grid(grid_in(tmp_path))
    sweep = experiment.Sweep(grid)
    assert (sweep.experiments, sweep.groups, sweep.total) == (12, 2, 48)
    out = sweep.run(tmp_path / "sweep")
    for cell in grid.cells:
        folder = out / cell.name
        records = experiment.read(folder / "history.jsonl")
        # Padded to the rows of the longer, each is what `jaxal run` makes of its settings.
        config = experiment.load(folder / "config.toml")
        assert config == cell.config
        alone = experiment.read(experiment.run(config, tmp_path / cell.name) / "history.jsonl")
        order = {(one.strategy, one.round, one.seed): one for one in alone}
        assert len(records) == len(alone) == 24
        for record in records:
            alike(record, order[record.strategy, record.round, record.seed])
        assert not report.rebuild(folder).notes
    whole = {path: path.read_bytes() for path in out.glob("*/history.jsonl")}

    # Killed after the first group and in the middle of writing the second, it goes on.
    journal = out / "sweep.jsonl"
    journal.write_bytes(journal.read_bytes().splitlines(keepends=True)[0])
    half = out / "long" / "history.jsonl"
    half.write_bytes(half.read_bytes()[:-300])
    with pytest.raises(ValueError, match="holds a sweep already"):
        experiment.Sweep(grid).run(out)
    ran, run_group = [], sweeps._run_group
    monkeypatch.setattr(
        sweeps, "_run_group", lambda group, out: ran.append(group) or run_group(group, out)
    )
    experiment.Sweep(grid).run(out, resume=True)
    assert [group.strategy for group in ran] == ["random"]
    assert {path: path.read_bytes() for path in out.glob("*/history.jsonl")} == whole
    other = experiment.load_grid(tmp_path / "grid.toml", ["learner.newton_l2=2.0"])
    with pytest.raises(ValueError, match="newton_l2"):
        experiment.Sweep(other).run(out, resume=True)
    fewer = experiment.Sweep(grid._replace(cells=grid.cells[:1]))
    with pytest.raises(ValueError, match="not the same sweep: its data sets and budgets"):
        fewer.run(out, resume=True)
    with pytest.raises(ValueError, match="long: holds a run that is not of a sweep"):
        experiment.Sweep(grid).run(tmp_path)  # in which there are runs of the same names
    assert {path: path.read_bytes() for path in out.glob("*/history.jsonl")} == whole


@pytest.mark.slow
def test_splits_of_their_own_and_whole_pools(tmp_path, capsys):
    path = grid_in(tmp_path, "resplit = true", "budgets = [5]\nwhole_pool = true")
    options = ["--out", str(tmp_path / "out"), "--set", "strategy.names=random", "--no-cache"]
    assert main(["sweep", str(path), *options]) == 0
    assert "mean over the curve" in capsys.readouterr().out
    lines = (tmp_path / "out" / "sweep.jsonl").read_text().splitlines()
    assert [json.loads(line)["cells"] for line in lines] == [["long", "short"]]
    for name, rows in {"long": 42, "short": 40}.items():
        records = experiment.read(tmp_path / "out" / name / "history.jsonl")
        ends = [record for record in records if not record.rows]
        rounds = (rows - 4) // 5
        assert [(one.round, one.labels) for one in ends] == [(rounds, 4 + 5 * rounds)] * 3
        # Each seed picks rows of a pool of its own, once each.
        for seed in range(3):
            own = [record for record in records if record.seed == seed]
            picks = [*(own[0].initial or []), *(row for one in own for row in one.rows)]
            assert len(set(picks)) == len(picks) and max(picks) < rows


@bad_inputs(
    {
        "no table": ("", "sweep: missing"),
        "unknown key": ("[sweep]\nbudget = [1]", "sweep.budget: unknown key"),
        "no budgets": ("[sweep]\nbudgets = []", "sweep.budgets: expected a list"),
        "twice": ("[sweep]\nbudgets = [1, 1]", "sweep.budgets: expected a list"),
        "rules": ("[sweep]\n[stop]\nrule = 'budget'", "stop: expected none in a sweep"),
        "no data set": ("[sweep]\ndata = 3", "sweep.data: expected a table"),
        "validation": ("[sweep.data.a]\nvalidation = 3", "data.validation: expected none"),
        "whole pool": ("[sweep]\nwhole_pool = 1", "sweep.whole_pool: expected true"),
    }
)
def test_bad_grid(given, message, tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text(
        'data.source = "sklearn:iris"\nmodel.name = "logistic"\nstrategy.names = ["random"]\n'
        + given
    )
    with pytest.raises((ValueError, TypeError), match=message):
        experiment.load_grid(path)


def test_settings_of_minibatches_are_refused_beside_newton(tmp_path):
    path = grid_in(tmp_path)
    grid = experiment.load_grid(path, ["learner.max_epochs=3"])
    with pytest.raises(ValueError, match="learner.max_epochs: expected not to be set"):
        experiment.Sweep(grid)
    config = experiment.load_grid(path, ["data.resplit=true"]).cells[0].config
    with pytest.raises(ValueError, match="data.resplit: expected false but in `jaxal sweep`"):
        experiment.run(config, tmp_path / "run")
