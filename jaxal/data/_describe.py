"""What is in a source, before it is split, scaled or thinned out."""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxal import entry
from jaxal.data.tables import check_folder, check_options, open_table


class PartContents(NamedTuple):
    """The training or the test part of a source."""

    shape: tuple[int, ...]  # of the inputs, [N, ...]
    dtype: np.dtype  # of the inputs
    smallest: float  # of all numbers in the inputs
    largest: float
    counts: tuple[int, ...]  # [C] rows of each class
    unknown: int  # rows without a label


class Contents(NamedTuple):
    """What `describe` found."""

    train: PartContents  # all rows if there is no test part
    test: PartContents | None
    class_names: tuple[str, ...]  # [C], the numbers themselves where they have no names


@entry.checked(folder=check_folder, options=check_options)
def describe(
    source: str,
    *,
    test: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Contents:
    """Tells what is in a source: rows, shapes, types, classes with their names and counts.

    Args:
      source: one of `sources()`.
      test: the source of the test part.
      folder: where relative paths are looked for after the working directory.
      options: what the source's reader takes besides.

    Returns:
      The contents, of the arrays as the source has them.

    Raises:
      FileNotFoundError: no such file.
      TypeError: labels that are neither integers nor text.
      ValueError: what `load` refuses, but for unknown labels.

    Example:
      >>> found = describe("sklearn:iris")
      >>> found.train.shape, found.train.counts
      ((150, 4), (50, 50, 50))
    """
    table = open_table(source, test=test, folder=folder, options=options)
    parts = [part for part in (table.train, table.test) if part is not None]
    classes = 1 + max(int(labels.max()) for _, labels in parts)
    names = table.class_names or ()
    names += tuple(map(str, range(len(names), classes)))
    found = [_part(*part, classes=len(names)) for part in parts]
    return Contents(found[0], found[1] if len(found) > 1 else None, names)


def _part(inputs: np.ndarray, labels: np.ndarray, *, classes: int) -> PartContents:
    known = labels[labels >= 0]
    return PartContents(
        inputs.shape,
        inputs.dtype,
        float(inputs.min()),
        float(inputs.max()),
        tuple(np.bincount(known, minlength=classes).tolist()),
        len(labels) - len(known),
    )
