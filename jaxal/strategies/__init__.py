"""Acquisition strategies: each pairs an `observe` of one example with a `select` over the pool."""

from jaxal.strategies.badge import badge
from jaxal.strategies.core_set import core_set
from jaxal.strategies.random import random
from jaxal.strategies.registry import Description, describe, make, names, register
from jaxal.strategies.uncertainty import entropy, least_confidence, margin, top

__all__ = [
    "Description",
    "badge",
    "core_set",
    "describe",
    "entropy",
    "least_confidence",
    "make",
    "margin",
    "names",
    "random",
    "register",
    "top",
]
