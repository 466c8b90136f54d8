"""From settings to objects: the examples, the learner and the strategies of an experiment."""

from typing import Any, NamedTuple

from jaxal import data, stopping, strategies
from jaxal.base import Examples, Strategy
from jaxal.checks import nearest
from jaxal.data.scenarios import Facts
from jaxal.experiment.examples import examples
from jaxal.experiment.factory import from_factory
from jaxal.experiment.keys import named, renamed
from jaxal.experiment.learner import check_together, make_learner
from jaxal.experiment.regression import check_regression
from jaxal.experiment.sets import with_own_sets
from jaxal.experiment.settings import Config, DataConfig, SetConfig, StopConfig
from jaxal.loop.returned import check_strategy
from jaxal.stopping.rules import Rule
from jaxal.stopping.watch import check_of_regression, needs
from jaxal.training.base import AnyLearner


class Parts(NamedTuple):
    """What an experiment is made of."""

    pool: Examples
    test: Examples
    validation: Examples | None
    learner: AnyLearner
    strategies: dict[str, Strategy]
    query: Examples | None = None
    private: Examples | str | None = None  # or "labeled" or "found", of each round
    facts: Facts | None = None  # of the pool's rows
    stop: tuple[Rule, ...] = ()


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
    check_together(config.learner)
    if config.data.task == "regression":
        check_regression(config)
    chosen, stop = _strategies(config), make_rules(config.stop)
    if config.data.task == "regression":
        with renamed(stop="stop.rule"):
            check_of_regression(stop)
    if needs(stop, "validation") and not held_out:
        raise ValueError("stop.options.accuracy.on: needs held-out rows, so set data.validation")
    pool, test, sets, facts, normalization = examples(config)
    classes = _classes(config.data, pool, test)
    learner = make_learner(
        config.model,
        config.learner,
        config.augmentation,
        num_classes=classes,
        normalization=normalization,
        batch_size=config.run.batch_size,
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
        stop,
    )


def _classes(config: DataConfig, pool: Examples, test: Examples) -> int:
    """How many classes the model has: those of the labels, or as many as are asked for.

    A regression has one output.
    """
    if config.task == "regression":
        return 1
    classes = max(data.num_classes(pool.labels), data.num_classes(test.labels))
    if classes < 2 and config.num_classes in (None, 1):
        raise ValueError(f"data.num_classes: expected at least 2, got {classes} in {config.source}")
    if config.num_classes is None:
        return classes
    if config.num_classes < classes:
        raise ValueError(
            f"data.num_classes: expected at least {classes}, as {config.source} has labels up to "
            f"{classes - 1}, got {config.num_classes}"
        )
    return config.num_classes


def make_rules(config: StopConfig) -> tuple[Rule, ...]:
    """The stopping rules of a table `[stop]`."""
    names = (config.rule,) if isinstance(config.rule, str) else config.rule or ()
    for name in config.options:
        if name not in names:
            raise ValueError(
                f"stop.options: {name!r} is no rule of stop.rule; {nearest(name, names)}"
            )
    made = []
    for name in names:
        own = config.options.get(name, {})
        with renamed(rule="stop.rule"), named(f"stop.options.{name}", own):
            made.append(stopping.rule(name, **own))
    return tuple(made)


def _strategies(config: Config) -> dict[str, Strategy]:
    options, known = config.strategy.options, strategies.names()
    for name in options:
        if name not in known and name not in config.strategy.names:
            raise ValueError(f"strategy.options: {name!r} is unknown; {nearest(name, known)}")
    made = {}
    for label in config.strategy.names:
        own = options.get(label, {})
        with named(f"strategy.options.{label}", own):
            made[label] = with_own_sets(make_strategy(label, **own))
    return made


def make_strategy(label: str, *, factory: Any = None, **own: Any) -> Strategy:
    """A strategy that is known by its name, or one that a function of the user's makes.

    Args:
      label: in `strategy.names`.
      factory: the function, as "module:function".
      **own: the other options of `strategy.options.LABEL`.
    """
    if factory is None:
        return strategies.make(**{"name": label} | own)
    if "name" in own:
        raise ValueError("factory: expected no name beside it")
    made = from_factory("factory", factory, (), own)
    check_strategy(made)
    return made if made.name else made._replace(name=label)
