"""Acquisition strategies: each pairs an `observe` of one example with a `select` over the pool."""

from jaxal.strategies.adversarial import adversarial_bim, adversarial_deepfool
from jaxal.strategies.badge import badge
from jaxal.strategies.bayesian import (
    bald,
    entropy_dropout,
    least_confidence_dropout,
    margin_dropout,
    mean_std,
    variation_ratio,
)
from jaxal.strategies.core_set import core_set
from jaxal.strategies.fass import fass
from jaxal.strategies.glister import glister
from jaxal.strategies.grad_match import grad_match
from jaxal.strategies.joint import batch_bald, epig
from jaxal.strategies.k_means import k_means
from jaxal.strategies.partition import partition
from jaxal.strategies.random import random
from jaxal.strategies.registry import Description, describe, make, names, register
from jaxal.strategies.scoring import TopScores
from jaxal.strategies.stochastic import stochastic
from jaxal.strategies.submodular import submodular
from jaxal.strategies.targeted import scg, scmi, smi
from jaxal.strategies.uncertainty import entropy, least_confidence, margin, top

__all__ = [
    "Description",
    "TopScores",
    "adversarial_bim",
    "adversarial_deepfool",
    "badge",
    "bald",
    "batch_bald",
    "core_set",
    "describe",
    "entropy",
    "entropy_dropout",
    "epig",
    "fass",
    "glister",
    "grad_match",
    "k_means",
    "least_confidence",
    "least_confidence_dropout",
    "make",
    "margin",
    "margin_dropout",
    "mean_std",
    "names",
    "partition",
    "random",
    "register",
    "scg",
    "scmi",
    "smi",
    "stochastic",
    "submodular",
    "top",
    "variation_ratio",
]
