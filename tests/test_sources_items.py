"""The source `items:FILE`: rows with ids, as columns, pictures, texts or vectors."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from jaxal import data
from jaxal.data.readers import read
from jaxal.data.readers.items import read_rows
from jaxal.data.readers.vectors import Vectors

pytestmark = pytest.mark.usefixtures("empty_folder")


def write(name, text):
    with open(name, "w", encoding="utf-8") as file:
        file.write(text)


def png(value):
    file = io.BytesIO()
    Image.fromarray(np.full((2, 3), value, np.uint8)).save(file, "png")
    return file.getvalue()


def test_numbers_in_columns_and_labels_in_part(tmp_path):
    write("a.csv", "id,x,label,y\n007,1.5,cat,2\nb, -1 ,,1e3\n")
    table = read("items:a.csv")
    np.testing.assert_array_equal(table.train[0], [[1.5, 2], [-1, 1000]])
    assert table.train[1].tolist() == ["cat", ""] and table.test is None
    items = read_rows("a.csv")
    assert items.ids == ("007", "b") and items.shown[0] == {"x": "1.5", "y": "2"}


def test_jsonl_with_columns_and_names_of_ones_own_and_a_test_part():
    write("a.jsonl", '{"key": 7, "x": 1, "note": "n", "kind": 3}\n{"key": "b", "x": 2.5}\n')
    write("b.jsonl", '{"key": "c", "x": 4, "kind": "3"}\n')
    options = {"id": "key", "label": "kind", "columns": ["x"]}
    table = read("items:a.jsonl", test="items:b.jsonl", options=options)
    assert table.train[0].tolist() == [[1], [2.5]] and table.train[1].tolist() == ["3", ""]
    assert table.test is not None and table.test[0].tolist() == [[4]]
    assert read_rows("a.jsonl", id="key").ids == ("7", "b")


def test_a_labelled_file_serves_an_experiment():
    rows = "".join(f"r{i},{i % 2},{'ab'[i % 2]}\n" for i in range(20))
    write("a.csv", f"id,x,label\n{rows}")
    pool, test = data.load("items:a.csv", standardize=False)
    assert len(pool.labels) == 16 and len(test.labels) == 4
    np.testing.assert_array_equal(pool.inputs[:, 0], pool.labels)


def test_pictures_by_path_and_as_data_uris(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(png(7))
    uri = f"data:image/png;base64,{base64.b64encode(png(9)).decode()}"
    write("in/a.csv", f'id,image\none,a.png\ntwo,"{uri}"\n')
    table = read("items:in/a.csv")
    assert table.train[0].shape == (2, 2, 3, 1) and table.train[0].dtype == np.uint8
    assert table.train[0][:, 0, 0, 0].tolist() == [7, 9]


def test_texts_as_token_ids():
    write("a.csv", 'id,text\na,"one, two one two"\nb,two\n')
    write("b.csv", "id,text,label\nc,one two,x\n")
    table = read("items:a.csv", test="items:b.csv", options={"length": 3})
    assert table.tokens and table.train[0].shape == (2, 3) and table.train[0][1, 1] == 0
    assert table.test is not None and table.test[0].shape == (1, 3)


def test_vectors_are_found_by_id_in_any_order():
    write("a.csv", "id,text\na,one\nb,two\n")
    inputs = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.savez("v.npz", ids=["z", "b", "a"], inputs=inputs)
    table = read("items:a.csv", options={"vectors": "v.npz"})
    np.testing.assert_array_equal(table.train[0], inputs[[2, 1]])


def test_a_field_may_be_longer_than_a_line_of_text_and_a_suffix_in_capitals():
    write("a.csv", f"id,image\na,{'A' * 140_000}\nb,c\n")
    assert [len(shown["image"]) for shown in read_rows("a.csv").shown] == [140_000, 1]
    write("A.JSONL", '{"id": 7, "x": 1}\n')
    assert read_rows("A.JSONL").ids == ("7",)


BAD = {
    "no file": ("", {}, FileNotFoundError, "no such file: b.csv"),
    "empty": ("id,x\n", {}, ValueError, "a.csv: expected at least one row"),
    "no id column": ("x\n1\n", {}, ValueError, "a.csv, line 1: expected a column 'id', got x"),
    "no id": ("id,x\n,1\n", {}, ValueError, "a.csv, line 2: id: expected text without"),
    "blank": ("id,x\n a,1\n", {}, ValueError, "a.csv, line 2: id.*got ' a'"),
    "twice": ("id,x\na,1\nb,1\na,2\n", {}, ValueError, "line 4: id 'a' is that of line 2"),
    "short": ("id,x\na\n", {}, ValueError, "a.csv, line 2: expected 2 fields, got 1"),
    "text": ("id,x\na,y\n", {}, ValueError, "id 'a': x: expected a number, got 'y'.*columns"),
    "NaN": ("id,x\na,nan\n", {}, ValueError, "x: expected a number, got 'nan'"),
    "only ids": ("id\na\n", {}, ValueError, "a.csv: expected columns of numbers"),
    "column": ("id,x\na,1\n", {"columns": ["z"]}, ValueError, "columns: 'z' is unknown.*x"),
    "inputs": ("id,x\na,1\n", {"inputs": "z"}, ValueError, "inputs: 'z' is unknown.*vectors"),
    "no text": ("id,text\na,x\nb,\n", {}, ValueError, "id 'b': expected text, got nothing"),
    "no picture": ("id,image\na,b.png\n", {}, FileNotFoundError, "no such file: .*b.png"),
    "no base64": ('id,image\na,"data:x,!"\n', {}, ValueError, "image: expected base64"),
    "URL": ("id,image\na,a.csv\n", {}, ValueError, "id 'a': expected a picture"),
    "vectors": ("id,x\na,1\n", {"inputs": "vectors"}, ValueError, "vectors: expected an npz"),
    "lost vector": ("id,x\nq,1\n", {"vectors": "v.npz"}, ValueError, "got none of 'q'"),
    "no ids": (
        "id,x\na,1\n",
        {"vectors": "w.npz"},
        ValueError,
        "w.npz: expected the keys ids, inputs; got in",
    ),
    "twice in vectors": (
        *(
            "id,x\na,1\n",
            {"vectors": "u.npz"},
            ValueError,
            "u.npz: .* each id once, got 'a' 2 times",
        ),
    ),
    "one column for both": (
        "id,x\na,1\n",
        {"label": "id"},
        ValueError,
        "label: .*than that of the ids",
    ),
    "columns of texts": (
        *("id,text,x\na,t,1\n", {"columns": ["x"]}, ValueError),
        "columns: of no use with inputs = 'text'; it is for 'columns'",
    ),
    "vocabulary of numbers": (
        *("id,x\na,1\n", {"vocabulary": 9}, ValueError),
        "vocabulary: of no use with inputs = 'columns'; it is for 'text'",
    ),
}


@pytest.mark.parametrize(("given", "options", "error", "message"), BAD.values(), ids=BAD)
def test_bad_input(given, options, error, message):
    if given:
        write("a.csv", given)
    np.savez("v.npz", ids=["a"], inputs=np.ones((1, 2)))
    np.savez("w.npz", inputs=np.ones((1, 2)))
    np.savez("u.npz", ids=["a", "a"], inputs=np.ones((2, 2)))
    with pytest.raises(error, match=message):
        read("items:a.csv" if given else "items:b.csv", options=options)


LINES = {
    "half a character": (
        '{"id": "a", "text": "\\ud83d"}',
        "a.jsonl, line 1: expected text, got 'utf-8'",
    ),
    "an id with a point": (
        '{"id": 7.0}',
        "a.jsonl, line 1: id: expected text or an integer, got 7.0",
    ),
    "an id that is no number": ('{"id": NaN}', "line 1: id: expected text or an integer, got nan"),
}


@pytest.mark.parametrize(("line", "message"), LINES.values(), ids=LINES)
def test_lines_of_json_that_are_no_rows(line, message):
    write("a.jsonl", line)
    with pytest.raises(ValueError, match=message):
        read_rows("a.jsonl")


VECTORS = {  # ids, inputs, and the message
    "ids of bytes": (np.array([b"a"]), np.ones((1, 2)), "ids that are text or integers"),
    "ids with a point": (np.array([1.0]), np.ones((1, 2)), "ids that are text or integers"),
    "text": (np.array(["a"]), np.array([["1", "2"]]), "inputs that are numbers, got <U1 array"),
    "complex": (np.array(["a"]), np.full((1, 2), 1j), "inputs that are numbers"),
    "another length": (np.array(["a", "b"]), np.ones((1, 2)), r"got \(2,\) and \(1, 2\)"),
    "no axis": (np.array(["a"]), np.ones(1), r"inputs \[N, ...\], got \(1,\) and \(1,\)"),
}


@pytest.mark.parametrize(("ids", "inputs", "message"), VECTORS.values(), ids=VECTORS)
def test_vectors_that_are_none(ids, inputs, message):
    np.savez("v.npz", ids=ids, inputs=inputs)
    with pytest.raises(ValueError, match=f"v.npz: expected .*{message}"):
        Vectors("v.npz", None)


@pytest.mark.parametrize("length", [0, 200, -1], ids=["empty", "cut off", "whole, but for a byte"])
def test_archives_of_vectors_that_are_damaged(length, tmp_path):
    np.savez("v.npz", ids=np.array(["a"]), inputs=np.ones((1, 2)))
    path = tmp_path / "v.npz"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match="v.npz: expected an .npz archive, got"):
        Vectors("v.npz", None)
