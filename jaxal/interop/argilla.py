"""Argilla 2: records with suggestions, for `records.from_json`, and what `records.to_list` gives.

Answers are read from `to_list(flatten=True)` alone: what `to_json` writes does not say which
responses are drafts or discarded. One that was discarded without a value is in neither. The user's
id is that of the record.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jaxal.interop.common import (
    Answer,
    Format,
    Question,
    Refused,
    about,
    agent,
    answered,
    as_text,
    json_list,
)

QUESTION = "label"
"""The name of the label question in the data set's settings."""


def encode(questions: Sequence[Question], classes: Sequence[str]) -> str:
    """A list of records; `fields` are `image` or `text`, and `metadata` the batch and the rank."""
    return json.dumps([_record(one) for one in questions], ensure_ascii=False, indent=1)


def _record(question: Question) -> dict[str, Any]:
    fields = {name: question.shown[name] for name in ("image", "text") if name in question.shown}
    suggestions = {}
    if question.suggestion is not None:
        suggestions[QUESTION] = {
            "value": question.suggestion,
            "score": question.confidence,
            "agent": agent(question),
        }
    metadata = {name: value for name, value in about(question).items() if value is not None}
    return {
        "id": question.id,
        "fields": fields or {"text": as_text(question.shown)},
        "metadata": metadata,
        "suggestions": suggestions,
        "responses": {},
        "vectors": {},
    }


def decode(text: str) -> Iterator[Answer | Refused]:
    """The answers in a list of records: every response; drafts are none, discarded ones skip."""
    for where, record in json_list(text, "record"):
        if isinstance(record, Refused):
            yield record
            continue
        responses = record.get("responses")
        if isinstance(responses, Mapping) and not any(responses.values()):
            continue
        columns = [record.get(f"{QUESTION}.responses{part}") for part in ("", ".users", ".status")]
        if all(column is None for column in columns) and responses is None:
            continue
        if not all(isinstance(column, list) for column in columns) or len({*map(len, columns)}) > 1:
            reason = (
                f"expected lists {QUESTION}.responses, .users and .status of one length, as "
                "records.to_list(flatten=True) has them; without the status, an answer that was "
                "discarded looks like one that counts"
            )
            yield Refused(where, reason)
            continue
        for number, response in enumerate(zip(*columns, strict=True), start=1):
            yield from _answers(f"{where}, response {number}", record.get("id"), *response)


def _answers(where: str, id: Any, label: Any, who: Any, status: Any) -> Iterator[Answer | Refused]:
    """The answer in a response, if it is not a draft."""
    if status == "draft":
        return
    if status not in ("submitted", "discarded"):
        yield Refused(where, f"status: expected submitted, discarded or draft, got {status!r}")
    elif status == "submitted" and label is None:
        yield Refused(where, "label: expected one class, got None")
    else:
        yield answered(where, id, None if status == "discarded" else label, who)


def template(questions: Sequence[Question], classes: Sequence[str]) -> str:
    """A program that sets up the data set and logs the records of the file beside it."""
    fields = []
    if any("image" in one.shown for one in questions):
        fields.append('rg.ImageField("image")')
    if not fields or any("text" in one.shown for one in questions):
        fields.append('rg.TextField("text")')
    return f"""import json

import argilla as rg

settings = rg.Settings(
    fields=[{", ".join(fields)}],
    questions=[rg.LabelQuestion("{QUESTION}", labels={list(classes)!r})],
    metadata=[
        rg.IntegerMetadataProperty("batch"),
        rg.IntegerMetadataProperty("rank"),
        rg.FloatMetadataProperty("score"),
    ],
)
dataset = rg.Dataset(name="jaxal", settings=settings)  # needs a client: rg.Argilla(...)
dataset.create()
dataset.records.from_json("TASKS")
# When people have answered:
# answers = dataset.records(with_responses=True).to_list(flatten=True)
# json.dump(answers, open("answers.json", "w"), default=str)
"""


ARGILLA = Format(
    ".json",
    encode,
    decode,
    template,
    "argilla.py",
    how="log the tasks as this program does, which says how to write the answers",
)
