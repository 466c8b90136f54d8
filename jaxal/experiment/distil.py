"""DISTIL's JSON configurations as settings of an experiment.

Numbers mean what they mean there. `rounds` counts the initial training, so one batch less is
bought, and `n_epoch` is one more than the epochs that are trained; the cosine of the learning rate
takes `n_epoch` of them, so that it does not reach 0. Three things are better here: pool rows are
observed without augmentation; weights, batches and picks are drawn from one seed; and a fit whose
training accuracy is below 20 % after 50 epochs begins anew, where DISTIL mostly gives it up before,
as saturated.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxal.data.readers.registry import FOLDER_VARIABLE
from jaxal.experiment.distil_keys import (
    DATA_SETS,
    DEFAULTS,
    IMAGE_KEY,
    KEYS,
    REQUIRED,
    RUNNER_ARGS,
    VECTOR_KEYS,
    VECTOR_MODELS,
)
from jaxal.experiment.settings import Config, ScenarioConfig
from jaxal.loop.plan import Plan, TooManyLabels
from jaxal.renaming import in_words, rename
from jaxal.strategies.distil import CLASSES, translate

FOLDER = Path("..", "datasets")
"""Where DISTIL looks for files, from its working directory."""


class Translation(NamedTuple):
    """Settings as `parse` takes them, and what is to be said of keys without effect."""

    table: dict[str, Any]
    notes: list[str]


def read_distil(text: str, near: Sequence[Path] = ()) -> Translation:
    """Reads a configuration of DISTIL's.

    Args:
      text: of the JSON file.
      near: folders from which its data are looked for in `../datasets`, as DISTIL does. Where they
        are in none, `data.folder` stays open if there is a JAXAL_DATA.

    Returns:
      The settings, as a table of TOML would have them, and notes.

    Raises:
      ValueError: it is not JSON, has an unknown or missing key, a value out of range, or what
        cannot be honoured.
      TypeError: a value of the wrong type.
    """
    try:
        given = json.loads(text, object_pairs_hook=_each_once)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"expected JSON, got {error}") from None
    settings, notes = rename(given, KEYS, "", REQUIRED)
    settings = DEFAULTS | settings
    label, args = settings.pop("strategy"), dict(settings.pop("strategy_args"))
    at = "active_learning.strategy"
    strategy = translate(label, _runner_args(label) | args, f"{at}_args", at)
    for key, value in settings.pop("optimizer").items():
        settings[f"learner.{key}"] = value
    if settings.get("learner.schedule"):
        settings["learner.schedule_epochs"] = settings["learner.max_epochs"] + 1
    settings["strategy.names"] = [strategy.name]
    if strategy.options:
        settings["strategy.options"] = {strategy.name: strategy.options}
    if "batch_size" in args:
        settings["run.batch_size"] = args["batch_size"]
    settings |= _model(settings) | _data(settings["data.source"], near)
    return Translation(_nested(settings), in_words(notes + strategy.notes))


def is_distil(path: Path) -> bool:
    """Whether a file of settings is one of DISTIL's, by its ending."""
    return path.suffix.lower() == ".json"


def check_labels(config: Config, path: Path) -> None:
    """Raises ValueError where a known data set is too small for so many labels; loads nothing."""
    data, asked = config.data, config.strategy
    known = DATA_SETS.get(data.source)
    changed = data.limit is not None or data.repeat > 1 or config.scenario != ScenarioConfig()
    if known is None or known.rows is None or changed:
        return
    plan = Plan(asked.initial, asked.budget, asked.rounds)
    if plan.capacity > known.rows:
        error = TooManyLabels(plan, known.rows)
        raise ValueError(f"{path}: {_too_many(error, data.source)}")


@contextlib.contextmanager
def distil_numbers(config: Config, path: Path) -> Iterator[None]:
    """Has the error of a run of DISTIL's that wants too many labels count them as DISTIL does.

    Args:
      config: what runs.
      path: the file that it is from; nothing is done where this is not one of DISTIL's.
    """
    try:
        yield
    except TooManyLabels as error:
        if not is_distil(path):
            raise
        raise ValueError(f"{path}: {_too_many(error, config.data.source)}") from None


def _too_many(error: TooManyLabels, source: str) -> str:
    plan, most = error.plan, error.most
    message = (
        "active_learning: initial_points + (rounds - 1) x budget = "
        f"{plan.initial} + {plan.rounds} x {plan.budget} = {plan.capacity} labels, "
        f"but {source} has {error.rows} training examples"
    )
    if not most:
        return message
    return f"{message}: at most {most + 1} rounds (--set strategy.rounds={most})"


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{repeated}: expected each key once, got it twice in one table")
    return table


def _runner_args(label: str) -> dict[str, Any]:
    return dict(RUNNER_ARGS.get(CLASSES.get(label, ""), {}))


def _model(settings: dict[str, Any]) -> dict[str, Any]:
    """The model's own settings; its keys agree with the data, or are an error."""
    name, source = settings["model.name"], settings["data.source"]
    data, takes_vectors = DATA_SETS[source], name in VECTOR_MODELS
    own = {key: settings.pop(key) for key in (*VECTOR_KEYS, IMAGE_KEY) if key in settings}
    if takes_vectors == data.is_image:
        kinds = ("vectors", "images") if takes_vectors else ("images", "vectors")
        raise ValueError(
            f"model.architecture: {name} takes {kinds[0]}, and {source} holds {kinds[1]}"
        )
    if settings["data.num_classes"] < data.num_classes:
        raise ValueError(
            f"model.target_classes: expected at least {data.num_classes}, the classes of {source}, "
            f"got {settings['data.num_classes']}"
        )
    known = VECTOR_KEYS if takes_vectors else (IMAGE_KEY,)
    for key in own:
        if key not in known:
            raise ValueError(f"model.{key}: {name} does not take it")
    key, width = ("input_dim", "columns") if takes_vectors else (IMAGE_KEY, "channels")
    for missing in known:
        if takes_vectors and missing not in own:
            raise ValueError(f"model.{missing}: missing; {name} needs it")
    if own.get(key, data.shape[-1]) != data.shape[-1]:
        raise ValueError(
            f"model.{key}: expected {data.shape[-1]}, the {width} of {source}, got {own[key]}"
        )
    return {"model.hidden_units": own["hidden_units_1"]} if takes_vectors else {}


def _data(source: str, near: Sequence[Path]) -> dict[str, Any]:
    """How the data are prepared there: constants and augmentation of images, or standardised."""
    data, settings = DATA_SETS[source], {}
    if data.is_image:
        settings["data.normalization"] = source
        settings["augmentation.crop"] = data.crop
        settings["augmentation.flip"] = data.flip
    folder = _folder(source, [place / FOLDER for place in near])
    if folder is not None:
        settings["data.folder"] = str(folder)
    return settings


def _folder(source: str, folders: Sequence[Path]) -> Path | None:
    """The first folder that has the data, or None: JAXAL_DATA says. If not, the first of all."""
    for folder in folders:
        if (folder / source).is_dir() or (folder / f"{source}.npz").is_file():
            return folder
    return None if os.environ.get(FOLDER_VARIABLE) else next(iter(folders), None)


def _nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Tables of settings that are named by dotted keys."""
    table: dict[str, Any] = {}
    for key, value in settings.items():
        *sections, last = key.split(".", 1)
        here = table.setdefault(sections[0], {}) if sections else table
        here[last] = value
    return table
