"""The commands: what they print where, and how they end."""

import io
import os
import pathlib
import subprocess
import sys
import types
from importlib import metadata
from typing import Any, NamedTuple

import numpy as np
import pytest
from helpers import bad_inputs, clouds
from rich.console import Console

from jaxal import _cache, experiment, report, strategies
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

    def fake(config, out, listener, *, resume=False):
        asked.append(config)
        out.mkdir(parents=True)
        (out / "config.toml").write_text(experiment.to_toml(config))
        listener.begin("random")
        listener.advance("random", 0, 0.5, steps=10)
        records = [record(name, 0, r) for name in config.strategy.names for r in (0, 1)]
        with Writer(out / "history.jsonl") as writer:
            for made in records:
                writer.write(made)
        return out

    monkeypatch.setattr(experiment, "run", fake)
    return asked


@pytest.mark.slow
def test_run_prints_the_table_and_the_files(config, runs, capsys):
    assert main(["run", config]) == 0
    out, err = capsys.readouterr()
    assert "random" in out and "60.0" in out and "round 0" not in out
    assert out.splitlines()[-4:] == [
        "runs/tiny/config.toml",
        "runs/tiny/history.jsonl",
        "runs/tiny/summary.csv",
        "runs/tiny/curves.png",
    ]
    assert "round 0: 50.0%" in err
    assert max(map(len, out.splitlines())) <= 80


def test_run_takes_settings(config, runs, tmp_path):
    arguments = ["--set", "strategy.budget=50", "--set", "seeds=3", "--seeds", "4"]
    assert main(["run", config, *arguments, "--out", "elsewhere", "--quiet"]) == 0
    assert runs[0].strategy.budget == 50 and runs[0].seeds == 4
    assert (tmp_path / "elsewhere" / "curves.png").exists()


@pytest.mark.slow
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


@pytest.mark.slow
def test_resolved_config_runs_again(config, runs):
    assert main(["run", config, "--quiet", "--seeds", "7"]) == 0
    assert main(["run", "runs/tiny/config.toml", "--quiet"]) == 0
    assert runs[0] == runs[1]


@pytest.mark.slow
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


@pytest.mark.slow
def test_compare_notes_and_errors(config, runs, tmp_path, capsys):
    main(["run", config, "--quiet", "--set", "data.limit=50"])
    main(["run", config, "--quiet", "--set", "strategy.names=badge"])
    capsys.readouterr()
    arguments = ["compare", "runs/tiny", "runs/tiny-2", "--out", "both", "--quiet"]
    differ = "not the same data: limit = None in tiny-2, 50 in tiny"
    assert main(arguments) == 2
    refused = f"jaxal: error: {differ} (--different-data puts them side by side)"
    assert capsys.readouterr().err.splitlines() == [refused]
    assert main([*arguments, "--different-data"]) == 0
    assert (tmp_path / "both" / "comparison.png").exists()
    assert capsys.readouterr().err.splitlines() == [
        f"jaxal: note: {differ}",
        "jaxal: note: tiny-2 has no random sampling: its efficiency is against that of tiny",
    ]
    for path, message in {
        "absent": "absent: No such file or directory",
        ".": ".: not a run: it has no history.jsonl",
    }.items():
        assert main(["compare", path]) == 2
        assert capsys.readouterr().err == f"jaxal: error: {message}\n"
    assert not (tmp_path / "runs" / "comparison").exists()


@bad_inputs(
    {
        "no such file": (["absent.toml"], "absent.toml: No such file or directory"),
        "a folder": (["."], ".: Is a directory"),
        "unknown key": (["--set", "strategy.budgt=5"], "strategy.budgt: unknown key; did you"),
        "wrong type": (["--seeds", "many"], "seeds: expected an integer of at least 1, got"),
        "out of range": (["--seeds", "0"], "seeds: expected an integer of at least 1, got 0"),
    }
)
def test_bad_input(config, runs, capsys, given, message):
    path = [] if "." in given[0] else [config]
    assert main(["run", *path, *given]) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"jaxal: error: {message}") and err.count("\n") == 1
    assert not out and not runs


def fail(error):
    def run(config, out, listener, *, resume=False):
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
    monkeypatch.setattr(strategies, "describe", lambda: known)
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


@pytest.mark.parametrize("option", ["--seed", "--o", "--trace"])
@pytest.mark.parametrize("command", ["run", "compare"])
def test_options_are_not_guessed_from_their_beginning(command, option, config, runs, capsys):
    with pytest.raises(SystemExit) as ending:
        main([command, config, option, "3"])
    assert ending.value.code == 2 and not runs
    assert f"unrecognized arguments: {option}" in capsys.readouterr().err


TITLE = "\x1b]0;title\x07"  # sets the title of a terminal
WILD = {
    "control characters": (TITLE, "\\x1b]0;title\\x07"),
    "markup": ("[red]x[/red]", "[red]x[/red]"),
    "markup that nothing opens": ("[/b]", "[/b]"),
    "formula": ("$\\foo$", "$\\foo$"),
    "not shown in legends": ("_hidden", "_hidden"),
    "line break": ("a\nb", "a\\nb"),
}


