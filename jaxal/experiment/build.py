"""From settings to objects: the examples, the learner and the strategies of an experiment."""

import inspect
from typing import Any, NamedTuple

import optax

from jaxal import data, models, strategies
from jaxal.base import Examples, Strategy, nearest
from jaxal.experiment.config import Config, LearnerConfig
from jaxal.training import Learner


class Parts(NamedTuple):
    """What an experiment is made of."""

    pool: Examples
    test: Examples
    learner: Learner
    strategies: dict[str, Strategy]


def build(config: Config) -> Parts:
    """Loads the data and makes the learner and the strategies.

    Raises:
      ValueError: an unknown data source, model, optimizer, strategy or option of one; suggests the
        nearest.
      FileNotFoundError: the data source is a file that is not there.
    """
    chosen = _strategies(config)
    pool, test = data.load(
        config.data.source,
        test_fraction=config.data.test_fraction,
        seed=config.data.split_seed,
        standardize=config.data.standardize,
        limit=config.data.limit,
        flat=config.data.flat,
    )
    classes = max(data.num_classes(pool.labels), data.num_classes(test.labels))
    model = models.make(config.model.name, classes, **config.model.hyper)
    learner = Learner(
        model,
        _optimizer(config.learner),
        batch_size=config.learner.batch_size,
        max_epochs=config.learner.max_epochs,
        max_accuracy=config.learner.max_accuracy,
        window=config.learner.window,
        min_gain=config.learner.min_gain,
        warm_start=config.learner.warm_start,
    )
    return Parts(pool, test, learner, chosen)


def _strategies(config: Config) -> dict[str, Strategy]:
    options, known = config.strategy.options, strategies.names()
    for name in options:
        if name not in known and name not in config.strategy.names:
            raise ValueError(
                f"strategy.options: {name!r} is unknown; {nearest(name, known)}"
            )
    return {
        name: strategies.make(name, **options.get(name, {}))
        for name in config.strategy.names
    }


def _optimizer(config: LearnerConfig) -> optax.GradientTransformation:
    known = [name for name in dir(optax) if _takes_learning_rate(getattr(optax, name))]
    if config.optimizer not in known:
        said = nearest(config.optimizer, known)
        raise ValueError(f"learner.optimizer: {config.optimizer!r} is unknown; {said}")
    make = getattr(optax, config.optimizer)
    options = inspect.signature(make).parameters
    for option in config.optimizer_options:
        if option not in options:
            said = nearest(option, options)
            raise ValueError(
                f"learner.optimizer_options: {option!r} is unknown; {said}"
            )
    return make(learning_rate=config.learning_rate, **config.optimizer_options)


def _takes_learning_rate(value: Any) -> bool:
    if not inspect.isfunction(value):
        return False
    parameters = inspect.signature(value).parameters
    return next(iter(parameters), None) == "learning_rate"
