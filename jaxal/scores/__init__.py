"""Acquisition scores: arrays in, one number per example out, higher is queried first.

`uncertainty` scores a single prediction, `bayesian` the disagreement of K draws of a model
(`running` the same one draw at a time), `adversarial` the distance to the decision boundary.
All are pure, batched and unjitted, know nothing of models, pools or training, and measure
information in nats.
"""

from jaxal.scores._alfa_mix import alfa_mix
from jaxal.scores._drop_query import drop_query
from jaxal.scores._predictive_variance import predictive_variance
from jaxal.scores.adversarial import (
    Perturbation,
    basic_iterative,
    deep_fool,
    perturbation_score,
)
from jaxal.scores.bayesian import bald, core_mse, epig, mean_std, predictive, variation_ratio
from jaxal.scores.running import (
    DrawScores,
    RunningScores,
    draw_scores,
    fold_draws,
    init_running_scores,
    update_running_scores,
)
from jaxal.scores.uncertainty import entropy, least_confidence, margin

__all__ = [
    "RunningScores",
    "Perturbation",
    "DrawScores",
    "update_running_scores",
    "fold_draws",
    "alfa_mix",
    "bald",
    "basic_iterative",
    "core_mse",
    "deep_fool",
    "drop_query",
    "entropy",
    "epig",
    "init_running_scores",
    "least_confidence",
    "margin",
    "mean_std",
    "perturbation_score",
    "predictive",
    "predictive_variance",
    "draw_scores",
    "variation_ratio",
]
