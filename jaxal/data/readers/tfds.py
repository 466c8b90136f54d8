"""Data sets that tensorflow-datasets has prepared, read without TensorFlow and without a network.

Preparing one takes TensorFlow; the errors say by which command, to be run where that is.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxal.checks import nearest
from jaxal.data.readers.packages import need
from jaxal.data.readers.pictures import decode
from jaxal.data.readers.registry import Table, source

INFO = "dataset_info.json"


@source("tfds")
def read_tfds(name: str, *, folder: Path | None = None) -> Table:
    """Reads a prepared data set, in the format array_record, which alone can be read by rows.

    Loading logs a line of level ERROR where rows are stored in groups; it is about speed alone.

    Args:
      name: NAME[/CONFIG][/VERSION][:SPLIT], as in "mnist", "mnist:train[:10%]" or "mnist/3.0.1";
        the newest version that is there, and the splits train and test, unless it says otherwise.
      folder: where `NAME/VERSION` or `tfds/NAME/VERSION` is looked for before the folder of
        tensorflow-datasets (TFDS_DATA_DIR, or `tensorflow_datasets` in the home folder).

    Returns:
      The features that the data set names for supervised learning, or else `image` and `label`:
      inputs [N, ...] in their type, pictures uint8 [N, H, W, channels], labels integers.

    Raises:
      FileNotFoundError: the data set is not prepared; says where it was looked for, and the
        command that prepares it.
      ValueError: prepared in another format, an unknown split, or features that are not numbers.
    """
    named, _, split = name.partition(":")
    builder = _builder(named, find_prepared(named, folder))
    known = list(builder.info.splits)
    if split:
        _check_split(builder, split)
        return Table(_part(builder, split), class_names=_class_names(builder))
    if "train" not in known:
        raise ValueError(
            f"{builder.data_path}: expected a split called train, got {', '.join(known)}"
        )
    test = _part(builder, "test") if "test" in known else None
    return Table(_part(builder, "train"), test, _class_names(builder))


def find_prepared(name: str, folder: Path | None) -> Path:
    """The folder of the newest version of a data set that is there."""
    roots = list(_roots(folder))
    tried = [root / name for root in roots]
    for place in tried:
        versions = sorted((place, *place.glob("*")), key=_version)
        prepared = [version for version in versions if (version / INFO).is_file()]
        if prepared:
            return prepared[-1]
    raise FileNotFoundError(
        f"{name} is not prepared: none of {', '.join(f'{place}/VERSION' for place in tried)} is "
        "there; where TensorFlow and a network are, it is prepared by: "
        f"{command(name, folder or roots[-1])}"
    )


def command(name: str, folder: Path) -> str:
    """The command line that prepares a data set, for a machine with a network."""
    named = re.sub(r"/(\d+\.\d+\.\d+)$", r":\1", name)  # as `tfds.builder` has versions
    call = (
        f"import tensorflow_datasets as tfds; tfds.data_source({named!r}, "
        f"data_dir={str(folder)!r}, builder_kwargs={{'file_format': 'array_record'}})"
    )
    return (
        "pip install tensorflow tensorflow-datasets array_record importlib_resources && "
        f'python -c "{call}"'
    )


def _roots(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        yield folder / "tfds"
    yield Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def _version(place: Path) -> tuple[int, ...]:
    """What versions are sorted by: 10.0.0 is newer than 9.0.0."""
    is_version = re.fullmatch(r"\d+\.\d+\.\d+", place.name)
    return tuple(map(int, place.name.split("."))) if is_version else ()


def _builder(name: str, place: Path) -> Any:
    """What knows the splits, features and files of a prepared data set."""
    try:
        written = json.loads((place / INFO).read_text(encoding="utf-8")).get("fileFormat")
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{place / INFO}: expected a table in JSON, got {error}") from None
    if written != "array_record":
        beside = place.parents[name.count("/") + (place.name not in name)] / "array_record"
        raise ValueError(
            f"{place}: expected the format array_record, got {written}; beside it, in a folder of "
            f"data of its own, it is prepared by: {command(name, beside)}"
        )
    need("array_record", "tfds")
    tfds = need("tensorflow_datasets", "tfds", "tensorflow-datasets")
    try:
        return tfds.builder_from_directory(place)
    except Exception as error:  # of several libraries, and none of their own
        raise ValueError(f"{place}: expected a prepared data set, got {error}") from None


def _check_split(builder: Any, split: str) -> None:
    known = list(builder.info.splits)
    for part in split.split("+"):
        named = part.partition("[")[0].strip()
        if named not in known:
            raise ValueError(
                f"{builder.data_path}: split {named!r} is unknown; {nearest(named, known)}"
            )


def _keys(builder: Any) -> tuple[str, str]:
    """The features of the inputs and of the labels."""
    features = builder.info.features
    keys = builder.info.supervised_keys or ("image", "label")
    if not all(isinstance(key, str) and key in features for key in keys) or len(keys) != 2:
        got = ", ".join(features)
        raise ValueError(f"{builder.data_path}: expected features of inputs and labels, got {got}")
    return keys


def _part(builder: Any, split: str) -> tuple[np.ndarray, np.ndarray]:
    """All rows of a split, by one read."""
    import tensorflow_datasets as tfds

    inputs, label = _keys(builder)
    where = f"{builder.data_path} {split}"
    is_picture = isinstance(builder.info.features[inputs], tfds.features.Image)
    decoders = {inputs: tfds.decode.SkipDecoding()} if is_picture else None
    try:
        rows = builder.as_data_source(split=split, decoders=decoders)
        read = rows.__getitems__(list(range(len(rows))))
    except Exception as error:  # as above
        raise ValueError(f"{where}: expected prepared files, got {error}") from None
    labels = np.array([row[label] for row in read])
    if is_picture:
        files = ((f"{where} row {row}", one[inputs]) for row, one in enumerate(read))
        return decode(files, len(read)), labels
    try:
        return np.stack([row[inputs] for row in read]), labels
    except ValueError:
        raise ValueError(f"{where}: expected inputs of one shape, got several") from None


def _class_names(builder: Any) -> tuple[str, ...] | None:
    names = getattr(builder.info.features[_keys(builder)[1]], "names", None)
    return None if names is None else tuple(names)
