"""Bad inputs of data sources, splits and files: each error names the argument or the file."""

import io
import zipfile
from functools import partial

import numpy as np
import pytest
from bad_values import (
    FLAG,
    FRACTION,
    INF,
    INTEGER,
    NAME,
    NAN,
    NUMBER,
    OTHERS,
    but,
    check_refused,
    each,
    refused,
    tables,
)
from helpers import clouds

from jaxal import data
from jaxal.data.readers import registry

EXAMPLES = clouds(12)
INPUTS, LABELS = EXAMPLES
SEED = but(INTEGER, "zero")
PATH = but(OTHERS, "a string") | {"an integer": 1}
TABLE = but(OTHERS, "a table") | {"an integer": 1, "numbers as names": {1: 2}}
TABLE |= {"unknown": {"nothing": 1}}
PAIR = {"a string": "xy", "none": None, "an array": INPUTS, "a list": [1, 2], "one": (INPUTS,)}
PAIR |= {"lists": (INPUTS.tolist(), LABELS.tolist()), "other rows": (INPUTS, LABELS[:3])}
PAIR |= {"complex labels": (INPUTS, LABELS * 1j), "text": (np.full((12, 2), "x"), LABELS)}
PAIR |= {"no rows": (INPUTS[:0], LABELS[:0]), "one-hot": (INPUTS, np.eye(12, dtype=int))}
VALUES = {"NaN": (INPUTS * NAN, LABELS), "infinite": (INPUTS + INF, LABELS)}
VALUES |= {"unknown labels": (INPUTS, LABELS - 1), "labels below -1": (INPUTS, LABELS - 5)}
VALUES |= {"labels of 2**32": (INPUTS, np.full(12, 2**32)), "1e300": (np.full(12, 1e300), LABELS)}


def of_examples(function, /, **given):
    return function(given.pop("examples", EXAMPLES), **given)


def load(**given):
    return data.load(**{"source": "sklearn:iris", **given})


def describe(**given):
    return data.describe(**{"source": "sklearn:iris", **given})


def count_classes(**given):
    return data.num_classes(**given)


@refused(
    tables(
        check=each(
            partial(of_examples, data.check),
            num_classes=but(INTEGER, "none"),
            allow_unknown=FLAG,
        ),
        checked=each(lambda pool: data.check(pool), pool=PAIR | VALUES),
        num_classes=each(
            count_classes,
            labels={"a list": [1, 2], "none": None, "a string": "x", "floats": LABELS * 0.5}
            | {"unknown": np.full(3, -1), "a matrix": np.eye(3, dtype=int), "flags": LABELS > 0}
            | {"no rows": LABELS[:0], "a number": 3},
        ),
        split=each(
            partial(of_examples, data.split, fraction=0.5),
            examples=PAIR,
            fraction=FRACTION | {"too small": 1e-3},
            seed=SEED,
        ),
        subset=each(
            partial(of_examples, data.subset, size=5),
            examples=PAIR,
            size=INTEGER | {"above the rows": 13},
            seed=SEED,
        ),
        repeat=each(
            partial(of_examples, data.repeat, times=2),
            examples=PAIR,
            times=INTEGER,
            noise=NUMBER,
            seed=SEED,
        ),
        load=each(
            load,
            source=NAME | {"no such set": "sklearn:iriss", "no kind": "iris", "no name": "npz:"},
            test_fraction=FRACTION,
            seed=SEED,
            standardize=FLAG,
            pca=but(INTEGER, "none") | {"above the columns": 5},
            limit=but(INTEGER, "none") | {"above the rows": 151},
            flat=but(FLAG, "none") | {"no images": False},
            test=but(NAME, "none") | {"another kind": "npz:x", "no such set": "sklearn:iriss"},
            folder=PATH,
            options=TABLE,
        ),
        describe=each(
            describe,
            source=NAME | {"no such set": "sklearn:iriss"},
            test=but(NAME, "none") | {"another kind": "npz:x"},
            folder=PATH,
            options=TABLE,
        ),
        source=each(
            lambda kind="x", names=None: data.source(kind, names),
            kind=but(OTHERS, "a string") | {"none": None, "an integer": 1, "a colon": "a:b"},
            names={"a number": 1, "a string": "iris", "numbers": [1, 2]},
        ),
    )
)
def test_data(call, argument):
    check_refused(call, argument)


