"""What is asked and what is answered, in no tool's form; and how text becomes either."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jaxal.data.readers.columns import Refused, as_object


class Question(NamedTuple):
    """A row that is asked for, as people are to see it."""

    id: str  # the user's
    shown: Mapping[str, str]  # column -> what is in it; `image` and `text` are shown as such
    batch: int  # counted from 1
    rank: int  # place in the batch, counted from 1
    score: float | None = None  # what the pick was worth to the strategy
    suggestion: str | None = None  # the class that the model finds likeliest
    confidence: float | None = None  # its probability


class Answer(NamedTuple):
    """What one person said of one row."""

    where: str  # in the file, as in "line 3"
    id: str
    label: str | None  # None: the person skipped it
    annotator: str = ""  # "" where the file names nobody


class Format(NamedTuple):
    """A tool's form of both."""

    suffix: str  # of task files
    encode: Callable[[Sequence[Question], Sequence[str]], str]  # (questions, classes) -> task file
    decode: Callable[[str], Iterator[Answer | Refused]]  # what the tool exports -> answers
    template: Callable[[Sequence[Question], Sequence[str]], str] | None = None  # how to set it up
    template_name: str = ""  # of the file that this goes into
    how: str = ""  # what people do with a task file, in words
    in_place: bool = False  # whether they write their answers into it


OWN_COLUMNS = (
    *("id", "batch", "rank", "score", "suggestion", "confidence"),
    *("label", "skipped", "annotator", "classes", "item_id"),
)
"""Columns of task files that no column of the user's may be called."""


def about(question: Question) -> dict[str, Any]:
    """The batch, the place in it, and the score: what tools sort by."""
    return {"batch": question.batch, "rank": question.rank, "score": question.score}


def agent(question: Question) -> str:
    """What a tool is told that a suggestion comes from."""
    return f"jaxal-batch-{question.batch}"


def as_text(shown: Mapping[str, str]) -> str:
    """The columns of a row as lines, for tools that show text alone."""
    return shown["text"] if "text" in shown else "\n".join(f"{k}: {v}" for k, v in shown.items())


def answered(where: str, id: Any, label: Any, annotator: Any = "") -> Answer | Refused:
    """An answer, if id, label and annotator are text or integers; a label of None is a skip."""
    if not _is_name(id):
        return Refused(where, f"id: expected text, got {id!r}")
    if not (label is None or _is_name(label)):
        return Refused(where, f"label: expected one class, got {label!r}")
    who = "" if annotator is None else annotator
    if isinstance(who, bool) or not isinstance(who, str | int):
        return Refused(where, f"annotator: expected text, got {annotator!r}")
    given = None if label is None else str(label).strip()
    return Answer(where, str(id).strip(), given, str(who).strip())


def _is_name(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool) and bool(str(value).strip())


def json_list(text: str, what: str) -> Iterator[tuple[str, Any]]:
    """Where each object of a list is, and the object, or what is wrong with it as `Refused`.

    Args:
      text: of the whole file.
      what: one of the list is called.

    Raises:
      ValueError: it is not a list in JSON.
    """
    try:
        values = json.loads(text.removeprefix("\ufeff"))
    except ValueError as error:
        raise ValueError(f"expected a list of {what}s in JSON, got {error}") from None
    if not isinstance(values, list):
        raise ValueError(f"expected a list of {what}s in JSON, got {type(values).__name__}")
    for number, value in enumerate(values, start=1):
        where = f"{what} {number}"
        yield where, as_object(where, value)
