"""Label projects from Python: the loop, what is kept, and what is refused."""

import json
import re
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from labels import (
    CLASSES,
    CONFIG,
    IDS,
    ROWS,
    TRUTH,
    row_numbers,
    write_answers,
    write_data,
    wrong,
)

import jaxal
from jaxal import labeling
from jaxal.files import claimed
from jaxal.labeling.ledger import Ledger
from jaxal.labeling.parts import build, data_folder
from jaxal.labeling.settings import load

SKIPS, DISPUTES = {1, 9}, {2, 6}  # places among all that is asked, in order


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JAXAL_DATA", raising=False)


def create(tmp_path, config=CONFIG, known=0):
    folder = tmp_path / "work" / "project"
    labeling.create(write_data(tmp_path / "work", config, known), folder)
    return folder


def take(folder, answers, annotator="ann", **options):
    path = write_answers(folder.parent / "answers.jsonl", answers, annotator)
    return labeling.import_answers(folder, path, format="jsonl", **options)


def judged(place, name):
    """What comes of a row: a skip, two people who disagree, or the label."""
    return None if place in SKIPS | DISPUTES else TRUTH[name]


def unbroken(folder, config, rounds):
    """The same loop by `ask` and `tell` in one process; the rows of each batch."""
    settings = load(config)
    parts = build(settings, data_folder(settings, folder, None))
    pool = jaxal.place(parts.inputs, None)
    plan = settings.config.strategy
    room = plan.initial + plan.rounds * plan.budget
    key = jax.random.key(settings.config.seed)
    state = jaxal.init(key, parts.learner, pool, initial=0, capacity=room, skips=room)
    available = jnp.ones(ROWS, bool)
    rows = jaxal.selection.k_center(jnp.asarray(parts.inputs), available, plan.initial).rows
    batches, place = [], 0
    for number in range(rounds):
        if number:
            state, asked = jaxal.ask(
                state, parts.learner, parts.strategy, pool, plan.budget, validation=parts.held_out
            )
            rows = asked.rows
        batches.append(np.asarray(rows).tolist())
        labels = []
        for row in batches[-1]:
            label = judged(place, IDS[row])
            labels.append(-1 if label is None else CLASSES.index(label))
            place += 1
        state = jaxal.tell(state, rows, labels)
    return batches


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_a_loop_over_many_sittings_is_one_loop(tmp_path, warm):
    config = CONFIG.replace("[learner]", f"[learner]\nwarm_start = {str(warm).lower()}")
    folder = create(tmp_path, config)
    expected = unbroken(folder, folder.parent / "label.toml", 4)
    place = 0
    for number in range(1, 5):
        batch = labeling.next_batch(folder)
        assert batch.number == number and not batch.again and batch.notes == ()
        assert row_numbers(batch.ids).tolist() == expected[number - 1]
        said = [(place + k, name) for k, name in enumerate(batch.ids)]
        place += len(said)
        # In several files and another order than they were asked for, one answer at a time wrong.
        disputed = [(name, wrong(name)) for k, name in said if k in DISPUTES]
        answers = [(name, None if k in SKIPS else TRUTH[name]) for k, name in reversed(said)]
        take(folder, answers[:1])
        take(folder, disputed, "bob")
        done = take(folder, answers)
        assert done.known == 1 and done.refused == ()
        # Another machine: the folder is moved, and lies somewhere else.
        there = tmp_path / f"machine {number}"
        shutil.move(folder.parent, there)
        folder = there / "project"
    status = labeling.status(folder)
    assert len(status.skipped) == 2 and len(status.disputed) == 2 and status.open == ()
    assert status.labelled == 12 and status.several == 2 and status.agreed == 0
    assert status.annotators == {"ann": (14, 2), "bob": (2, 0)}
    assert [batch.labels for batch in status.batches] == [0, 2, 5, 8]


