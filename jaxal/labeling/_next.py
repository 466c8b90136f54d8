"""The next batch of a label project: fitted, picked, and written as a task file."""

import base64
import hashlib
import math
import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxal import entry
from jaxal.base import Strategy
from jaxal.data.tables import check_folder
from jaxal.experiment.identity import DATA
from jaxal.files import claimed, written_whole
from jaxal.interop import FORMATS, Question
from jaxal.labeling import project
from jaxal.labeling.parts import Parts, build, data_folder, read_items
from jaxal.labeling.picking import Picked, pick
from jaxal.labeling.project import CHECKPOINTS, TASKS, Project, data_digest, free_path
from jaxal.labeling.settings import to_text
from jaxal.labeling.stopping import Found, reason_to_stop
from jaxal.loop.checkpoint import Checkpoints
from jaxal.loop.identity import versions
from jaxal.loop.returned import check_strategy
from jaxal.training import AnyLearner
from jaxal.training.base import check_learner


class Batch(NamedTuple):
    """What is asked next."""

    number: int  # from 1
    ids: tuple[str, ...]  # in the order picked; of a batch that was open, those without an answer
    rule: str  # how they were picked
    labels: int  # that the model was fitted to
    accuracy: float | None  # on the held-out rows
    path: Path | None  # of the task file; None if nothing is asked
    template: Path | None  # of the file that says how to set up the tool, if there is one
    again: bool  # whether the batch was there before
    stopped: str | None  # why nothing is asked
    notes: tuple[str, ...]


@entry.checked(
    folder=check_folder,
    budget=entry.integer(1),
    format=entry.one_of(FORMATS),
    out=check_folder,
    embed=entry.flag,
    leave_open=entry.flag,
    anyway=entry.flag,
    data=check_folder,
    learner=lambda name, value: check_learner(value),
    strategy=lambda name, value: check_strategy(value),
)
def next_batch(
    folder: str | Path,
    *,
    budget: int | None = None,
    format: str | None = None,
    out: str | Path | None = None,
    embed: bool = False,
    leave_open: bool = False,
    anyway: bool = False,
    data: str | Path | None = None,
    learner: AnyLearner | None = None,
    strategy: Strategy | None = None,
) -> Batch:
    """Fits the model to the answers so far, picks the rows to ask for, and writes a task file.

    While rows of the newest batch have no answer, these are asked for again, and nothing is
    fitted: called twice, it asks for the same rows. The picks follow from the settings, the data
    and the answers alone, whatever the order in which these came, and in how many processes.

    Args:
      folder: of the project.
      budget: how many rows; as the settings say, if not given.
      format: of the task file, a name in `interop.FORMATS`; that of the project if not given.
      out: the task file, which must not be there; if not given, `tasks/batch-NNN` in the folder,
        with a number behind it where that is there: people may have written answers into it.
      embed: images as data URIs, for tools that cannot reach the files.
      leave_open: go on though rows have no answer; they may be picked again.
      anyway: ask whatever the stopping rules say.
      data: the folder where data are looked for after the working directory.
      learner: in place of that of the config, such as a `CustomLearner`; its model's classes are
        the config's. Give the same one each time.
      strategy: in place of that of the config.

    Raises:
      ValueError: no project, other data than those it was made with, an argument out of range.
      FloatingPointError: as `ask`.
      OSError: data that are not there, or a file that is there already or cannot be written.
    """
    with claimed(project.read(folder).folder):
        opened = project.read(folder)
        chosen = format or opened.settings.label.format
        path = _task_path(out)
        place = data_folder(opened.settings, opened.folder, data)
        left = opened.ledger.open()
        if left and not leave_open:
            return _written(opened, opened.ledger.batches[-1], left, chosen, path, place, embed)
        parts = build(opened.settings, place)
        _check_data(opened, parts)
        own = {"learner": learner, "strategy": strategy}
        parts = parts._replace(**{name: one for name, one in own.items() if one is not None})
        notes = _notes(opened, parts)
        event, picked = _picked(opened, parts, budget, anyway)
        notes += picked.notes
        if "reason" in event:
            opened.append("stop", **event)
            number = len(opened.ledger.batches) + 1
            return Batch(
                *(number, (), picked.rule, event["labels"], picked.accuracy),
                *(None, None, False, event["reason"], notes),
            )
        opened.append("batch", **event)
        ids = event["ids"]
        made = _written(opened, event, ids, chosen, path, place, embed)
        return made._replace(again=False, notes=notes)


def _task_path(out: str | Path | None) -> Path | None:
    """Where the task file goes, if that is said; raises FileExistsError if something is there."""
    if out is not None and Path(out).exists():
        raise FileExistsError(f"{out}: there already, and there may be answers in it")
    return None if out is None else Path(out)


def _check_data(opened: Project, parts: Parts) -> None:
    """Raises ValueError if the data are not those of the project."""
    if parts.items.ids != opened.ids or data_digest(parts) != opened.provenance.get(DATA):
        raise ValueError(
            f"{parts.items.file}: the rows, or what is computed on, are not those that "
            f"{opened.folder} was made with"
        )


