"""What all sources share: labels that are text, test parts, options, folders; `describe`."""

import numpy as np
import pytest
from helpers import bad_inputs

from jaxal import data
from jaxal.data.readers import registry
from jaxal.experiment import parse
from jaxal.experiment.build import build

INPUTS = np.arange(24.0).reshape(8, 3)


@pytest.fixture(autouse=True)
def own(monkeypatch, tmp_path):
    """A folder of the test's own, no data from elsewhere, and the registry as it was after it."""
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))
    monkeypatch.delenv("JAXAL_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def labelled(labels, test=None, **fields):
    """The source of a table with these labels."""
    held_out = None if test is None else (INPUTS[: len(test)], np.array(test))
    table = data.Table((INPUTS[: len(labels)], np.array(labels)), held_out, **fields)
    data.source("given")(lambda: table)
    return "given"


@pytest.mark.parametrize(
    ("labels", "names", "codes"),
    [
        (["dog", "cat", "dog", "ant"], ("ant", "cat", "dog"), [2, 1, 2, 0]),
        (["10", "9", "-1", "9"], ("-1", "9", "10"), [2, 1, 0, 1]),
        (["+1", "-1.0", "1", "1e0"], ("-1", "1"), [1, 0, 1, 1]),
        (["0.5", "b", "0.25", "b"], ("0.25", "0.5", "b"), [1, 2, 0, 2]),
        (["0.5", "", "0.25", ""], ("0.25", "0.5"), [1, -1, 0, -1]),
    ],
)
def test_text_labels_are_numbered(labels, names, codes):
    found = data.describe(labelled(labels))
    assert found.class_names == names
    assert found.train.unknown == codes.count(-1)
    assert found.train.counts == tuple(np.bincount([code for code in codes if code >= 0]))
    pool, test = data.load(labelled(labels * 2, labels), labeled_only=True)
    assert test.labels.tolist() == [code for code in codes if code >= 0]
    assert pool.labels.dtype == np.int32


@pytest.mark.parametrize("dtype", [object, np.dtypes.StringDType()])
def test_text_of_other_types(dtype):
    assert data.describe(labelled(np.array(["b", "a"], dtype))).class_names == ("a", "b")


def test_integers_stay_and_may_have_names():
    assert data.describe(labelled([1, 3, 3])).class_names == ("0", "1", "2", "3")
    found = data.describe(labelled([0, 0, 1], class_names=("ant", "bee", "cat")))
    assert found.class_names == ("ant", "bee", "cat") and found.train.counts == (2, 1, 0)


@bad_inputs(
    {
        "only in the test": (
            (["a", "b"], ["a", "c"]),
            ValueError,
            "given test labels: expected a class of the training part, got 'c' at row 1",
        ),
        "near": ((["cat", "dog"], ["cats"]), ValueError, "did you mean 'cat'"),
        "no number": ((["1", "2"], ["1", "x"]), ValueError, "got 'x' at row 1"),
        "numbers": ((["a", "b"], [0, 1]), TypeError, "test labels: expected text, as in training"),
        "two axes": (([["a", "b"]], None), ValueError, r"labels: expected shape \[N\]"),
        "all unknown": (([""], None), ValueError, "got 1 of 1 that are -1"),
    }
)
def test_labels_that_are_refused(given, error, message):
    with pytest.raises(error, match=message):
        data.load(labelled(*given))


# Types


def test_integers_keep_their_type_unless_they_are_standardized():
    images = np.arange(8 * 4 * 4, dtype=np.uint8).reshape(8, 4, 4)
    table = data.Table((images, np.arange(8) % 2), (images[:2], np.arange(2)))
    data.source("images_given")(lambda: table)
    pool, test = data.load("images_given", standardize=False)
    assert pool.inputs is images and test.inputs.dtype == np.uint8
    pool, _ = data.load("images_given")
    assert pool.inputs.dtype == np.float32 and abs(pool.inputs.std() - 1) < 1e-6


def test_floats_become_float32_without_a_copy_if_they_can():
    inputs = INPUTS.astype(np.float32)
    data.source("floats")(lambda: data.Table((inputs, np.arange(8) % 2), (inputs, np.arange(8))))
    assert data.load("floats", standardize=False)[0].inputs is inputs


def test_token_ids_are_never_scaled():
    ids = np.arange(16, dtype=np.int32).reshape(8, 2)
    data.source("ids")(lambda: data.Table((ids, np.arange(8) % 2), tokens=True))
    pool, test = data.load("ids")
    assert pool.inputs.dtype == np.int32
    assert sorted(np.concatenate([pool.inputs, test.inputs]).ravel()) == list(range(16))


@bad_inputs(
    {
        "bytes and floats": ((np.uint8, np.float32), TypeError, "one type, got uint8.*float32"),
        "bytes and integers": ((np.uint8, np.int32), TypeError, "of one type"),
    }
)
def test_parts_of_other_types_are_refused(given, error, message):
    one, other = (INPUTS.astype(dtype) for dtype in given)
    labels = np.arange(8) % 2
    data.source("two")(lambda: data.Table((one, labels), (other, labels)))
    with pytest.raises(error, match=message):
        data.load("two")


def test_noise_on_integers_is_refused():
    with pytest.raises(ValueError, match="noise: expected 0 for inputs that are integers, got 0.1"):
        data.repeat((INPUTS.astype(np.uint8), np.arange(8)), 2, noise=0.1)  # pyright: ignore[reportArgumentType]


# Test parts, options and folders


def test_a_test_part_is_read_by_a_second_call_or_by_the_reader():
    def rows(count, *, start=0):
        numbers = np.arange(start, start + int(count), dtype=np.float32)[:, None]
        return data.Table((numbers, np.zeros(len(numbers), int)))

    data.source("apart")(rows)
    pool, test = data.load("apart:5", test="apart:2", options={"start": 7}, standardize=False)
    assert pool.inputs[:, 0].tolist() == [7, 8, 9, 10, 11] and test.inputs[:, 0].tolist() == [7, 8]

    data.source("together")(lambda count, test=None: rows(count)._replace(test=rows(test).train))
    assert len(data.load("together:5", test="together:3")[1].labels) == 3


def test_a_test_part_takes_the_place_of_the_sources_own(tmp_path):
    labels, zeros = np.arange(8) % 2, np.zeros(8, int)
    np.savez("one.npz", inputs=INPUTS, labels=labels)
    np.savez("two.npz", x_train=INPUTS, y_train=labels, x_test=INPUTS, y_test=zeros)
    assert data.load("npz:one.npz", test="npz:two.npz")[1].labels.max() == 0
    assert data.load("npz:two.npz", test="npz:one.npz")[1].labels.max() == 1


@pytest.mark.parametrize("by", ["argument", "variable"])
def test_files_are_found_in_the_folder_of_the_data(by, tmp_path, monkeypatch):
    place = tmp_path / "data"
    (place / "inner").mkdir(parents=True)
    np.savez(place / "inner" / "a.npz", inputs=INPUTS, labels=np.arange(8) % 2)
    given = {"folder": place} if by == "argument" else {}
    if by == "variable":
        monkeypatch.setenv("JAXAL_DATA", str(place))
    assert data.describe("npz:inner/a.npz", **given).train.shape == (8, 3)
    with pytest.raises(FileNotFoundError, match=r"no such file: b.npz, nor .*data/b.npz"):
        data.describe("npz:b.npz", **given)
    (tmp_path / "inner").mkdir()
    np.savez("inner/a.npz", inputs=INPUTS[:4], labels=np.arange(4))  # the working directory first
    assert data.describe("npz:inner/a.npz", **given).train.shape == (4, 3)


def test_a_config_says_test_folder_and_options(tmp_path):
    (tmp_path / "data").mkdir()
    for name, rows in {"a": 9, "b": 6}.items():
        lines = [f"{'xyz'[row % 3]};{row};{row * row}" for row in range(rows)]
        (tmp_path / "data" / f"{name}.csv").write_text("\n".join(lines))
    table = {
        "name": "x",
        "data": {
            "source": "csv:a.csv",
            "test": "csv:b.csv",
            "folder": str(tmp_path / "data"),
            "options": {"label": "first", "delimiter": ";"},
        },
        "model": {"name": "logistic"},
        "strategy": {"names": ["random"]},
    }
    parts = build(parse(table))
    assert parts.pool.inputs.shape == (9, 2) and parts.test.inputs.shape == (6, 2)
    table["data"]["options"] = {"label": "third", "delimiter": ";"}
    with pytest.raises(ValueError, match=r"^data\.options\.label: 'third' is unknown"):
        build(parse(table))
    table["data"]["options"] = {"lable": "first"}
    with pytest.raises(ValueError, match=r"^data\.options: .*'lable' is unknown; did you mean 'la"):
        build(parse(table))


# Contents


def test_describe():
    found = data.describe(labelled(["b", "a", "", "b"], ["a"]))
    assert found == data.Contents(
        data.PartContents((4, 3), np.dtype(float), 0.0, 11.0, (1, 2), 1),
        data.PartContents((1, 3), np.dtype(float), 0.0, 2.0, (1, 0), 0),
        ("a", "b"),
    )
