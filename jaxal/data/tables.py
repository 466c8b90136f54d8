"""What a source holds, checked: labels as numbers, and two parts that fit together."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxal.checks import describe
from jaxal.data.checks import check
from jaxal.data.labels import is_text, numbered
from jaxal.data.readers import Table, read


def check_folder(name: str, value: Any) -> None:
    """Raises TypeError unless it is a path; a check of `jaxal.entry`."""
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name}: expected a path, got {describe(value)}")


def check_options(name: str, value: Any) -> None:
    """Raises TypeError unless it is a table with names as keys; a check of `jaxal.entry`."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise TypeError(f"{name}: expected a table of options, got {describe(value)}")


def open_table(
    source: str,
    *,
    test: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    options: Mapping[str, Any] | None = None,
    flat: bool | None = None,
    classes: Sequence[str] | None = None,
) -> Table:
    """Reads a source and checks its values; the arguments are those of `load`.

    Where `classes` are given, labels of text are numbered by these.

    Returns:
      A `Table` whose inputs are as the source holds them, and whose labels are integers [N], -1
      where unknown.
    """
    table = read(source, test=test, folder=folder, options=options, flat=flat)
    table = _with_numbers(table, source, classes)
    for part in (table.train, table.test) if table.test else (table.train,):
        _check_part(part, source)
    if table.test is not None:
        _check_alike(table.train[0], table.test[0], source)
    return table


def is_image(inputs: np.ndarray) -> bool:
    """Whether inputs are images of bytes, [N, H, W, ...] uint8."""
    return inputs.ndim > 2 and inputs.dtype == np.uint8


def _with_numbers(table: Table, source: str, classes: Sequence[str] | None) -> Table:
    (inputs, labels), test = table.train, table.test
    labels = _column(labels)
    held_out = None if test is None else _column(test[1])
    names = table.class_names
    if is_text(labels):
        labels, held_out, names = numbered(labels, held_out, source, classes)
    return table._replace(
        train=(inputs, labels),
        test=None if test is None else (test[0], held_out),
        class_names=names,
    )


def _column(labels: np.ndarray) -> np.ndarray:
    """Labels [N], of [N, 1] too, as Keras stores CIFAR's."""
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def _check_part(part: tuple[np.ndarray, np.ndarray], source: str) -> None:
    inputs = part[0]
    if np.iscomplexobj(inputs):
        raise TypeError(f"{source} inputs: expected real numbers, got {inputs.dtype}")
    if inputs.ndim < 2:
        raise ValueError(
            f"{source}: expected inputs [N, D] or images [N, H, W, ...], got shape {inputs.shape}"
        )
    check(part, name=source, allow_unknown=True)


def _check_alike(inputs: np.ndarray, test: np.ndarray, source: str) -> None:
    if inputs.shape[1:] != test.shape[1:]:
        raise ValueError(
            f"{source}: expected train and test inputs of one shape, "
            f"got {inputs.shape} and {test.shape}"
        )
    types = {inputs.dtype, test.dtype}
    if len(types) > 1 and any(np.issubdtype(one, np.integer) for one in types):
        raise TypeError(
            f"{source}: expected train and test inputs of one type, "
            f"got {describe(inputs)} and {describe(test)}"
        )