def archive(**arrays):
    """The bytes of an .npz file, pickled where an array is of objects."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def truncated(content):
    return content[: len(content) // 2]


def corrupt(content):
    """The same with bytes of the first array changed, so that its checksum is wrong."""
    return content[:200] + b"garbage!" + content[208:]


def member(name, content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        zipped.writestr("inputs.npy", content)
        zipped.writestr(name, content)
    return file.getvalue()


GOOD = {"inputs": INPUTS, "labels": LABELS}
PARTS = {"train_inputs": INPUTS, "train_labels": LABELS, "test_inputs": INPUTS}
PARTS |= {"test_labels": LABELS}
OBJECTS = np.array([{"a": 1}] * 12, dtype=object)
FILES = {
    "empty": b"",
    "text": b"inputs,labels\n1,2\n",
    "one array": (lambda: (f := io.BytesIO(), np.save(f, INPUTS), f.getvalue())[-1])(),
    "truncated": truncated(archive(**GOOD)),
    "corrupt": corrupt(archive(**GOOD)),
    "a corrupt directory": archive(**GOOD).replace(b"PK\x01\x02", b"PK\x01\x03"),
    "garbage inside": member("labels.npy", b"garbage"),
    "no arrays inside": member("labels.npy", b""),
    "pickled labels": archive(inputs=INPUTS, labels=OBJECTS),
    "pickled inputs": archive(inputs=OBJECTS, labels=LABELS),
    "other keys": archive(x=INPUTS, y=LABELS),
    "no labels": archive(inputs=INPUTS),
    "no arrays": archive(),
    "float labels": archive(inputs=INPUTS, labels=LABELS + 0.5),
    "labels of 2**32": archive(inputs=INPUTS, labels=np.full(12, 2**32)),
    "labels below 0": archive(inputs=INPUTS, labels=LABELS - 2),
    "text labels of two axes": archive(inputs=INPUTS, labels=np.full((12, 2), "cat")),
    "text inputs": archive(inputs=np.full((12, 2), "x"), labels=LABELS),
    "other rows": archive(inputs=INPUTS, labels=LABELS[:5]),
    "a vector": archive(inputs=INPUTS[:, 0], labels=LABELS),
    "a number": archive(inputs=np.array(1.0), labels=np.array(1)),
    "no rows": archive(inputs=INPUTS[:0], labels=LABELS[:0]),
    "NaN": archive(inputs=INPUTS * NAN, labels=LABELS),
    "infinite": archive(inputs=INPUTS + INF, labels=LABELS),
    "1e300": archive(inputs=np.full((12, 2), 1e300), labels=LABELS),
    "complex": archive(inputs=INPUTS * 1j, labels=LABELS),
    "test of another width": archive(**{**PARTS, "test_inputs": INPUTS[:, :2]}),
    "test of more rows": archive(**{**PARTS, "test_inputs": INPUTS[:5]}),
    "NaN in the test part": archive(**{**PARTS, "test_inputs": INPUTS * NAN}),
    "one-hot labels": archive(inputs=INPUTS, labels=np.eye(12, dtype=int)),
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_files(content, tmp_path):
    path = tmp_path / "bad-file.npz"
    path.write_bytes(content)
    with pytest.raises((TypeError, ValueError), match=r"(?s)(?=.*bad-file\.npz).*(expected|agree)"):
        data.load(f"npz:{path}")


@pytest.mark.parametrize("name", ["nowhere.npz", ""])
def test_files_that_are_not_there(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"no such file: .*{tmp_path.name}"):
        data.load(f"npz:{tmp_path}/{name}")


READERS = {
    "none": None,
    "a pair": (INPUTS, LABELS),
    "lists": data.Table((INPUTS.tolist(), LABELS.tolist())),
    "no labels": data.Table((INPUTS, None)),
    "no pair": data.Table(INPUTS),
    "a test part that is none": data.Table((INPUTS, LABELS), (INPUTS, None)),
}


@pytest.mark.parametrize("table", READERS.values(), ids=READERS)
def test_readers(table, monkeypatch):
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))
    data.source("flawed", ["x"])(lambda which: table)
    with pytest.raises((TypeError, ValueError), match="flawed:x.*expected"):
        data.load("flawed:x")
