"""Answers into a label project."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from jaxal import entry
from jaxal.checks import nearest
from jaxal.data.tables import check_folder
from jaxal.files import claimed
from jaxal.interop import FORMATS, Answer, Refused
from jaxal.labeling import project
from jaxal.labeling._status import Status, status
from jaxal.labeling.ledger import Ledger, Said
from jaxal.labeling.project import Project


class Imported(NamedTuple):
    """What became of the answers in a file."""

    labels: int  # new answers that are labels
    skips: int  # new answers that skip a row
    revised: int  # of all these, answers that take the place of one by the same annotator
    known: int  # answers that were given before, in an earlier file or in this one
    unasked: int  # new answers to rows that were not asked for
    refused: tuple[Refused, ...]  # what is wrong with the others
    status: Status
    notes: tuple[str, ...]


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
    project's or has a label from the pool, if its label is none of the classes, or if the same
    annotator answers the row otherwise elsewhere in the file, or did so in an earlier one.

    Args:
      folder: of the project.
      path: the file.
      format: a name in `interop.FORMATS`; that of the project if not given.
      annotator: who answered, where the file does not say; blanks around the name are dropped.
      revise: take the new answer where an annotator said something else in an earlier file.

    Returns:
      What was taken, and what was refused and why, as `Imported`.

    Raises:
      ValueError: no project, an unknown format, a file that is not of this format, or a name of an
        annotator that cannot be printed.
      OSError: the file cannot be read, or the journal not be written; nothing was taken.
    """
    path, annotator = Path(path), annotator.strip()
    if not annotator.isprintable():
        raise ValueError(f"annotator: expected text that can be printed, got {annotator!r}")
    raw = path.read_bytes()
    with claimed(project.check_there(folder)):
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
        sha256 = hashlib.sha256(raw).hexdigest()
        again = opened.ledger.files.get(sha256, annotator)
        if taken or (refused and sha256 not in opened.ledger.files):
            opened.append(
                "answers",
                file=path.name,
                sha256=sha256,
                format=chosen,
                annotator=annotator,
                answers=[list(one) for one in taken],
                refused=[list(one) for one in refused],
            )
    notes = (
        f"byte for byte the file that was imported as answers of {again or 'nobody named'}: unless "
        "other people gave these, they now count twice",
    )
    notes = notes if taken and again != annotator else ()
    return _report(opened, taken, refused, len(found), notes)


def _report(
    before: Project,
    taken: list[Answer],
    refused: tuple[Refused, ...],
    found: int,
    notes: tuple[str, ...],
) -> Imported:
    batches, answers = before.ledger.batches, before.ledger.answers
    asked = {name for batch in batches for name in batch["ids"]}
    skips = sum(one.label is None for one in taken)
    return Imported(
        labels=len(taken) - skips,
        skips=skips,
        revised=sum(one.annotator in answers.get(one.id, {}) for one in taken),
        known=found - len(taken) - len(refused),
        unasked=sum(one.id not in asked for one in taken),
        refused=refused,
        status=status(before.folder),
        notes=notes,
    )


def _judged(
    ledger: Ledger, found: list[Answer | Refused], annotator: str, revise: bool
) -> Iterator[Answer | Refused]:
    """New answers, and those that are refused; answers that are known are left out."""
    places: dict[tuple[str, str], dict[str | None, str]] = {}  # of each answer the first
    for place, one in enumerate(found):
        if isinstance(one, Answer):
            found[place] = one = one._replace(annotator=one.annotator or annotator)
            places.setdefault((one.id, one.annotator), {}).setdefault(one.label, one.where)
    for one in found:
        if isinstance(one, Refused):
            yield one
            continue
        said = places[one.id, one.annotator]
        before = ledger.answers.get(one.id, {}).get(one.annotator)
        if reason := _reason(ledger, one, said, before, revise):
            yield Refused(one.where, reason)
        elif said[one.label] == one.where and (before is None or before.label != one.label):
            yield one


def _reason(
    ledger: Ledger,
    answer: Answer,
    said: Mapping[str | None, str],
    before: Said | None,
    revise: bool,
) -> str | None:
    """Why an answer is refused; None if it is not."""
    _, name, label, annotator = answer
    if name not in ledger.rows:
        return f"id {name!r} is unknown"
    if label is not None and label not in ledger.classes:
        return f"label {label!r} is unknown; {nearest(label, ledger.classes):.200}"
    who = annotator or "the annotator, who has no name,"
    if len(said) > 1:
        return f"{who} says {len(said)} things of id {name!r}, at {' and at '.join(said.values())}"
    if name in ledger.known:
        return f"id {name!r} has the label {ledger.known[name]!r} from the pool"
    if before is not None and before.label != label and not revise:
        return (
            f"{who} said {before.label or 'skip'!r} of id {name!r} before ({before.place}), and "
            f"now {label or 'skip'!r}; revise takes the new answer"
        )
    return None
