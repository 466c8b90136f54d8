"""history.jsonl: what survives an interrupt, and what is said of a broken file."""

import errno
import json
import math
import os
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs

from jaxal import files
from jaxal.experiment import Record, Seconds, Writer, free_directory, read
from jaxal.experiment.journal import Journal

RECORD = Record(
    strategy="badge",
    seed=1,
    round=2,
    labels=60,
    rows=(5, 3),
    train_accuracy=1.0,
    train_loss=0.25,
    test_accuracy=0.5,
    test_loss=0.75,
    epochs=7,
    seconds=Seconds(fit=0.5, observe=0.25, select=0.125),
    compile_seconds=Seconds(fit=2.0),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "history.jsonl"


def replace(record, **changes):
    return Record(**{**vars(record), **changes})


def test_round_trip(path):
    last = replace(RECORD, round=3, rows=())
    with Writer(path) as writer:
        writer.write(RECORD)
        writer.write(last)
    assert read(path) == [RECORD, last]


def test_every_record_is_on_disk_before_the_next(path):
    with Writer(path) as writer:
        for count in range(1, 4):
            writer.write(RECORD)
            assert len(read(path)) == count


def test_arrays_and_scalars_of_numpy_and_jax(path):
    record = replace(
        RECORD,
        seed=np.int32(1),
        labels=jnp.int32(60),
        rows=jnp.array([5, 3], jnp.int32),
        train_loss=jnp.float32(0.25),
        test_accuracy=np.float32(0.5),
    )
    with Writer(path) as writer:
        writer.write(record)
    assert read(path) == [RECORD]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, jnp.nan, np.nan])
def test_not_finite_is_null(path, number):
    with Writer(path) as writer:
        writer.write(replace(RECORD, train_loss=number, seconds=Seconds(fit=number)))
    assert json.loads(path.read_text())["train_loss"] is None
    [record] = read(path)
    assert math.isnan(record.train_loss) and math.isnan(record.seconds.fit)
    assert record.test_loss == RECORD.test_loss


def test_torn_last_line_is_ignored_at_every_length(path):
    with Writer(path) as writer:
        writer.write(RECORD)
        writer.write(RECORD)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(first, len(whole) + 1):
        path.write_bytes(whole[:length])
        assert len(read(path)) == (2 if length >= len(whole) - 1 else 1)


def test_writing_goes_on_after_a_torn_line(path):
    with Writer(path) as writer:
        writer.write(RECORD)
    whole = path.read_bytes()
    for left, expected in [
        (whole, 2),
        (whole[:-1], 2),
        (whole + b'{"str', 2),
        (b"{", 1),
    ]:
        path.write_bytes(left)
        with Writer(path) as writer:
            writer.write(RECORD)
        assert read(path) == [RECORD] * expected


def test_empty_and_later_versions(path):
    path.write_text("")
    assert read(path) == []
    with Writer(path) as writer:
        writer.write(RECORD)
    table = json.loads(path.read_text())
    path.write_text(json.dumps({**table, "later": 1}) + "\n")
    assert read(path) == [RECORD]


@bad_inputs(
    {
        "not JSON": ("{", ValueError, "line 2: not a record: "),
        "torn, but not the last": ('{"strategy": "ba', ValueError, "line 2: not a record: "),
        "empty": ("", ValueError, "line 2: not a record: "),
        "not an object": ("[1]", ValueError, "line 2: not a record: expected an object"),
        "missing key": ({"labels": ...}, ValueError, "line 2: not a record: no key 'labels'"),
        "text for integer": ({"labels": "6"}, ValueError, "labels: expected int, got '6'"),
        "bool for integer": ({"round": True}, ValueError, "round: expected int, got True"),
        "null for integer": ({"seed": None}, ValueError, "seed: expected int, got None"),
        "null for time": ({"seconds": None}, ValueError, "seconds: expected Seconds, got None"),
        "unknown stage": ({"seconds": {"nap": 1}}, ValueError, "line 2: .*nap"),
        "text in rows": ({"rows": [1, "2"]}, ValueError, "rows: expected int, got '2'"),
        "text for number": ({"test_loss": "x"}, ValueError, "line 2: not a record: .*'x'"),
    }
)
def test_bad_line_is_named(path, given, error, message):
    with Writer(path) as writer:
        writer.write(RECORD)
    good = path.read_text()
    if isinstance(given, dict):
        table = json.loads(good) | given
        given = json.dumps({key: value for key, value in table.items() if value is not ...})
    path.write_text(f"{good}{given}\n{good}")
    with pytest.raises(error, match=message):
        read(path)


