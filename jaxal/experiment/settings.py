"""The settings of an experiment as frozen dataclasses: what is known, its type and its bounds.

What belongs to one model, optimizer or strategy (`model.*`, `learner.optimizer_options.*`,
`strategy.options.NAME.*`) is free here and checked where it is used.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any

from jaxal.base import TASKS
from jaxal.data import NORMALIZATIONS
from jaxal.fields import checked, count, count_or_zero, finite
from jaxal.training.options import TrainingOptions
from jaxal.training.schedules import SCHEDULES, is_schedule

SEED_SETS = ("random", "balanced", "facility_location")


def _is_seed_set(value: Any) -> bool:
    if isinstance(value, str):
        return value in SEED_SETS
    if isinstance(value, dict):
        return bool(value) and all(
            key.isdecimal() and type(count) is int and count >= 1 for key, count in value.items()
        )
    return bool(value) and len(set(value)) == len(value) and min(value) >= 0


def seed(default: int) -> Any:
    """A field of a seed."""
    return checked("an integer from 0 to 2**32 - 1", lambda n: 0 <= n < 2**32, default)


@dataclass(frozen=True)
class SourceConfig:
    """Where examples come from, and what is done to their numbers."""

    source: str  # The data are named as in "sklearn:digits" or "npz:PATH".
    test: str | None = None  # The test part is this source, of the same kind.
    folder: str | None = None  # Files are looked for here too; None: where JAXAL_DATA says.
    options: dict[str, Any] = field(default_factory=dict)  # The source's reader takes these.
    standardize: bool = True  # Inputs get mean 0 and standard deviation 1 over the pool.
    normalization: str = checked(  # Images of integers get a data set's mean and deviation instead.
        f"one of pool, {', '.join(NORMALIZATIONS)}",
        lambda name: name in ("pool", *NORMALIZATIONS),
        "pool",
    )
    pca: int | None = count(None)  # Inputs become so many principal components of the pool's.
    flat: bool | None = None  # Inputs are vectors (true) or images (false); None: as stored.


@dataclass(frozen=True)
class DataConfig(SourceConfig):
    """What to learn from: `jaxal.data.load`, `split` and `repeat`.

    The rows of a source "pool:DIR", a pool on disk, stay there and are not changed (`on_disk`).
    """

    task: str = checked(  # Labels of a regression are numbers, standardised as inputs are.
        f"one of {', '.join(TASKS)}", lambda name: name in TASKS, "classification"
    )
    test_fraction: float = checked(  # This share is tested on, if the source has no test part.
        "a number between 0 and 1, both excluded", lambda x: 0 < x < 1, 0.2
    )
    split_seed: int = seed(0)  # Equal seeds hold out the same rows and keep the same ones.
    resplit: bool = False  # In a sweep, seed number i has a split of its own: split_seed + i.
    redraw: bool = False  # And data of its own, of a source that makes them: its option seed + i.
    limit: int | None = count(None)  # So many pool rows are kept; None keeps all.
    test_limit: int | None = count(None)  # At most so many test rows are kept; None keeps all.
    num_classes: int | None = count(None)  # The model has so many; None: as many as labels.
    labeled_only: bool = False  # Rows whose label is -1, unknown, are left out.
    validation: int = count_or_zero(0)  # So many rows are held out of the pool, beside `limit`.
    repeat: int = count(1)  # Each pool row is there so many times.
    noise: float = finite(0.0)  # Noise of this standard deviation is added to each pool row.


def _classes() -> Any:
    return checked(
        "a list of distinct classes, integers of at least 0",
        lambda classes: len(set(classes)) == len(classes) and min(classes, default=0) >= 0,
        (),
    )


@dataclass(frozen=True)
class ScenarioConfig:
    """What is made of the pool: `jaxal.data.scenarios`, in the order of these settings.

    Classes are numbered as in the data. Rows of no class, out of distribution, stay in the pool and
    are in no test set: one that is picked costs a label and is skipped. Other classes than theirs
    are renumbered in order.
    """

    rows_per_class: int | None = count(None)  # So many pool rows of each class; None keeps all.
    rare_classes: tuple[int, ...] = _classes()  # What is found of these is counted, and
    rare_rows: int | None = count(None)  # so many rows of each stay,
    rare_fraction: float | None = checked(  # or this share.
        "a number between 0 and 1, both excluded", lambda x: 0 < x < 1, None
    )
    ood_classes: tuple[int, ...] = _classes()  # These are out of distribution, and
    ood_rows: int | None = count(None)  # so many rows of each stay; None keeps all.
    label_noise: float = checked(  # This share of the pool's labels is wrong, of each class.
        "a number from 0 to 1, 1 excluded", lambda x: 0 <= x < 1, 0.0
    )
    label_transition: tuple[tuple[float, ...], ...] = checked(  # Or labels change by these.
        "a list of probabilities for each class",
        lambda table: all(all(0 <= x <= 1 for x in row) for row in table),
        (),
    )
    unique_rows: int | None = count(None)  # So many distinct rows are kept; None keeps all.
    copied_rows: int | None = count(None)  # So many of them are copied; None: all.
    copies: int = count(1)  # Each of these is there so many times.


@dataclass(frozen=True)
class SetConfig:
    """Examples that a strategy may look at; there are none if nothing is set.

    They are rows of given classes, held out of the pool before the scenario is made of it.
    """

    source: str | None = None  # Or all rows of such a source of data.
    classes: tuple[int, ...] = _classes()  # They are of these classes; none stands for all.
    rows_per_class: int | None = count(None)  # There are so many of each class.


@dataclass(frozen=True)
class SetsConfig:
    """Examples like those wanted, like those to avoid, and held out.

    The source of `private` may be "labeled", the labelled rows of each round, or "found", the rows
    out of distribution that were picked until then.
    """

    query: SetConfig
    private: SetConfig
    validation: SetConfig


@dataclass(frozen=True)
class ModelConfig:
    """What to train: `jaxal.models.make(name, num_classes, **hyper)`, or a model of one's own.

    One of the two is set.
    """

    name: str | None = None  # The model is one of `jaxal.models.names()`.
    factory: str | None = None  # Or "module:function" makes it, (num_classes, **hyper) -> Model.
    hyper: dict[str, Any] = field(default_factory=dict)  # In TOML these stand beside `name`.


@dataclass(frozen=True)
class AugmentationConfig:
    """How images are changed at random each time they are trained on: `models.augmented`."""

    crop: int = count_or_zero(0)  # Images are shifted by at most so many pixels, zeros move in.
    flip: bool = False  # Every other image is mirrored, left to right.
    cutout: int = count_or_zero(0)  # A square of so many pixels is set to zero.


@dataclass(frozen=True)
class OptimizerConfig:
    """How a step is taken: an optimizer of optax."""

    optimizer: str = "adam"  # Any optimizer of optax that takes a learning rate will do.
    learning_rate: float = checked(  # Its step size.
        "a finite number above 0", lambda x: 0 < x < math.inf, 1e-3
    )
    optimizer_options: dict[str, Any] = field(
        default_factory=dict
    )  # The optimizer takes these as well.
    l2: float = finite(0.0)  # This times the parameters is added to the gradient.
    schedule: str | dict[str, Any] = checked(  # The learning rate changes from epoch to epoch.
        "one of " + ", ".join(SCHEDULES) + ", or a table with the name of a schedule of optax",
        lambda given: is_schedule(given),
        "constant",
    )
    schedule_epochs: int | None = count(None)  # It does for so many epochs; None: max_epochs.


@dataclass(frozen=True)
class LearnerConfig(TrainingOptions, OptimizerConfig):
    """How to train: an optimizer, and the options of `jaxal.Learner` by the same names."""

    loss: str | None = None  # By name, or as "module:function", of optax's form; None: by the task.
    newton_l2: float | None = checked(  # Or: a model of a last layer alone is fitted to convergence
        # by Newton's method with this penalty, `training.newton`; 1.0 is scikit-learn's `C = 1`.
        "a finite number above 0",
        lambda x: 0 < x < math.inf,
        None,
    )
    calibration_folds: int = checked(  # Logits are divided by a temperature: `jaxal.calibrated`.
        "0, for none, or an integer of at least 2", lambda folds: folds == 0 or folds >= 2, 0
    )


@dataclass(frozen=True)
class StrategyConfig:
    """What to compare, and how many labels to buy.

    A name need not be a strategy's if its table of options says which is meant: with
    `name = "bald"` there, two differently made ones are compared, and `factory` is the
    "module:function" that makes a `Strategy` of one's own of the other options.
    """

    names: tuple[str, ...] = checked(  # Strategies, which are compared in this order.
        "a list of one or more strategies, each once",
        lambda names: names and len(set(names)) == len(names),
    )
    initial: int = count(20)  # So many rows are labelled before the first round.
    budget: int = count(20)  # So many labels are bought in a round.
    rounds: int = count(15)  # Labels are bought so many times.
    balanced: bool = False  # As many initial rows are drawn of each class.
    seed_set: str | tuple[int, ...] | dict[str, int] | None = checked(
        '"random", "balanced", "facility_location", a list of rows, or a table of counts by class',
        lambda value: _is_seed_set(value),
        None,
    )  # How the initial rows are chosen; rows and counts say as well how many there are.
    options: dict[str, dict[str, Any]] = field(default_factory=dict)  # Each strategy has a table.


def _are_rules(value: Any) -> bool:
    names = (value,) if isinstance(value, str) else value
    return bool(names) and len(set(names)) == len(names)


@dataclass(frozen=True)
class StopConfig:
    """When a strategy ends before its last round: `jaxal.stopping`; never, if no rule is set."""

    rule: str | tuple[str, ...] | None = checked(  # The first that holds ends a seed.
        "a stopping rule, or a list of some, each once", _are_rules, None
    )
    rows: int = count(2_000)  # Rules look at the predictions for so many rows of the pool.
    options: dict[str, dict[str, Any]] = field(default_factory=dict)  # Each rule has a table.


@dataclass(frozen=True)
class RunConfig:
    """How the experiment runs on the machine."""

    batch_size: int = count(1024)  # So many rows go through the model at once on a device.


@dataclass(frozen=True)
class Config:
    """A whole experiment, as `load` and `parse` return it."""

    data: DataConfig
    model: ModelConfig
    learner: LearnerConfig
    strategy: StrategyConfig
    run: RunConfig
    augmentation: AugmentationConfig
    scenario: ScenarioConfig
    sets: SetsConfig
    stop: StopConfig
    name: str = checked(  # The run and its folder are called so; not given: as the file is.
        "letters, digits, '.', '_' or '-', and no '.' in front (it names a folder)",
        lambda name: re.fullmatch(r"[\w-][\w.-]*", name) is not None,
    )
    seeds: int = count(10)  # Each strategy runs so many times.
    seed: int = seed(0)  # All randomness comes from this, but for `data.split_seed`.
