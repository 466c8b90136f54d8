"""Folders that `datasets` of Hugging Face wrote by `save_to_disk`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxal.data.readers.arrow import examples
from jaxal.data.readers.packages import need
from jaxal.data.readers.paths import find
from jaxal.data.readers.registry import Table, source


@source("huggingface")
def read_huggingface(
    path: str,
    *,
    folder: Path | None = None,
    label: str = "label",
    inputs: str | Sequence[str] | None = None,
) -> Table:
    """Reads a saved `Dataset`, or the splits train and test of a saved `DatasetDict`.

    Args:
      path: the folder.
      folder: where a relative path is looked for after the working directory.
      label: the column of the labels, integers or text.
      inputs: the column of the inputs, or a list of columns; None: all but the label's.

    Returns:
      Inputs [N, ...]: numbers, lists of one length, or pictures uint8 [N, H, W, channels].

    Raises:
      FileNotFoundError: no such folder.
      ValueError: the package `datasets` is not installed, a folder of another kind, no split called
        train, a column that is not there, or a missing value.
    """
    place = find(path, folder, is_folder=True)
    datasets = need("datasets", "huggingface")
    try:
        loaded = datasets.load_from_disk(str(place))
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{place}: expected a folder of save_to_disk, got {error}") from None
    if not isinstance(loaded, dict):
        train, names = _part(loaded, str(place), label, inputs)
        return Table(train, class_names=names)
    if "train" not in loaded:
        raise ValueError(f"{place}: expected a split called train, got {', '.join(loaded)}")
    train, names = _part(loaded["train"], f"{place} train", label, inputs)
    if "test" not in loaded:
        return Table(train, class_names=names)
    test, _ = _part(loaded["test"], f"{place} test", label, inputs)
    return Table(train, test, names)


def _part(
    dataset: Any, where: str, label: str, inputs: Any
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[str, ...] | None]:
    part, _ = examples(dataset.with_format("arrow")[:], where, label, inputs)
    names = getattr(dataset.features[label], "names", None)
    return part, None if names is None else tuple(names)