def test_without_the_model_a_warm_start_says_that_it_is_none(tmp_path):
    folder = create(tmp_path, CONFIG.replace("[learner]", "[learner]\nwarm_start = true"), known=6)
    batch = labeling.next_batch(folder)
    assert batch.labels == 6 and batch.rule == "margin" and batch.notes == ()
    take(folder, [(name, TRUTH[name]) for name in batch.ids])
    shutil.rmtree(folder / "checkpoints")
    (note,) = labeling.next_batch(folder).notes
    assert note.startswith("the model of batch 1 was not saved")


def test_an_open_batch_is_asked_again_as_it_was_and_no_file_is_replaced(tmp_path):
    folder = create(tmp_path)
    batch = labeling.next_batch(folder)
    assert batch.path is not None
    batch.path.write_text("answers that nobody has imported yet")
    take(folder, [(batch.ids[1], TRUTH[batch.ids[1]])])
    again = labeling.next_batch(folder)
    assert again.again and again.number == 1
    assert again.ids == (batch.ids[0], *batch.ids[2:])
    assert again.path == folder / "tasks" / "batch-001-2.csv"
    assert batch.path.read_text() == "answers that nobody has imported yet"
    with pytest.raises(FileExistsError, match="there may be answers in it"):
        labeling.next_batch(folder, out=batch.path)
    new = labeling.next_batch(folder, leave_open=True, budget=2)
    assert new.number == 2 and new.labels == 1 and len(new.ids) == 2
    assert batch.ids[1] not in new.ids


