"""The source text: lines of a label and a text, as token ids."""

import numpy as np
import pytest
from helpers import SHARED, bad_inputs, needs
from tokenizers import Tokenizer, models, pre_tokenizers

from jaxal import data
from jaxal.data.readers import read

LINES = "good a b\nbad A c !\ngood b a a b\n"


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JAXAL_DATA", raising=False)


def text(content, name="a.txt", encoding="utf-8"):
    with open(name, "w", encoding=encoding, newline="") as file:
        file.write(content)
    return f"text:{name}"


def test_words_that_come_twice_have_ids_of_their_own():
    table = read(text(LINES))
    ids, labels = table.train
    assert table.tokens and ids.dtype == np.int32
    # a (four times) is 2 and b (three times) is 3; c and ! come once, so they are 1, unknown.
    assert ids.tolist() == [[2, 3, 0, 0], [2, 1, 1, 0], [3, 2, 2, 3]]
    assert labels.tolist() == ["good", "bad", "good"]
    few, _ = read(text(LINES), options={"vocabulary": 3}).train
    assert few.tolist() == [[2, 1, 0, 0], [2, 1, 1, 0], [1, 2, 2, 1]]


@pytest.mark.parametrize(
    ("content", "name", "form"),
    [
        (LINES, "a.txt", None),
        (
            LINES.replace(" ", "\t", 1).replace("bad ", "bad\t").replace("\ngood ", "\ngood\t"),
            "a",
            None,
        ),
        ('good,a,b\nbad,"A c !"\n"good","b a","a b"\n', "a.csv", None),
        ('good,a,b\nbad,"A c !"\n"good","b a","a b"\n', "a.txt", "csv"),
        ("\ufeff" + LINES.replace("\n", "\r\n\r\n"), "a.txt", "space"),
    ],
)
def test_forms(content, name, form):
    ids, labels = read(text(content, name), options={"form": form}).train
    assert labels.tolist() == ["good", "bad", "good"]
    assert ids.tolist() == [[2, 3, 0, 0], [2, 1, 1, 0], [3, 2, 2, 3]]


def test_texts_are_cut_off_and_filled_up():
    source = text(LINES)
    assert read(source, options={"length": 2}).train[0].tolist() == [[2, 3], [2, 1], [3, 2]]
    assert read(source, options={"length": 6}).train[0].shape == (3, 6)
    words = text("x " + "a " * 600 + "\n")
    assert read(words).train[0].shape == (1, 512)


def test_the_test_part_is_read_with_the_words_of_training():
    pool, test = data.load(text(LINES), test=text("bad b q q q a\n", "b.txt"))
    assert pool.inputs.dtype == np.int32 and pool.inputs.shape == (3, 4)
    assert test.inputs.tolist() == [[3, 1, 1, 1]] and test.labels.tolist() == [0]


def test_labels_that_are_unknown():
    assert read(text("x\ta\n\tb\n")).train[1].tolist() == ["x", ""]


def tokenizer(vocabulary, name="tokenizer.json"):
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.enable_padding(length=9)
    made.enable_truncation(1)
    made.save(name)


def test_a_tokenizer_that_is_given():
    tokenizer({"[PAD]": 0, "?": 1, "b": 2, "a": 3})
    ids, _ = read(text(LINES), options={"tokenizer": "tokenizer.json"}).train
    assert ids.tolist() == [[3, 2, 0, 0], [1, 1, 1, 0], [2, 3, 3, 2]]
    tokenizer({"?": 0, "b": 1, "a": 2})  # no padding: all move up by one
    ids, _ = read(text(LINES), options={"tokenizer": "tokenizer.json"}).train
    assert ids.tolist() == [[3, 2, 0, 0], [1, 1, 1, 0], [2, 3, 3, 2]]


@bad_inputs(
    {
        "empty": (("", {}), ValueError, "a.txt: expected at least one line, got none"),
        "blank": ((" \n\n", {}), ValueError, "a.txt: expected at least one line"),
        "no text": (("x a\nlabel\n", {}), ValueError, "a.txt, line 2: expected a label and a text"),
        "no label": ((" a b\n", {}), ValueError, "line 1: expected a label and a text .space"),
        "no tokens": (("x \x00\x01\n", {}), ValueError, "a.txt: expected tokens in each text"),
        "form": ((LINES, {"form": "tsv"}), ValueError, "form: 'tsv' is unknown"),
        "length": ((LINES, {"length": 0}), ValueError, "length: expected an integer >= 1, got 0"),
        "vocabulary": ((LINES, {"vocabulary": 2}), ValueError, "vocabulary: expected an int.* 3"),
        "text": ((LINES, {"vocabulary": "x"}), TypeError, "vocabulary: expected an integer"),
        "encoding": (
            ("x caf\xe9\n", {"encoding": "ascii"}),
            ValueError,
            "a.txt: expected text encoded in ascii; the option encoding names another",
        ),
        "no tokenizer": (
            (LINES, {"tokenizer": "a.json"}),
            FileNotFoundError,
            "no such file: a.json",
        ),
        "a tokenizer of garbage": (
            (LINES, {"tokenizer": "a.txt"}),
            ValueError,
            "a.txt: expected a tokenizer.json, got",
        ),
        "a tokenizer that is no text": (
            (LINES, {"tokenizer": 1}),
            TypeError,
            "tokenizer: expected",
        ),
    }
)
def test_texts_that_are_refused(given, error, message):
    content, options = given
    with pytest.raises(error, match=message):
        read(text(content), options=options)


@pytest.mark.slow
@needs("text")
def test_real_data():
    given = {"folder": SHARED / "text", "options": {"encoding": "latin-1"}}
    found = data.describe("text:TREC.train.all", test="text:TREC.test.all", **given)
    assert found.train.shape == (5452, 37) and found.test is not None
    assert found.class_names == tuple("012345") and sum(found.test.counts) == 500
    found = data.describe("text:SMSSpamCollection", folder=SHARED / "text")
    assert dict(zip(found.class_names, found.train.counts, strict=True)) == {
        "ham": 4827,
        "spam": 747,
    }
    found = data.describe("text:ag_news.test.csv", folder=SHARED / "text")
    assert found.train.counts == (1900,) * 4
