"""Acquisition strategies: each pairs an `observe` of one example with a `select` over the pool."""

from jaxal.strategies._candidates import candidates
from jaxal.strategies.coverage import max_herding, prob_cover, typi_clust, u_herding
from jaxal.strategies.distil import from_distil
from jaxal.strategies.draws import (
    bald,
    batch_bald,
    core_mse,
    entropy_dropout,
    epig,
    least_confidence_dropout,
    margin_dropout,
    mean_std,
    variation_ratio,
)
from jaxal.strategies.fisher import bait, lcmd
from jaxal.strategies.frozen_features import alfa_mix, cluster_margin, drop_query, falcun, gist
from jaxal.strategies.geometric import badge, core_set, k_means
from jaxal.strategies.gradient import glister, grad_match
from jaxal.strategies.pointwise import (
    adversarial_bim,
    adversarial_deepfool,
    by_score,
    entropy,
    least_confidence,
    margin,
    random,
)
from jaxal.strategies.registry import Description, describe, make, names, register
from jaxal.strategies.regression import variance
from jaxal.strategies.scoring import TopScores
from jaxal.strategies.set_functions import fass, submodular
from jaxal.strategies.targeted import scg, scmi, smi
from jaxal.strategies.wrappers import partition, stochastic

__all__ = [
    "Description",
    "TopScores",
    "adversarial_bim",
    "adversarial_deepfool",
    "alfa_mix",
    "badge",
    "bait",
    "bald",
    "batch_bald",
    "candidates",
    "cluster_margin",
    "core_mse",
    "core_set",
    "describe",
    "drop_query",
    "entropy",
    "entropy_dropout",
    "epig",
    "falcun",
    "fass",
    "from_distil",
    "gist",
    "glister",
    "grad_match",
    "k_means",
    "lcmd",
    "least_confidence",
    "least_confidence_dropout",
    "make",
    "margin",
    "margin_dropout",
    "max_herding",
    "mean_std",
    "names",
    "partition",
    "prob_cover",
    "random",
    "register",
    "scg",
    "scmi",
    "smi",
    "stochastic",
    "submodular",
    "typi_clust",
    "u_herding",
    "by_score",
    "variance",
    "variation_ratio",
]
