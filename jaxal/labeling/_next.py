"""The next batch of a label project: fitted, picked, and written as a task file."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh

from jaxal import entry
from jaxal.base import Strategy
from jaxal.data.tables import check_folder
from jaxal.experiment import to_toml
from jaxal.experiment.identity import DATA
from jaxal.files import claimed
from jaxal.interop import FORMATS
from jaxal.labeling import project
from jaxal.labeling.parts import Parts, build, data_folder
from jaxal.labeling.picking import listed, pick, suggestions
from jaxal.labeling.project import CHECKPOINTS, Project
from jaxal.labeling.stopping import Found, reason_to_stop
from jaxal.labeling.tasks import Form, write_tasks
from jaxal.loop.checkpoint import Checkpoints
from jaxal.loop.identity import versions
from jaxal.loop.returned import check_strategy
from jaxal.pools import devices
from jaxal.training import AnyLearner
from jaxal.training.base import check_learner

ALL_ANSWERED = "every row has an answer"


class Batch(NamedTuple):
    """What is asked next; nothing, if the loop has ended."""

    number: int  # from 1
    classes: tuple[str, ...]  # what a row may be labelled as
    labels: int  # that the model was fitted to
    accuracy: float | None  # on the held-out rows
    notes: tuple[str, ...]
    ids: tuple[str, ...] = ()  # in the order picked; of an open batch those without an answer
    rule: str = ""  # how they were picked
    path: Path | None = None  # of the task file
    template: Path | None = None  # of the file that says how to set up the tool, if there is one
    again: bool = False  # whether the batch was there before
    stopped: str | None = None  # why nothing is asked
    format: str = ""  # of the task file, a name in `interop.FORMATS`


@entry.checked(
    folder=check_folder,
    budget=entry.integer(1),
    format=entry.one_of(FORMATS),
    out=check_folder,
    embed=entry.flag,
    leave_open=entry.flag,
    anyway=entry.flag,
    data=check_folder,
    mesh=lambda name, value: devices.check_mesh(value),
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
    mesh: Mesh | None = None,
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
      mesh: devices that share the rows of the pool, of this process; one device if not given. On
        another number of devices sums are rounded otherwise, which the notes say. The first
        batch, without a model, is picked on one.
      learner: in place of that of the config, such as a `CustomLearner`; its model's classes are
        the config's. Give the same one each time.
      strategy: in place of that of the config.

    Returns:
      The `Batch`: its ids and the path of its task file, or why nothing is asked.

    Raises:
      ValueError: no project, other data than those it was made with, an argument out of range.
      FloatingPointError: as `ask`.
      OSError: data that are not there, or a file that is there already or cannot be written.
    """
    if devices.is_shared(mesh):
        raise ValueError("mesh: expected devices of this process alone, as people wait for one")
    if out is not None and Path(out).exists():
        raise FileExistsError(f"{out}: there already, and there may be answers in it")
    with claimed(project.check_there(folder)):
        opened = project.read(folder)
        place = data_folder(opened.settings, opened.folder, data)
        path = None if out is None else Path(out)
        form = Form(format or opened.settings.label.format, path, place if embed else None)
        left = opened.ledger.open()
        if left and not leave_open:
            notes = ("budget: not looked at, as a batch is open",) if budget else ()
            return _asked(opened, opened.ledger.batches[-1], left, form, again=True, notes=notes)
        parts = build(opened.settings, place)
        opened.check_data(parts)
        own = {"learner": learner, "strategy": strategy}
        parts = parts._replace(**{name: one for name, one in own.items() if one is not None})
        event, notes = _picked(opened, parts, budget, anyway, mesh)
        notes = _differences(opened, parts, mesh) + notes
        if "reason" in event:
            opened.append("stop", **event)
            number, classes = len(opened.ledger.batches) + 1, opened.settings.label.classes
            about = (number, classes, event["labels"], event["accuracy"])
            return Batch(*about, notes, stopped=event["reason"])
        opened.append("batch", **event)
        return _asked(opened, event, event["ids"], form, notes=notes)


def _asked(
    opened: Project,
    batch: Mapping[str, Any],
    ids: Sequence[str],
    form: Form,
    *,
    again: bool = False,
    notes: tuple[str, ...] = (),
) -> Batch:
    """Writes the task file of a batch in the journal, of these of its rows."""
    path, template = write_tasks(opened, batch, ids, form)
    return Batch(
        batch["batch"],
        opened.settings.label.classes,
        batch["labels"],
        batch["accuracy"],
        notes,
        ids=tuple(ids),
        rule=batch["rule"],
        path=path,
        template=template,
        again=again,
        format=form.format,
    )


def _differences(opened: Project, parts: Parts, mesh: Mesh | None) -> tuple[str, ...]:
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
    by_model = [one for one in opened.ledger.batches if one.get("devices")]
    if by_model and by_model[-1]["devices"] != _devices(mesh):
        notes.append(
            f"devices were {by_model[-1]['devices']} at batch {by_model[-1]['batch']} and are "
            f"{_devices(mesh)}: picks may not be those of an unbroken loop"
        )
    return tuple(notes)


def _devices(mesh: Mesh | None) -> int:
    return 1 if mesh is None else mesh.size


def _settings(opened: Project, parts: Parts) -> str:
    """What decides the picks beside data and answers, in short."""
    names = f"{type(parts.learner).__name__} {parts.strategy.name}"
    return hashlib.sha256(f"{to_toml(opened.settings)}{names}".encode()).hexdigest()


def _picked(
    opened: Project, parts: Parts, budget: int | None, anyway: bool, mesh: Mesh | None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The event for the journal, of a batch or, with a `reason`, of a stop; and what to note."""
    settings, ledger = opened.settings, opened.ledger
    told, number = ledger.told(), len(ledger.batches) + 1
    labels, plan = len(told.rows), settings.strategy
    left = len(ledger.ids) - labels - len(told.skipped)
    if not left:
        return {"reason": ALL_ANSWERED, "labels": labels, "accuracy": None}, ()
    wanted = budget or (number == 1 and plan.initial) or plan.budget
    identity = {DATA: opened.provenance.get(DATA), "model": vars(settings.model)}
    saved = Checkpoints(opened.folder / CHECKPOINTS, identity)
    fitted = bool(ledger.batches) and ledger.batches[-1]["suggestions"] is not None
    remembered = (ledger.batches[-1].get("stopping") or {}) if ledger.batches else {}
    picked = pick(
        settings,
        parts,
        told,
        number,
        min(wanted, left),
        saved,
        fitted=fitted,
        remembered=remembered,
        mesh=mesh,
    )
    if picked.probabilities is not None and not anyway:
        best = None if picked.scores is None else float(np.max(picked.scores))
        reason = reason_to_stop(settings.label.stop, Found(labels, picked.accuracy, best))
        reason = reason or (picked.watched.reason and f"{picked.watched.reason} (label.stop.rule)")
        if reason is not None:
            event = {"reason": reason, "labels": labels, "accuracy": picked.accuracy}
            return event, picked.notes
    return {
        "batch": number,
        "ids": [ledger.ids[row] for row in picked.rows],
        "scores": listed(picked.scores),
        "weights": listed(picked.weights),
        "suggestions": suggestions(picked, settings.label.classes),
        "rule": picked.rule,
        "labels": labels,
        "accuracy": picked.accuracy,
        "settings": _settings(opened, parts),
        "devices": None if picked.probabilities is None else _devices(mesh),
        **({"stopping": picked.watched.memory} if picked.watched.memory else {}),
    }, picked.notes
