"""A label project on digits, through Label Studio's formats, by processes that end."""

import base64
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from jaxal import labeling
from jaxal.labeling.parts import build
from jaxal.labeling.settings import load

DIGITS = """
[data]
source = "items:pool.jsonl"
[model]
name = "logistic"
[learner]
learning_rate = 0.03
max_epochs = 20
[strategy]
names = ["badge"]
initial = 12
budget = 10
[label]
classes = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
format = "label_studio"
"""


def write_digits(folder, rows):
    """Writes images, a file of items that names them, and a config; returns the labels by id."""
    folder.mkdir()
    inputs, labels = load_digits(return_X_y=True)
    lines, truth = [], {}
    for row in range(rows):
        image = Image.fromarray((inputs[row].reshape(8, 8) * 15).astype(np.uint8))
        name = f"digit-{row:03}"
        image.save(folder / f"{name}.png")
        lines.append(json.dumps({"id": name, "image": f"{name}.png"}))
        truth[name] = str(labels[row])
    (folder / "pool.jsonl").write_text("\n".join(lines))
    (folder / "label.toml").write_text(DIGITS)
    return truth


def label_studio_answers(path, truth, place):
    """What Label Studio exports of a task file that people have answered.

    Of the rows one in twenty is skipped, and one in twenty contradicted by a second person.
    """
    tasks = json.loads(path.read_text(encoding="utf-8"))
    for number, task in enumerate(tasks, start=place):
        right = truth[task["data"]["item_id"]]
        labels = [None] if number % 20 == 3 else [right]
        labels += [str((int(right) + 1) % 10)] if number % 20 == 7 else []
        task["annotations"] = [
            {
                "completed_by": who,
                "was_cancelled": label is None,
                "result": [{"type": "choices", "value": {"choices": [label]}}] if label else [],
            }
            for who, label in enumerate(labels, start=1)
        ]
    answers = path.with_name("export.json")
    answers.write_text(json.dumps(tasks[::-1]), encoding="utf-8")  # in another order
    return answers, [task["data"]["item_id"] for task in tasks]


def test_pictures_that_a_model_takes_flat_are_bytes_like_others(tmp_path):
    write_digits(tmp_path / "0", 5)
    for flat, shape in {"true": (5, 64), "false": (5, 8, 8, 1)}.items():
        settings = load(tmp_path / "0" / "label.toml", [f"data.flat={flat}"])
        parts = build(settings, tmp_path / "0")
        assert parts.inputs.shape == shape and parts.inputs.dtype == np.uint8


@pytest.mark.slow
def test_digits_through_label_studio_by_processes_that_end(tmp_path):
    """Each step is a process of its own, each sitting on another machine; one process is equal."""
    truth = write_digits(tmp_path / "0", 150)
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "1"}

    def label(*words):
        command = [sys.executable, "-m", "jaxal", "label", *map(str, words)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    labeling.create(tmp_path / "0" / "label.toml", tmp_path / "0" / "p")
    broken, place = [], 0
    for sitting in range(2):
        folder = tmp_path / str(sitting) / "p"
        said = label("next", folder, "--embed")
        assert ("without a model" in said) == (sitting == 0)
        task = folder / "tasks" / f"batch-{sitting + 1:03}.json"
        answers, ids = label_studio_answers(task, truth, place)
        image = json.loads(task.read_text())[0]["data"]["image"].partition("base64,")[2]
        assert Image.open(io.BytesIO(base64.b64decode(image))).size == (8, 8)
        label("import", folder, answers)
        broken.append(ids)
        place += len(ids)
        os.rename(tmp_path / str(sitting), tmp_path / str(sitting + 1))
    status = labeling.status(tmp_path / "2" / "p")
    assert len(status.skipped) == 1 and len(status.disputed) == 1 and status.labelled == 20

    labeling.create(tmp_path / "2" / "label.toml", tmp_path / "2" / "one")
    place = 0
    for ids in broken:
        batch = labeling.next_batch(tmp_path / "2" / "one")
        assert list(batch.ids) == ids and batch.path is not None
        answers, _ = label_studio_answers(batch.path, truth, place)
        labeling.import_answers(tmp_path / "2" / "one", answers)
        place += len(ids)
