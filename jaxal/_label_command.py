"""The commands `jaxal label init`, `next`, `import`, `status` and `export`."""

import argparse
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from jaxal._commands import add_command, add_overrides

_EXAMPLES = """\
example:
  jaxal label init label.toml letters
  jaxal label next letters
  jaxal label import letters letters/tasks/batch-001.csv --annotator ann
  jaxal label status letters
  jaxal label export letters labels.csv
"""


def add_label(commands: Any) -> None:
    """Adds the commands to the others.

    Args:
      commands: what `add_subparsers` returned.
    """
    label = add_command(
        commands,
        "label",
        lambda arguments: label.print_help(sys.stderr) or 2,
        help="have people label what a strategy picks",
        description="Have people label what a strategy picks: a folder holds the ids, the answers\n"
        "and the models, and nothing that was told is ever lost.",
        examples=_EXAMPLES,
    )
    steps = label.add_subparsers(title="commands", metavar="COMMAND")
    init = _step(steps, "init", _init, "make the folder of a project from a config")
    init.add_argument("config", metavar="CONFIG", type=Path, help="a TOML file with [label]")
    _add_folder(init)
    add_overrides(init)
    _add_data(init)
    _add_next(steps)
    taken = _step(steps, "import", _import, "take the answers that people gave")
    _add_folder(taken)
    taken.add_argument("file", metavar="FILE", type=Path, help="what people, or a tool, wrote")
    _add_format(taken)
    taken.add_argument("--annotator", default="", help="who answered, where the file does not say")
    taken.add_argument(
        "--revise",
        action="store_true",
        help="take the new answer where the same person said something else before",
    )
    _add_folder(_step(steps, "status", _status, "show how far a project is"))
    export = _step(steps, "export", _export, "write the label of every row into a CSV file")
    _add_folder(export)
    export.add_argument("file", metavar="FILE", type=Path, help="the file, new or such an export")


def _add_next(steps: Any) -> None:
    step = _step(steps, "next", _next, "pick the rows to label next, and write a task file")
    _add_folder(step)
    _add_format(step)
    step.add_argument("--budget", metavar="N", type=int, help="how many rows")
    step.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        help="the task file (default: DIR/tasks/batch-NNN); one that is there is never replaced",
    )
    flags = {
        "--embed": "images as data URIs, for tools without the files",
        "--leave-open": "go on though rows have no answer yet",
        "--anyway": "go on though a stopping rule holds",
        "--all-devices": "have all devices share the rows; picks may differ from those of one",
    }
    for flag, help in flags.items():
        step.add_argument(flag, action="store_true", help=help)
    _add_data(step)


def _step(steps: Any, name: str, run: Callable[..., int], help: str) -> argparse.ArgumentParser:
    step = add_command(steps, name, run, help=help, description=f"{help[0].upper()}{help[1:]}.")
    step.add_argument("--traceback", action="store_true", help="show where an error came from")
    return step


def _add_folder(step: argparse.ArgumentParser) -> None:
    step.add_argument("folder", metavar="DIR", type=Path, help="the folder of the project")


def _add_format(step: argparse.ArgumentParser) -> None:
    step.add_argument(
        "--format", help="csv, jsonl, label_studio, argilla or prodigy (default: label.format)"
    )


def _add_data(step: argparse.ArgumentParser) -> None:
    step.add_argument(
        "--data",
        metavar="DIR",
        help="folder in which data are looked for after the working directory "
        "(default: data.folder, JAXAL_DATA, or the one around the project)",
    )


def _init(arguments: argparse.Namespace) -> int:
    from jaxal import labeling

    status = labeling.create(
        arguments.config, arguments.folder, overrides=arguments.overrides, data=arguments.data
    )
    known = f"{len(status.labels)} classes, {status.labelled} labelled already"
    _print(f"{arguments.folder}: {_rows(status.rows)}, {known}")
    _print(f"next: {_command('next', arguments.folder)}")
    return 0


