"""CSV and JSONL: files that a person, or a program of one's own, fills in.

A row has its `id`, what is shown, and the model's `suggestion`. The answer goes into `label`, or
anything into `skipped`; a row with neither is not answered yet. `annotator` is who answered.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jaxal.data.readers.columns import csv_rows, csv_text, json_lines
from jaxal.interop.common import Answer, Format, Question, Refused, about, answered

_NO = ("", "0", "false", "no", "n")
_YES = ("1", "true", "yes", "y", "x", "skip", "skipped")


def encode_csv(questions: Sequence[Question], classes: Sequence[str]) -> str:
    """A table with a row for each question, whose columns `label` and `skipped` are empty."""
    shown = list(dict.fromkeys(name for one in questions for name in one.shown))
    columns = ["id", *shown, "suggestion", "confidence", *("score", "batch", "rank")]
    rows = [
        [
            *(one.id, *(one.shown.get(name, "") for name in shown), one.suggestion),
            *(_rounded(one.confidence), _rounded(one.score), one.batch, one.rank),
            *("", "", ""),
        ]
        for one in questions
    ]
    return csv_text([*columns, "label", "skipped", "annotator"], rows)


def encode_jsonl(questions: Sequence[Question], classes: Sequence[str]) -> str:
    """An object a line for each question, whose `label` is null and whose `skipped` is false."""
    lines = (
        {"id": one.id, **one.shown, "suggestion": one.suggestion, "confidence": one.confidence}
        | about(one)
        | {"classes": list(classes), "label": None, "skipped": False, "annotator": ""}
        for one in questions
    )
    return "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)


def decode_csv(text: str) -> Iterator[Answer | Refused]:
    """The answers in a table; columns other than id, label, skipped and annotator say nothing."""
    for where, row in csv_rows(text, ("id", "label")):
        yield from _answer(where, row)


def decode_jsonl(text: str) -> Iterator[Answer | Refused]:
    """The answers in lines of JSON."""
    for where, row in json_lines(text):
        yield from _answer(where, row)


def _answer(where: str, row: Mapping[str, Any] | Refused) -> Iterator[Answer | Refused]:
    """The answer in a row, if it is answered."""
    if isinstance(row, Refused):
        yield row
        return
    if not {"label", "skipped"} & {*row}:
        yield Refused(where, f"expected label or skipped, got {', '.join(row) or 'nothing'}")
        return
    label, skipped = row.get("label"), row.get("skipped")
    said = "" if skipped is None else str(skipped).strip().lower()
    if said not in _NO + _YES:
        yield Refused(where, f"skipped: expected yes or nothing, got {skipped!r}")
        return
    if isinstance(label, str):
        label = label.strip() or None
    if said in _YES:
        if label is not None:
            yield Refused(where, f"expected a label or a skip, got both (label {label!r})")
            return
        yield answered(where, row.get("id"), None, row.get("annotator"))
    elif label is not None:
        yield answered(where, row.get("id"), label, row.get("annotator"))


def _rounded(number: float | None) -> str | None:
    return None if number is None else f"{number:.6g}"


CSV = Format(
    ".csv",
    encode_csv,
    decode_csv,
    how="write a class into the column label, or x into skipped",
    in_place=True,
)
JSONL = Format(
    ".jsonl",
    encode_jsonl,
    decode_jsonl,
    how='write a class in place of null behind "label", or true behind "skipped"',
    in_place=True,
)