def test_free_directory(tmp_path):
    wanted = tmp_path / "digits"
    assert free_directory(wanted) == wanted
    wanted.mkdir()
    (wanted / "notes.txt").touch()
    assert free_directory(wanted) == wanted
    (wanted / "history.jsonl").touch()
    assert free_directory(wanted) == tmp_path / "digits-2"
    (tmp_path / "digits-2").mkdir()
    (tmp_path / "digits-2" / "curves.png").touch()
    assert free_directory(str(wanted)) == tmp_path / "digits-3"


def test_free_directory_of_the_working_directory(tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    (here / "config.toml").touch()
    monkeypatch.chdir(here)
    assert free_directory(".") == tmp_path / "here-2"


def full(file, text):
    """Writes half of a text, as the last bytes of a disk take it."""
    file.write(text[: len(text) // 2])
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_whole_records(path, monkeypatch):
    with Writer(path) as writer:
        writer.write(RECORD)
        with monkeypatch.context() as patch:
            patch.setattr(files, "_append", full)
            with pytest.raises(OSError, match="history.jsonl"):
                writer.write(RECORD, RECORD)
        assert path.read_bytes().count(b"\n") == 1 and path.read_bytes().endswith(b"\n")
        writer.write(replace(RECORD, round=3))
    assert [record.round for record in read(path)] == [2, 3]


def test_a_deleted_folder_is_written_anew(tmp_path):
    path = tmp_path / "run" / "history.jsonl"
    path.parent.mkdir()
    with Writer(path) as writer:
        writer.write(RECORD)
        shutil.rmtree(path.parent)
        with pytest.raises(OSError, match="history.jsonl: deleted during the run; written anew"):
            writer.write(replace(RECORD, round=3))
    assert [record.round for record in read(path)] == [2, 3]


def test_records_are_dropped_from_the_end(path):
    with Writer(path) as writer:
        writer.write(*(replace(RECORD, round=number) for number in range(4)))
        writer.keep(2)
        writer.write(replace(RECORD, round=9))
    assert [record.round for record in read(path)] == [0, 1, 9]


def of_round(number, **changes):
    return [replace(RECORD, round=number, seed=seed, **changes) for seed in (0, 1)]


@pytest.fixture
def journal(path):
    with Writer(path) as writer:
        writer.write(*of_round(0), *of_round(1), *of_round(2)[:1])
        yield Journal(writer, 2)


def test_a_round_done_again_is_not_written_twice(path, journal):
    before = path.read_bytes()
    assert journal.finished("badge") == 2 and journal.finished("random") == 0
    journal.add(of_round(1, seconds=Seconds(fit=9.0)))
    assert path.read_bytes() == before


def test_what_an_earlier_version_did_not_say_is_no_difference(path, journal):
    before = path.read_bytes()
    journal.add(of_round(1, class_accuracy=(0.5, 0.25), rare_found=3))
    assert path.read_bytes() == before


def test_what_a_scenario_adds_is_read_again_and_absent_where_nothing_is_known(path):
    added = dict(class_accuracy=(0.5, 1.0), rare_recall=0.5, rare_found=3, unique_picks=9)
    record = replace(RECORD, **added, ood_picks=0)
    with Writer(path) as writer:
        writer.write(RECORD, record)
    assert read(path) == [RECORD, record]
    first, second = map(json.loads, path.read_text().splitlines())
    assert set(second) - set(first) == {"rare_recall", "rare_found", "unique_picks", "ood_picks"}
    assert first["class_accuracy"] == []


def test_a_half_written_round_is_written_whole(path, journal):
    journal.add(of_round(2))
    assert read(path) == [*of_round(0), *of_round(1), *of_round(2)]
    assert journal.finished("badge") == 3 and journal.accuracies("badge", 2) == [0.5, 0.5]


def test_other_figures_replace_what_came_after(path, journal):
    with pytest.warns(UserWarning, match="badge, round 1: not the figures that"):
        journal.add(of_round(1, rows=(5, 4)))
    assert read(path) == [*of_round(0), *of_round(1, rows=(5, 4))]
    assert journal.finished("badge") == 2


def test_figures_that_are_not_finite_are_equal(path, journal):
    for loss in (math.inf, math.nan):
        journal.add(of_round(3, train_loss=loss))
    assert path.read_bytes().count(b"\n") == 7
