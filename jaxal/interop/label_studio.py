"""Label Studio: tasks with predictions, its JSON export, and the labelling interface.

The user's id is in the data of a task, as `item_id`; numbers that Label Studio gives mean nothing
here. What Label Studio calls cancelled is skipped.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

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

FROM, TO = "label", "item"
"""What the tags of the interface are called, which results refer to."""


def encode(questions: Sequence[Question], classes: Sequence[str]) -> str:
    """A list of tasks, to be imported into a project; the score of a prediction is a probability.

    What the pick was worth to the strategy, and its place in the batch, are in the data of a task,
    which the Data Manager sorts by as well.
    """
    return json.dumps([_task(one) for one in questions], ensure_ascii=False, indent=1)


def _task(question: Question) -> dict[str, Any]:
    data = {**question.shown, "item_id": question.id, **about(question)}
    if "image" not in question.shown:
        data["text"] = as_text(question.shown)
    task: dict[str, Any] = {"data": data}
    if question.suggestion is not None:
        chosen = {"choices": [question.suggestion]}
        result = {"from_name": FROM, "to_name": TO, "type": "choices", "value": chosen}
        prediction = {"model_version": agent(question), "score": question.confidence}
        task["predictions"] = [prediction | {"result": [result]}]
    return task


def decode(text: str) -> Iterator[Answer | Refused]:
    """The answers in an export "JSON": every annotation of every task, those cancelled too."""
    for where, task in json_list(text, "task"):
        if isinstance(task, Refused):
            yield task
            continue
        data, annotations = task.get("data"), task.get("annotations")
        if not isinstance(data, Mapping) or not isinstance(annotations, list):
            reason = "expected data and annotations, as the export JSON has (not JSON-MIN)"
            yield Refused(where, reason)
            continue
        for number, annotation in enumerate(annotations, start=1):
            place = f"{where}, annotation {number}"
            if isinstance(annotation, Mapping):
                yield _answer(place, data.get("item_id"), annotation)
            else:
                yield Refused(place, f"expected an object, got {annotation!r:.60}")


def _answer(where: str, id: Any, annotation: Mapping[str, Any]) -> Answer | Refused:
    who = annotation.get("completed_by")
    if isinstance(who, Mapping):
        who = who.get("email") or who.get("id")
    if annotation.get("was_cancelled"):
        return answered(where, id, None, who)
    results = annotation.get("result")
    chosen = [_choices(one) for one in results] if isinstance(results, list) else []
    labels = [label for some in chosen for label in some]
    if len(labels) != 1:
        return Refused(where, f"expected one choice, got {labels}")
    return answered(where, id, labels[0], who)


def _choices(result: Any) -> list[Any]:
    """What was chosen in one result, if it is one of choices."""
    if not isinstance(result, Mapping) or result.get("type") != "choices":
        return []
    value = result.get("value")
    chosen = value.get("choices") if isinstance(value, Mapping) else None
    return chosen if isinstance(chosen, list) else []


def template(questions: Sequence[Question], classes: Sequence[str]) -> str:
    """The labelling interface: the image or the text, and a choice of one class."""
    has_image = any("image" in one.shown for one in questions)
    shown = ("Image", "$image") if has_image else ("Text", "$text")
    lines = [f'  <{shown[0]} name="{TO}" value="{shown[1]}"/>']
    if has_image and any("text" in one.shown for one in questions):
        lines.append('  <Text name="text" value="$text"/>')
    choices = [f"    <Choice value={quoteattr(name)}/>" for name in classes]
    begin = f'  <Choices name="{FROM}" toName="{TO}" choice="single" required="true">'
    return "\n".join(["<View>", *lines, begin, *choices, "  </Choices>", "</View>", ""])


LABEL_STUDIO = Format(
    ".json",
    encode,
    decode,
    template,
    "label_studio.xml",
    how="import the tasks into a project with this labelling interface, and export it as JSON",
)
