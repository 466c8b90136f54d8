"""Bad inputs of label projects: settings, each told by its key, and arguments by their names."""

import dataclasses
import tomllib

import pytest
import tomli_w
from bad_values import FLAG, INTEGER, OTHERS, but, check_refused, each, refused, tables
from labels import CONFIG, write_data

import jaxal
from jaxal import labeling
from jaxal.experiment import Config, to_toml
from jaxal.labeling.settings import Settings, load

PATH = {"an integer": 1, "none": None, "a list": ["p"]}
FORMAT = {"unknown": "xml", "an integer": 1, "a list": ["csv"]}
NOTHING = OTHERS | {"an integer": 1}
CALLS = tables(
    create=each(
        lambda **given: labeling.create(**{"config": "label.toml", "folder": "p", **given}),
        config=PATH,
        folder=PATH,
        overrides={"text": "seed=1", "an integer": 1, "none": None, "a list of integers": [1]},
        data=but(PATH, "none"),
    ),
    next_batch=each(
        lambda **given: labeling.next_batch(**{"folder": "p", **given}),
        folder=PATH,
        budget=but(INTEGER, "none"),
        format=FORMAT,
        out=but(PATH, "none"),
        embed=FLAG,
        leave_open=FLAG,
        anyway=FLAG,
        data=but(PATH, "none"),
        mesh={"a string": "data", "a number": 2},
        learner=NOTHING | {"a model": jaxal.models.logistic(3)},
        strategy=NOTHING | {"uncalled": jaxal.strategies.margin},
    ),
    import_answers=each(
        lambda **given: labeling.import_answers(**{"folder": "p", "path": "a.csv", **given}),
        folder=PATH,
        path=PATH,
        format=FORMAT,
        annotator={"an integer": 1, "none": None},
        revise=FLAG,
    ),
    status=each(labeling.status, folder=PATH),
    export_labels=each(
        lambda **given: labeling.export_labels(**{"folder": "p", "path": "a.csv", **given}),
        folder=PATH,
        path=PATH,
    ),
)


@refused(CALLS)
def test_arguments(call, argument):
    check_refused(call, argument)


CLASSES = 'classes = ["cat", "dog", "cow"]'
SETTINGS = {  # what is replaced, by what, and the message after the file's name
    "no table": ("[label]\n" + CLASSES, "", "label.classes: missing; expected a list of"),
    "no classes": (CLASSES, "", "label.classes: missing; expected a list of two or more"),
    "one class": (CLASSES, 'classes = ["cat"]', "label.classes: expected a list of two or more"),
    "a class twice": (CLASSES, 'classes = ["a", "b", "a"]', "label.classes: expected"),
    "a number as a class": (CLASSES, "classes = [0, 1]", "label.classes: expected"),
    "blanks": (CLASSES, 'classes = ["a", " b"]', "label.classes: expected"),
    "a text for classes": (CLASSES, 'classes = "ab"', "label.classes: expected"),
    "unknown key": (CLASSES, CLASSES + "\nclass = 1", "label.class: unknown key; did you mean"),
    "format": (CLASSES, CLASSES + '\nformat = "xml"', "label.format: expected one of argilla"),
    "agreement": (CLASSES, CLASSES + "\nagreement = true", "label.agreement: expected one of"),
    "first": (CLASSES, CLASSES + '\nfirst = "badge"', "label.first: expected one of herding"),
    "features": (CLASSES, CLASSES + "\nfeatures = 1", "label.features: expected a string, got 1"),
    "stop rule": (
        *(CLASSES, CLASSES + "\n[label.stop]\nrule = 'kapa'"),
        "label.stop.rule: 'kapa' is unknown; did you mean 'kappa'",
    ),
    "stop rule with a key": (
        *(CLASSES, CLASSES + "\n[label.stop]\nrule = 'budget'\noptions = {budget = {labels = 3}}"),
        "label.stop.rule: 'budget' has a key of its own here, label.stop.labels",
    ),
    "stop": (CLASSES, CLASSES + "\nstop = 1", "label.stop: expected a table, got 1"),
    "stop labels": (
        *(CLASSES, CLASSES + "\n[label.stop]\nlabels = 0"),
        "label.stop.labels: expected an integer of at least 1, got 0",
    ),
    "stop accuracy": (
        *(CLASSES, CLASSES + "\n[label.stop]\naccuracy = 95"),
        "label.stop.accuracy: expected a number above 0, at most 1, got 95",
    ),
    "stop tolerance": (
        *(CLASSES, CLASSES + "\n[label.stop]\ntolerance = nan"),
        "label.stop.tolerance: expected a finite number, got nan",
    ),
    "stop unknown": (
        *(CLASSES, CLASSES + "\n[label.stop]\nlabel = 5"),
        "label.stop.label: unknown key; did you mean 'labels'?",
    ),
    "two strategies": ('["margin"]', '["margin", "badge"]', "strategy.names: expected a list"),
    "options of another": (
        *("[label]", "[strategy.options.badge]\n[label]"),
        "strategy.options.badge: expected margin alone, the one strategy",
    ),
    "another source": ("items:pool.csv", "sklearn:iris", "data.source: expected items:FILE"),
    "patience": (
        *('test = "items:test.csv"\n[model]', "[model]"),
        "learner.patience: needs held-out rows, so set data.test too",
    ),
}


