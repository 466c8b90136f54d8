"""Files that appear whole, and folders that one process at a time writes to."""

import os
import subprocess
import sys

import pytest

from jaxal.files import LOCK, claimed, written_whole


def test_a_file_is_the_old_one_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "table.csv"
    for text in ("old", "new"):
        with written_whole(path) as part:
            part.write_text(text)
            assert part.suffix == ".csv" and part.parent == tmp_path
            assert not path.exists() or path.read_text() == "old"
        assert path.read_text() == text
    with pytest.raises(ZeroDivisionError), written_whole(path) as part:
        part.write_text("half of it")
        raise ZeroDivisionError
    assert path.read_text() == "new" and [*tmp_path.iterdir()] == [path]


def test_a_folder_is_claimed_once(tmp_path):
    folder = tmp_path / "runs" / "digits"
    with claimed(folder):
        with pytest.raises(BlockingIOError, match="digits: another run is writing"):
            with claimed(folder):
                pass
        (folder / "history.jsonl").touch()
    with claimed(folder):
        assert (folder / LOCK).exists()
    assert [path.name for path in folder.iterdir()] == ["history.jsonl"]


def test_a_folder_in_which_nothing_was_written_goes_away(tmp_path):
    with pytest.raises(ValueError), claimed(tmp_path / "a" / "b"):
        raise ValueError
    assert not [*tmp_path.iterdir()]
    (tmp_path / "c").mkdir()
    with claimed(tmp_path / "c"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_killed_process_leaves_no_lock(tmp_path):
    program = """
import pathlib, sys, time
from jaxal.files import claimed
with claimed(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""
    words = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with pytest.raises(BlockingIOError), claimed(tmp_path):
            pass
        other.kill()
    with claimed(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(PermissionError, match=str(tmp_path)), claimed(tmp_path):
        pass
    assert not [*tmp_path.iterdir()]
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"), claimed(tmp_path / "file" / "folder"):
        pass
