"""From the settings of a label project to objects: all rows, the learner and the strategy."""

import dataclasses
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxal import data, models, strategies
from jaxal.base import Examples, PyTree, Strategy
from jaxal.checks import nearest
from jaxal.data._load import Raw
from jaxal.data.readers import read
from jaxal.data.readers.items import Items, known_rows, read_rows, read_vectors
from jaxal.data.readers.registry import FOLDER_VARIABLE
from jaxal.data.tables import is_image
from jaxal.experiment.build import _optimizer
from jaxal.experiment.inputs import _normalization
from jaxal.experiment.keys import named
from jaxal.labeling.settings import Settings
from jaxal.training import AnyLearner, Learner
from jaxal.training.options import TrainingOptions, check_average


class Parts(NamedTuple):
    """What a label project is made of."""

    items: Items
    inputs: PyTree  # [N, ...], of all rows
    held_out: Examples | None
    learner: AnyLearner
    strategy: Strategy
    features: np.ndarray | None  # [N, ...], by which the first rows are picked, if given
    tokens: bool  # whether inputs are token ids, which have no distances


def data_folder(settings: Settings, project: Path, given: str | Path | None) -> Path | None:
    """Where data are looked for after the working directory; None: where JAXAL_DATA says.

    Args:
      settings: of the project.
      project: its folder; beside it, if nothing else is said.
      given: for this time.
    """
    chosen = given or settings.config.data.folder
    if chosen is None and os.environ.get(FOLDER_VARIABLE):
        return Path(os.environ[FOLDER_VARIABLE])
    return project.absolute().parent if chosen is None else Path(chosen)


def read_items(settings: Settings, folder: Path | None) -> Items:
    """The rows of the pool, with what is shown of them."""
    path = settings.config.data.source.partition(":")[2]
    options = settings.config.data.options
    given: dict[str, Any] = {
        name: options[name] for name in ("id", "label", "encoding") if name in options
    }
    return read_rows(path, folder, **given)


def build(settings: Settings, folder: Path | None) -> Parts:
    """Loads the data and makes the learner and the strategy.

    Args:
      settings: of the project.
      folder: where the data are looked for.

    Raises:
      ValueError, TypeError: as `experiment.build`; a label that is none of the classes.
      FileNotFoundError: the data are not there.
    """
    config, classes = settings.config, settings.label.classes
    with named("strategy.options", config.strategy.options):
        own = config.strategy.options.get(settings.strategy, {})
        strategy = strategies.make(**{"name": settings.strategy} | own)
    with named("data", vars(config.data)):
        table = read(
            config.data.source,
            test=config.data.test,
            folder=folder,
            options=config.data.options,
            flat=config.data.flat,
        )
    labels = _numbers(table.train[1], classes, "data.source", may_be_unknown=True)
    pool = Examples(_shaped(table.train[0], config.data.flat), labels)
    held_out = None
    if table.test is not None:
        tested = _numbers(table.test[1], classes, "data.test", may_be_unknown=False)
        held_out = Examples(_shaped(table.test[0], config.data.flat), tested)
    raw = Raw((pool, held_out or pool), 255 if is_image(pool.inputs) else 1, table.tokens)
    normalization = _normalization(config.data, raw)
    floats = normalization is None and config.data.standardize
    prepared = raw.standardizer() if floats else raw.kept
    with named("model", config.model.hyper):
        model = models.make(config.model.name, len(classes), **config.model.hyper)
    if normalization is not None:
        model = models.normalized(model, *normalization[:2], scale=normalization.scale)
    pool, held_out = prepared(pool), held_out and prepared(held_out)
    for name, examples in {"pool": pool, "data.test": held_out}.items():
        if examples is not None:
            data.check(examples, len(classes), name, allow_unknown=True)
    items = read_items(settings, folder)
    return Parts(
        items,
        pool.inputs,
        held_out,
        _learner(settings, models.augmented(model, **dataclasses.asdict(config.augmentation))),
        strategy,
        _features(settings, items, folder),
        table.tokens,
    )


def _learner(settings: Settings, model: Any) -> Learner:
    config = settings.config.learner
    with named("learner", vars(config)):
        check_average(config.average_from, config.patience)
    options = {field.name for field in dataclasses.fields(TrainingOptions)}
    return Learner(
        model,
        _optimizer(config),
        eval_batch_size=settings.config.run.batch_size,
        **{name: getattr(config, name) for name in options},
    )


def _features(settings: Settings, items: Items, folder: Path | None) -> np.ndarray | None:
    if settings.label.features is None:
        return None
    with named("label", vars(settings.label)):
        file, known = read_vectors(settings.label.features, folder)
        features = known_rows(file, known, items.ids)
        features = features.reshape(len(features), -1).astype(np.float32)
        data.check((features, None), name="features")
    return features


def _shaped(inputs: np.ndarray, flat: bool | None) -> np.ndarray:
    return inputs.reshape(len(inputs), -1) if flat else inputs


def _numbers(
    labels: np.ndarray, classes: tuple[str, ...], where: str, *, may_be_unknown: bool
) -> np.ndarray:
    """Labels of text as numbers [N] int32, -1 where unknown."""
    codes = {name: code for code, name in enumerate(classes)}
    if may_be_unknown:
        codes[""] = -1
    for row, name in enumerate(labels.tolist()):
        if name not in codes:
            known = "a label in each row" if name == "" else nearest(name, classes)
            raise ValueError(f"{where}: expected one of label.classes, got {name!r} in row {row}; "
                             f"{known}")  # fmt: skip
    return np.array([codes[name] for name in labels.tolist()], np.int32)
