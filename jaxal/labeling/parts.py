"""From the settings of a label project to objects: all rows, the learner and the strategy."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxal import data
from jaxal.base import Examples, PyTree, Strategy
from jaxal.data._load import Raw, shaped
from jaxal.data.readers.items import Items, read_rows
from jaxal.data.readers.registry import FOLDER_VARIABLE
from jaxal.data.readers.vectors import Vectors
from jaxal.data.tables import is_image, open_table
from jaxal.experiment.build import make_strategy
from jaxal.experiment.inputs import prepare
from jaxal.experiment.keys import named
from jaxal.experiment.learner import check_together, make_learner
from jaxal.labeling.settings import Settings
from jaxal.training import AnyLearner


class Parts(NamedTuple):
    """What a label project is made of."""

    items: Items
    inputs: PyTree  # [N, ...], of all rows
    held_out: Examples | None
    learner: AnyLearner
    strategy: Strategy
    features: np.ndarray | None  # [N, D], by which the first rows are picked, if given
    tokens: bool  # whether inputs are token ids, which have no distances


def data_folder(settings: Settings, project: Path, given: str | Path | None) -> Path:
    """Where data are looked for after the working directory.

    Args:
      settings: of the project.
      project: its folder; beside it, if nothing else is said.
      given: for this time.
    """
    chosen = given or settings.data.folder or os.environ.get(FOLDER_VARIABLE)
    return Path(chosen).expanduser() if chosen else project.absolute().parent


def items_path(settings: Settings) -> str:
    """The file of the pool's rows, as the config has it."""
    return settings.data.source.partition(":")[2]


def refound(settings: Settings, folder: Path) -> Settings:
    """The settings with files that are gone from where they were, as on another machine, found.

    Args:
      settings: of the project; a file with an absolute path may be gone.
      folder: where the data are looked for; such a file is, by its name, in there.
    """
    config, label = settings.data, settings.label
    files = ("vectors", "tokenizer")
    options = {k: _there(v, folder) if k in files else v for k, v in config.options.items()}
    source, test = (_there(one, folder) for one in (config.source, config.test))
    return replace(
        settings,
        data=replace(config, source=source, test=test, options=options),
        label=replace(label, features=_there(label.features, folder)),
    )


def _there(value: Any, folder: Path) -> Any:
    """A file, "items:" in front of it or not; where it is gone, the one of its name in a folder."""
    if not isinstance(value, str):
        return value
    kind, colon, path = value.rpartition("items:")
    given = Path(path).expanduser()
    moved = folder / given.name
    is_gone = given.is_absolute() and not given.exists() and moved.is_file()
    return f"{kind}{colon}{moved.absolute()}" if is_gone else value


@contextlib.contextmanager
def _hint() -> Iterator[None]:
    """Has a file that is not there say how to tell where it is."""
    try:
        yield
    except FileNotFoundError as error:
        if error.errno is not None:
            raise
        raise FileNotFoundError(f"{error}; data (--data) names the folder they are in") from None


def _items(settings: Settings, folder: Path) -> Items:
    """The rows of the pool, with what is shown of them."""
    options = settings.data.options
    given: dict[str, Any] = {
        name: options[name] for name in ("id", "label", "encoding") if name in options
    }
    return read_rows(items_path(settings), folder, **given)


def build(settings: Settings, folder: Path) -> Parts:
    """Loads the data and makes the learner and the strategy.

    Args:
      settings: of the project.
      folder: where the data are looked for.

    Raises:
      ValueError, TypeError: as `experiment.build`; a label that is none of the classes.
      FileNotFoundError: the data are not there.
    """
    check_together(settings.learner)
    settings = refound(settings, folder)
    (name,) = settings.strategy.names
    own = settings.strategy.options.get(name, {})
    with named(f"strategy.options.{name}", own):
        strategy = make_strategy(name, **own)
    with _hint():
        pool, held_out, normalization, tokens = _examples(settings, folder)
        items = _items(settings, folder)
        features = _features(settings, items, folder)
    learner = make_learner(
        settings.model,
        settings.learner,
        settings.augmentation,
        num_classes=len(settings.label.classes),
        normalization=normalization,
        batch_size=settings.run.batch_size,
    )
    return Parts(items, pool.inputs, held_out, learner, strategy, features, tokens)


def _examples(settings: Settings, folder: Path) -> tuple[Examples, Examples | None, Any, bool]:
    """All rows, those held out, how images are normalised, and whether inputs are token ids."""
    config, classes = settings.data, settings.label.classes
    with named("data", vars(config)):
        table = open_table(
            config.source,
            test=config.test,
            folder=folder,
            options=config.options,
            flat=config.flat,
            classes=classes,
        )
        parts = [
            Examples(shaped(inputs, config.source, config.flat), labels)
            for inputs, labels in filter(None, (table.train, table.test))
        ]
    scale = 255 if is_image(table.train[0]) else 1
    prepared = prepare(Raw((parts[0], parts[-1]), scale, table.tokens), config)
    pool, *tests = map(prepared.prepared, parts)
    for held_out in tests:
        data.check(held_out, len(classes), "data.test")
    return pool, next(iter(tests), None), prepared.normalization, table.tokens


def _features(settings: Settings, items: Items, folder: Path) -> np.ndarray | None:
    """The vectors [N, D] of `label.features`."""
    if settings.label.features is None:
        return None
    with named("label", vars(settings.label)):
        features = Vectors(settings.label.features, folder).of(items.ids)
        features = features.reshape(len(features), -1).astype(np.float32)
        data.check((features, None), name="features")
    return features
