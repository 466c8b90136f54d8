"""From settings to the learner: a network, normalised and augmented, its optimizer and its fit."""

import dataclasses
import inspect
from typing import Any

import optax

from jaxal import models
from jaxal.base import Model
from jaxal.checks import check_like_default, check_name, check_options, describe
from jaxal.data.normalization import Normalization
from jaxal.experiment.factory import from_factory
from jaxal.experiment.keys import named
from jaxal.experiment.settings import AugmentationConfig, LearnerConfig, ModelConfig
from jaxal.imports import imported
from jaxal.training.base import AnyLearner
from jaxal.training.calibrated import calibrated
from jaxal.training.learner import LOSSES, Learner
from jaxal.training.newton import newton
from jaxal.training.options import TrainingOptions, check_average
from jaxal.training.schedules import scheduled

OPTAX_LOSSES = {"huber_loss": optax.huber_loss, "log_cosh": optax.log_cosh}
"""Losses of a regression that optax has."""


def check_together(config: LearnerConfig) -> None:
    """Raises ValueError for settings that exclude each other, before any data are loaded."""
    with named("learner", vars(config)):
        check_average(config.average_from, config.patience)


def make_learner(
    model: ModelConfig,
    config: LearnerConfig,
    augmentation: AugmentationConfig,
    *,
    num_classes: int,
    normalization: Normalization | None,
    batch_size: int,
) -> AnyLearner:
    """Makes a learner; its model is not initialised yet.

    Args:
      model: the network.
      config: how it is fitted.
      augmentation: how images are varied in training.
      num_classes: C; 1 is a regression, of squared loss.
      normalization: of integer images, which the model does then; None: of nothing.
      batch_size: rows that go through the model at once where nothing is learned from them.

    Raises:
      ValueError, TypeError: an unknown model, optimizer or option, told by its key.
    """
    made = _model(model, num_classes)
    if normalization is not None:
        made = models.normalized(made, *normalization[:2], scale=normalization.scale)
    # Outside of the normalisation: augmentation is of raw pixels.
    made = models.augmented(made, **dataclasses.asdict(augmentation))
    options = {field.name for field in dataclasses.fields(TrainingOptions)}
    if config.newton_l2 is not None:
        _check_newton(config, augmentation)
        return newton(made, l2=config.newton_l2)
    learner = Learner(
        made,
        _optimizer(config),
        loss=_loss(config.loss, num_classes),
        eval_batch_size=batch_size,
        **{name: getattr(config, name) for name in options},
    )
    folds = config.calibration_folds
    return calibrated(learner, folds) if folds else learner


def _check_newton(config: LearnerConfig, augmentation: AugmentationConfig) -> None:
    """Raises ValueError for settings of a fit by minibatches, which Newton's would ignore."""
    fields = dataclasses.fields(LearnerConfig)
    for field in fields:
        default = field.default_factory() if callable(field.default_factory) else field.default
        if field.name != "newton_l2" and getattr(config, field.name) != default:
            raise ValueError(f"learner.{field.name}: expected not to be set beside newton_l2")
    if augmentation != AugmentationConfig():
        raise ValueError("augmentation: expected not to be set beside learner.newton_l2")


def _model(config: ModelConfig, num_classes: int) -> Model:
    """A network of the zoo, or one that a function of the user's makes."""
    if config.name is not None:
        with named("model", config.hyper):
            return models.make(config.name, num_classes, **config.hyper)
    made = from_factory("model.factory", config.factory, (num_classes,), config.hyper)
    if not isinstance(made, Model):
        raise TypeError(
            f"model.factory: expected {config.factory} to return a jaxal.Model, as "
            f"jaxal.models.from_linen, from_nnx, from_equinox or from_functions make, "
            f"got {describe(made)}"
        )
    return made


def _loss(given: str | None, num_classes: int) -> Any:
    """The loss of each example: one by name, or a function of the user's."""
    if given is None:
        return "squared" if num_classes == 1 else "cross_entropy"
    if ":" in given:
        return imported("learner.loss", given)
    check_name("learner.loss", given, {**LOSSES, **OPTAX_LOSSES})
    if (given == "cross_entropy") == (num_classes == 1):
        other = "classes, and data.task is a regression" if num_classes == 1 else "a regression"
        raise ValueError(f"learner.loss: {given!r} is for {other}")
    return OPTAX_LOSSES.get(given, given)


def _optimizer(config: LearnerConfig) -> optax.GradientTransformation:
    known = [name for name in dir(optax) if is_optimizer(name)]
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
    epochs = config.schedule_epochs or config.max_epochs
    try:
        return scheduled(optimizer, config.schedule, epochs)
    except (TypeError, ValueError) as error:
        raise type(error)(f"learner.{error}") from error


UNUSABLE = ("lbfgs", "noisy_sgd")
"""Optimizers of optax whose steps take more than a gradient: the objective, or a key."""


def is_optimizer(name: str) -> bool:
    """Whether this name of optax is that of an optimizer, whose step takes a gradient alone."""
    value = getattr(optax, name)
    plain = getattr(value, "func", value)  # `nadam` is a partial of `adam`
    if name.startswith(("_", "scale_by_")) or name in UNUSABLE or not inspect.isfunction(plain):
        return False
    return next(iter(inspect.signature(value).parameters), None) == "learning_rate"
