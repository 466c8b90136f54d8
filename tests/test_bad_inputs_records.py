"""Records and curves that cannot be read: each error names the line, the key or the argument."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from bad_values import NAN, but
from helpers import bad_inputs

from jaxal import report
from jaxal.experiment import Record, read
from jaxal.records import ADDED

NAMES = [field.name for field in dataclasses.fields(Record)]
ROUND = {"strategy": "badge", "seed": 1, "round": 2, "labels": 60, "rows": [5, 3], "epochs": 7}
SCORES = ("train_accuracy", "train_loss", "test_accuracy", "test_loss")
ROUND |= dict.fromkeys(SCORES, 0.5) | {"seconds": {"fit": 1.0}, "compile_seconds": {}}
WRONG = {"a table": {"x": 1}, "a list": ["x"], "text": "x"}
TEXT = {"a table": {}, "a list": [], "an integer": 1, "none": None, "a flag": True}
INTEGER = WRONG | {"none": None, "half": 1.5, "a flag": True}
FIELDS = {"strategy": TEXT, "rows": but(WRONG, "a table") | {"none": None, "halves": [1.5]}}
FIELDS |= dict.fromkeys(("seed", "round", "labels", "epochs"), INTEGER)
FIELDS |= dict.fromkeys(SCORES, WRONG | {"digits": "1", "a flag": True})
FIELDS |= dict.fromkeys(("seconds", "compile_seconds"), WRONG | {"none": None})
FIELDS |= dict.fromkeys(("rare_found", "unique_picks", "ood_picks"), but(INTEGER, "none"))
FIELDS |= {"class_accuracy": WRONG | {"none": None, "flags": [True]}, "rare_recall": WRONG}
CASES = {
    f"{key}, {kind}": (key, given) for key, kinds in FIELDS.items() for kind, given in kinds.items()
}


def reading(tmp_path, line):
    path = tmp_path / "history.jsonl"
    path.write_text(json.dumps(ROUND) + "\n" + line + "\n" + json.dumps(ROUND) + "\n")
    return read(path)


@pytest.mark.parametrize(("key", "given"), CASES.values(), ids=CASES)
def test_values(key, given, tmp_path):
    with pytest.raises(ValueError, match=r"history\.jsonl, line 2: not a record: "):
        reading(tmp_path, json.dumps({**ROUND, key: given}))


@pytest.mark.parametrize("key", [name for name in NAMES if name not in ADDED])
def test_missing_keys(key, tmp_path):
    rest = {name: given for name, given in ROUND.items() if name != key}
    with pytest.raises(ValueError, match=rf"history\.jsonl, line 2: not a record: .*'{key}'"):
        reading(tmp_path, json.dumps(rest))


@pytest.mark.parametrize("line", ["{", "[]", "1", "null", '"x"', "", "garbage", "{}", "\x00\x01"])
def test_lines(line, tmp_path):
    with pytest.raises(ValueError, match=r"history\.jsonl, line 2: not a record: "):
        reading(tmp_path, line)


POINTS = {"none": None, "a number": 1.0, "a matrix": np.ones((2, 2))}
POINTS |= {"empty": [], "NaN": [NAN, 2.0], "falling": [2.0, 1.0], "another length": [1.0, 2.0, 3.0]}


@pytest.mark.parametrize("points", POINTS.values(), ids=POINTS)
def test_curves(points):
    with pytest.raises((TypeError, ValueError), match="points.*: expected"):
        report.labels_to(points, [0.5, 0.6], 0.55)


TEXTS = {"text": ["x", "y"], "digits": ["1", "2"], "flags": [False, True], "none": [None, None]}
CURVES = {
    "points": report.labels_to,
    "accuracies": lambda accuracies: report.labels_to([1, 2], accuracies, 0.5),
    "target": lambda target: report.labels_to([1, 2], [0.1, 0.9], target),
    "strategy points": lambda points: report.label_efficiency(points, [0.5, 0.6], [1], [0.5]),
    "random accuracies": lambda given: report.label_efficiency([1, 2], [0.5, 0.6], [1, 2], given),
}


@pytest.mark.parametrize("values", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("argument", CURVES)
def test_curves_of_no_numbers(argument, values):
    call = CURVES[argument]
    given = (values, [0.5, 0.6], 0.55) if argument == "points" else (values,)
    with pytest.raises(TypeError, match=rf"^{argument.split()[-1]}: expected numbers"):
        call(*given)


@bad_inputs(
    {
        "none": (None, TypeError, "^records: expected records, got None"),
        "a path": ("runs/digits", TypeError, "^records: expected records"),
        "empty": ([], ValueError, "^records: expected at least one round"),
        "a table": ([ROUND], TypeError, "^records: expected records, got .* among them"),
        "numbers": ([0.5], TypeError, "^records: expected records, got float among them"),
    }
)
def test_no_records(given, error, message):
    with pytest.raises(error, match=message):
        report.summarize(given)


def test_no_records_of_random(tmp_path):
    given: Any = [ROUND]
    with pytest.raises(TypeError, match="^random: expected records"):
        report.summarize(reading(tmp_path, json.dumps(ROUND)), random=given)
