"""Learners: how a model is fitted to the labelled rows, as one compiled program for all rounds."""

from jaxal.training.base import AnyLearner, CustomLearner, FitFn, FitInfo
from jaxal.training.calibrated import calibrated
from jaxal.training.ensembles import ensemble
from jaxal.training.evaluation import Metrics, evaluate
from jaxal.training.learner import Learner
from jaxal.training.newton import newton
from jaxal.training.options import TrainingOptions
from jaxal.training.schedules import scale_by_epoch

__all__ = [
    "AnyLearner",
    "CustomLearner",
    "FitFn",
    "FitInfo",
    "Learner",
    "Metrics",
    "TrainingOptions",
    "calibrated",
    "ensemble",
    "evaluate",
    "newton",
    "scale_by_epoch",
]
