"""From settings to objects: the examples, the learner and the strategies of an experiment."""

import dataclasses
import inspect
from typing import Any, NamedTuple

import optax

from jaxal import data, models, strategies
from jaxal.base import Examples, Strategy
from jaxal.checks import check_like_default, check_name, check_options, nearest
from jaxal.data.scenarios import Facts
from jaxal.experiment.examples import examples
from jaxal.experiment.keys import named
from jaxal.experiment.sets import with_own_sets
from jaxal.experiment.settings import Config, OptimizerConfig, SetConfig
from jaxal.training.learner import Learner, TrainingOptions


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
    chosen = _strategies(config)
    pool, test, sets, facts = examples(config)
    classes = max(data.num_classes(pool.labels), data.num_classes(test.labels))
    with named("model", config.model.hyper):
        model = models.make(config.model.name, classes, **config.model.hyper)
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


def _optimizer(config: OptimizerConfig) -> optax.GradientTransformation:
    known = [name for name in dir(optax) if _takes_learning_rate(getattr(optax, name))]
    check_name("learner.optimizer", config.optimizer, known)
    make = getattr(optax, config.optimizer)
    check_options("learner.optimizer", config.optimizer, make, config.optimizer_options)
    parameters = inspect.signature(make).parameters
    for option, given in config.optimizer_options.items():
        default = parameters[option].default
        check_like_default(f"learner.optimizer_options.{option}", given, default)
    optimizer = make(learning_rate=config.learning_rate, **config.optimizer_options)
    if not config.l2:
        return optimizer
    return optax.chain(optax.add_decayed_weights(config.l2), optimizer)


def _takes_learning_rate(value: Any) -> bool:
    if not inspect.isfunction(value):
        return False
    parameters = inspect.signature(value).parameters
    return next(iter(parameters), None) == "learning_rate"
