"""Labels that are text, as numbers: classes in order, the same ones in both parts."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxal.checks import nearest

UNKNOWN = ""
"""The text of a label that is not known; as a number it is -1."""


def is_text(labels: Any) -> bool:
    """Whether an array holds text, by its type or because all of its objects are."""
    if labels.dtype.kind == "O":
        return all(isinstance(label, str) for label in labels.flat)
    return labels.dtype.kind in "UT"


def numbered(
    labels: np.ndarray,
    test: np.ndarray | None,
    source: str,
    names: Sequence[str] | None = None,
) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """Numbers labels of text by the classes of the training part, or by given ones.

    Those of the training part come in alphabetical order, or by size if all of them are numbers;
    then "1", "1.0" and "+1" are one class.

    Args:
      labels: text [N]; "" where unknown.
      test: text [M], or None.
      source: for the messages.
      names: of the classes, in order, if they are given.

    Returns:
      (labels int32 [N], the same of the test part, the names of classes 0 to C - 1).

    Raises:
      TypeError: the test part has labels of another kind.
      ValueError: labels of a shape other than [N], or a label that only the test part has, or
        that is none of the names.
    """
    if test is not None and not is_text(test):
        raise TypeError(f"{source} test labels: expected text, as in training, got {test.dtype}")
    labels, test = _as_text(labels), None if test is None else _as_text(test)
    for part in (labels, test):
        if part is not None and part.ndim != 1:
            raise ValueError(f"{source} labels: expected shape [N], got {part.shape}")
    known = names or [str(name) for name in np.unique(labels) if name != UNKNOWN]
    if names is None and all(map(_is_number, known)):
        canonical = _as_number
        classes = tuple(sorted({_as_number(name) for name in known}, key=float))
    else:
        canonical = str
        classes = tuple(known)
    expected = "a class of the training part" if names is None else "one of the classes"
    codes = {name: code for code, name in enumerate(classes)} | {UNKNOWN: -1}

    def encode(part: np.ndarray, where: str) -> np.ndarray:
        found, positions = np.unique(part, return_inverse=True)
        keys = [canonical(str(name)) for name in found]
        for position, key in enumerate(keys):
            if key not in codes:
                row = int((positions == position).argmax())
                raise ValueError(
                    f"{where} labels: expected {expected}, got {key!r} at row {row}; "
                    f"{nearest(key, classes)}"
                )
        return np.array([codes[key] for key in keys], np.int32)[positions]

    return (
        encode(labels, source),
        None if test is None else encode(test, f"{source} test"),
        classes,
    )


def _as_text(labels: np.ndarray) -> np.ndarray:
    return labels if labels.dtype.kind == "U" else np.array(labels.tolist(), str)


def _is_number(name: str) -> bool:
    try:
        return bool(np.isfinite(float(name)))
    except ValueError:
        return False


def _as_number(name: str) -> str:
    """The number in its shortest form; other text as it is."""
    if not _is_number(name):
        return name
    number = float(name)
    return str(int(number)) if number.is_integer() else str(number)
