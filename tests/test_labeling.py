"""Label projects from Python: the loop over many sittings, what it refuses, and how it ends."""

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
    INPUTS,
    ROWS,
    TRUTH,
    create,
    right,
    row_numbers,
    take,
    write_data,
    wrong,
)

import jaxal
from jaxal import labeling
from jaxal.labeling import _next, watching
from jaxal.labeling.parts import build, data_folder
from jaxal.labeling.picking import ROOM
from jaxal.labeling.settings import load

pytestmark = pytest.mark.usefixtures("empty_folder")
SKIPS, DISPUTES = {1, 9}, {2, 6}  # places among all that is asked, in order
WARM = CONFIG.replace("[learner]", "[learner]\nwarm_start = true")


def judged(place, name):
    """What comes of a row: a skip, two people who disagree, or the label."""
    return None if place in SKIPS | DISPUTES else TRUTH[name]


def unbroken(folder, config, rounds):
    """The same loop by `ask` and `tell` in one process; the rows of each batch."""
    settings = load(config)
    parts = build(settings, data_folder(settings, folder, None))
    pool = jaxal.place(parts.inputs, None)
    key, budget = jax.random.key(settings.seed), settings.strategy.budget
    state = jaxal.init(key, parts.learner, pool, initial=0, capacity=ROOM)
    available = jnp.ones(ROWS, bool)
    rows = jaxal.selection.k_center(jnp.asarray(parts.inputs), available, budget).rows
    batches, place = [], 0
    for number in range(rounds):
        if number:
            state, asked = jaxal.ask(
                state, parts.learner, parts.strategy, pool, budget, validation=parts.held_out
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


@pytest.mark.slow
@pytest.mark.parametrize("config", [CONFIG, WARM], ids=["cold", "warm"])
def test_a_loop_over_many_sittings_is_one_loop(tmp_path, config):
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
    folder = create(tmp_path, WARM, known=6)
    batch = labeling.next_batch(folder)
    assert batch.labels == 6 and batch.rule == "margin" and batch.notes == ()
    take(folder, right(batch.ids))
    shutil.rmtree(folder / "checkpoints")
    (note,) = labeling.next_batch(folder).notes
    assert note.startswith("the model of batch 1 was not saved")


def test_an_open_batch_is_asked_again_as_it_was_and_no_file_is_replaced(tmp_path):
    folder = create(tmp_path)
    batch = labeling.next_batch(folder)
    assert batch.path is not None
    batch.path.write_text("answers that nobody has imported yet")
    take(folder, right(batch.ids[1:2]))
    again = labeling.next_batch(folder, budget=2)
    assert again.again and again.number == 1
    assert again.notes == ("budget: not looked at, as a batch is open",)
    assert again.ids == (batch.ids[0], *batch.ids[2:])
    assert again.path == folder / "tasks" / "batch-001-2.csv"
    assert batch.path.read_text() == "answers that nobody has imported yet"
    with pytest.raises(FileExistsError, match="there may be answers in it"):
        labeling.next_batch(folder, out=batch.path)
    # Answers to the first file count though the rows were asked for again.
    assert take(folder, right(batch.ids[:2])).labels == 1
    new = labeling.next_batch(folder, leave_open=True, budget=2)
    assert new.number == 2 and new.labels == 2 and len(new.ids) == 2
    assert not {*batch.ids[:2]} & {*new.ids}


def test_a_set_up_that_people_have_changed_is_not_replaced(tmp_path):
    folder = create(tmp_path)
    setups = []
    for edit in ("", "# my key", ""):
        setup = labeling.next_batch(folder, format="argilla").template
        assert setup is not None
        setups.append(setup.name)
        if edit:
            (folder / "tasks" / "argilla.py").write_text(edit)
    assert setups == ["argilla.py", "argilla.py", "argilla-2.py"]
    assert (folder / "tasks" / "argilla.py").read_text() == "# my key"


def test_a_process_that_dies_before_the_task_file_has_asked_all_the_same(tmp_path, monkeypatch):
    folder = create(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(_next, "write_tasks", lambda *given: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            labeling.next_batch(folder)
    asked = labeling.status(folder).open
    batch = labeling.next_batch(folder)
    assert batch.again and batch.ids == asked and batch.number == 1


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
    assert len({*batch.ids}) == 4 and batch.accuracy is None
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


WATCHED = {  # rule, its options, the fit after which it holds
    "kappa": ("kappa = {window = 1, threshold = -1.0}", 2),
    "classification_change": ("classification_change = {threshold = 1.0}", 2),
    "overall_uncertainty": ("overall_uncertainty = {threshold = 2.0}", 1),
    "error_stability": ("error_stability = {threshold = 1e9}", 3),
}


@pytest.mark.slow
@pytest.mark.parametrize("rule", WATCHED)
def test_rules_over_the_rounds_go_on_from_the_journal(tmp_path, rule):
    options, last = WATCHED[rule]
    stop = f"[label.stop]\nrule = '{rule}'\nrows = 10\n[label.stop.options]\n{options}\n"
    folder = create(tmp_path, f"{CONFIG}{stop}", known=6)
    for number in range(1, last):
        batch = labeling.next_batch(folder)
        assert batch.stopped is None and batch.number == number
        take(folder, right(batch.ids))
    again = [labeling.next_batch(folder).stopped for _ in range(2)]
    assert again[0] == again[1] and again[0] is not None
    assert again[0].startswith(f"{rule}: ") and again[0].endswith("(label.stop.rule)")


class Endless:
    """A rule whose memory is not finite, and which holds once that is remembered."""

    name, needs = "endless", ()

    def __repr__(self):
        return "Endless()"

    def begin(self, rows, classes):
        return jnp.zeros(4), jnp.float32(0)

    def look(self, memory, seen):
        values, last = memory
        expected = jnp.array([0.1, jnp.inf, -jnp.inf, jnp.nan])
        same = jnp.array_equal(values, expected, equal_nan=True) & (last == jnp.inf)
        return (expected, jnp.float32(jnp.inf)), jnp.float32(1), same

    def says(self, value):
        return "it remembers"


@pytest.mark.slow
def test_what_a_rule_remembers_need_not_be_finite(tmp_path, monkeypatch):
    monkeypatch.setattr(watching, "rules_of", lambda stop: (Endless(),))
    folder = create(tmp_path, known=6)
    batch = labeling.next_batch(folder)
    assert batch.stopped is None
    take(folder, right(batch.ids))
    assert labeling.next_batch(folder).stopped == "endless: it remembers (label.stop.rule)"


def test_it_ends_when_every_row_has_an_answer(tmp_path):
    folder = create(tmp_path, known=6)
    take(folder, right(IDS[6:-1]))
    batch = labeling.next_batch(folder)
    assert batch.ids == (IDS[-1],)
    take(folder, [(IDS[-1], None)])
    assert labeling.next_batch(folder).stopped == "every row has an answer"


def edited(file, old, new):
    """The text of a file with a part of it replaced."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


EDITS = {  # file, what is replaced in it, by what, and what is said
    "an id": ("pool.csv", f"{IDS[0]},", "other,", "the ids, or their order, are not those that"),
    "a row more": ("pool.csv", "label\n", f"label\nnew{',1' * 5},\n", "the ids, or their order"),
    "a label": ("pool.csv", f",{TRUTH[IDS[0]]}\n", ",\n", "another label than .*label import"),
    "a number": ("pool.csv", f"{IDS[0]},", f"{IDS[0]},1", f"id '{IDS[0]}': other columns than"),
    "a test row": ("test.csv", "t0,", "t0,1", "the pictures, vectors or test rows are not"),
}


@pytest.mark.parametrize(("file", "old", "new", "message"), EDITS.values(), ids=EDITS)
def test_items_that_were_edited_between_sittings_are_refused(tmp_path, file, old, new, message):
    folder = create(tmp_path, known=6)
    edited(folder.parent / file, old, new)
    with pytest.raises(ValueError, match=message):
        labeling.next_batch(folder)
    assert labeling.status(folder).labelled == 6


@pytest.mark.slow
def test_other_settings_and_versions_are_noted_and_a_lost_class_refused(tmp_path):
    folder = create(tmp_path, known=6)
    labeling.next_batch(folder)
    config = folder / "config.toml"
    edited(config, "max_epochs = 3", "max_epochs = 2")
    note = "the settings are not those of batch 1"
    assert labeling.next_batch(folder, leave_open=True).notes == (note,)
    edited(config, 'jax = "', 'jax = "0.0.')
    notes = labeling.next_batch(folder, leave_open=True).notes
    assert notes[0].startswith("jax was 0.0.") and "unbroken loop" in notes[0]
    edited(config, '    "cow",\n', "")
    with pytest.raises(ValueError, match="label.classes: expected 'cow' among them"):
        labeling.status(folder)


def test_data_are_looked_for_where_it_is_said_or_beside_the_project(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder, settings = create(tmp_path), load(tmp_path / "work" / "label.toml")
    assert data_folder(settings, folder, None) == folder.parent
    monkeypatch.setenv("JAXAL_DATA", "there")
    assert data_folder(settings, folder, None).name == "there"
    own = load(tmp_path / "work" / "label.toml", ["data.folder=~/work"])
    assert data_folder(own, folder, None) == tmp_path / "work"
    assert data_folder(own, folder, "here").name == "here"


def test_files_with_absolute_paths_are_found_where_the_data_are_now(tmp_path):
    config = write_data(tmp_path / "here")
    np.savez(tmp_path / "here" / "f.npz", ids=np.array(IDS), inputs=INPUTS[:ROWS])
    names = {"data.source": "pool.csv", "data.test": "test.csv", "label.features": "f.npz"}
    given = [
        f"{key}={'items:' * key.startswith('data')}{tmp_path / 'here' / name}"
        for key, name in names.items()
    ]
    labeling.create(config, tmp_path / "p", overrides=given)
    twin = shutil.copytree(tmp_path / "p", tmp_path / "twin")
    expected = labeling.next_batch(twin).ids
    (tmp_path / "here").rename(tmp_path / "there")
    with pytest.raises(FileNotFoundError, match=r"here/pool.csv; data .--data. names the folder"):
        labeling.next_batch(tmp_path / "p")
    batch = labeling.next_batch(tmp_path / "p", data=tmp_path / "there")
    assert batch.ids == expected and batch.notes == ()


@pytest.mark.slow
def test_several_devices_pick_the_same_rows_and_another_number_is_noted(tmp_path):
    stop = '[label.stop]\nrule = ["kappa", "error_stability"]\nrows = 10\n'
    folder = create(tmp_path, f"{CONFIG}{stop}", known=6)
    twin = shutil.copytree(tmp_path / "work", tmp_path / "twin") / "project"
    one = labeling.next_batch(folder)
    shared = labeling.next_batch(twin, mesh=jaxal.devices.make_mesh(4))
    assert shared.ids == one.ids and shared.notes == ()
    assert shared.accuracy == pytest.approx(one.accuracy)
    take(twin, right(shared.ids))
    (note,) = labeling.next_batch(twin).notes
    assert note.startswith("devices were 4 at batch 1 and are 1: picks may not be those")


@pytest.mark.slow
def test_a_learner_and_a_strategy_of_ones_own(tmp_path):
    folder = create(tmp_path, known=6)
    learner = jaxal.Learner(jaxal.models.logistic(3), optax.sgd(0.1), max_epochs=2)
    strategy = jaxal.strategies.entropy()
    batch = labeling.next_batch(folder, learner=learner, strategy=strategy)
    assert len(batch.ids) == 4 and batch.rule == "entropy"
    other = jaxal.Learner(jaxal.models.logistic(4), optax.sgd(0.1))
    with pytest.raises(ValueError, match="learner: expected a model of 3 classes.*got 4"):
        labeling.next_batch(folder, learner=other, leave_open=True)
