"""Task files: the rows of a batch as people, or their tool, are to see them."""

import base64
import mimetypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxal.data.readers.items import picture
from jaxal.data.readers.paths import find
from jaxal.files import written_whole
from jaxal.interop import FORMATS, Question
from jaxal.labeling.parts import items_path, refound
from jaxal.labeling.project import TASKS, Project, free_path


class Form(NamedTuple):
    """How the task file is to be written."""

    format: str  # a name in `interop.FORMATS`
    path: Path | None  # None: in the folder of the project
    images: Path | None  # where data are looked for whose images go into the file; None: none do


def write_tasks(
    opened: Project, batch: Mapping[str, Any], ids: Sequence[str], form: Form
) -> tuple[Path, Path | None]:
    """Writes the task file of a batch in the journal, of these of its rows.

    Returns:
      The path of the file, and that of what says how to set up the tool, if there is such a thing.
    """
    kind, classes = FORMATS[form.format], opened.settings.label.classes
    ranks = {name: rank for rank, name in enumerate(batch["ids"])}
    questions = [_question(opened, batch, name, ranks[name]) for name in ids]
    if form.images is not None:
        items = items_path(refound(opened.settings, form.images))
        folder = find(items, form.images).parent
        questions = [_embedded(one, folder) for one in questions]
    path = form.path
    if path is None:
        path = free_path(opened.folder / TASKS / f"batch-{batch['batch']:03}{kind.suffix}")
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, kind.encode(questions, classes))
    if kind.template is None:
        return path, None
    text = kind.template(questions, classes)
    # People may have put their address and key into the one that is there.
    setup = free_path(opened.folder / TASKS / kind.template_name, unless=text)
    setup.parent.mkdir(exist_ok=True)
    _write(setup, text)
    return path, setup


def _write(path: Path, text: str) -> None:
    with written_whole(path) as part:
        part.write_text(text, encoding="utf-8")


def _question(opened: Project, batch: Mapping[str, Any], name: str, rank: int) -> Question:
    score = None if batch["scores"] is None else batch["scores"][rank]
    suggestion = (None, None) if batch["suggestions"] is None else batch["suggestions"][rank]
    shown = opened.items[opened.ledger.rows[name]]["shown"]
    return Question(name, shown, batch["batch"], rank + 1, score, *suggestion)


def _embedded(question: Question, folder: Path) -> Question:
    """The question with its image, if that is a file, as a data URI."""
    value = question.shown.get("image")
    file = picture(value, folder) if value else b""
    if isinstance(file, bytes):  # it is one already, or there is no image
        return question
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    text = base64.b64encode(file.read_bytes()).decode()
    return question._replace(shown={**question.shown, "image": f"data:{kind};base64,{text}"})
