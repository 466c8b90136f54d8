"""The commands: what they print where, and how they end."""

import subprocess
import sys
from importlib import metadata
from typing import Any, NamedTuple

import pytest

from jaxal import experiment, report
from jaxal.cli import main
from jaxal.experiment import Record, Writer

CONFIG = """
name = "tiny"
seeds = 2
[data]
source = "sklearn:iris"
[model]
name = "logistic"
[strategy]
names = ["random", "badge"]
"""


class Description(NamedTuple):
    name: str
    summary: str
    options: dict[str, Any]
    paper: str


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    path = tmp_path / "tiny.toml"
    path.write_text(CONFIG)
    return str(path)


def record(strategy, seed, round):
    accuracy = 0.5 + 0.1 * round
    return Record(strategy, seed, round, 10 + round, (), 1.0, 0.1, accuracy, 1 - accuracy, 3)


@pytest.fixture
def runs(monkeypatch):
    """Replaces the run itself, and keeps what it was asked for."""
    asked = []

    def fake(config, out, console):
        asked.append(config)
        out.mkdir(parents=True)
        (out / "config.toml").write_text(experiment.to_toml(config))
        console.print("working")
        records = [record(name, 0, r) for name in config.strategy.names for r in (0, 1)]
        with Writer(out / "history.jsonl") as writer:
            for made in records:
                writer.write(made)
        report.write(records, out, config.name)
        return out

    monkeypatch.setattr(experiment, "run", fake)
    return asked


def test_run_prints_the_table_and_the_files(config, runs, capsys):
    assert main(["run", config]) == 0
    out, err = capsys.readouterr()
    assert "random" in out and "60.0" in out and "working" not in out
    assert out.splitlines()[-4:] == [
        "runs/tiny/config.toml",
        "runs/tiny/history.jsonl",
        "runs/tiny/summary.csv",
        "runs/tiny/curves.png",
    ]
    assert "working" in err
    assert max(map(len, out.splitlines())) <= 80


def test_run_takes_settings(config, runs, tmp_path):
    arguments = ["--set", "strategy.budget=50", "--set", "seeds=3", "--seeds", "4"]
    assert main(["run", config, *arguments, "--out", "elsewhere", "--quiet"]) == 0
    assert runs[0].strategy.budget == 50 and runs[0].seeds == 4
    assert (tmp_path / "elsewhere" / "curves.png").exists()


def test_run_never_writes_over_a_run(config, runs, capsys):
    folders = []
    for _ in range(3):
        assert main(["run", config, "--quiet"]) == 0
        folders.append(capsys.readouterr().out)
    assert folders == ["runs/tiny\n", "runs/tiny-2\n", "runs/tiny-3\n"]
    assert main(["run", config]) == 0
    assert "runs/tiny holds a run already: writing to runs/tiny-4" in (
        capsys.readouterr().err.replace("\n", " ")
    )


def test_resolved_config_runs_again(config, runs):
    assert main(["run", config, "--quiet", "--seeds", "7"]) == 0
    assert main(["run", "runs/tiny/config.toml", "--quiet"]) == 0
    assert runs[0] == runs[1]


def test_compare(config, runs, capsys):
    for seeds in "34":
        main(["run", config, "--quiet", "--seeds", seeds])
    capsys.readouterr()
    assert main(["compare", "runs/tiny", "runs/tiny-2"]) == 0
    out, err = capsys.readouterr()
    assert "tiny-2/random" in out and not err
    assert out.splitlines()[-2:] == [
        "runs/comparison/comparison.csv",
        "runs/comparison/comparison.png",
    ]
    assert max(map(len, out.splitlines())) <= 80
    assert main(["compare", "runs/tiny", "--quiet"]) == 0
    assert capsys.readouterr().out == "runs/comparison-2\n"


def test_compare_notes_and_errors(config, runs, tmp_path, capsys):
    main(["run", config, "--quiet", "--set", "data.limit=50"])
    main(["run", config, "--quiet", "--set", "strategy.names=badge"])
    capsys.readouterr()
    arguments = ["compare", "runs/tiny", "runs/tiny-2", "--out", "both", "--quiet"]
    assert main(arguments) == 0
    assert (tmp_path / "both" / "comparison.png").exists()
    assert capsys.readouterr().err.splitlines() == [
        "jaxal: note: not the same data: limit = None in tiny-2, 50 in tiny",
        "jaxal: note: tiny-2 has no random sampling: its efficiency is against that of tiny",
    ]
    for path, message in {
        "absent": "absent: No such file or directory",
        ".": ".: not a run: it has no history.jsonl",
    }.items():
        assert main(["compare", path]) == 2
        assert capsys.readouterr().err == f"jaxal: error: {message}\n"
    assert not (tmp_path / "runs" / "comparison").exists()


