"""Folders of pictures, one folder a class."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxal.checks import check_name, is_integer
from jaxal.data.readers.paths import find
from jaxal.data.readers.pictures import MODES, decode
from jaxal.data.readers.registry import Table, source

PARTS = ("train", "test")


@source("images")
def read_images(
    path: str,
    *,
    folder: Path | None = None,
    size: int | tuple[int, int] | None = None,
    color: str | None = None,
) -> Table:
    """Reads pictures of any format that pillow opens, and takes the folders' names as classes.

    Args:
      path: a folder with a folder for each class, or with `train` and `test`, which are such
        folders. Every file in the folder of a class is a picture, unless its name begins with a
        dot; other files are not looked at.
      folder: where a relative path is looked for after the working directory.
      size: to how many pixels pictures are resized, one number or [height, width]; None: all have
        one size.
      color: "gray" or "rgb"; None: as the first picture is.

    Returns:
      uint8 [N, H, W, channels], and labels that are text.

    Raises:
      FileNotFoundError: no such folder.
      ValueError: no class folders, a file that is no picture, or pictures that differ in size.
    """
    given = {"size": checked_size(size), "color": color}
    if color is not None:
        check_name("color", color, MODES)
    place = find(path, folder, is_folder=True)
    if not any(child.is_dir() for child in place.glob("train/*")):
        return Table(_read(place, **given))
    train = _read(place / "train", **given)
    if not (place / "test").is_dir():
        return Table(train)
    return Table(train, _read(place / "test", **given))


def _read(place: Path, **given: Any) -> tuple[np.ndarray, np.ndarray]:
    """Pictures by class and name, and their classes."""
    classes = [child for child in sorted(place.iterdir()) if child.is_dir() and _is_shown(child)]
    files = [file for one in classes for file in sorted(one.iterdir()) if _is_shown(file)]
    if not files:
        raise ValueError(f"{place}: expected a folder of pictures for each class, got none")
    names = ((str(file), file) for file in files)
    return decode(names, len(files), **given), np.array([file.parent.name for file in files])


def _is_shown(file: Path) -> bool:
    return not file.name.startswith(".")


def checked_size(size: Any) -> tuple[int, int] | None:
    """The option `size` as (H, W); raises TypeError or ValueError if it is none."""
    if size is None:
        return None
    sides = (size, size) if is_integer(size) else size
    problem = f"size: expected an integer >= 1 or [height, width], got {size!r}"
    if not isinstance(sides, tuple | list) or not all(is_integer(side) for side in sides):
        raise TypeError(problem)
    if len(sides) != 2 or min(sides) < 1:
        raise ValueError(problem)
    return int(sides[0]), int(sides[1])
