"""The command `jaxal data`."""

import numpy as np
import pytest
from helpers import bad_inputs

from jaxal import data
from jaxal.cli import main


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("JAXAL_DATA", raising=False)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("cat;1;2\ndog;3;4\ndog;5;6\n;7;8.5\n")
    (tmp_path / "data" / "b.csv").write_text("dog;-1;0\n")


ARGUMENTS = ["--folder", "data", "--set", "label=first", "--set", "delimiter=;"]


def words(out):
    return [" ".join(line.split()) for line in out.splitlines() if line.split()]


def test_both_parts(capsys):
    assert main(["data", "csv:a.csv", "--test", "csv:b.csv", *ARGUMENTS]) == 0
    out, err = capsys.readouterr()
    lines = [line for line in words(out) if not line.startswith("─")]
    assert lines == [
        "csv:a.csv",
        "train test",
        "rows 4 1",
        "shape of a row 2 2",
        "type float64 float64",
        "values 1 to 8.5 -1 to 0",
        "classes 2 1",
        "rows without a label 1 0",
        "class name train rows test rows",
        "0 cat 1 0",
        "1 dog 2 1",
    ]
    assert not err


def test_one_part_and_names_that_only_ever_show_themselves(capsys):
    title = "\x1b]0;title\x07"
    np.savez("a.npz", inputs=np.zeros((2, 3, 3), np.uint8), labels=[f"[red]{title}", "[/b]"])
    assert main(["data", "npz:a.npz"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert words(out)[-2:] == ["0 [/b] 1", "1 [red]\\x1b]0;title\\x07 1"]
    assert "shape of a row 3 x 3" in words(out) and "class name all rows" in words(out)


def test_many_classes(capsys):
    np.savez("a.npz", inputs=np.zeros((61, 2)), labels=[*range(60), 7])
    assert main(["data", "npz:a.npz"]) == 0
    out = words(capsys.readouterr().out)
    assert out[-2:] == ["the fewest of 60 1", "the most of 60 2"]


def test_the_sources_are_listed(capsys):
    assert main(["data"]) == 0
    assert tuple(capsys.readouterr().out.split()) == data.sources()


@bad_inputs(
    {
        "unknown": (["cvs:a.csv"], "source: 'cvs:a.csv' is unknown"),
        "no file": (["csv:c.csv"], "no such file: c.csv"),
        "option": (
            ["csv:a.csv", *ARGUMENTS, "--set", "lable=x"],
            "options: source csv: option",
        ),
        "no value": (["csv:a.csv", "--set", "label"], "expected KEY=VALUE, as in label=first"),
        "row": (["csv:a.csv", "--folder", "data"], "data/a.csv: expected rows of a label and"),
    }
)
def test_bad_input(given, message, capsys):
    assert main(["data", *given]) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"jaxal: error: {message}") and err.count("\n") == 1 and not out


def test_help_and_traceback(capsys):
    with pytest.raises(SystemExit) as ending:
        main(["data", "--help"])
    assert ending.value.code == 0 and "jaxal data sklearn:digits" in capsys.readouterr().out
    with pytest.raises(FileNotFoundError):
        main(["data", "csv:c.csv", "--traceback"])
