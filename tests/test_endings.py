"""How a run ends from outside, what it says then, and the report of what is there."""

import contextlib
import errno
import os
import signal
import time

import pytest
from test_cli import CONFIG, fail, record

from jaxal import experiment
from jaxal.cli import main
from jaxal.experiment import Writer
from jaxal.files import claimed


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tiny.toml"
    path.write_text(CONFIG)
    return str(path)


def test_report_makes_table_and_picture_of_half_a_run(config, tmp_path, capsys):
    folder = tmp_path / "runs" / "tiny"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(CONFIG)
    with Writer(folder / "history.jsonl") as writer:
        writer.write(*(record(name, 0, r) for name in ("random", "badge") for r in (0, 1)))
    history = folder / "history.jsonl"
    history.write_bytes(history.read_bytes()[:-20])  # torn
    assert main(["report", "runs/tiny"]) == 0
    out, err = capsys.readouterr()
    assert "runs/tiny/curves.png" in out and (folder / "curves.png").stat().st_size
    assert "note: the run is not finished: 3 of its 64 rounds" in err
    assert len((folder / "summary.csv").read_text().splitlines()) == 1 + 3
    (folder / "config.toml").unlink()
    assert main(["report", "runs/tiny", "--quiet"]) == 0
    assert "runs/tiny has no config.toml that can be read" in capsys.readouterr().err
    history.write_text("")
    assert main(["report", "runs/tiny"]) == 2
    assert capsys.readouterr().err == "jaxal: error: runs/tiny/history.jsonl: no finished round\n"


ENDINGS = {
    "interrupt": (KeyboardInterrupt(), 130, "jaxal: interrupted"),
    "full disk": (
        OSError(errno.ENOSPC, "No space left on device", "runs/tiny/history.jsonl"),
        2,
        "jaxal: error: runs/tiny/history.jsonl: No space left on device",
    ),
    "no memory": (MemoryError("8 GiB"), 2, "jaxal: error: out of memory: 8 GiB"),
}


@pytest.mark.parametrize(("error", "status", "message"), ENDINGS.values(), ids=ENDINGS)
def test_what_stops_a_run_says_how_to_go_on(error, status, message, config, monkeypatch, capsys):
    monkeypatch.setattr(experiment, "run", fail(error))
    assert (
        main(["run", config, "--set", "name=a-b", "--seeds", "3", "--out", "runs/tiny"]) == status
    )
    assert capsys.readouterr().err.splitlines() == [
        "jaxal: the finished rounds are in runs/tiny/history.jsonl",
        f"jaxal: to go on: jaxal run {config} --set name=a-b --seeds 3 --out runs/tiny --resume",
        message,
    ]


def test_termination_ends_a_run_as_an_interrupt(config, monkeypatch):
    def terminated(config, out, listener, *, resume):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(experiment, "run", terminated)
    assert main(["run", config]) == 130
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_that_python_drops_ends_the_run_after_the_round(config, monkeypatch, number):
    def run(config, out, listener, *, resume):
        listener.begin("random")
        listener.advance("random", 0, 0.5)
        with contextlib.suppress(KeyboardInterrupt):  # as in a callback
            os.kill(os.getpid(), number)
            time.sleep(10)
        listener.advance("random", 1, 0.5)

    monkeypatch.setattr(experiment, "run", run)
    assert main(["run", config]) == 130


def test_resume_stays_in_its_folder(config, monkeypatch, capsys):
    asked = []

    def run(config, out, listener, *, resume):
        asked.append((str(out), resume))
        raise ValueError("runs/tiny: cannot go on")

    monkeypatch.setattr(experiment, "run", fail(KeyboardInterrupt()))
    main(["run", config])
    monkeypatch.setattr(experiment, "run", run)
    assert main(["run", config, "--resume"]) == 2
    assert asked == [("runs/tiny", True)]


def test_a_folder_that_another_run_writes_to_is_refused(config, capsys, tmp_path):
    with claimed(tmp_path / "held"):
        assert main(["run", config, "--out", "held"]) == 2
    assert capsys.readouterr().err == (
        "jaxal: error: held: another run is writing to this folder\n"
    )