@pytest.mark.parametrize(("old", "new", "message"), SETTINGS.values(), ids=SETTINGS)
def test_settings(old, new, message, tmp_path):
    config = CONFIG.replace("max_epochs = 3", "max_epochs = 3\npatience = 2")
    assert old in config
    path = tmp_path / "label.toml"
    path.write_text(config.replace(old, new))
    with pytest.raises((ValueError, TypeError)) as raised:
        load(path)
    assert str(raised.value).startswith(f"{path}: {message}")


TOGETHER = {  # a line of [label], an assignment, and the message after the file's name
    "accuracy": (
        "stop.accuracy = 0.9",
        "label.stop.accuracy: needs held-out rows, so set data.test",
    ),
    "features": (
        'features = "f.npz"\nfirst = "random"',
        "label.features: of no use with label.fir",
    ),
}


@pytest.mark.parametrize(("line", "message"), TOGETHER.values(), ids=TOGETHER)
def test_settings_that_would_say_nothing(line, message, tmp_path):
    (tmp_path / "label.toml").write_text(
        f"{CONFIG}{line}\n".replace('test = "items:test.csv"\n', "")
    )
    with pytest.raises(ValueError, match=f"label.toml: {message}"):
        load(tmp_path / "label.toml")


def keys(kind, prefix=""):
    """The dotted keys of settings."""
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(field.type):
            yield from keys(field.type, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name


UNUSED = {*keys(Config)} - {*keys(Settings)}
"""Keys of an experiment that a label project has no use for."""


@pytest.mark.parametrize("key", sorted(UNUSED | {"seeds", "strategy.rounds", "data.limit"}))
def test_what_a_project_has_no_use_for_is_refused_by_its_key(key, tmp_path):
    path, table = tmp_path / "label.toml", tomllib.loads(CONFIG)
    path.write_text(CONFIG)
    *sections, last = key.split(".")
    message = f"label.toml: ({'|'.join([*sections[:1], key])}): unknown key"
    with pytest.raises(ValueError, match=message):
        load(path, [f"{key}=1"])
    here = table
    for section in sections:
        here = here.setdefault(section, {})
    here[last] = 1
    path.write_text(tomli_w.dumps(table))
    with pytest.raises(ValueError, match=message):
        load(path)


def test_settings_are_written_as_they_are_read(tmp_path):
    more = 'first = "k_means"\nfeatures = "f.npz"\n[label.stop]\nlabels = 9\ntolerance = -0.5\n'
    (tmp_path / "a.toml").write_text(CONFIG + more)
    settings = load(tmp_path / "a.toml", ["strategy.budget=7", "label.format=jsonl"])
    assert settings.strategy.budget == 7 and settings.label.format == "jsonl"
    assert settings.label.stop.labels == 9 and settings.label.first == "k_means"
    (tmp_path / "b.toml").write_text(to_toml(settings, {"jax": "1"}))
    assert load(tmp_path / "b.toml") == settings


DATA = {  # files, what is replaced in them, by what, and the message
    "label of no class": ("pool.csv", "cat", "cut", "pool.csv labels: expected one of the classes"),
    "test without a label": ("test.csv", ",cat", ",", "data.test labels: expected .* at row 1"),
    "text as a number": ("pool.csv", "0.", "o.", "expected a number, got"),
    "a column of task files": ("pool.csv test.csv", "x1", "classes", "pool.csv: column 'classes'"),
    "the test part has other columns": ("test.csv", "x1", "y1", "columns x0, x1.*got x0, y1"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("files", "old", "new", "message"), DATA.values(), ids=DATA)
def test_data(files, old, new, message, tmp_path):
    write_data(tmp_path, known=20)
    for file in files.split():
        text = (tmp_path / file).read_text(encoding="utf-8")
        assert old in text
        (tmp_path / file).write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        labeling.create(tmp_path / "label.toml", tmp_path / "p")
    assert not (tmp_path / "p" / "config.toml").exists()


NEEDS = {"smi": "query: fl2mi needs it", "bald": "the model has no dropout"}


@pytest.mark.parametrize(("name", "message"), NEEDS.items())
def test_what_the_strategy_needs_is_missed_before_anybody_is_asked(name, message, tmp_path):
    config = write_data(tmp_path)
    with pytest.raises(ValueError, match=f"strategy {name}: .*{message}"):
        labeling.create(config, tmp_path / "p", overrides=[f"strategy.names={name}"])
    assert not (tmp_path / "p").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("empty_folder")
def test_token_ids_have_no_distances(tmp_path):
    rows = "".join(f"r{k},word{k % 3} word{k % 2}\n" for k in range(8))
    (tmp_path / "pool.csv").write_text(f"id,text\n{rows}")
    config = CONFIG.replace('test = "items:test.csv"\n', "").replace(
        'name = "logistic"', 'name = "transformer"\nvocabulary = 9\nwidth = 4\ndepth = 1\nheads = 1'
    )
    (tmp_path / "label.toml").write_text(config)
    labeling.create("label.toml", "p")
    assert labeling.next_batch("p").rule == "random, without a model"
    with pytest.raises(ValueError, match="label.first: expected random, as token ids have no dist"):
        labeling.create("label.toml", "q", overrides=["label.first=k_center"])
