"""The journal of a label project: what was asked and what was answered, in the order it came.

An event is a line of JSON, on the disk before anything else follows from it; none is ever changed.
"""

import json
import os
import warnings
from pathlib import Path
from typing import Any

JOURNAL = "journal.jsonl"


def read(path: Path) -> list[dict[str, Any]]:
    """The events so far; a last line that was torn when a process was killed is not looked at.

    Args:
      path: of the journal; there need not be one.

    Raises:
      ValueError: another line is no event; names it.
    """
    events = []
    for number, line in enumerate(_whole(path).split(b"\n")[:-1], start=1):
        try:
            event = json.loads(line)
            if not isinstance(event, dict) or not isinstance(event.get("event"), str):
                raise ValueError("expected an object with an event")
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: not an event: {error}") from None
        events.append(event)
    return events


def append(path: Path, event: dict[str, Any]) -> None:
    """Appends an event; it is on the disk when this returns, or not there at all.

    A torn last line is dropped first, with a warning.

    Raises:
      OSError: it cannot be written; the journal is as it was.
    """
    text = f"{json.dumps(event, ensure_ascii=False, allow_nan=False)}\n".encode()
    whole = len(_whole(path))
    is_new = not path.exists()
    with open(path, "ab", buffering=0) as file:
        if file.tell() > whole:
            warnings.warn(f"{path}: a last line that was torn is dropped", stacklevel=2)
            file.truncate(whole)
        try:
            while text:
                text = text[file.write(text) :]
            os.fsync(file.fileno())
        except OSError as error:
            file.truncate(whole)
            error.filename = str(path)
            raise
    if is_new and hasattr(os, "O_DIRECTORY"):  # its name is to be on the disk, too
        folder = os.open(path.parent, os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _whole(path: Path) -> bytes:
    """The lines that have an end."""
    text = path.read_bytes() if path.exists() else b""
    return text[: text.rfind(b"\n") + 1]
