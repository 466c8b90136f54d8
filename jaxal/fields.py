"""Dataclass fields that carry their bounds: for objects, and for the configs that make them."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from jaxal.checks import check_flag, is_integer, is_number


def checked(expected: str, holds: Callable[[Any], bool], default: Any = dataclasses.MISSING) -> Any:
    """A dataclass field with a bound.

    Args:
      expected: the bound in words, as in "an integer of at least 1".
      holds: whether a value of the right type keeps it.
      default: the field's; without one the field is required.

    Returns:
      A `dataclasses.field` whose metadata hold the first two.

    Example:
      >>> @dataclasses.dataclass
      ... class Options:
      ...     rows: int = checked("an integer of at least 1", lambda n: n >= 1, 5)
      >>> check_fields(Options(0))
      Traceback (most recent call last):
          ...
      ValueError: rows: expected an integer of at least 1, got 0
    """
    metadata = {"expected": expected, "holds": holds}
    return dataclasses.field(default=default, metadata=metadata)


def count(default: Any = dataclasses.MISSING) -> Any:
    """A field of an integer of at least 1."""
    return checked("an integer of at least 1", lambda n: n >= 1, default)


def count_or_zero(default: Any = dataclasses.MISSING) -> Any:
    """A field of an integer of at least 0."""
    return checked("an integer of at least 0", lambda n: n >= 0, default)


def finite(default: Any = dataclasses.MISSING) -> Any:
    """A field of a finite number of at least 0."""
    return checked("a finite number of at least 0", lambda x: 0 <= x < math.inf, default)


def positive(default: Any = dataclasses.MISSING) -> Any:
    """A field of a number above 0, infinity included."""
    return checked("a number above 0", lambda x: x > 0, default)


def check_fields(instance: Any) -> None:
    """Raises unless every field of a dataclass that carries a bound keeps it.

    Args:
      instance: a dataclass.

    Raises:
      TypeError: a field annotated `int`, `float` or `bool` that holds anything else (NumPy's
        numbers will do, and an integer for a float).
      ValueError: a value out of bounds.
    """
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        if field.type is bool:
            check_flag(**{field.name: value})
        if "holds" not in field.metadata or (value is None and field.default is None):
            continue
        message = f"{field.name}: expected {field.metadata['expected']}, got {value!r}"
        is_kind = {int: is_integer, float: is_number}.get(field.type, lambda value: True)
        if not is_kind(value):
            raise TypeError(message)
        if not field.metadata["holds"](value):
            raise ValueError(message)
