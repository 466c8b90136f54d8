"""Data sources by name: a reader for each kind, and the tables that they return."""

import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple, TypeVar, get_args

from jaxal.checks import check_like_default, check_name, describe, nearest
from jaxal.entry import parts


class Table(NamedTuple):
    """A data set as a source holds it, before any split, scaling or change of type."""

    train: tuple[Any, Any]  # inputs [N, ...] and labels [N]; all rows if there is no test part
    test: tuple[Any, Any] | None = None  # the same, of the rows that are held out
    class_names: tuple[str, ...] | None = None  # of labels 0 to C - 1; labels may be text instead
    tokens: bool = False  # whether inputs are token ids, which nothing scales


Reader = TypeVar("Reader", bound=Callable[..., Table])


class _Source(NamedTuple):
    read: Callable[..., Table]
    names: tuple[str, ...]  # what `sources` lists
    is_open: bool  # whether anything may follow the colon, which the one name stands for


FOLDER_VARIABLE = "JAXAL_DATA"
"""The environment variable that names the folder of the data, if `load` is given none."""

check_part = parts("inputs", "labels")
_CONTEXT = ("flat", "folder", "test")  # arguments of a reader that are no options of the source
_REGISTRY: dict[str, _Source] = {}


def source(kind: str, names: Iterable[str] | None = None) -> Callable[[Reader], Reader]:
    """Registers a reader as a kind of data source; a kind that is registered anew is replaced.

    Args:
      kind: the part of a source's name before the colon.
      names: what may follow the colon, where that is a closed list.

    Returns:
      A decorator of a reader: a function of what follows the colon, as text, that returns a `Table`
      of NumPy arrays; labels are integers, -1 where unknown, or text, "" where unknown. Arguments
      `flat`, `folder` (a `Path` or None) and `test` (what follows the colon of the test part's
      source), if it has them, are what `load` was given; other arguments are the source's options.
      Without an argument `test`, a test part is read by a second call.

    Example:
      >>> import numpy as np
      >>> from jaxal import data
      >>> @data.source("line")
      ... def line(rows):
      ...     inputs = np.arange(int(rows), dtype=np.float32)[:, None]
      ...     return data.Table((inputs, (inputs[:, 0] > 4).astype(int)))
      >>> pool, test = data.load("line:10")
      >>> pool.inputs.shape, test.inputs.shape
      ((8, 1), (2, 1))
    """

    if not isinstance(kind, str) or ":" in kind or not kind:
        raise TypeError(f"kind: expected text without a colon, got {kind!r}")
    if names is not None:
        names = _checked_names(names)

    def register(reader: Reader) -> Reader:
        parameters = inspect.signature(reader).parameters
        placeholder = next((name for name in parameters if name not in _CONTEXT), None)
        is_open = names is None and placeholder is not None
        if names is not None:
            listed = tuple(f"{kind}:{name}" for name in names)
        else:
            listed = (f"{kind}:{placeholder.upper()}" if placeholder else kind,)
        _REGISTRY[kind] = _Source(reader, listed, is_open)
        return reader

    return register


def _checked_names(names: Any) -> tuple[str, ...]:
    given = () if isinstance(names, str) or not isinstance(names, Iterable) else tuple(names)
    if not given or not all(isinstance(name, str) for name in given):
        raise TypeError(f"names: expected a list of text, got {names!r}")
    return given


def sources() -> tuple[str, ...]:
    """The sources that `load` knows; capitals stand for what is to be filled in."""
    return tuple(name for known in _REGISTRY.values() for name in known.names)


def read(
    name: str,
    *,
    test: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    options: Mapping[str, Any] | None = None,
    flat: bool | None = None,
) -> Table:
    """Reads a data set as its source holds it.

    Args:
      name: "KIND" or "KIND:WHICH", one of `sources()`.
      test: a source of the same kind, whose test part, or all of which if it has none, takes the
        place of the test part.
      folder: where files are looked for after the working directory; None: the environment
        variable JAXAL_DATA.
      options: keyword arguments of the reader.
      flat: whether inputs are wanted as vectors, for readers that can do either.

    Returns:
      The `Table`; dtypes are those of the source.

    Raises:
      TypeError: the reader returned something else, or an option of another type.
      ValueError: an unknown source or option; suggests the nearest.
    """
    kind, which = _resolved("source", name)
    reader = _REGISTRY[kind].read
    folder = folder or os.environ.get(FOLDER_VARIABLE)
    given = {"flat": flat, "folder": Path(folder).expanduser() if folder else None}
    if test is not None:
        test_kind, test_which = _resolved("test", test)
        if test_kind != kind:
            raise ValueError(f"test: expected a source of the kind {kind}, got {test!r}")
        given["test"] = test_which[0] if test_which else None
    takes = inspect.signature(reader).parameters
    given = {argument: value for argument, value in given.items() if argument in takes}
    options = dict(options or {})
    _check_options(kind, reader, options)
    table = _checked(name, reader(*which, **given, **options))
    if test is not None and "test" not in takes:
        held_out = _checked(test, reader(*test_which, **given, **options))
        if held_out.class_names != table.class_names:
            raise ValueError(
                f"test: expected the classes of {name}, {_shown(table)}, got {_shown(held_out)}"
            )
        table = table._replace(test=held_out.test or held_out.train)
    return table


def _resolved(argument: str, name: Any) -> tuple[str, list[str]]:
    """The kind of a source, and what its reader is called with."""
    if not isinstance(name, str):
        raise TypeError(f"{argument}: expected text, as in 'sklearn:digits', got {describe(name)}")
    kind, _, which = name.partition(":")
    if not (kind in _REGISTRY and _REGISTRY[kind].is_open and which):
        check_name(argument, name, sources())
    return kind, [which] if which else []


def _check_options(kind: str, reader: Callable[..., Table], options: dict[str, Any]) -> None:
    """Refuses options that a reader has not, and those that are no text or number like its own."""
    takes = dict(inspect.signature(reader).parameters)
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in takes.values()):
        return
    which = next((name for name in takes if name not in _CONTEXT), None)
    known = [name for name in takes if name not in (*_CONTEXT, which)]
    for option, value in options.items():
        if option not in known:
            hint = nearest(option, known) if known else "it has none"
            raise ValueError(f"options: source {kind}: option {option!r} is unknown; {hint}")
        check_like_default(option, value, takes[option].default)
        annotation = takes[option].annotation
        types = get_args(annotation) or (annotation,)
        if {*types} <= {str, NoneType} and not isinstance(value, types):
            raise TypeError(f"{option}: expected text, got {describe(value)}")


def _checked(name: str, table: Any) -> Table:
    if not isinstance(table, Table):
        raise TypeError(
            f"source {name}: expected its reader to return a Table, got {describe(table)}"
        )
    for part in (table.train, table.test) if table.test else (table.train,):
        check_part(f"source {name}", part)
    return table


def _shown(table: Table) -> str:
    return ", ".join(table.class_names) if table.class_names else "which have no names"
