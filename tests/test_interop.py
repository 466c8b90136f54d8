"""Forms of labelling tools: what is asked goes out, what is answered comes in, by line."""

import csv
import io
import json

import pytest

from jaxal.interop import FORMATS, Answer, Question, Refused

CLASSES = ["cat", "dog, old", 'a "b"']
SHOWN = {"text": "one, two\nthree \u2603", "source": "=1+1"}
QUESTIONS = [
    Question("007", SHOWN, 3, 1, 0.25, "dog, old", 0.625),
    Question("b c", {"text": "t", "source": ""}, 3, 2, -1.5, "cat", 0.5),
    Question("\u00fc", {"text": "u", "source": "s"}, 3, 3),
]
ANSWERS = {"007": 'a "b"', "b c": None}  # and the third is not answered


def filled_csv(text):
    rows = list(csv.DictReader(io.StringIO(text)))
    for row in rows:
        if row["id"] in ANSWERS:
            row["label"], row["annotator"] = ANSWERS[row["id"]] or "", "ann"
            row["skipped"] = "" if row["label"] else " X "
    file = io.StringIO()
    writer = csv.DictWriter(file, rows[0], delimiter=";", lineterminator="\r\n")  # a spreadsheet's
    writer.writeheader()
    writer.writerows(rows)
    return f"\ufeff{file.getvalue()}"


def filled_jsonl(text):
    rows = [json.loads(line) for line in text.splitlines()]
    for row in rows:
        if row["id"] in ANSWERS:
            row |= {"label": ANSWERS[row["id"]], "annotator": "ann"}
            row["skipped"] = row["label"] is None
    return "\n".join(map(json.dumps, rows))


def filled_label_studio(text):
    """As the export JSON has it; `test_label_studio.py` has one of the real thing."""
    tasks = json.loads(text)
    for task in tasks:
        answer = ANSWERS.get(task["data"]["item_id"])
        result = [{"type": "choices", "value": {"choices": [answer]}}] if answer else []
        annotation = {"completed_by": {"email": "ann"}, "was_cancelled": not answer}
        answered = task["data"]["item_id"] in ANSWERS
        task["annotations"] = [annotation | {"result": result}] if answered else []
    return json.dumps(tasks)


def filled_argilla(text):
    """As argilla 2.8.0 returns it from `records.to_list(flatten=True)`."""
    records = []
    for record in json.loads(text):
        flat = {"id": record["id"], "status": "pending", "_server_id": None} | record["fields"]
        answered = record["id"] in ANSWERS
        label = ANSWERS.get(record["id"])
        said = {"": label or "cat", ".users": "ann"}
        said[".status"] = "submitted" if label else "discarded"
        flat |= {f"label.responses{k}": [one] if answered else None for k, one in said.items()}
        records.append(flat)
    return json.dumps(records)


def filled_prodigy(text):
    rows = [json.loads(line) for line in text.splitlines()]
    for row in rows:
        answer = ANSWERS.get(row["item_id"])
        row |= {"accept": [answer] if answer else [], "_annotator_id": "ann"}
        row["answer"] = "accept" if answer else "ignore"
    return "\n".join(json.dumps(row) for row in rows if row["item_id"] in ANSWERS)


FILLED = {
    "argilla": filled_argilla,
    "csv": filled_csv,
    "jsonl": filled_jsonl,
    "label_studio": filled_label_studio,
    "prodigy": filled_prodigy,
}


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_asked_comes_back_answered(name):
    text = FORMATS[name].encode(QUESTIONS, CLASSES)
    answers = list(FORMATS[name].decode(FILLED[name](text)))
    assert [type(answer) for answer in answers] == [Answer, Answer], answers
    assert {one.id: one.label for one in answers if isinstance(one, Answer)} == ANSWERS
    assert {one.annotator for one in answers if isinstance(one, Answer)} == {"ann"}


@pytest.mark.parametrize("name", FORMATS)
def test_what_an_editor_puts_first_or_at_the_end_of_lines_says_nothing(name):
    text = FILLED[name](FORMATS[name].encode(QUESTIONS, CLASSES)).removeprefix("\ufeff")
    saved = "\ufeff" + text.replace("\r\n", "\n").replace("\n", "\r\n")
    assert list(FORMATS[name].decode(saved)) == list(FORMATS[name].decode(text))


