"""Whether two functions, or objects made of functions, compute the same: equal structure, no proof.

jit finds a compiled program by its static arguments. An optax optimizer, a model or a loss is made
of functions that are new at each call of their factory, so with Python's equality of functions
(identity) `optax.adam(1e-3)` built twice compiles twice. Here two functions are the same if their
code is equal and everything the code can reach is the same: defaults, captured variables,
attributes, and the globals it names.

This is sound for pure functions, the only ones that jit knows: equal code over equal values
computes equal results. What is not understood (arrays, lists, other unhashable objects, functions
that another function finds among its globals) is the same only as itself, so that a doubt costs a
compilation and never a wrong result. A structure is taken once, before the first trace: of two
functions of which one was built after a captured variable changed, each has its own.
"""

import dataclasses
import functools
import types
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

import jax
import numpy as np


class Structure:
    """A hashable value that stands for a function or an object; equal ones compute the same."""

    __slots__ = ("_hash", "_nodes")

    def __init__(self, value: Any):
        """Takes the structure of a value; time is linear in what the value can reach."""
        self._nodes = _Walk().nodes(value)
        self._hash = hash(self._nodes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Structure):
            return NotImplemented
        return self is other or (self._hash == other._hash and self._nodes == other._nodes)

    def __hash__(self) -> int:
        return self._hash


class ByStructure:
    """Base of frozen dataclasses that hold functions: equal where their fields compute the same.

    The dataclass is declared with `eq=False`, which keeps these methods. Jit asks for the hash at
    every call, so each object takes its structure once.
    """

    @functools.cached_property
    def _structure(self) -> Structure:
        return Structure(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ByStructure):
            return NotImplemented
        return self is other or self._structure == other._structure

    def __hash__(self) -> int:
        return hash(self._structure)


class _Itself:
    """Something that is the same only as itself; held here, so that its id is not given away."""

    __slots__ = ("value",)

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


class _Walk:
    """One walk through a value; what is met again is named by the number of its first visit."""

    def __init__(self):
        self._visited: dict[int, tuple[int, Any]] = {}  # the value is kept, and so is its id

    def nodes(self, value: Any) -> Hashable:
        if isinstance(value, _Itself):
            return value
        if isinstance(value, str | bytes | int | type(None)):
            return type(value), value
        if isinstance(value, float | complex):
            return type(value), repr(value)  # tells 0.0 from -0.0, and NaN equals NaN
        if isinstance(value, np.generic):
            return type(value), value.dtype, value.tobytes()
        for kinds, parts in _PARTS:
            if isinstance(value, kinds):
                return self._compound(value, parts)
        if isinstance(value, type | jax.Array | np.ndarray) or not _is_hashable(value):
            return _Itself(value)
        if dataclasses.is_dataclass(
            value
        ):  # hashable, so its fields say all, as with linen modules
            return self._compound(value, _fields)
        if type(value).__module__.partition(".")[0] == "optax" and hasattr(value, "__dict__"):
            # The few classes of optax are closures in other clothes.
            return self._compound(value, lambda value: _mapping(vars(value)))
        return type(value), value

    def _compound(self, value: Any, parts: Callable[[Any], Iterator[Any]]) -> Hashable:
        if id(value) in self._visited:
            return "visited", self._visited[id(value)][0]
        self._visited[id(value)] = len(self._visited), value
        return type(value), *(self.nodes(part) for part in parts(value))


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _fields(value: Any) -> Iterator[Any]:
    for field in dataclasses.fields(value):
        yield field.name
        yield getattr(value, field.name, None)


def _function(function: types.FunctionType) -> Iterator[Any]:
    yield function.__code__
    yield function.__defaults__
    yield function.__kwdefaults__
    yield function.__dict__
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # a variable that is not assigned yet
            yield _Itself(cell)
    yield _Itself(function.__globals__)
    for name in sorted(_names(function.__code__)):
        if name in function.__globals__:
            # A helper is itself until it is defined anew; only numbers and words have a value.
            value = function.__globals__[name]
            yield name
            yield value if isinstance(value, str | int | float | None) else _Itself(value)


def _names(code: types.CodeType) -> set[str]:
    """The global names (and attributes) that a function's code, or one inside it, mentions."""
    inner = (_names(const) for const in code.co_consts if isinstance(const, types.CodeType))
    return set(code.co_names).union(*inner)


def _partial(value: functools.partial) -> Iterator[Any]:
    yield value.func
    yield value.args
    yield value.keywords


def _method(value: types.MethodType) -> Iterator[Any]:
    yield value.__func__
    yield value.__self__


def _mapping(value: Mapping) -> Iterator[Any]:
    for key, inner in value.items():
        yield key
        yield inner


# Sets come as they are: their members are hashable, and compared by their own equality.
_PARTS: tuple[tuple[Any, Callable[[Any], Iterator[Any]]], ...] = (
    (ByStructure, _fields),
    (types.FunctionType, _function),
    (types.MethodType, _method),
    (functools.partial, _partial),
    (tuple, iter),
    (dict, _mapping),
)
