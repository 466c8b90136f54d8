"""Data sets by their name alone, as DISTIL has them, in whichever form they are there.

A file is looked for in the working directory and then in the folder of the data: in each of them,
in its subfolder of the data set's name, and in its subfolder `tabular`.
"""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jaxal.data.readers.libsvm import read_libsvm
from jaxal.data.readers.npz import read_npz
from jaxal.data.readers.registry import FOLDER_VARIABLE, Table, source
from jaxal.data.readers.tfds import find_prepared, read_tfds

IMAGES = {  # name -> that of tensorflow-datasets
    "cifar10": "cifar10",
    "cifar100": "cifar100",
    "fmnist": "fashion_mnist",
    "mnist": "mnist",
    "stl10": "stl10",
    "svhn": "svhn_cropped",
}
VECTORS = {  # name -> files of LIBSVM, for training and for the test
    "ijcnn1": ("ijcnn1.trn", "ijcnn1.tst"),
    "satimage": ("satimage.scale.trn", "satimage.scale.tst"),
}
VECTORS_COMMAND = "git clone https://github.com/decile-team/datasets.git"
"""What fetches the files of `VECTORS`, into a folder `datasets`."""


def read_images_of(name: str, folder: Path | None) -> Table:
    """Reads NAME.npz, or what tensorflow-datasets has prepared, or NAME-jpeg.npz, with a warning.

    Args:
      name: one of `IMAGES`.
      folder: of the data, or None.

    Returns:
      Images [N, H, W, channels], of which grey ones have one channel.

    Raises:
      FileNotFoundError: none of them is there; says where they were looked for, and the command
        that prepares them.
    """
    if (exact := _found(name, (f"{name}.npz",), folder)) is not None:
        return _with_channels(read_npz(str(exact[0])))
    try:
        find_prepared(IMAGES[name], folder)
    except FileNotFoundError as error:
        absent = str(error)
    else:
        return _with_channels(read_tfds(IMAGES[name], folder=folder))
    if (copies := _found(name, (f"{name}-jpeg.npz",), folder)) is not None:
        warnings.warn(
            f"{copies[0]} holds JPEG copies of {name}, whose pixels are not those of the original: "
            "accuracies are close to published ones, and not the same",
            stacklevel=2,
        )
        return _with_channels(read_npz(str(copies[0])))
    raise FileNotFoundError(_absent(name, f"{name}.npz", folder) + f"; and {absent}")


def read_vectors_of(name: str, folder: Path | None) -> Table:
    """Reads the LIBSVM files of one of `VECTORS`; arguments and errors as of `read_images_of`."""
    files = _found(name, VECTORS[name], folder)
    if files is None:
        raise FileNotFoundError(
            f"{_absent(name, ' and '.join(VECTORS[name]), folder)}; they are fetched by: "
            f"{VECTORS_COMMAND}; and found there with {FOLDER_VARIABLE}=datasets"
        )
    return read_libsvm(str(files[0]), test=str(files[1]))


def _places(name: str, folder: Path | None) -> Iterator[Path]:
    for root in [Path()] + ([] if folder is None else [folder]):
        yield from (root, root / name, root / "tabular")


def _found(name: str, files: tuple[str, ...], folder: Path | None) -> list[Path] | None:
    """The files, if all are in one place."""
    for place in _places(name, folder):
        if all((place / file).is_file() for file in files):
            return [place / file for file in files]
    return None


def _absent(name: str, files: str, folder: Path | None) -> str:
    places = ", ".join(str(place) for place in _places(name, folder))
    hint = "" if folder else f" ({FOLDER_VARIABLE} or the option folder names another)"
    return f"{name}: no {files} in any of the folders {places}{hint}"


def _with_channels(table: Table) -> Table:
    """The table with images [N, H, W, 1] in place of [N, H, W]."""

    def apply(part: tuple[Any, Any]) -> tuple[Any, Any]:
        inputs, labels = part
        return (inputs[..., None] if inputs.ndim == 3 else inputs), labels

    test = None if table.test is None else apply(table.test)
    return table._replace(train=apply(table.train), test=test)


def _reader(read: Callable[[str, Path | None], Table], name: str) -> Callable[..., Table]:
    return lambda *, folder=None: read(name, folder)


for _name in IMAGES:
    source(_name)(_reader(read_images_of, _name))
for _name in VECTORS:
    source(_name)(_reader(read_vectors_of, _name))
