"""From settings to objects: the examples, the learner and the strategies of an experiment."""

import dataclasses
import inspect
from typing import NamedTuple

import optax

from jaxal import data, models, strategies
from jaxal.base import Examples, Strategy
from jaxal.checks import check_like_default, check_name, check_options, nearest
from jaxal.data.scenarios import Facts
from jaxal.experiment.examples import examples
from jaxal.experiment.keys import named
from jaxal.experiment.sets import with_own_sets
from jaxal.experiment.settings import Config, DataConfig, LearnerConfig, SetConfig
from jaxal.training.learner import Learner
from jaxal.training.options import TrainingOptions, check_average
from jaxal.training.schedules import scheduled


class Parts(NamedTuple):
    """What an experiment is made of."""

    pool: Examples
    test: Examples
    validation: Examples | None
    learner: Learner
    strategies: dict[str, Strategy]
    query: Examples | None = None
    private: Examples | str | None = None  # or "labeled" or "found", of each round
    facts: Facts | None = None  # of the pool's rows


def build(config: Config) -> Parts:
    """Loads the data and makes the learner and the strategies.

    Args:
      config: the settings.

    Returns:
      The parts; no model is initialised yet.

    Raises:
      ValueError: an unknown data source, model, optimizer, strategy or option of one; suggests the
        nearest.
      FileNotFoundError: the data source is a file that is not there.
    """
    held_out = config.data.validation or config.sets.validation != SetConfig()
    if config.learner.patience and not held_out:
        raise ValueError("learner.patience: needs held-out rows, so set data.validation too")
    with named("learner", vars(config.learner)):
        check_average(config.learner.average_from, config.learner.patience)
    chosen = _strategies(config)
    pool, test, sets, facts, normalization = examples(config)
    classes = _classes(config.data, pool, test)
    with named("model", config.model.hyper):
        model = models.make(config.model.name, classes, **config.model.hyper)
    if normalization is not None:
        model = models.normalized(model, *normalization[:2], scale=normalization.scale)
    # Outside of the normalisation: augmentation is of raw pixels.
    model = models.augmented(model, **dataclasses.asdict(config.augmentation))
    options = {field.name for field in dataclasses.fields(TrainingOptions)}
    learner = Learner(
        model,
        _optimizer(config.learner),
        eval_batch_size=config.run.batch_size,
        **{name: getattr(config.learner, name) for name in options},
    )
    return Parts(
        pool,
        test,
        sets.get("validation"),
        learner,
        chosen,
        sets.get("query"),
        sets.get("private"),
        facts,
    )


def _classes(config: DataConfig, pool: Examples, test: Examples) -> int:
    """How many classes the model has: those of the labels, or as many as are asked for."""
    classes = max(data.num_classes(pool.labels), data.num_classes(test.labels))
    if config.num_classes is None:
        return classes
    if config.num_classes < classes:
        raise ValueError(
            f"data.num_classes: expected at least {classes}, as {config.source} has labels up to "
            f"{classes - 1}, got {config.num_classes}"
        )
    return config.num_classes


def _strategies(config: Config) -> dict[str, Strategy]:
    options, known = config.strategy.options, strategies.names()
    for name in options:
        if name not in known and name not in config.strategy.names:
            raise ValueError(f"strategy.options: {name!r} is unknown; {nearest(name, known)}")
    made = {}
    for label in config.strategy.names:
        own = options.get(label, {})
        with named(f"strategy.options.{label}", own):
            made[label] = with_own_sets(strategies.make(**{"name": label} | own))
    return made


def _optimizer(config: LearnerConfig) -> optax.GradientTransformation:
    known = [name for name in dir(optax) if _is_optimizer(name)]
    check_name("learner.optimizer", config.optimizer, known)
    make = getattr(optax, config.optimizer)
    check_options("learner.optimizer", config.optimizer, make, config.optimizer_options)
    parameters = inspect.signature(make).parameters
    for option, given in config.optimizer_options.items():
        default = parameters[option].default
        check_like_default(f"learner.optimizer_options.{option}", given, default)
    optimizer = make(learning_rate=config.learning_rate, **config.optimizer_options)
    if config.l2:
        optimizer = optax.chain(optax.add_decayed_weights(config.l2), optimizer)
    return scheduled(optimizer, config.schedule, config.schedule_epochs or config.max_epochs)


UNUSABLE = ("lbfgs", "noisy_sgd")
"""Optimizers of optax whose steps take more than a gradient: the objective, or a key."""


def _is_optimizer(name: str) -> bool:
    value = getattr(optax, name)
    if name.startswith(("_", "scale_by_")) or name in UNUSABLE or not inspect.isfunction(value):
        return False
    return next(iter(inspect.signature(value).parameters), None) == "learning_rate"