def _next(arguments: argparse.Namespace) -> int:
    from jaxal import labeling
    from jaxal._cache import set_up_cache
    from jaxal.interop import FORMATS
    from jaxal.labeling._next import ALL_ANSWERED
    from jaxal.pools.devices import make_mesh

    set_up_cache(True)
    names = ("budget", "format", "out", "embed", "leave_open", "anyway", "data")
    given = {name: getattr(arguments, name) for name in names}
    if arguments.all_devices:
        given["mesh"] = make_mesh()
    batch = labeling.next_batch(arguments.folder, **given)
    _note(batch.notes)
    fitted = f"fitted to {_count(batch.labels, 'label')}" if batch.labels else "no labels yet"
    if batch.accuracy is not None:
        fitted += f", accuracy {batch.accuracy:.3f} on the held-out rows"
    if batch.stopped is not None:
        _print(fitted, f"nothing more is asked: {batch.stopped}")
        if batch.stopped != ALL_ANSWERED:
            again = _command("next", arguments.folder, "--anyway")
            _print(f"to be asked all the same: {again}")
        _print(f"next: {_command('export', arguments.folder, 'labels.csv')}")
        return 0
    rows = f"batch {batch.number}: {_rows(len(batch.ids))}"
    if batch.again:
        _print(f"{rows} without an answer, asked for again (--leave-open goes on without them)")
    else:
        _print(f"{rows} by {batch.rule} ({fitted})")
    _print(f"tasks: {batch.path}", f"classes: {', '.join(batch.classes)}")
    if batch.template is not None:
        _print(f"setup: {batch.template}")
    kind = FORMATS[batch.format]
    form = [] if arguments.format is None else ["--format", arguments.format]
    if kind.in_place:
        form += ["--annotator", "NAME"]
    answers = batch.path if kind.in_place else "ANSWERS"
    _print(f"to do: {kind.how}")
    _print(f"next: {_command('import', arguments.folder, answers, *form)}")
    return 0


def _import(arguments: argparse.Namespace) -> int:
    from jaxal import labeling

    done = labeling.import_answers(
        arguments.folder,
        arguments.file,
        format=arguments.format,
        annotator=arguments.annotator,
        revise=arguments.revise,
    )
    _note(done.notes)
    for place in done.refused:
        _print(f"{arguments.file}, {place.where}: {place.reason}", file=sys.stderr)
    counts = {
        "revised": done.revised,
        "known before": done.known,
        "to rows that were not asked for": done.unasked,
        "refused": len(done.refused),
    }
    more = "".join(f", {count} {what}" for what, count in counts.items() if count)
    taken = f"{_count(done.labels, 'label')}, {_count(done.skips, 'skip')}"
    _print(f"taken: {taken}{more}", *_so_far(done.status))
    if done.refused:
        _print("to do: mend what was refused, and import the file again: what was taken stays")
    _print(f"next: {_command('next', arguments.folder)}")
    return 2 if done.refused else 0


def _status(arguments: argparse.Namespace) -> int:
    from jaxal import labeling

    status = labeling.status(arguments.folder)
    for batch in status.batches:
        accuracy = "" if batch.accuracy is None else f", accuracy {batch.accuracy:.3f}"
        _print(
            f"batch {batch.number}: {batch.answered} of {batch.asked} answered, by {batch.rule}, "
            f"after {_count(batch.labels, 'label')}{accuracy}"
        )
    _print(*_so_far(status))
    counts = ", ".join(f"{name} ({count})" for name, count in status.labels.items())
    _print(f"classes: {counts}")
    for name, (labels, skips) in status.annotators.items():
        said = f"{_count(labels, 'label')}, {_count(skips, 'skip')}"
        _print(f"annotator {name or '(no name)'}: {said}")
    if status.several:
        _print(f"several labels: {_rows(status.several)}, of which {status.agreed} agree")
    if status.stopped is not None:
        _print(f"stopped: {status.stopped}")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from jaxal import labeling

    count = labeling.export_labels(arguments.folder, arguments.file)
    _print(f"{arguments.file}: {_rows(count)} with a label")
    return 0


def _so_far(status: Any) -> Iterable[str]:
    """Lines on how many rows have a label, and on those that have none though they were asked."""
    yield (
        f"so far: {status.labelled} of {_rows(status.rows)} labelled, {len(status.skipped)} "
        f"skipped, {len(status.disputed)} disputed, {len(status.open)} open"
    )
    meanings = {
        "disputed: annotators disagree, another answer decides": status.disputed,
        "open: asked for and not answered": status.open,
    }
    for meaning, ids in meanings.items():
        if ids:
            more = f" and {len(ids) - 5} more" * (len(ids) > 5)
            yield f"{meaning}: {', '.join(ids[:5])}{more}"


def _note(notes: Iterable[str]) -> None:
    _print(*(f"note: {note}" for note in notes), file=sys.stderr)


def _rows(count: int) -> str:
    return _count(count, "row")


def _count(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _command(*words: object) -> str:
    return shlex.join(["jaxal", "label", *map(str, words)])


def _print(*lines: str, file: Any = None) -> None:
    from jaxal.report._text import printable

    for line in lines:
        print(printable(line), file=file)
