"""DISTIL's JSON configurations from the file to the run: notes, data, budgets, the commands."""

import dataclasses
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from distil_configs import CONFIGS, changed

from jaxal import data, experiment, models
from jaxal.cli import _parser, _resume_command, main
from jaxal.experiment import DataConfig
from jaxal.experiment.distil import check_labels, distil_numbers, read_distil
from jaxal.loop.plan import Plan, TooManyLabels


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes a configuration into a folder beside the working directory, which has no data."""
    monkeypatch.setenv("JAXAL_DATA", str(tmp_path / "none"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)

    def write(config, name="config.json"):
        path = work / name
        path.write_text(config if isinstance(config, str) else json.dumps(config))
        return path

    return write


def load(path, *overrides):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return experiment.load(path, overrides)


def test_loads_with_notes_and_overrides(written):
    path = written(CONFIGS["config_2lnet_satimage_entropysampling"], "satimage.json")
    with pytest.warns(UserWarning) as told:
        config = experiment.load(path, ["seeds=3", "strategy.names=random"])
    assert (config.name, config.seeds, config.seed) == ("satimage", 3, 42)
    assert config.strategy.names == ("random",) and config.strategy.rounds == 9
    messages = [str(warning.message) for warning in told]
    assert messages[0] == (
        f"{path}: train_parameters.islogs, train_parameters.logs_location, logs: without effect: "
        "a run always keeps its records"
    )
    assert messages[1].startswith(f"{path}: active_learning.strategy_args.lr: without effect")
    assert {Path(warning.filename).name for warning in told} == {Path(__file__).name}
    # What a run writes is a config like others.
    resolved = path.with_name("config.toml")
    resolved.write_text(experiment.to_toml(config))
    assert experiment.load(resolved) == config


@pytest.mark.parametrize("name", CONFIGS)
def test_each_of_the_nine_loads_or_is_impossible(name, written):
    path = written(CONFIGS[name], f"{name}.json")
    if "cifar10_" not in name:
        assert load(path).strategy.initial == CONFIGS[name]["active_learning"]["initial_points"]
        return
    with pytest.raises(ValueError, match="= 75000 labels, but cifar10 has 50000 training"):
        load(path)
    assert load(path, "strategy.rounds=9").strategy.rounds == 9


@pytest.mark.parametrize("variable", ["", "elsewhere"])
@pytest.mark.parametrize("place", ["working directory", "folder of the file", "both"])
def test_data_are_looked_for_where_distil_does(place, variable, tmp_path, monkeypatch):
    monkeypatch.setenv("JAXAL_DATA", variable)
    there, elsewhere = tmp_path / "a" / "distil", tmp_path / "b" / "work"
    for folder in (there, elsewhere):
        folder.mkdir(parents=True)
    if place != "working directory":
        (tmp_path / "a" / "datasets" / "satimage").mkdir(parents=True)
    if place != "folder of the file":
        (tmp_path / "b" / "datasets" / "satimage").mkdir(parents=True)
    monkeypatch.chdir(elsewhere)
    config = CONFIGS["config_2lnet_satimage_entropysampling"]
    folder = Path(translated(config, [Path(), there])["data"]["folder"])
    expected = tmp_path / ("a" if place == "folder of the file" else "b") / "datasets"
    assert folder.resolve() == expected


def test_absent_data_are_those_of_the_variable_or_where_distil_has_them(tmp_path, monkeypatch):
    """So that the error which follows names that place."""
    monkeypatch.chdir(tmp_path)
    config = CONFIGS["config_cifar10_resnet_badge"]
    monkeypatch.setenv("JAXAL_DATA", "elsewhere")
    assert "folder" not in translated(config, [Path()])["data"]
    monkeypatch.delenv("JAXAL_DATA")
    assert translated(config, [Path()])["data"]["folder"] == str(Path("..", "datasets"))


def test_too_many_labels_are_refused_before_anything_is_loaded():
    config = experiment.parse(
        {
            "name": "cifar",
            "data": {"source": "cifar10"},
            "model": {"name": "resnet18"},
            "strategy": {"names": ["badge"], "initial": 5000, "budget": 5000, "rounds": 14},
        }
    )
    with pytest.raises(
        ValueError,
        match=r"^x.json: active_learning: initial_points \+ \(rounds - 1\) x budget = 5000 \+ "
        r"14 x 5000 = 75000 labels, but cifar10 has 50000 training examples: at most 10 rounds "
        r"\(--set strategy.rounds=9\)$",
    ):
        check_labels(config, Path("x.json"))
    for fits in ("strategy.rounds=9", "data.source=npz:x", "data.limit=100"):
        check_labels(experiment.override(config, fits), Path("x.json"))


@pytest.mark.filterwarnings("default")
def test_too_many_labels_of_a_file_are_counted_as_there(written, monkeypatch, capsys):
    """How many rows a libsvm file has is known once it is read."""

    def run(config, out, listener, *, resume=False):
        raise TooManyLabels(Plan(32, 32, 9), rows=100)

    monkeypatch.setattr(experiment, "run", run)
    path = written(CONFIGS["config_2lnet_satimage_entropysampling"])
    assert main(["run", str(path), "--quiet"]) == 2
    *notes, error = capsys.readouterr().err.splitlines()
    assert all(note.startswith(f"jaxal: warning: {path}: ") for note in notes) and len(notes) == 2
    assert error == (
        f"jaxal: error: {path}: active_learning: initial_points + (rounds - 1) x budget = "
        "32 + 9 x 32 = 320 labels, but satimage has 100 training examples: at most 3 rounds "
        "(--set strategy.rounds=2)"
    )
    with pytest.raises(TooManyLabels, match="initial . rounds x budget"):
        with distil_numbers(load(path), Path("config.toml")):
            run(None, None, None)


def translated(config, near):
    return read_distil(json.dumps(config), near).table


needs_satimage = pytest.mark.skipif(
    "satimage" not in data.sources() or "two_layer_net" not in models.names(),
    reason="needs the data source satimage and the model two_layer_net",
)


@needs_satimage
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("named", ["as DISTIL does", "by --data", "by JAXAL_DATA"])
@pytest.mark.slow
def test_a_configuration_of_distil_runs(named, written, tmp_path, monkeypatch, capsys):
    folder = tmp_path / ("datasets" if named == "as DISTIL does" else "elsewhere")
    (folder / "satimage").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, rows in (("trn", 60), ("tst", 24)):
        labels = np.resize([1, 2, 3, 4, 5, 7], rows)
        lines = [
            " ".join([str(label), *(f"{i + 1}:{x:.3f}" for i, x in enumerate(row + label))])
            for label, row in zip(labels, rng.normal(size=(rows, 36)), strict=True)
        ]
        (folder / "satimage" / f"satimage.scale.{part}").write_text("\n".join(lines) + "\n")
    sizes = {"budget": 10, "initial_points": 12, "rounds": 3}
    path = written(changed(train_parameters__n_epoch=5, **_active(sizes)), "tiny.json")
    if named == "by JAXAL_DATA":
        monkeypatch.setenv("JAXAL_DATA", str(folder))
    options = ["--data", str(folder)] if named == "by --data" else []
    assert main(["run", str(path), "--quiet", *options]) == 0
    assert capsys.readouterr().out == "runs/tiny\n"
    records = experiment.read("runs/tiny/history.jsonl")
    assert [record.labels for record in records] == [12, 22, 32]
    assert all(record.epochs <= 4 for record in records)
    # It goes on, and is told again, as any other.
    assert main(["run", "runs/tiny/config.toml", "--quiet", "--resume", "--out", "runs/tiny"]) == 0
    assert main(["report", "runs/tiny", "--quiet"]) == 0
    path = written(changed(**_active(sizes | {"rounds": 9})), "long.json")
    assert main(["run", str(path), "--quiet", *options]) == 2
    assert "12 + 8 x 10 = 92 labels, but satimage has 60 training examples: at most 5 rounds" in (
        capsys.readouterr().err
    )


def _active(sizes):
    return {f"active_learning__{key}": value for key, value in sizes.items()}


def test_the_line_to_go_on_names_the_folder_of_the_data():
    arguments = _parser().parse_args(["run", "a.json", "--data", "my data"])
    line = _resume_command(arguments, Path("runs/a"))
    assert line == "jaxal run a.json --data 'my data' --out runs/a --resume"


def test_errors_name_the_file(written, capsys):
    path = written("{")
    assert main(["run", str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"jaxal: error: {path}: expected JSON, got")


@pytest.mark.skipif(
    "folder" not in {field.name for field in dataclasses.fields(DataConfig)},
    reason="needs [data] folder",
)
def test_data_of_the_command_line(written, monkeypatch):
    asked = []

    def run(config, out, listener, *, resume=False):
        asked.append(config.data.folder)
        raise ValueError("enough")

    monkeypatch.setattr(experiment, "run", run)
    path = written(
        experiment.to_toml(load(written(CONFIGS["config_2lnet_satimage_randomsampling"]))), "a.toml"
    )
    for folder in ("data", "1", 'a "quoted" \\ ü'):
        main(["run", str(path), "--data", folder])
    assert asked == ["data", "1", 'a "quoted" \\ ü']
