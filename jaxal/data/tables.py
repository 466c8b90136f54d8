"""What a source holds, checked: labels as numbers, and two parts that fit together."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxal.base import TASKS
from jaxal.checks import check_name, describe
from jaxal.data.checks import check
from jaxal.data.labels import UNKNOWN, is_text, numbered
from jaxal.data.readers import Table, read
from jaxal.numerics import are_targets


def check_folder(name: str, value: Any) -> None:
    """Raises TypeError unless it is a path; a check of `jaxal.entry`."""
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name}: expected a path, got {describe(value)}")


def check_task(name: str, value: Any) -> None:
    """Raises unless it is one of `TASKS`; a check of `jaxal.entry`."""
    check_name(name, value, TASKS)


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
    task: str = "classification",
) -> Table:
    """Reads a source and checks its values; the arguments are those of `load`.

    Where `classes` are given, labels of text are numbered by these. In a regression, labels are
    numbers, floats [N], and NaN where unknown.

    Returns:
      A `Table` whose inputs are as the source holds them, and whose labels are integers [N], -1
      where unknown.
    """
    table = read(source, test=test, folder=folder, options=options, flat=flat)
    if task == "regression":
        table = _with_targets(table, source)
    else:
        table = _with_numbers(table, source, classes)
    for part in (table.train, table.test) if table.test else (table.train,):
        _check_part(part, source)
        if task != "regression" and are_targets(part[1]):
            raise TypeError(
                f"{source} labels: expected integers [N] or text, got {describe(part[1])}; "
                "task='regression' takes them as targets"
            )
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


def _with_targets(table: Table, source: str) -> Table:
    """The table with labels that are targets, whether they were floats, integers or text."""
    (inputs, labels), test = table.train, table.test
    return table._replace(
        train=(inputs, _as_targets(_column(labels), f"{source} labels")),
        test=None if test is None else (test[0], _as_targets(_column(test[1]), f"{source} test")),
        class_names=None,
    )


def _as_targets(labels: np.ndarray, where: str) -> np.ndarray:
    """Labels as float64, [N]; text that is empty is unknown."""
    if not is_text(labels):
        if labels.dtype.kind not in "iuf":
            raise TypeError(f"{where}: expected numbers [N], got {describe(labels)}")
        return labels.astype(np.float64)
    found = np.full(labels.shape, np.nan)
    for place, text in np.ndenumerate(labels):
        if text == UNKNOWN:
            continue
        try:
            found[place] = float(text)
        except ValueError:
            raise ValueError(
                f"{where}: expected numbers, as the task is a regression, got {str(text)!r} at "
                f"row {place[0]}"
            ) from None
    return found


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