@pytest.mark.parametrize(("name", "shown"), WILD.values(), ids=WILD)
def test_names_only_ever_show_themselves(name, shown, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    folder = tmp_path / name.replace("/", "")  # a name of a run as well
    folder.mkdir()
    with Writer(folder / "history.jsonl") as writer:
        for round in (0, 1):
            writer.write(record(name, 0, round))
    assert main(["compare", str(folder), "--out", str(folder / "out")]) == 0
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err and shown in out
    figure = report.draw(report.compare([folder]).summaries, name)
    figure.savefig(folder / "again.png")
    [legend] = figure.legends
    assert shown in legend.get_texts()[0].get_text()
    assert main(["compare", str(folder / "absent")]) == 2
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("terminal", [True, False], ids=["bar", "lines"])
@pytest.mark.parametrize("name", [TITLE, "[/b]", "[red]x"])
def test_progress_shows_names_as_they_are(terminal, name):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=100, color_system=None)
    with report.progress(2, console) as progress:
        progress.begin(name)
        progress.advance(name, 0, 0.5, steps=2)
    shown = name.replace("\x1b", "\\x1b").replace("\x07", "\\x07")
    assert TITLE not in stream.getvalue() and f"{shown}, round 0: 50.0%" in stream.getvalue()


def test_descriptions_only_ever_show_themselves(monkeypatch, capsys):
    known = [Description(f"a{TITLE}[/b]", f"{TITLE}[/b]", {"x": TITLE}, "[/i]")]
    monkeypatch.setattr(strategies, "describe", lambda: known)
    assert main(["strategies"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "[/b]" in out and "[/i]" in out


TINY = """
name = "tiny"
[data]
source = "npz:data.npz"
[model]
name = "logistic"
[strategy]
names = ["margin"]
initial = 6
budget = 4
rounds = 1
"""
COUNTED = """
import collections, sys
from jax import monitoring
from jaxal.cli import main
events = collections.Counter()
monitoring.register_event_listener(lambda event, **_: events.update([event]))
status = main(["run", "tiny.toml", "--quiet", *sys.argv[1:]])
print(*(events[f"/jax/compilation_cache/cache_{what}"] for what in ("hits", "misses")))
sys.exit(status)
"""


def counted_run(folder, *arguments):
    """Hits and misses of the compilation cache in one run of the command."""
    root = pathlib.Path(__file__).parent.parent
    quick = "JAX_DISABLE_MOST_OPTIMIZATIONS"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    kept |= {quick: os.environ[quick]} if quick in os.environ else {}
    kept |= {"PYTHONPATH": str(root), "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", COUNTED, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=kept,
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    hits, misses = done.stdout.splitlines()[-1].split()
    return int(hits), int(misses)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the folder is that of Linux")
def test_a_second_run_compiles_nothing(tmp_path):
    (tmp_path / "tiny.toml").write_text(TINY)
    # Of its own: scikit-learn would take a second to import.
    np.savez(tmp_path / "data.npz", **clouds()._asdict())
    hits, misses = counted_run(tmp_path)
    assert hits == 0 and misses > 0
    assert any((tmp_path / "cache" / "jaxal").iterdir())
    assert counted_run(tmp_path) == (misses, 0)


def test_the_cache_can_be_switched_off(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(_cache, "set_up_cache", asked.append)
    for flags in ([], ["--no-cache"]):
        assert main(["run", str(tmp_path / "absent.toml"), *flags]) == 2
    assert asked == [True, False]


class FakeConfig:
    """What the cache reads and writes of the configuration of JAX."""

    jax_compilation_cache_dir: str | None = None
    jax_enable_compilation_cache = True

    def update(self, name, value):
        setattr(self, name, value)


@pytest.mark.skipif(sys.platform != "linux", reason="the folder is that of Linux")
def test_where_the_cache_lies(monkeypatch, tmp_path):
    config = FakeConfig()
    monkeypatch.setattr(_cache, "jax", types.SimpleNamespace(config=config))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "blocked"))
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked/jaxal").write_text("a file where the folder is needed: no cache, no error")
    _cache.set_up_cache()
    assert vars(config) == {}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    _cache.set_up_cache()
    assert config.jax_compilation_cache_dir == str(tmp_path / "cache" / "jaxal")
    config.jax_compilation_cache_dir = "elsewhere"
    _cache.set_up_cache()
    assert config.jax_compilation_cache_dir == "elsewhere"
    _cache.set_up_cache(use=False)
    assert config.jax_enable_compilation_cache is False


def test_the_cache_stays_below_its_limit(tmp_path):
    for age, name in enumerate(["new", "old", "older"]):
        (tmp_path / name).write_bytes(bytes(10))
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    _cache._trim(tmp_path, 30)
    assert len([*tmp_path.iterdir()]) == 3
    _cache._trim(tmp_path, 25)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old"]