BAD_INPUT = {
    "no such file": (["absent.toml"], "absent.toml: No such file or directory"),
    "a folder": (["."], ".: Is a directory"),
    "unknown key": (
        ["--set", "strategy.budgt=5"],
        "strategy.budgt: unknown key; did you",
    ),
    "wrong type": (
        ["--seeds", "many"],
        "seeds: expected an integer of at least 1, got",
    ),
    "out of range": (
        ["--seeds", "0"],
        "seeds: expected an integer of at least 1, got 0",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), BAD_INPUT.values(), ids=BAD_INPUT)
def test_bad_input(config, runs, capsys, arguments, message):
    path = [] if "." in arguments[0] else [config]
    assert main(["run", *path, *arguments]) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"jaxal: error: {message}") and err.count("\n") == 1
    assert not out and not runs


def fail(error):
    def run(config, out, console):
        out.mkdir(parents=True)
        with Writer(out / "history.jsonl") as writer:
            writer.write(record("random", 0, 0))
        raise error

    return run


def test_error_in_a_run_says_where_the_finished_rounds_are(config, monkeypatch, capsys):
    monkeypatch.setattr(experiment, "run", fail(ValueError("round 3: loss is nan")))
    assert main(["run", config]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "jaxal: the finished rounds are in runs/tiny/history.jsonl",
        "jaxal: error: round 3: loss is nan",
    ]
    assert len(experiment.read("runs/tiny/history.jsonl")) == 1
    with pytest.raises(ValueError, match="round 3"):
        main(["run", config, "--traceback"])


def test_interrupt(config, monkeypatch, capsys):
    monkeypatch.setattr(experiment, "run", fail(KeyboardInterrupt()))
    assert main(["run", config]) == 130
    err = capsys.readouterr().err
    assert "runs/tiny/history.jsonl" in err and "jaxal: interrupted" in err


def test_mistake_of_ours_keeps_its_traceback(config, monkeypatch):
    monkeypatch.setattr(experiment, "run", fail(AttributeError("ours")))
    with pytest.raises(AttributeError, match="ours"):
        main(["run", config])


def test_strategies(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    known = [
        Description("random", "any row of [n], all alike", {}, ""),
        Description("badge", "uncertain and diverse", {"kind": "linear"}, "Ash 2020"),
    ]
    strategies = pytest.importorskip("jaxal.strategies")
    monkeypatch.setattr(strategies, "describe", lambda: known, raising=False)
    assert main(["strategies"]) == 0
    out = capsys.readouterr().out
    for words in (
        "random",
        "of [n]",
        "uncertain and diverse",
        "kind = 'linear'",
        "Ash 2020",
    ):
        assert words in out
    assert max(map(len, out.splitlines())) <= 80


def test_help_and_version(capsys):
    for arguments in (
        ["--help"],
        ["run", "--help"],
        ["compare", "--help"],
        ["--version"],
    ):
        with pytest.raises(SystemExit) as ending:
            main(arguments)
        assert ending.value.code == 0
    out = capsys.readouterr().out
    assert "jaxal compare runs/digits runs/warm" in out
    assert "--set KEY=VALUE" in out and f"jaxal {metadata.version('jaxal')}" in out
    assert main([]) == 2
    assert "usage: jaxal" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["walk"], ["run"], ["run", "a", "--what"], ["compare"]])
def test_unknown_arguments(arguments, capsys):
    with pytest.raises(SystemExit) as ending:
        main(arguments)
    assert ending.value.code == 2 and "usage:" in capsys.readouterr().err


def test_module_and_light_imports():
    """The command line itself imports nothing heavy, whatever the package does."""
    script = (
        "import sys, jaxal; before = set(sys.modules); import jaxal.cli;"
        "jaxal.cli._parser().format_help(); new = set(sys.modules) - before;"
        "print(sorted(new & {'jax', 'matplotlib', 'rich', 'numpy', 'sklearn'}))"
    )
    python = [sys.executable, "-W", "error"]
    said = subprocess.run([*python, "-c", script], capture_output=True, text=True)
    assert said.stdout == "[]\n", said.stderr
    command = [*python, "-m", "jaxal", "--version"]
    said = subprocess.run(command, capture_output=True, text=True)
    assert said.stdout.startswith("jaxal ") and said.returncode == 0
