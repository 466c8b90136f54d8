"""Settings of another system by the names they have there: renamed, without effect, or refused.

A key is honoured or refused by its full name; what would be ignored silently is told in a note.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from jaxal.checks import check_name, nearest
from jaxal.entry import Check


def anything(name: str, value: Any) -> None:
    """The check that nothing fails."""


def as_it_is(value: Any) -> Any:
    """The conversion that changes nothing."""
    return value


def check_table(name: str, value: Any) -> None:
    """A table of keys."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name}: expected a table of keys, got {value!r}")


class Option(NamedTuple):
    """A key that is honoured."""

    name: str  # of the setting here
    check: Check  # of the value there
    convert: Callable[[Any], Any] = as_it_is  # from there to here


class Choice(NamedTuple):
    """A key that is honoured and has one of some values."""

    name: str
    values: Mapping[str, Any]  # there -> here


class Table(NamedTuple):
    """A key that holds further keys; these settings stand beside the others here."""

    keys: Mapping[str, "Key"]
    required: tuple[str, ...] = ()


class Unread(NamedTuple):
    """A key that changes no result."""

    reason: str = ""  # told in a note, if there is one
    check: Check = anything


class Refused(NamedTuple):
    """A key that cannot be honoured."""

    reason: str


Key = Option | Choice | Table | Unread | Refused


class Note(NamedTuple):
    """What is to be said of a key without effect."""

    key: str  # its full name
    reason: str


class Renamed(NamedTuple):
    """Settings by their names here, and what is to be said of the others."""

    settings: dict[str, Any]
    notes: list[Note]


def in_words(notes: Iterable[Note]) -> list[str]:
    """A line for each reason, which names the keys that have it."""
    keys: dict[str, list[str]] = {}
    for note in notes:
        keys.setdefault(note.reason, []).append(note.key)
    return [f"{', '.join(named)}: {reason}" for reason, named in keys.items()]


def rename(
    given: Any, keys: Mapping[str, Key], path: str = "", required: Iterable[str] = ()
) -> Renamed:
    """Settings by their names here.

    Args:
      given: key -> value, as they stand there.
      keys: what becomes of each key that is known.
      path: of the keys, for messages.
      required: keys that have to be there.

    Returns:
      The settings and the notes.

    Raises:
      TypeError: a value of the wrong type.
      ValueError: an unknown, missing or refused key, or a value out of range.

    Example:
      >>> from jaxal import entry
      >>> keys = {"n_drop": Option("num_draws", entry.integer(1)), "verbose": Unread()}
      >>> rename({"n_drop": 20, "verbose": True}, keys).settings
      {'num_draws': 20}
    """
    check_table(path or "settings", given)
    prefix = f"{path}." if path else ""
    for key in required:
        if key not in given:
            raise ValueError(f"{prefix}{key}: missing")
    settings: dict[str, Any] = {}
    notes: list[Note] = []
    for key, value in given.items():
        at = f"{prefix}{key}"
        if key not in keys:
            raise ValueError(f"{at}: unknown key; {nearest(str(key), keys)}")
        own = _renamed(at, value, keys[key])
        settings |= own.settings
        notes += own.notes
    return Renamed(settings, notes)


def _renamed(at: str, value: Any, key: Key) -> Renamed:
    """The settings of one key, `at` its full name."""
    if isinstance(key, Table):
        return rename(value, key.keys, at, key.required)
    if isinstance(key, Refused):
        raise ValueError(f"{at}: cannot be honoured: {key.reason}")
    if isinstance(key, Choice):
        check_name(at, value, key.values)
        return Renamed({key.name: key.values[value]}, [])
    key.check(at, value)
    if isinstance(key, Unread):
        return Renamed({}, [Note(at, key.reason)] if key.reason else [])
    return Renamed({key.name: key.convert(value)}, [])
