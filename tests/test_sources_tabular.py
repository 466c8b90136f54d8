"""The sources csv, libsvm and parquet."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import SHARED, bad_inputs, needs

from jaxal import data
from jaxal.data.readers import read


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JAXAL_DATA", raising=False)


def csv(text, name="a.csv", encoding="utf-8"):
    with open(name, "w", encoding=encoding, newline="") as file:
        file.write(text)
    return f"csv:{name}"


# csv


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("1,2,cat\n3,4,dog\n", {}),
        ("a,b,animal\n1,2,cat\n3,4,dog\n", {}),
        ("cat,1,2\ndog,3,4", {"label": "first"}),
        ("a,animal,b\n1,cat,2\n3,dog,4\n", {"label": "animal"}),
        ("1;2;cat\r\n\r\n3;4;dog\r\n", {"delimiter": ";"}),
        ("1, 2, cat\n 3, 4.0, dog\n", {}),
        ('"1","2","cat"\n"3","4e0","dog"\n', {}),
        ("0,1,kind\n1,2,cat\n3,4,dog\n", {"header": True}),
        ("\ufeff1,2,cat\n3,4,dog\n", {}),
    ],
)
def test_csv(text, options):
    inputs, labels = read(csv(text), options=options).train
    assert inputs.tolist() == [[1, 2], [3, 4]] and labels.tolist() == ["cat", "dog"]


def test_csv_in_two_files_and_an_empty_label():
    source = csv("x,y\n1,b\n2,a\n3,\n")
    found = data.describe(source, test=csv("x,y\n5,a\n", "b.csv"))
    assert found.class_names == ("a", "b") and found.train.counts == (1, 1)
    assert found.train.unknown == 1 and found.test is not None and found.test.counts == (1, 0)


def test_csv_in_another_encoding():
    source = csv("1,café\n2,thé\n", encoding="latin-1")
    found = data.describe(source, options={"encoding": "latin-1"})
    assert found.class_names == ("café", "thé")


CSV = {
    "empty": ("", {}, r"a\.csv: expected at least one row"),
    "a header alone": ("a,b,c\n", {}, "expected rows of a label and one or more numbers"),
    "one column": ("1\n2\n", {}, "expected rows of a label and one or more"),
    "ragged": ("1,2,a\n\n1,b\n", {}, r"a\.csv, line 3: expected 3 fields, got 2"),
    "missing": ("1,2,a\n1,,b\n", {}, "line 2: expected a number, got ''"),
    "missing by a mark": ("1,2,a\n1,?,b\n", {}, r"line 2: expected a number, got '\?'"),
    "NaN": ("1,2,a\n1,nan,b\n", {}, "line 2: expected finite numbers"),
    "infinite": ("1,2,a\n-inf,1,b\n", {}, "line 2: expected finite numbers"),
    "text": ("1,2,a\nx,1,b\n", {}, "line 2: expected a number, got 'x'"),
    "wrong column": ("a,b,c\n1,2,x\n", {"label": "d"}, "label: 'd' is unknown in a.csv; .*a, b, c"),
    "no header": (
        "1,2,x\n",
        {"label": "d", "header": False},
        "label: expected first or last, as there is no header, got 'd'",
    ),
    "delimiter": ("1,2,x\n", {"delimiter": ", "}, "delimiter: expected one character"),
    "another encoding": ("1,2,caf\xe9\n", {"encoding": "ascii"}, "a.csv: expected text encoded in"),
    "no encoding": ("1,2,x\n", {"encoding": "utf-9"}, "encoding: expected one that Python knows"),
    "unknown option": ("1,2,x\n", {"lable": "a"}, "options: .*'lable' is unknown; did you mean"),
    "a context": ("1,2,x\n", {"folder": "a"}, "option 'folder' is unknown"),
    "the path": ("1,2,x\n", {"path": "a"}, "option 'path' is unknown"),
}


@pytest.mark.parametrize(("text", "options", "message"), CSV.values(), ids=CSV)
def test_csv_that_is_refused(text, options, message):
    with pytest.raises(ValueError, match=message):
        read(csv(text), options=options)


def test_csv_whose_test_part_has_other_columns():
    source = csv("x,y\n1,b\n2,a\n")
    for text in ("z,y\n1,b\n", "1,b\n"):
        with pytest.raises(ValueError, match="b.csv: expected the columns of a.csv, x, y, got"):
            read(source, test=csv(text, "b.csv"))
    with pytest.raises(ValueError, match="labels: expected a class of the training part, got 'c'"):
        data.load(source, test=csv("x,y\n1,c\n", "b.csv"))
    with pytest.raises(ValueError, match="test: expected a source of the kind csv, got 'libsvm:b'"):
        data.load(source, test="libsvm:b")


@needs("tabular")
def test_csv_of_real_data():
    folder = SHARED / "tabular"
    iris = data.describe("csv:iris.csv", test="csv:iris_test.csv", folder=folder)
    assert iris.train.shape == (120, 4) and iris.test and iris.test.counts == (10, 10, 10)
    letters = data.describe(
        "csv:letter-recognition.data", options={"label": "first"}, folder=folder
    )
    assert letters.class_names == tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert letters.train.shape == (20000, 16) and min(letters.train.counts) == 734
    digits = data.describe("csv:pendigits.tra", test="csv:pendigits.tes", folder=folder)
    assert digits.train.shape == (7494, 16) and digits.class_names == tuple("0123456789")


# libsvm


def libsvm(text, name="a.svm"):
    with open(name, "w") as file:
        file.write(text)
    return f"libsvm:{name}"


def test_libsvm():
    source = libsvm("+1 1:0.5 3:-2 # a remark\n\n-1 2:1e1\n-1\n# nothing\n")
    inputs, labels = read(source).train
    assert inputs.tolist() == [[0.5, 0, -2], [0, 10, 0], [0, 0, 0]]
    assert labels.tolist() == ["+1", "-1", "-1"]
    assert data.describe(source).class_names == ("-1", "1")


def test_libsvm_has_the_width_of_both_parts_or_the_one_given():
    one, other = libsvm("1 2:1\n2 1:1\n"), libsvm("1 4:1\n", "b.svm")
    assert [part.shape for part, _ in (read(one).train,)] == [(2, 2)]
    for first, second in ((one, other), (other, one)):
        table = read(first, test=second)
        assert table.test is not None
        assert table.train[0].shape[1] == table.test[0].shape[1] == 4
    assert read(one, options={"features": 6}).train[0].shape == (2, 6)
    zero = libsvm("1 0:5 1:6\n", "c.svm")
    assert read(zero, options={"zero_based": True}).train[0].tolist() == [[5, 6]]


LIBSVM = {
    "empty": ("", {}, "a.svm: expected at least one row, got none"),
    "remarks alone": ("# 1\n", {}, "expected at least one row"),
    "csv": ("1,2,3\n", {}, "line 1: expected a finite number as the label, got '1,2,3'"),
    "no label": (
        "1 1:1\n1:2 2:3\n",
        {},
        "line 2: expected a finite number as the label",
    ),
    "a label that is no number": ("nan 1:1\n", {}, "line 1: expected a finite number as the label"),
    "no colon": ("1 1:1\n\n1 2\n", {}, "line 3: expected INDEX:VALUE with a finite value, got '2'"),
    "no value": ("1 1:\n", {}, "line 1: expected INDEX:VALUE with a finite value, got '1:'"),
    "no index": (
        "1 qid:3 1:1\n",
        {},
        "line 1: expected INDEX:VALUE with .*'qid:3'",
    ),
    "NaN": ("1 1:nan\n", {}, "line 1: expected INDEX:VALUE with a finite value, got '1:nan'"),
    "twice": ("1 1:1 1:2\n", {}, "line 1: expected indices that rise, from 1 to 100000, got '1:2'"),
    "falling": ("1 2:1 1:2\n", {}, "expected indices that rise"),
    "zero": ("1 0:1\n", {}, "expected indices that rise.*zero_based"),
    "above": ("1 1:1 5:2\n", {"features": 4}, "expected indices that rise, from 1 to 4, got '5:2'"),
    "far above": ("1 1000000000000:2\n", {}, "from 1 to 100000"),
    "no features": ("1 1:1\n", {"features": 0}, "features: expected an integer >= 1, got 0"),
}


@pytest.mark.parametrize(("text", "options", "message"), LIBSVM.values(), ids=LIBSVM)
def test_libsvm_that_is_refused(text, options, message):
    with pytest.raises(ValueError, match=message):
        read(libsvm(text), options=options)


@needs("tabular")
def test_libsvm_of_real_data():
    from sklearn.datasets import load_svmlight_file

    path = SHARED / "tabular" / "satimage.scale.tst"
    inputs, labels = read(f"libsvm:{path}").train
    expected, classes = load_svmlight_file(str(path), n_features=36)  # pyright: ignore
    np.testing.assert_array_equal(inputs, expected.toarray())
    assert labels.astype(float).tolist() == classes.tolist()
    found = data.describe(f"libsvm:{SHARED / 'tabular' / 'ijcnn1.val'}")
    assert found.class_names == ("-1", "1") and found.train.counts == (13552, 1438)


# parquet


def parquet(columns, name="a.parquet", **metadata):
    table = pa.table(columns)
    if metadata:
        table = table.replace_schema_metadata(metadata)
    pq.write_table(table, name)
    return f"parquet:{name}"


def test_parquet_of_columns():
    source = parquet({"x": [1, 2, 3], "label": ["b", None, "a"], "y": [0.5, 1.5, 2.5]})
    inputs, labels = read(source).train
    assert inputs.tolist() == [[1, 0.5], [2, 1.5], [3, 2.5]] and inputs.dtype == float
    assert labels.tolist() == ["b", "", "a"]
    assert read(source, options={"inputs": "y"}).train[0].tolist() == [[0.5], [1.5], [2.5]]
    chosen = read(source, options={"label": "x", "inputs": ["y"]}).train
    assert chosen[1].tolist() == [1, 2, 3]


def test_parquet_keeps_types():
    source = parquet(
        {
            "a": pa.array([1, 2], pa.uint8()),
            "b": pa.array([3, 4], pa.uint8()),
            "label": pa.array([0, None], pa.uint8()),
        }
    )
    inputs, labels = read(source).train
    assert inputs.dtype == np.uint8 and labels.tolist() == [0, -1]
    dictionary = parquet({"a": [1.0, 2.0], "label": pa.array(["x", "y"]).dictionary_encode()})
    assert read(dictionary).train[1].tolist() == ["x", "y"]


@pytest.mark.parametrize("kind", [pa.list_(pa.int16()), pa.list_(pa.int16(), 2)])
def test_parquet_of_lists(kind):
    source = parquet({"x": pa.array([[1, 2], [3, 4], [5, 6]], kind), "label": [0, 1, 1]})
    inputs, _ = read(source).train
    assert inputs.dtype == np.int16 and inputs.tolist() == [[1, 2], [3, 4], [5, 6]]
    nested = parquet({"x": [[[1], [2]], [[3], [4]]], "label": [0, 1]})
    assert read(nested).train[0].shape == (2, 2, 1)


def test_parquet_knows_the_names_that_datasets_wrote():
    said = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    source = parquet({"x": [1, 2], "label": [1, 0]}, huggingface=json.dumps(said))
    assert data.describe(source).class_names == ("cat", "dog")


def test_parquet_in_two_files():
    source = parquet({"x": [1, 2], "label": ["a", "b"]})
    test = parquet({"x": [3], "label": ["b"]}, "b.parquet")
    assert data.load(source, test=test)[1].labels.tolist() == [1]


@bad_inputs(
    {
        "label": (
            ({"x": [1], "y": [1]}, {}),
            ValueError,
            "label: 'label' is unknown in a.parquet",
        ),
        "inputs": (
            ({"x": [1], "label": [1]}, {"inputs": ["x", "z"]}),
            ValueError,
            "inputs: 'z' is unknown in a.parquet; valid names: label, x",
        ),
        "no list": (({"x": [1], "label": [1]}, {"inputs": 3}), TypeError, "inputs: expected a col"),
        "label that is no text": (
            ({"x": [1], "label": [1]}, {"label": 3}),
            TypeError,
            "label: expected text, got int",
        ),
        "no inputs": (({"label": [1]}, {}), ValueError, "expected a column of inputs beside 'lab"),
        "missing": (
            ({"x": [1, None], "y": [1, 2], "label": [0, 1]}, {}),
            ValueError,
            "a.parquet, column 'x': expected no missing values, got one at row 1",
        ),
        "missing in a list": (
            ({"x": [[1], [None]], "label": [0, 1]}, {}),
            ValueError,
            "column 'x': expected no missing values",
        ),
        "ragged": (
            ({"x": [[1], [2, 3]], "label": [0, 1]}, {}),
            ValueError,
            r"column 'x': expected lists of one length, got \[.*1.*2.*\]",
        ),
        "text": (({"x": ["a"], "label": [0]}, {}), TypeError, "'x': expected numbers.*got string"),
        "text beside numbers": (
            ({"x": ["a"], "y": [1], "label": [0]}, {}),
            TypeError,
            "column 'x': expected numbers, got string; the option inputs",
        ),
        "float labels": (
            ({"x": [1], "label": [0.5]}, {}),
            TypeError,
            "column 'label': expected integers or text as labels, got double",
        ),
        "a struct": (
            ({"x": [{"a": 1}], "label": [0]}, {}),
            TypeError,
            "column 'x': expected numbers or pictures, got struct",
        ),
        "no picture": (({"x": [b"zz"], "label": [0]}, {}), ValueError, "row 0: expected a picture"),
    }
)
def test_parquet_that_is_refused(given, error, message):
    columns, options = given
    with pytest.raises(error, match=message):
        read(parquet(columns), options=options)


@pytest.mark.parametrize("content", [b"", b"garbage", b"PAR1" + bytes(20)])
def test_no_parquet(content, tmp_path):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(ValueError, match="a.parquet: expected a Parquet file, got"):
        read("parquet:a.parquet")