def _notes(opened: Project, parts: Parts) -> tuple[str, ...]:
    """What differs from before and may change the picks."""
    notes = [
        f"{name} was {opened.provenance.get(name)} and is {version}: picks may not be those of an "
        "unbroken loop"
        for name, version in versions().items()
        if opened.provenance.get(name) != version
    ]
    if opened.ledger.batches:
        before = opened.ledger.batches[-1]
        if before["settings"] != _settings(opened, parts):
            notes.append(f"the settings are not those of batch {before['batch']}")
    return tuple(notes)


def _settings(opened: Project, parts: Parts) -> str:
    """What decides the picks beside data and answers, in short."""
    names = f"{type(parts.learner).__name__} {parts.strategy.name}"
    return hashlib.sha256(f"{to_text(opened.settings)}{names}".encode()).hexdigest()


def _picked(
    opened: Project, parts: Parts, budget: int | None, anyway: bool
) -> tuple[dict[str, Any], Picked]:
    """The event for the journal, of a batch or, with a `reason`, of a stop; and the picks."""
    settings, ledger = opened.settings, opened.ledger
    told, number = ledger.told(), len(ledger.batches) + 1
    labels, plan = len(told.rows), settings.config.strategy
    left = len(opened.ids) - labels - len(told.skipped)
    if not left:
        event = {"reason": "every row has an answer", "labels": labels, "accuracy": None}
        return event, Picked(np.zeros(0, np.int32), "", None)
    wanted = budget or (plan.budget if number > 1 else plan.initial)
    identity = {DATA: opened.provenance.get(DATA), "model": vars(settings.config.model)}
    saved = Checkpoints(opened.folder / CHECKPOINTS, identity)
    fitted = bool(ledger.batches) and ledger.batches[-1]["suggestions"] is not None
    picked = pick(settings, parts, told, number, min(wanted, left), saved, fitted=fitted)
    if picked.probabilities is not None and not anyway:
        best = None if picked.scores is None else float(np.max(picked.scores))
        reason = reason_to_stop(settings.stop, Found(labels, picked.accuracy, best))
        if reason is not None:
            return {"reason": reason, "labels": labels, "accuracy": picked.accuracy}, picked
    return {
        "batch": number,
        "ids": [opened.ids[row] for row in picked.rows],
        "scores": _listed(picked.scores),
        "weights": _listed(picked.weights),
        "suggestions": _suggestions(picked, settings.label.classes),
        "rule": picked.rule,
        "labels": labels,
        "accuracy": picked.accuracy,
        "settings": _settings(opened, parts),
    }, picked


def _listed(values: np.ndarray | None) -> list[float | None] | None:
    """The values for JSON, which has no infinity, as the first score of k-center is."""
    if values is None:
        return None
    return [value if math.isfinite(value) else None for value in values.astype(float).tolist()]


def _suggestions(picked: Picked, classes: tuple[str, ...]) -> list[list[Any]] | None:
    """For each pick the likeliest class and its probability, if there was a model."""
    if picked.probabilities is None:
        return None
    best = picked.probabilities.argmax(1)
    chances = picked.probabilities.max(1).astype(float)
    return [[classes[k], chance] for k, chance in zip(best, chances.tolist(), strict=True)]


def _written(
    opened: Project,
    event: Mapping[str, Any],
    ids: list[str],
    format: str,
    path: Path | None,
    place: Path | None,
    embed: bool,
) -> Batch:
    """Writes the task file of a batch in the journal, of these of its rows."""
    form, number = FORMATS[format], event["batch"]
    ranks = {name: rank for rank, name in enumerate(event["ids"])}
    questions = [_question(opened, event, name, ranks[name]) for name in ids]
    if embed:
        folder = read_items(opened.settings, place).file.parent
        questions = [_embedded(one, folder) for one in questions]
    if path is None:
        path = free_path(opened.folder / TASKS / f"batch-{number:03}{form.suffix}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part:
        part.write_text(form.encode(questions, opened.settings.label.classes), encoding="utf-8")
    template = None
    if form.template is not None:
        template = path.with_name(f"{format}.{'xml' if format == 'label_studio' else 'py'}")
        text = form.template(questions, opened.settings.label.classes)
        with written_whole(template) as part:
            part.write_text(text, encoding="utf-8")
    return Batch(
        *(number, tuple(ids), event["rule"], event["labels"], event["accuracy"]),
        *(path, template, True, None, ()),
    )


def _question(opened: Project, event: Mapping[str, Any], name: str, rank: int) -> Question:
    score = None if event["scores"] is None else event["scores"][rank]
    suggestion = (None, None) if event["suggestions"] is None else event["suggestions"][rank]
    shown = opened.shown[opened.ledger.rows[name]]
    return Question(name, shown, event["batch"], rank + 1, score, *suggestion)


def _embedded(question: Question, folder: Path) -> Question:
    """The question with its image, if that is a file, as a data URI."""
    value = question.shown.get("image", "")
    if not value or value.startswith("data:"):
        return question
    file = folder / Path(value).expanduser()
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    text = base64.b64encode(file.read_bytes()).decode()
    return question._replace(shown={**question.shown, "image": f"data:{kind};base64,{text}"})
