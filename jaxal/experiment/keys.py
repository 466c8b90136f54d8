"""Errors of functions that a config calls, told by the key in the file."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any


@contextlib.contextmanager
def named(path: str, options: Mapping[str, Any]) -> Iterator[None]:
    """Has errors that begin with the name of an option begin with its key in the file."""
    try:
        yield
    except (TypeError, ValueError) as error:
        begin = re.match(r"\w*", str(error))
        table = None if begin is None else _table_of(begin[0], path, options)
        if table is None or type(error) not in (TypeError, ValueError):
            raise
        raise type(error)(f"{table}.{error}") from error


@contextlib.contextmanager
def renamed(**keys: str) -> Iterator[None]:
    """Has errors that begin with the name of an argument begin with a key of the file.

    Args:
      **keys: argument, as the error calls it -> key.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        argument, colon, rest = str(error).partition(":")
        if not (colon and argument in keys and type(error) in (TypeError, ValueError)):
            raise
        raise type(error)(f"{keys[argument]}:{rest}") from error


def _table_of(option: str, path: str, options: Mapping[str, Any]) -> str | None:
    """The key of the table that holds an option, this one or one inside it."""
    if option in options:
        return path
    inner = ((f"{path}.{key}", one) for key, one in options.items() if isinstance(one, Mapping))
    found = (_table_of(option, *table) for table in inner)
    return next((key for key in found if key is not None), None)
