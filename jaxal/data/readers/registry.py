"""Data sources by name: a reader for each kind, and the tables that they return."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

from jaxal.checks import check_name, describe
from jaxal.entry import parts


class Table(NamedTuple):
    """A data set as a source holds it, before any split, scaling or change of type."""

    train: tuple[Any, Any]  # inputs [N, ...] and labels [N]; all rows if there is no test part
    test: tuple[Any, Any] | None = None  # the same, of the rows that are held out


Reader = TypeVar("Reader", bound=Callable[..., Table])


class _Source(NamedTuple):
    read: Callable[..., Table]
    names: tuple[str, ...]  # what `sources` lists
    is_open: bool  # whether anything may follow the colon, which the one name stands for


check_part = parts("inputs", "labels")
_REGISTRY: dict[str, _Source] = {}


def source(kind: str, names: Iterable[str] | None = None) -> Callable[[Reader], Reader]:
    """Registers a reader as a kind of data source; a kind that is registered anew is replaced.

    Args:
      kind: the part of a source's name before the colon.
      names: what may follow the colon, where that is a closed list.

    Returns:
      A decorator of a reader: a function of what follows the colon, as text, that returns a `Table`
      of NumPy arrays. An argument `flat`, if it has one, is what `load` was given.

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
        placeholder = next((name for name in parameters if name != "flat"), None)
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


def read(name: str, *, flat: bool | None = None) -> Table:
    """Reads a data set as its source holds it.

    Args:
      name: "KIND" or "KIND:WHICH", one of `sources()`.
      flat: whether inputs are wanted as vectors, for readers that can do either.

    Returns:
      The `Table`; dtypes are those of the source.

    Raises:
      TypeError: the reader returned something else.
      ValueError: an unknown source; suggests the nearest.
    """
    if not isinstance(name, str):
        raise TypeError(f"source: expected text, as in 'sklearn:digits', got {describe(name)}")
    kind, _, which = name.partition(":")
    if not (kind in _REGISTRY and _REGISTRY[kind].is_open and which):
        check_name("source", name, sources())
    known = _REGISTRY[kind]
    given = [which] if which else []
    options = {"flat": flat} if "flat" in inspect.signature(known.read).parameters else {}
    table = known.read(*given, **options)
    if not isinstance(table, Table):
        raise TypeError(
            f"source {name}: expected its reader to return a Table, got {describe(table)}"
        )
    for part in table if table.test else table[:1]:
        check_part(f"source {name}", part)
    return table
