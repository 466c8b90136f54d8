"""Answers into a label project."""

import difflib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxal import entry
from jaxal.data.tables import check_folder
from jaxal.files import claimed
from jaxal.interop import FORMATS, Answer, Refused
from jaxal.labeling import project
from jaxal.labeling._status import Status, status
from jaxal.labeling.ledger import Ledger
from jaxal.labeling.project import Project


class Imported(NamedTuple):
    """What became of the answers in a file."""

    labels: int  # new answers that are labels
    skips: int  # new answers that skip a row
    revised: int  # of all these, answers that take the place of one by the same annotator
    known: int  # answers that were imported before
    unasked: int  # new answers to rows that were not asked for
    refused: tuple[Refused, ...]  # what is wrong with the others
    status: Status


@entry.checked(
    folder=check_folder,
    path=check_folder,
    format=entry.one_of(FORMATS),
    annotator=entry.text,
    revise=entry.flag,
)
def import_answers(
    folder: str | Path,
    path: str | Path,
    *,
    format: str | None = None,
    annotator: str = "",
    revise: bool = False,
) -> Imported:
    """Takes the answers in a file that people, or their tool, wrote.

    Each is judged alone: those that can be taken are in the journal, and on the disk, when this
    returns; of the others the file has to be mended, and may then be imported again as a whole, as
    answers that are known already are passed over. An answer is refused if its id is none of the
    project's or has a label from the pool, if its label is none of the classes, if the same
    annotator answers the row twice in the file, or answered it otherwise in an earlier one.

    Args:
      folder: of the project.
      path: the file.
      format: a name in `interop.FORMATS`; that of the project if not given.
      annotator: who answered, where the file does not say.
      revise: take the new answer where an annotator said something else in an earlier file.

    Raises:
      ValueError: no project, an unknown format, or a file that is not of this format.
      OSError: the file cannot be read, or the journal not be written; nothing was taken.
    """
    path = Path(path)
    raw = path.read_bytes()
    with claimed(project.read(folder).folder):
        opened = project.read(folder)
        chosen = opened.settings.label.format if format is None else format
        try:
            found = list(FORMATS[chosen].decode(raw.decode()))
        except UnicodeDecodeError:
            raise ValueError(f"{path}: expected text encoded in UTF-8") from None
        except ValueError as error:
            raise ValueError(f"{path}: {error} (format {chosen})") from None
        judged = list(_judged(opened.ledger, found, annotator, revise))
        taken = [one for one in judged if isinstance(one, Answer)]
        refused = tuple(one for one in judged if isinstance(one, Refused))
        if taken or refused:
            opened.append(
                "answers",
                file=path.name,
                sha256=hashlib.sha256(raw).hexdigest(),
                format=chosen,
                answers=[list(one) for one in taken],
                refused=[list(one) for one in refused],
            )
    return _report(opened, taken, refused, len(found))


def _report(
    before: Project, taken: list[Answer], refused: tuple[Refused, ...], found: int
) -> Imported:
    asked = {name for batch in before.ledger.batches for name in batch["ids"]}
    skips = sum(one.label is None for one in taken)
    return Imported(
        labels=len(taken) - skips,
        skips=skips,
        revised=sum(one.annotator in before.ledger.answers.get(one.id, {}) for one in taken),
        known=found - len(taken) - len(refused),
        unasked=len({one.id for one in taken} - asked),
        refused=refused,
        status=status(before.folder),
    )


def _judged(
    ledger: Ledger, found: list[Answer | Refused], annotator: str, revise: bool
) -> Iterator[Answer | Refused]:
    """New answers, and those that are refused; answers that are known are left out."""
    seen: dict[tuple[str, str], str] = {}
    for one in found:
        if isinstance(one, Refused):
            yield one
            continue
        one = one._replace(annotator=one.annotator or annotator)
        reason = _reason(ledger, one, seen, revise)
        seen.setdefault((one.id, one.annotator), one.where)
        if reason is not None:
            yield Refused(one.where, reason)
            continue
        before = ledger.answers.get(one.id, {}).get(one.annotator)
        if before is None or before.label != one.label:
            yield one


def _reason(
    ledger: Ledger, answer: Answer, seen: Mapping[tuple[str, str], str], revise: bool
) -> str | None:
    """Why an answer is refused; None if it is not."""
    where, name, label, annotator = answer
    if name not in ledger.rows:
        return f"id {name!r} is unknown"
    if label is not None and label not in ledger.classes:
        known = ", ".join(ledger.classes)
        return f"label {label!r} is unknown;{_close(label, ledger.classes)} classes: {known:.200}"
    who = annotator or "the annotator, who has no name,"
    if (name, annotator) in seen:
        return f"{who} answered id {name!r} at {seen[name, annotator]} already"
    if name in ledger.known:
        return f"id {name!r} has the label {ledger.known[name]!r} from the pool"
    before = ledger.answers.get(name, {}).get(annotator)
    if before is not None and before.label != label and not revise:
        return (
            f"{who} said {before.label or 'skip'!r} of id {name!r} before ({before.place}), and "
            f"now {label or 'skip'!r}; revise takes the new answer"
        )
    return None


def _close(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" did you mean {close[0]!r}?" if close else ""
