"""The commands `jaxal label ...`: what the terminal says at each step."""

import csv
import os
import shutil

import pytest
from labels import CONFIG, IDS, TRUTH, create, write_answers, write_data, wrong

from jaxal import labeling
from jaxal.cli import main
from jaxal.interop import FORMATS
from jaxal.labeling import picking

pytestmark = pytest.mark.usefixtures("empty_folder")


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setattr("jaxal._cache.set_up_cache", lambda on: None)


def say(capsys, *words):
    """The exit status, and the lines of stdout and stderr."""
    status = main(["label", *map(str, words)])
    out, err = capsys.readouterr()
    return status, out.splitlines(), err.splitlines()


def fill(path, answers, **more):
    """Fills in a task file as a person would in a spreadsheet; returns its ids."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        label = answers(row["id"])
        row |= {"label": label or "", "skipped": "" if label else "x"} | more
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return [row["id"] for row in rows]


@pytest.mark.slow
def test_by_hand_through_csv(tmp_path, capsys):
    write_data(tmp_path / "work", f"{CONFIG}[label.stop]\nlabels = 7\n")
    folder = "work/p"
    assert say(capsys, "init", "work/label.toml", folder) == (
        *(0, ["work/p: 30 rows, 3 classes, 0 labelled already", "next: jaxal label next work/p"]),
        [],
    )
    status, out, _ = say(capsys, "next", folder)
    assert (status, out) == (
        0,
        [
            "batch 1: 4 rows by k_center of the inputs, without a model (no labels yet)",
            "tasks: work/p/tasks/batch-001.csv",
            "classes: cat, dog, cow",
            "to do: write a class into the column label, or x into skipped",
            "next: jaxal label import work/p work/p/tasks/batch-001.csv --annotator NAME",
        ],
    )
    tasks = tmp_path / folder / "tasks"
    first = tasks / "batch-001.csv"
    ids = fill(first, lambda name: None if name == IDS[0] else TRUTH[name], annotator="ann")
    assert ids[0] == IDS[0]
    assert say(capsys, "import", folder, first) == (
        0,
        [
            "taken: 3 labels, 1 skip",
            "so far: 3 of 30 rows labelled, 1 skipped, 0 disputed, 0 open",
            "next: jaxal label next work/p",
        ],
        [],
    )
    mistakes = [(ids[1], wrong(ids[1])), ("nobody", "cat"), (ids[2], "Cat")]
    path = write_answers(tmp_path / "bob.jsonl", mistakes, "")
    given = ["import", folder, "bob.jsonl", "--format", "jsonl", "--annotator", "bob"]
    assert path.exists() and say(capsys, *given) == (
        2,
        [
            "taken: 1 label, 0 skips, 2 refused",
            "so far: 2 of 30 rows labelled, 1 skipped, 1 disputed, 0 open",
            f"disputed: annotators disagree, another answer decides: {ids[1]}",
            "to do: mend what was refused, and import the file again: what was taken stays",
            "next: jaxal label next work/p",
        ],
        [
            "bob.jsonl, line 2: id 'nobody' is unknown",
            "bob.jsonl, line 3: label 'Cat' is unknown; did you mean 'cat'? "
            "valid names: cat, cow, dog",
        ],
    )
    write_answers(path, [(ids[1], TRUTH[ids[1]])], "eve")
    status, out, _ = say(capsys, "import", folder, path, "--format", "jsonl")
    assert status == 0 and out[0] == "taken: 1 label, 0 skips" and "3 of 30" in out[1]
    status, out, _ = say(capsys, "next", folder)
    assert out[0].startswith("batch 2: 4 rows by margin (fitted to 3 labels, accuracy ")
    assert out[0].endswith(" on the held-out rows)")
    status, out, _ = say(capsys, "next", folder, "--format", "label_studio")
    assert out == [
        "batch 2: 4 rows without an answer, asked for again (--leave-open goes on without them)",
        "tasks: work/p/tasks/batch-002.json",
        "classes: cat, dog, cow",
        "setup: work/p/tasks/label_studio.xml",
        "to do: import the tasks into a project with this labelling interface, and export it as "
        "JSON",
        "next: jaxal label import work/p ANSWERS --format label_studio",
    ]
    fill(tasks / "batch-002.csv", TRUTH.get, annotator="ann")
    say(capsys, "import", folder, tasks / "batch-002.csv")
    status, out, _ = say(capsys, "next", folder)
    assert status == 0 and out[0].startswith("fitted to 7 labels, accuracy ")
    assert out[1:] == [
        "nothing more is asked: 7 rows have labels (label.stop.labels = 7)",
        "to be asked all the same: jaxal label next work/p --anyway",
        "next: jaxal label export work/p labels.csv",
    ]
    status, out, _ = say(capsys, "status", folder)
    accuracy = out[1].rpartition(" ")[2]
    assert status == 0 and 0 <= float(accuracy) <= 1
    counts = ", ".join(f"{k} ({n})" for k, n in labeling.status(folder).labels.items())
    assert out == [
        "batch 1: 4 of 4 answered, by k_center of the inputs, without a model, after 0 labels",
        f"batch 2: 4 of 4 answered, by margin, after 3 labels, accuracy {accuracy}",
        "so far: 7 of 30 rows labelled, 1 skipped, 0 disputed, 0 open",
        f"classes: {counts}",
        "annotator ann: 7 labels, 1 skip",
        "annotator bob: 1 label, 0 skips",
        "annotator eve: 1 label, 0 skips",
        "several labels: 1 row, of which 0 agree",
        "stopped: 7 rows have labels (label.stop.labels = 7)",
    ]
    assert say(capsys, "export", folder, "labels.csv") == (
        *(0, ["labels.csv: 7 rows with a label"]),
        [],
    )


MISTAKES = {
    "no project": (["status", "nowhere"], "nowhere: no label project here; jaxal label init"),
    "twice": (["init", "work/label.toml", "p"], "p: holds a project or a run already"),
    "no config": (["init", "none.toml", "q"], "none.toml: No such file"),
    "seeds": (["init", "work/label.toml", "q", "--set", "seeds=3"], "seeds: unknown key"),
    "no file": (["import", "p", "none.csv"], "none.csv: No such file"),
    "format": (["next", "p", "--format", "xml"], "format: 'xml' is unknown; valid"),
    "another form": (["import", "p", "work/pool.csv", "--format", "argilla"], "expected a list of"),
    "not text": (["import", "p", "binary"], "binary: expected text encoded in UTF-8"),
    "budget": (["next", "p", "--budget", "0"], "budget: expected an integer >= 1, got 0"),
    "export": (["export", "p", "work/pool.csv"], "work/pool.csv: there already, and no export"),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mistakes")
    labeling.create(write_data(folder / "work"), folder / "p", data=folder / "work")
    (folder / "binary").write_bytes(b"\xff\xfe\x00")
    return folder


@pytest.mark.parametrize(("words", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(project, monkeypatch, words, message, capsys):
    monkeypatch.chdir(project)
    status, out, err = say(capsys, *words)
    assert status == 2 and not out
    assert err[-1].startswith("jaxal: error: ") and message in err[-1], err


@pytest.mark.slow
def test_data_that_are_not_there_and_where_to_say_so(tmp_path, capsys):
    folder = create(tmp_path, known=6)
    (tmp_path / "far").mkdir()
    moved = shutil.move(folder, tmp_path / "far" / "p")
    status, _, err = say(capsys, "next", moved)
    assert status == 2 and err[0].endswith("pool.csv; data (--data) names the folder they are in")
    status, out, err = say(capsys, "next", moved, "--data", tmp_path / "work", "--all-devices")
    assert status == 0 and out[0].startswith("batch 1: 4 rows by margin") and not err


def test_an_interrupted_fit_has_asked_nothing_and_the_next_asks_the_same(
    tmp_path, monkeypatch, capsys
):
    folder = create(tmp_path, known=6)
    twin = shutil.copytree(tmp_path / "work", tmp_path / "twin") / "project"

    def interrupted(*given, **more):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(picking, "ask", interrupted)
        assert say(capsys, "next", folder) == (130, [], ["jaxal: interrupted"])
    assert labeling.status(folder).batches == ()
    ids = labeling.next_batch(folder, data=tmp_path / "work").ids
    assert ids == labeling.next_batch(twin, data=tmp_path / "work").ids


def test_a_note_is_said_once_and_beside_the_result(tmp_path, capsys):
    folder = create(tmp_path)
    path = write_answers(tmp_path / "a.jsonl", [(IDS[0], "cat")], "")
    for name, notes in {"ann": 0, "bob": 1}.items():
        given = ["import", folder, path, "--format", "jsonl", "--annotator", name]
        status, out, err = say(capsys, *given)
        assert status == 0 and out[0].startswith("taken: 1 label") and len(err) == notes
    assert err[0].startswith("note: byte for byte the file that was imported as answers of ann")


@pytest.mark.parametrize("command", ["next", "import"])
def test_the_help_names_every_format(command, capsys):
    with pytest.raises(SystemExit):
        main(["label", command, "--help"])
    said = capsys.readouterr().out.replace(",", " ").split()
    assert {*FORMATS} <= {*said}


def test_a_reader_that_has_gone_is_no_mistake(project, monkeypatch, capsys):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone, monkeypatch.context() as patch:
        patch.setattr("sys.stdout", gone)
        assert main(["label", "status", str(project / "p")]) == 141
    assert capsys.readouterr() == ("", "")


def test_names_only_ever_show_themselves(tmp_path, capsys):
    folder = create(tmp_path)
    path = write_answers(tmp_path / "a.jsonl", [("\x1b]0;title\x07", "cat")])
    _, out, err = say(capsys, "import", folder, path, "--format", "jsonl")
    assert "\x1b" not in "".join(out + err) and "\\x1b" in err[0]