@pytest.mark.parametrize("name", FORMATS)
def test_what_nobody_has_answered_says_nothing(name):
    text = FORMATS[name].encode(QUESTIONS, CLASSES)
    if name == "label_studio":  # an export has the list of annotations, empty or not
        text = json.dumps([task | {"annotations": []} for task in json.loads(text)])
    if name == "prodigy":  # what is in its database has been answered
        text = ""
    assert list(FORMATS[name].decode(text)) == []


@pytest.mark.parametrize("name", FORMATS)
def test_images_texts_and_columns_are_shown(name):
    image = Question("a", {"image": "x.png"}, 1, 1)
    columns = Question("b", {"width": "1.5", "color": "red"}, 1, 2)
    one = FORMATS[name].encode([image], CLASSES)
    other = FORMATS[name].encode([columns], CLASSES)
    assert "x.png" in one and "1.5" in other and "red" in other


def test_argilla_takes_records_as_it_writes_them():
    records = json.loads(FORMATS["argilla"].encode(QUESTIONS, CLASSES))
    assert records[0] == {
        "id": "007",
        "fields": {"text": SHOWN["text"]},
        "metadata": {"batch": 3, "rank": 1, "score": 0.25},
        "suggestions": {
            "label": {"value": "dog, old", "score": 0.625, "agent": "jaxal-batch-3"},
        },
        "responses": {},
        "vectors": {},
    }
    assert records[2]["suggestions"] == {} and "score" not in records[2]["metadata"]
    template = FORMATS["argilla"].template
    assert template is not None
    compile(template(QUESTIONS, CLASSES), "argilla.py", "exec")


def test_prodigy_offers_every_class_and_accepts_the_likeliest_beforehand():
    first, _, third = map(json.loads, FORMATS["prodigy"].encode(QUESTIONS, CLASSES).splitlines())
    assert [option["id"] for option in first["options"]] == CLASSES
    assert first["accept"] == ["dog, old"] and first["meta"]["confidence"] == 0.625
    assert "accept" not in third


def decoded(name, value):
    text = value if isinstance(value, str) else json.dumps(value)
    return list(FORMATS[name].decode(text))


TASK = {"data": {"item_id": "a"}, "annotations": []}


def label_studio(**annotation):
    return [TASK | {"annotations": [annotation]}]


def choices(*labels):
    return [{"type": "choices", "value": {"choices": list(labels)}}]


def argilla(values, users, statuses):
    name = "label.responses"
    return [{"id": "a", name: values, f"{name}.users": users, f"{name}.status": statuses}]


