"""The settings of a label project: tables of an experiment that it has a use for, and `[label]`."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jaxal.experiment.config import override, parse_as
from jaxal.experiment.settings import (
    AugmentationConfig,
    LearnerConfig,
    ModelConfig,
    RunConfig,
    SourceConfig,
    seed,
)
from jaxal.fields import checked, count, count_or_zero
from jaxal.interop import FORMATS
from jaxal.labeling.stopping import StopConfig, rules_of

FIRST = ("herding", "k_center", "k_means", "random")
AGREEMENTS = ("majority", "unanimous")


def _one_of(names: Sequence[str], default: str | None) -> Any:
    return checked(f"one of {', '.join(names)}", lambda name: name in names, default)


def _are_classes(names: tuple[str, ...]) -> bool:
    if len(names) < 2 or len(set(names)) < len(names):
        return False
    return all(name == name.strip() and name.isprintable() and name for name in names)


@dataclass(frozen=True)
class ItemsConfig(SourceConfig):
    """The rows that are labelled, all of them, and those that are held out."""

    source: str = checked("items:FILE, whose rows have ids", lambda name: name.startswith("items:"))


@dataclass(frozen=True)
class PickConfig:
    """How rows are picked, and how many at a time."""

    names: tuple[str, ...] = checked(  # The strategy, in a list.
        "a list of one strategy", lambda names: len(names) == 1
    )
    initial: int = count_or_zero(0)  # Rows of the first batch; 0: as many as of the others.
    budget: int = count(20)  # Rows of a batch.
    options: dict[str, dict[str, Any]] = field(default_factory=dict)  # The strategy has a table.


@dataclass(frozen=True)
class LabelConfig:
    """What people are asked, and how their answers count."""

    stop: StopConfig
    classes: tuple[str, ...] = checked(  # What a row may be labelled as; numbered in this order.
        "a list of two or more distinct texts", _are_classes
    )
    format: str = _one_of(sorted(FORMATS), "csv")  # The form of task files and of answers.
    agreement: str = _one_of(AGREEMENTS, "majority")  # How several answers make one label.
    first: str | None = _one_of(FIRST, None)  # How rows are picked while there is no label.
    features: str | None = None  # By these vectors: an npz file with `ids` and `inputs`.


@dataclass(frozen=True)
class Settings:
    """A label project's settings, checked."""

    data: ItemsConfig
    model: ModelConfig
    learner: LearnerConfig
    strategy: PickConfig
    label: LabelConfig
    run: RunConfig
    augmentation: AugmentationConfig
    seed: int = seed(0)


def load(path: str | Path, overrides: Sequence[str] = ()) -> Settings:
    """Reads the TOML file of a label project, or the `config.toml` in the folder of one.

    Args:
      path: the file.
      overrides: assignments such as "strategy.budget=50", applied in order.

    Raises:
      OSError: it cannot be read.
      ValueError, TypeError: as `experiment.load`; a key that a label project has no use for.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_bytes().decode())
        table.pop("provenance", None)
        settings = parse_as(Settings, table)
        for assignment in overrides:
            settings = override(settings, assignment)
        _check_together(settings)
    except TypeError as error:
        raise TypeError(f"{path}: {error}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return settings


def _check_together(settings: Settings) -> None:
    """Raises ValueError for settings that do not go together."""
    (name,) = settings.strategy.names
    if other := next((key for key in settings.strategy.options if key != name), None):
        raise ValueError(f"strategy.options.{other}: expected {name} alone, the one strategy")
    rules_of(settings.label.stop)
    if settings.data.test is None:
        needs = "needs held-out rows, so set data.test too"
        if settings.learner.patience:
            raise ValueError(f"learner.patience: {needs}")
        if settings.label.stop.accuracy is not None:
            raise ValueError(f"label.stop.accuracy: {needs}")
    if settings.label.features is not None and settings.label.first == "random":
        raise ValueError("label.features: of no use with label.first = 'random'")
