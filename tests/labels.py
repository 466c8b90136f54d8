"""A tiny label project, and people who answer: shared by the tests of `jaxal.labeling`."""

import csv
import json

import numpy as np
from helpers import clouds

from jaxal import labeling

ROWS, CLASSES = 30, ("cat", "dog", "cow")
INPUTS, LABELS = clouds(ROWS + 12)
IDS = [f"row {row * 7 % ROWS}/é" for row in range(ROWS)]
TRUTH = {name: CLASSES[label] for name, label in zip(IDS, LABELS, strict=False)}
CONFIG = """
[data]
source = "items:pool.csv"
test = "items:test.csv"
[model]
name = "logistic"
[learner]
learning_rate = 0.1
batch_size = 8
max_epochs = 3
[strategy]
names = ["margin"]
initial = 0
budget = 4
[label]
classes = ["cat", "dog", "cow"]
"""


def write_rows(path, rows, ids, labels):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *(f"x{k}" for k in range(INPUTS.shape[1])), "label"])
        for row, name, label in zip(rows, ids, labels, strict=True):
            writer.writerow([name, *map(float, row), label])


def write_data(folder, config=CONFIG, known=0):
    """Writes a pool, a test part and a config; of the first rows the labels are known."""
    folder.mkdir(exist_ok=True)
    labels = [TRUTH[name] if row < known else "" for row, name in enumerate(IDS)]
    write_rows(folder / "pool.csv", INPUTS[:ROWS], IDS, labels)
    names = [CLASSES[label] for label in LABELS[ROWS:]]
    write_rows(folder / "test.csv", INPUTS[ROWS:], [f"t{k}" for k in range(12)], names)
    (folder / "label.toml").write_text(config)
    return folder / "label.toml"


def write_answers(path, answers, annotator="ann"):
    """Writes (id, label) pairs as JSONL; a label of None is a skip."""
    lines = (
        {"id": name, "label": label, "skipped": label is None, "annotator": annotator}
        for name, label in answers
    )
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


def create(tmp_path, config=CONFIG, known=0):
    """Makes a project beside its data; returns its folder."""
    folder = tmp_path / "work" / "project"
    labeling.create(write_data(tmp_path / "work", config, known), folder)
    return folder


def take(folder, answers, annotator="ann", **options):
    """Imports (id, label) pairs."""
    path = write_answers(folder.parent / "answers.jsonl", answers, annotator)
    return labeling.import_answers(folder, path, format="jsonl", **options)


def right(ids):
    """The true label of each."""
    return [(name, TRUTH[name]) for name in ids]


def wrong(name):
    """Another class than the true one."""
    return CLASSES[(CLASSES.index(TRUTH[name]) + 1) % len(CLASSES)]


def row_numbers(ids):
    return np.array([IDS.index(name) for name in ids])