NESTED = [{"id": "a", "responses": {"label": [{"value": "cat", "user_id": "u"}]}}]
REFUSED = {
    "csv: short": ("csv", "id,label\na\n", "line 2", "expected 2 fields, got 1"),
    "csv: both": ("csv", "id,label,skipped\na,cat,x\n", "line 2", "label or a skip, got both"),
    "csv: maybe": ("csv", "id,label,skipped\na,,perhaps\n", "line 2", "skipped: expected yes"),
    "csv: no id": ("csv", "id,label\n\n ,cat\n", "line 3", "id: expected text, got ' '"),
    "csv: after a cell of two lines": (
        *("csv", 'id,label,x\na,cat,"1\n2"\nb\n', "line 4", "expected 3 fields, got 1"),
    ),
    "csv: open quote": ("csv", 'id,label\na,"cat\n', "line 2", "a row, got unexpected end"),
    "jsonl: text": ("jsonl", '{"id": "a", "label": null}\nx\n', "line 2", "expected JSON"),
    "jsonl: no label": (
        *("jsonl", {"id": "a", "Label": "cat"}, "line 1", "label or skipped, got id, Label"),
    ),
    "jsonl: list": ("jsonl", "[1]", "line 1", "expected an object, got [1]"),
    "jsonl: no id": ("jsonl", {"label": "cat"}, "line 1", "id: expected text, got None"),
    "jsonl: bool": ("jsonl", {"id": "a", "label": True}, "line 1", "label: expected one class"),
    "jsonl: float": ("jsonl", {"id": "a", "label": 1.5}, "line 1", "label: expected one class"),
    "jsonl: nobody": (
        *("jsonl", {"id": "a", "label": "b", "annotator": False}, "line 1", "annotator: expected"),
    ),
    "jsonl: half a character": (
        *(
            "jsonl",
            {"id": "a", "label": "b", "annotator": "\ud83d"},
            "line 1",
            "expected text, got",
        ),
    ),
    "label_studio: half a character": (
        *("label_studio", [TASK | {"text": "\ud83d"}], "task 1", "expected text, got 'utf-8'"),
    ),
    "jsonl: who": ("jsonl", {"id": "a", "label": "b", "annotator": [1]}, "line 1", "annotator"),
    "label_studio: minimal": ("label_studio", [{"id": 1}], "task 1", "not JSON-MIN"),
    "label_studio: text": ("label_studio", ["a"], "task 1", "expected an object"),
    "label_studio: null": ("label_studio", [TASK | {"annotations": [None]}], "task 1, ann", "None"),
    "label_studio: no id": (
        *("label_studio", [TASK | {"data": {}, "annotations": [{"result": choices("cat")}]}]),
        *("task 1, annotation 1", "id: expected text, got None"),
    ),
    "label_studio: empty": ("label_studio", label_studio(result=[]), "task 1", "choice, got []"),
    "label_studio: two": (
        *("label_studio", label_studio(result=choices("cat", "dog")), "task 1", "['cat', 'dog']"),
    ),
    "argilla: nested": ("argilla", NESTED, "record 1", "looks like one that counts"),
    "argilla: lengths": ("argilla", argilla(["cat"], [], ["submitted"]), "record 1", "one length"),
    "argilla: no value": ("argilla", argilla([None], ["u"], ["submitted"]), "record 1", "got None"),
    "argilla: status": ("argilla", argilla(["cat"], ["u"], ["done"]), "record 1", "got 'done'"),
    "prodigy: reject": (
        *("prodigy", {"item_id": "a", "answer": "reject", "accept": ["cat"]}),
        *("line 1", "a rejected row has no class"),
    ),
    "prodigy: none": (
        *("prodigy", {"item_id": "a", "answer": "accept", "accept": []}),
        *("line 1", "accept: expected one class, got []"),
    ),
    "prodigy: not answered": ("prodigy", {"item_id": "a"}, "line 1", "answer: expected accept"),
}


@pytest.mark.parametrize(("name", "given", "where", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_answer_is_refused_by_its_place(name, given, where, reason):
    refused = [one for one in decoded(name, given) if isinstance(one, Refused)]
    assert len(refused) == 1, refused
    assert refused[0].where.startswith(where) and reason in refused[0].reason, refused


WHOLE = {
    "csv: no label": ("csv", "id,name\na,b\n", "line 1: expected a column 'label', got id, name"),
    "csv: twice": ("csv", "id,label,label\n", "line 1: expected each column once"),
    "csv: empty": ("csv", "", "line 1: expected a column 'id', got none"),
    "label_studio: csv": ("label_studio", "id,label", "expected a list of tasks in JSON"),
    "label_studio: an object": ("label_studio", "{}", "expected a list of tasks in JSON, got dict"),
    "argilla: a number": ("argilla", "1", "expected a list of records in JSON, got int"),
}


@pytest.mark.parametrize(("name", "text", "message"), WHOLE.values(), ids=WHOLE)
def test_a_file_of_another_kind_is_refused_whole(name, text, message):
    with pytest.raises(ValueError) as raised:
        decoded(name, text)
    assert str(raised.value).startswith(message)


def test_numbers_as_labels_are_their_digits_and_drafts_are_no_answers():
    assert decoded("jsonl", {"id": 7, "label": 3}) == [Answer("line 1", "7", "3")]
    numbers = {"id": 7, "label": 3, "annotator": 0}
    assert decoded("jsonl", numbers) == [Answer("line 1", "7", "3", "0")]
    drafts = argilla(["cat", "cat"], ["u", "v"], ["draft", "submitted"])
    assert decoded("argilla", drafts) == [Answer("record 1, response 2", "a", "cat", "v")]
    accepted = {"item_id": "a", "label": "cat", "answer": "accept", "_session_id": "set-ann"}
    assert decoded("prodigy", accepted) == [Answer("line 1", "a", "cat", "set-ann")]
