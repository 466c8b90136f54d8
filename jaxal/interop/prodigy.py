"""Prodigy: tasks of the interface `choice` as JSONL, and what `db-out` writes.

Tasks are in the order of the batch: load them as they are, without a sorter, which would leave some
out. The user's id is `item_id`, which Prodigy keeps as it keeps every key.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jaxal.data.readers.columns import json_lines
from jaxal.interop.common import Answer, Format, Question, Refused, about, answered, as_text


def encode(questions: Sequence[Question], classes: Sequence[str]) -> str:
    """A task a line; the likeliest class is chosen beforehand, as `accept`."""
    options = [{"id": name, "text": name} for name in classes]
    return "".join(f"{json.dumps(_task(one, options), ensure_ascii=False)}\n" for one in questions)


def _task(question: Question, options: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    shown = {name: question.shown[name] for name in ("image", "text") if name in question.shown}
    meta = {"id": question.id, **about(question)}
    task: dict[str, Any] = {"item_id": question.id, **(shown or {"text": as_text(question.shown)})}
    task |= {"options": list(options), "meta": meta}
    if question.suggestion is not None:
        task["accept"] = [question.suggestion]
        meta |= {"suggestion": question.suggestion, "confidence": question.confidence}
    return task


def decode(text: str) -> Iterator[Answer | Refused]:
    """The answers in lines of JSON: what was accepted is a label, what was ignored is skipped."""
    for where, task in json_lines(text):
        yield task if isinstance(task, Refused) else _answer(where, task)


def _answer(where: str, task: Mapping[str, Any]) -> Answer | Refused:
    id, said = task.get("item_id"), task.get("answer")
    who = task.get("_annotator_id") or task.get("_session_id")
    if said == "ignore":
        return answered(where, id, None, who)
    if said != "accept":
        hint = ": a rejected row has no class; ignore it, or accept another" * (said == "reject")
        return Refused(where, f"answer: expected accept or ignore, got {said!r}{hint}")
    chosen = task.get("accept", [task["label"]] if "label" in task else [])
    if not isinstance(chosen, list) or len(chosen) != 1:
        return Refused(where, f"accept: expected one class, got {chosen!r}")
    return answered(where, id, chosen[0], who)


PRODIGY = Format(
    ".jsonl", encode, decode, how="load the tasks in the interface choice, and write db-out"
)
