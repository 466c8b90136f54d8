"""Label Studio: its own export, kept from a run of the real one, which a live test repeats.

    LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN=true label-studio start --no-browser --internal-host \
        127.0.0.1 --port 8097 --username a@example.org --password ... --user-token TOKEN
    LABEL_STUDIO_URL=http://127.0.0.1:8097 LABEL_STUDIO_TOKEN=TOKEN pytest -k the_real_one
"""

import json
import os
import pathlib
import urllib.request
import xml.etree.ElementTree as ElementTree

import pytest

from jaxal.interop import FORMATS, Answer, Question, Refused

EXPORT = pathlib.Path(__file__).parent / "data" / "label_studio_export.json"
"""What version 1.23.2 exports of these tasks and answers."""
URL, TOKEN = (os.environ.get(f"LABEL_STUDIO_{name}", "") for name in ("URL", "TOKEN"))
FORMAT = FORMATS["label_studio"]
CLASSES = ["cat", 'dog & "friend" <3']
ROWS = {  # id -> what is answered: each a label, or None for a skip
    "row-0": ["cat"],
    "r\u00f6w/1": [CLASSES[1]],
    "row-2": [None],
    "row-3": ["cat", CLASSES[1]],
    "row-4": [],
    "007": ["cat"],
}
QUESTIONS = [
    Question(name, {"text": f"A text, {name}."}, 2, rank, 0.5 / rank, CLASSES[rank % 2], 0.75)
    for rank, name in enumerate(ROWS, start=1)
]


def expected(text):
    """The answers, by the order of the tasks in an export."""
    tasks = json.loads(text)
    return [
        Answer(f"task {place}, annotation {number}", name, label, "1")
        for place, name in enumerate((task["data"]["item_id"] for task in tasks), start=1)
        for number, label in enumerate(ROWS[name], start=1)
    ]


def test_its_export_is_read_by_the_users_ids():
    text = EXPORT.read_text(encoding="utf-8")
    tasks = json.loads(text)
    assert {task["data"]["item_id"] for task in tasks} == set(ROWS)
    assert list(FORMAT.decode(text)) == expected(text)
    assert {answer.id for answer in FORMAT.decode(text) if isinstance(answer, Answer)} == {
        name for name, answers in ROWS.items() if answers
    }
    kept = {task["data"]["item_id"]: task["data"] for task in tasks}
    assert kept["007"] == {
        "text": "A text, 007.",
        **{"item_id": "007", "batch": 2, "rank": 6, "score": pytest.approx(0.5 / 6)},
    }


def test_annotators_are_told_apart_by_email_or_number():
    task = json.loads(EXPORT.read_text(encoding="utf-8"))[0]
    (first,) = task["annotations"]
    people = [{"id": 3, "email": "ann@example.org"}, 4, {"id": 5}]
    task["annotations"] = [first | {"completed_by": who} for who in people]
    answers = [*FORMAT.decode(json.dumps([task]))]
    assert [answer.annotator for answer in answers if isinstance(answer, Answer)] == [
        *("ann@example.org", "4", "5"),
    ]


def test_tasks_carry_predictions_and_the_interface_fits_them():
    tasks = json.loads(FORMAT.encode(QUESTIONS, CLASSES))
    (prediction,) = tasks[0]["predictions"]
    assert prediction["score"] == 0.75 and prediction["model_version"] == "jaxal-batch-2"
    (result,) = prediction["result"]
    assert result["value"] == {"choices": [CLASSES[1]]}
    assert FORMAT.template is not None
    view = ElementTree.fromstring(FORMAT.template(QUESTIONS, CLASSES))
    choices = view.find("Choices")
    assert choices is not None and view[0].get("name") == result["to_name"] == choices.get("toName")
    assert choices.get("name") == result["from_name"]
    assert [one.get("value") for one in choices] == CLASSES
    (task,) = json.loads(FORMAT.encode([Question("a", {"text": "t"}, 1, 1)], CLASSES))
    assert "predictions" not in task


def test_images_are_shown_as_images():
    image = Question("a", {"image": "data:image/png;base64,AA==", "text": "seen here"}, 1, 1)
    assert FORMAT.template is not None
    view = ElementTree.fromstring(FORMAT.template([image], CLASSES))
    assert [(one.tag, one.get("value")) for one in view[:2]] == [
        ("Image", "$image"),
        ("Text", "$text"),
    ]


def test_an_export_without_annotations_is_refused_by_task():
    small = [{"item_id": "row-0", "label": "cat", "id": 1}]  # as JSON-MIN has them
    (answer,) = FORMAT.decode(json.dumps(small))
    assert isinstance(answer, Refused) and answer.where == "task 1" and "JSON-MIN" in answer.reason


def call(method, path, body=None):
    headers = {"Authorization": f"Token {TOKEN}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or "null")


@pytest.mark.slow
@pytest.mark.skipif(not (URL and TOKEN), reason="needs LABEL_STUDIO_URL and LABEL_STUDIO_TOKEN")
def test_the_real_one():
    assert FORMAT.template is not None
    settings = {"title": "jaxal", "label_config": FORMAT.template(QUESTIONS, CLASSES)}
    project = call("POST", "/api/projects", settings)["id"]
    tasks = json.loads(FORMAT.encode(QUESTIONS, CLASSES))
    made = call("POST", f"/api/projects/{project}/import", tasks)
    assert made["task_count"] == made["prediction_count"] == len(ROWS)
    for task in call("GET", f"/api/tasks?project={project}")["tasks"]:
        for label in ROWS[task["data"]["item_id"]]:
            chosen = {"type": "choices", "value": {"choices": [label]}}
            result = [chosen | {"from_name": "label", "to_name": "item"}] if label else []
            body = {"result": result, "was_cancelled": label is None}
            call("POST", f"/api/tasks/{task['id']}/annotations/", body)
    query = "exportType=JSON&download_all_tasks=true"
    tasks = call("GET", f"/api/projects/{project}/export?{query}")
    export = "[\n" + ",\n".join(map(json.dumps, tasks)) + "\n]\n"
    if keep := os.environ.get("LABEL_STUDIO_KEEP"):
        pathlib.Path(keep).write_text(export, encoding="utf-8")
    assert list(FORMAT.decode(export)) == expected(export)