def test_a_process_that_dies_before_the_task_file_has_asked_all_the_same(tmp_path, monkeypatch):
    folder = create(tmp_path)
    monkeypatch.setattr("jaxal.labeling._next._written", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        labeling.next_batch(folder)
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    asked = labeling.status(folder).open
    batch = labeling.next_batch(folder)
    assert batch.again and batch.ids == asked and batch.number == 1


def test_a_torn_line_is_dropped_with_a_note_and_another_is_an_error(tmp_path):
    folder = create(tmp_path)
    ids = labeling.next_batch(folder).ids
    journal = folder / "journal.jsonl"
    with journal.open("ab") as file:
        file.write(b'{"event": "answers", "answ')
    assert labeling.status(folder).open == ids
    with pytest.warns(UserWarning, match="a last line that was torn is dropped"):
        take(folder, [(ids[0], "cat")])
    assert labeling.status(folder).labels["cat"] == 1
    journal.write_text("x\n" + journal.read_text())
    with pytest.raises(ValueError, match="journal.jsonl, line 1: not an event"):
        labeling.status(folder)


def test_a_full_disk_takes_nothing_and_leaves_the_journal_as_it_was(tmp_path, monkeypatch):
    folder = create(tmp_path)
    ids = labeling.next_batch(folder).ids
    before = (folder / "journal.jsonl").read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jaxal.labeling.journal.os.fsync", full)
    with pytest.raises(OSError) as raised:
        take(folder, [(ids[0], "cat")])
    assert raised.value.filename == str(folder / "journal.jsonl")
    assert (folder / "journal.jsonl").read_bytes() == before


REFUSED = {
    "unknown id": ([("r99", "cat")], "id 'r99' is unknown"),
    "unknown class": ([(IDS[0], "cats")], "label 'cats' is unknown; did you mean 'cat'?"),
    "twice": ([(IDS[12], "dog"), (IDS[12], "dog")], "ann answered id .* at line 2 already"),
    "otherwise than before": (
        [(IDS[8], "cow")],
        "ann said 'cat' of id .* before .answers.jsonl, line 1., and now 'cow'; revise",
    ),
    "a skip after a label": ([(IDS[8], None)], "ann said 'cat' .* and now 'skip'"),
    "known": ([(IDS[2], "cat")], f"has the label '{TRUTH[IDS[2]]}' from the pool"),
}


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("answered") / "work" / "project"
    labeling.create(write_data_in(folder.parent), folder)
    take(folder, [(IDS[8], "cat")])
    return folder


def write_data_in(folder):
    folder.mkdir()
    return write_data(folder, CONFIG, known=3)


@pytest.mark.parametrize(("answers", "reason"), REFUSED.values(), ids=REFUSED)
def test_answers_are_refused_by_line_and_the_others_taken(answered, tmp_path, answers, reason):
    folder = shutil.copytree(answered.parent, tmp_path / "copy") / "project"
    done = take(folder, [(IDS[10], "dog"), *answers])
    (place,) = done.refused
    assert place.where == f"line {len(answers) + 1}"
    assert re.search(reason, place.reason), place.reason
    assert done.labels == len(answers) and done.status.labelled == 4 + len(answers)
    event = json.loads((folder / "journal.jsonl").read_text().splitlines()[-1])
    assert event["refused"] == [list(place)]


def test_what_was_said_is_revised_only_if_asked_and_all_is_stored(answered, tmp_path):
    folder = shutil.copytree(answered.parent, tmp_path / "copy") / "project"
    done = take(folder, [(IDS[8], "cow")], revise=True)
    assert done.revised == 1 and done.refused == () and done.status.labels["cow"] >= 1
    lines = (folder / "journal.jsonl").read_text().splitlines()
    assert '"cat"' in lines[0] and '"cow"' in lines[1]
    again = take(folder, [(IDS[8], "cow")])
    assert again.known == 1 and again.labels == 0
    assert len((folder / "journal.jsonl").read_text().splitlines()) == 2


VOTES = {
    "one": (["cat"], "cat", "cat"),
    "agreed": (["cat", "cat"], "cat", "cat"),
    "two to one": (["cat", "dog", "cat"], "cat", None),
    "level": (["cat", "dog"], None, None),
    "level, two each": (["cat", "dog", "dog", "cat"], None, None),
    "a skip is no vote": (["cat", None], "cat", "cat"),
    "skips": ([None, None], None, None),
}


@pytest.mark.parametrize(("votes", "majority", "unanimous"), VOTES.values(), ids=VOTES)
def test_votes(votes, majority, unanimous):
    answers = [["line 1", "a", vote, f"person {k}"] for k, vote in enumerate(votes)]
    events = [{"event": "answers", "file": "f", "answers": [one]} for one in answers]
    for agreement, label in {"majority": majority, "unanimous": unanimous}.items():
        ledger = Ledger(["a"], {}, CLASSES, agreement, events)
        verdict = ledger.verdict("a")
        assert verdict is not None and verdict.label == label
        expected = "labelled" if label else "skipped" if votes == [None, None] else "disputed"
        assert verdict.kind == expected


FIRST = {
    "k_center": ("", "k_center of the inputs"),
    "herding": ('first = "herding"', "herding of the inputs"),
    "k_means": ('first = "k_means"', "k_means of the inputs"),
    "random": ('first = "random"', "random"),
    "features": ('features = "features.npz"', "k_center of label.features"),
}


@pytest.mark.parametrize(
    ("setting", "rule"),
    [
        pytest.param(*case, id=name, marks=[pytest.mark.slow] * (name in ("herding", "k_means")))
        for name, case in FIRST.items()
    ],
)
def test_the_first_batch_needs_no_model_and_says_so(tmp_path, setting, rule):
    (tmp_path / "work").mkdir()
    order = np.random.default_rng(0).permutation(ROWS)
    inputs = np.arange(ROWS, dtype=np.float32)[:, None]
    np.savez(tmp_path / "work" / "features.npz", ids=np.array(IDS)[order], inputs=inputs[order])
    folder = create(tmp_path, f"{CONFIG}{setting}\n")
    batch = labeling.next_batch(folder)
    assert batch.rule == f"{rule}, without a model" and batch.labels == 0
    assert len(set(batch.ids)) == 4 and batch.accuracy is None
    if setting.startswith("features"):
        assert row_numbers(batch.ids[:2]).tolist() == [0, ROWS - 1]
    # All of them skipped: the next are picked without a model, too, and are others.
    take(folder, [(name, None) for name in batch.ids])
    other = labeling.next_batch(folder)
    assert other.number == 2 and not {*other.ids} & {*batch.ids} and other.labels == 0


STOPS = {
    "labels": ("labels = 6", "6 rows have labels (label.stop.labels = 6)"),
    "accuracy": ("accuracy = 0.01", "the accuracy on held-out rows is "),
    "tolerance": ("tolerance = 1.0", "the highest score among the picks is -"),
}


@pytest.mark.parametrize(("rule", "reason"), STOPS.values(), ids=STOPS)
def test_a_rule_ends_the_loop_and_asks_nothing(tmp_path, rule, reason):
    folder = create(tmp_path, f"{CONFIG}[label.stop]\n{rule}\n", known=6)
    batch = labeling.next_batch(folder)
    assert batch.stopped is not None and batch.stopped.startswith(reason)
    assert batch.ids == () and batch.path is None and not (folder / "tasks").exists()
    assert labeling.status(folder).stopped == batch.stopped
    more = labeling.next_batch(folder, anyway=True)
    assert more.number == 1 and len(more.ids) == 4 and more.stopped is None
    assert labeling.status(folder).stopped is None


def test_it_ends_when_every_row_has_an_answer(tmp_path):
    folder = create(tmp_path, known=6)
    take(folder, [(name, TRUTH[name]) for name in IDS[6:-1]])
    batch = labeling.next_batch(folder)
    assert batch.ids == (IDS[-1],)
    take(folder, [(IDS[-1], None)])
    assert labeling.next_batch(folder).stopped == "every row has an answer"
    count = labeling.export_labels(folder, tmp_path / "labels.csv")
    lines = (tmp_path / "labels.csv").read_text(encoding="utf-8").splitlines()
    assert count == ROWS - 1 and len(lines) == ROWS + 1
    assert lines[1] == f"{IDS[0]},{TRUTH[IDS[0]]},labelled,yes,"
    assert lines[-1] == f"{IDS[-1]},,skipped,,ann: skipped"


def test_other_data_are_refused_and_other_settings_are_noted(tmp_path):
    folder = create(tmp_path, known=6)
    labeling.next_batch(folder)
    config = folder / "config.toml"
    config.write_text(config.read_text().replace("max_epochs = 3", "max_epochs = 2"))
    assert labeling.next_batch(folder, leave_open=True).notes == (
        "the settings are not those of batch 1",
    )
    config.write_text(config.read_text().replace('jax = "', 'jax = "0.0.'))
    notes = labeling.next_batch(folder, leave_open=True).notes
    assert notes[0].startswith("jax was 0.0.") and "unbroken loop" in notes[0]
    pool = folder.parent / "pool.csv"
    lines = pool.read_text(encoding="utf-8").splitlines()
    pool.write_text("\n".join([lines[0], *reversed(lines[1:])]), encoding="utf-8")
    with pytest.raises(ValueError, match="pool.csv: the rows, or what is computed on, are not"):
        labeling.next_batch(folder, leave_open=True)
    config.write_text(config.read_text().replace('    "cow",\n', ""))
    with pytest.raises(ValueError, match="label.classes: expected 'cow' among them"):
        labeling.status(folder)


def test_a_learner_and_a_strategy_of_ones_own(tmp_path):
    folder = create(tmp_path, known=6)
    learner = jaxal.Learner(jaxal.models.logistic(3), optax.sgd(0.1), max_epochs=2)
    strategy = jaxal.strategies.entropy()
    batch = labeling.next_batch(folder, learner=learner, strategy=strategy)
    assert len(batch.ids) == 4 and batch.rule == "entropy"
    other = jaxal.Learner(jaxal.models.logistic(4), optax.sgd(0.1))
    with pytest.raises(ValueError, match="learner: expected a model of 3 classes.*got 4"):
        labeling.next_batch(folder, learner=other, leave_open=True)


def test_two_processes_at_a_time_are_refused(tmp_path):
    folder = create(tmp_path)
    with claimed(folder), pytest.raises(BlockingIOError):
        take(folder, [])
