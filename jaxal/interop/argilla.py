"""Argilla 2: records with suggestions, as `dataset.records.to_json` and `from_json` have them.

Also a list as `records.to_list(flatten=True)` returns it, which alone says which responses were
discarded. The user's id is that of the record.
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
        if isinstance(responses, Mapping):
            found = responses.get(QUESTION) or []
        else:
            found = _unflattened(record)
        if not isinstance(found, list):
            yield Refused(where, f"responses: expected a list, got {found!r:.60}")
            continue
        for number, response in enumerate(found, start=1):
            yield from _answers(f"{where}, response {number}", record.get("id"), response)


def _unflattened(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The responses of a flat record, which has values, users and statuses in lists."""
    name = f"{QUESTION}.responses"
    values = record.get(name) or []
    users = record.get(f"{name}.users") or [""] * len(values)
    statuses = record.get(f"{name}.status") or ["submitted"] * len(values)
    return [
        {"value": value, "user_id": user, "status": status}
        for value, user, status in zip(values, users, statuses, strict=False)
    ]


def _answers(where: str, id: Any, response: Any) -> Iterator[Answer | Refused]:
    if not isinstance(response, Mapping):
        yield Refused(where, f"expected an object, got {response!r:.60}")
        return
    status = getattr(response.get("status"), "value", response.get("status")) or "submitted"
    if status == "draft":
        return
    if status not in ("submitted", "discarded"):
        yield Refused(where, f"status: expected submitted, discarded or draft, got {status!r}")
        return
    label = response.get("value")
    if status == "submitted" and label is None:
        yield Refused(where, "label: expected one class, got None")
        return
    who = response.get("user_id") or ""
    yield answered(where, id, None if status == "discarded" else label, who)


def template(questions: Sequence[Question], classes: Sequence[str]) -> str:
    """A program that sets up the data set and logs the records of the file beside it."""
    fields = []
    if any("image" in one.shown for one in questions):
        fields.append('rg.ImageField("image")')
    if not fields or any("text" in one.shown for one in questions):
        fields.append('rg.TextField("text")')
    return f"""import argilla as rg

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
# When people have answered: a list that keeps what was discarded.
# json.dump(dataset.records(with_responses=True).to_list(flatten=True), open("answers.json", "w"))
"""


ARGILLA = Format(".json", encode, decode, template)
