"""Answers to label projects: which are taken, which are refused, and how they are kept."""

import errno
import json
import os
import re
import shutil
import sys

import pytest
from labels import CLASSES, IDS, TRUTH, create, right, take, write_answers

from jaxal import files, labeling
from jaxal.files import claimed
from jaxal.labeling import _import
from jaxal.labeling.ledger import Ledger

pytestmark = pytest.mark.usefixtures("empty_folder")


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """A project in which three labels came with the pool, and ann has answered one row."""
    folder = create(tmp_path_factory.mktemp("answered"), known=3)
    take(folder, [(IDS[8], "cat")])
    return folder


@pytest.fixture
def folder(answered, tmp_path):
    return shutil.copytree(answered.parent, tmp_path / "copy") / "project"


def journal(folder):
    return (folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()


REFUSED = {  # answers by ann, where the refused ones are, and why
    "unknown id": ([("r99", "cat")], [2], "id 'r99' is unknown"),
    "unknown class": ([(IDS[0], "cats")], [2], "label 'cats' is unknown; did you mean 'cat'?"),
    "twice, otherwise": (
        *([(IDS[12], "dog"), (IDS[12], "cow"), (IDS[12], "dog")], [2, 3, 4]),
        f"ann says 2 things of id '{IDS[12]}', at line 2 and at line 3",
    ),
    "a label and a skip": ([(IDS[12], "dog"), (IDS[12], None)], [2, 3], "ann says 2 things"),
    "otherwise than before": (
        *([(IDS[8], "cow")], [2]),
        "ann said 'cat' of id .* before .answers.jsonl, line 1., and now 'cow'; revise",
    ),
    "a skip after a label": ([(IDS[8], None)], [2], "ann said 'cat' .* and now 'skip'"),
    "known": ([(IDS[2], "cat")], [2], f"has the label '{TRUTH[IDS[2]]}' from the pool"),
}


@pytest.mark.parametrize(("answers", "lines", "reason"), REFUSED.values(), ids=REFUSED)
def test_answers_are_refused_by_line_and_the_others_taken(folder, answers, lines, reason):
    done = take(folder, [(IDS[10], "dog"), *answers])
    assert [place.where for place in done.refused] == [f"line {line}" for line in lines]
    assert all(re.search(reason, place.reason) for place in done.refused), done.refused
    assert done.labels == 1 and done.status.labelled == 5
    assert json.loads(journal(folder)[-1])["refused"] == [list(place) for place in done.refused]


def test_what_was_said_is_revised_only_if_asked_and_all_is_stored(folder):
    done = take(folder, [(IDS[8], "cow")], revise=True)
    assert done.revised == 1 and done.refused == () and done.status.labels["cow"] >= 1
    first, second = journal(folder)
    assert '"cat"' in first and '"cow"' in second


def test_the_same_answers_count_once_and_are_noted_under_another_name(folder):
    answers = [(IDS[8], "cat"), (IDS[9], "dog"), (IDS[9], "dog"), (IDS[11], None)]
    done = take(folder, answers, "")
    assert (done.labels, done.skips, done.known, done.notes) == (2, 1, 1, ())
    before = journal(folder)
    again = take(folder, answers, "")
    assert (again.labels, again.skips, again.known, again.notes) == (0, 0, 4, ())
    assert journal(folder) == before
    path = folder.parent / "answers.jsonl"
    (note,) = labeling.import_answers(folder, path, format="jsonl", annotator="bob").notes
    assert "imported as answers of nobody named" in note and "count twice" in note
    assert labeling.status(folder).several == 2


def test_a_file_that_is_refused_is_written_down_once(folder):
    for _ in range(2):
        assert len(take(folder, [("r99", "cat")]).refused) == 1
        assert len(journal(folder)) == 2
    assert take(folder, [("r99", "cat"), (IDS[9], "dog")]).labels == 1


def test_answers_to_rows_that_were_not_asked_for_are_counted_one_by_one(folder):
    path = write_answers(folder.parent / "a.jsonl", [(IDS[9], "cat")], "ann")
    other = write_answers(folder.parent / "b.jsonl", [(IDS[9], "cat"), (IDS[10], None)], "bob")
    path.write_text(path.read_text() + other.read_text())
    assert labeling.import_answers(folder, path, format="jsonl").unasked == 3


def test_an_annotator_is_the_same_with_blanks_around_the_name(folder):
    path = write_answers(folder.parent / "a.jsonl", [(IDS[9], "cat")], "")
    done = [
        labeling.import_answers(folder, path, format="jsonl", annotator=who)
        for who in ("eve", " eve ")
    ]
    assert [one.known for one in done] == [0, 1] and done[1].status.several == 0
    with pytest.raises(ValueError, match="annotator: expected text that can be printed, got"):
        labeling.import_answers(folder, path, format="jsonl", annotator="e\udcff")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are text")
def test_a_file_whose_name_is_no_text(folder):
    path = write_answers(folder.parent / os.fsdecode(b"a\xff.jsonl"), [(IDS[9], "cat")])
    assert labeling.import_answers(folder, path, format="jsonl").labels == 1
    assert labeling.import_answers(folder, path, format="jsonl").known == 1


def test_a_skipped_row_may_be_labelled_by_another_and_by_the_same_who_revises(folder):
    assert take(folder, [(IDS[9], None)]).status.skipped == (IDS[9],)
    (place,) = take(folder, [(IDS[9], "dog")]).refused
    assert "said 'skip'" in place.reason
    assert take(folder, [(IDS[9], "dog")], "bob").status.labelled == 5
    assert take(folder, [(IDS[9], "dog")], revise=True).status.agreed == 1


VOTES = {
    "one": (["cat"], "cat", "cat"),
    "agreed": (["cat", "cat"], "cat", "cat"),
    "two to one": (["cat", "dog", "cat"], "cat", None),
    "level": (["cat", "dog"], None, None),
    "level, two each": (["cat", "dog", "dog", "cat"], None, None),
    "a skip is no vote": (["cat", None], "cat", "cat"),
    "skips": ([None, None], None, None),
}


def event(answers):
    return {"event": "answers", "file": "f", "sha256": "0", "annotator": "", "answers": answers}


@pytest.mark.parametrize(("votes", "majority", "unanimous"), VOTES.values(), ids=VOTES)
def test_votes(votes, majority, unanimous):
    events = [event([["line 1", "a", vote, f"person {k}"]]) for k, vote in enumerate(votes)]
    for agreement, label in {"majority": majority, "unanimous": unanimous}.items():
        verdict = Ledger(["a"], {}, CLASSES, agreement, events).verdict("a")
        assert verdict is not None and verdict.label == label
        expected = "labelled" if label else "skipped" if votes == [None, None] else "disputed"
        assert verdict.kind == expected


@pytest.mark.parametrize("cut", [1, 2, 9, -1], ids="the end,a byte,9 bytes,all but one".split(","))
def test_a_journal_that_was_cut_off_while_it_was_written(folder, cut):
    path = folder / "journal.jsonl"
    take(folder, [(IDS[9], "dog")])
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    path.write_bytes(whole[: first + 1] if cut == -1 else whole[:-cut])
    if cut == 1:  # what it says is all there: only the end of the line is missing
        assert labeling.status(folder).labelled == 5
        assert take(folder, [(IDS[9], "dog")]).known == 1
    else:
        with pytest.warns(UserWarning, match="journal.jsonl: the last line was cut off while"):
            assert labeling.status(folder).labelled == 4
        with pytest.warns(UserWarning, match="cut off"):
            assert take(folder, [(IDS[9], "dog")]).labels == 1
    assert take(folder, [(IDS[10], "dog")]).status.labelled == 6
    assert len(journal(folder)) == 3


DAMAGED = {
    "no JSON": ("x", "journal.jsonl, line 1: Expecting value"),
    "no event": ("{}", "journal.jsonl, line 1: expected an object with event"),
    "a later version's": ('{"event": "poll"}', "journal.jsonl, line 1: event 'poll' is unknown"),
    "no answers": ('{"event": "answers"}', "journal.jsonl, line 1: no key 'answers'"),
    "an unknown row": (
        json.dumps(event([["l", "r99", "cat", ""]])),
        "line 1: .* known ids, got one to 'r99'",
    ),
}


@pytest.mark.parametrize(("line", "message"), DAMAGED.values(), ids=DAMAGED)
def test_a_journal_that_is_damaged_elsewhere_is_an_error(folder, line, message):
    path = folder / "journal.jsonl"
    path.write_text(f"{line}\n{path.read_text()}")
    with pytest.raises(ValueError, match=message):
        labeling.status(folder)


def test_a_full_disk_takes_nothing_and_leaves_the_journal_as_it_was(folder, monkeypatch):
    before = journal(folder)

    def full(file, text):
        file.write(text[: len(text) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(files, "_append", full)
        with pytest.raises(OSError) as raised:
            take(folder, [(IDS[9], "cat")])
    assert raised.value.filename == str(folder / "journal.jsonl")
    assert journal(folder) == before and take(folder, [(IDS[9], "cat")]).labels == 1


def test_answers_are_on_the_disk_before_anything_is_said(folder, monkeypatch):
    (folder / "journal.jsonl").unlink()
    sizes, fsync = {}, os.fsync

    def noted(descriptor):
        fsync(descriptor)
        sizes[os.fstat(descriptor).st_ino] = os.fstat(descriptor).st_size

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(_import, "status", lambda folder: dict(sizes))
    at_the_end = take(folder, right(IDS[9:12])).status
    written = (folder / "journal.jsonl").stat()
    assert at_the_end[written.st_ino] == written.st_size > 0
    assert folder.stat().st_ino in at_the_end  # and so is the journal's name


def test_two_processes_at_a_time_are_refused(folder):
    with claimed(folder):
        for call in (lambda: take(folder, []), lambda: labeling.next_batch(folder)):
            with pytest.raises(BlockingIOError, match="another run is writing to this folder"):
                call()


def test_an_export_has_every_row_and_replaces_nothing_else(folder):
    take(folder, [*right(IDS[9:12]), (IDS[12], None)])
    take(folder, [(IDS[8], "dog")], "bob")
    path = folder.parent / "labels.csv"
    for _ in range(2):
        assert labeling.export_labels(folder, path) == 6
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + len(IDS) and lines[0] == "id,label,kind,given,answers"
    assert lines[1] == f"{IDS[0]},{TRUTH[IDS[0]]},labelled,yes,"
    assert lines[9] == f"{IDS[8]},,disputed,,ann: cat; bob: dog"
    assert lines[13] == f"{IDS[12]},,skipped,,ann: skipped" and lines[14] == f"{IDS[13]},,,,"
    pool = folder.parent / "pool.csv"
    with pytest.raises(FileExistsError, match="pool.csv: there already, and no export of labels"):
        labeling.export_labels(folder, pool)


def test_a_new_project_does_not_begin_with_the_answers_to_another(folder):
    (folder / "config.toml").unlink()
    with pytest.raises(ValueError, match="project: holds a project or a run already"):
        labeling.create(folder.parent / "label.toml", folder)


def test_nothing_is_made_where_there_is_no_project(tmp_path):
    path = write_answers(tmp_path / "a.jsonl", [(IDS[0], "cat")])
    with pytest.raises(ValueError, match="nowhere: no label project here"):
        labeling.import_answers("nowhere", path, format="jsonl")
    assert not (tmp_path / "nowhere").exists()
