"""Arrays in, rows out: batch selection rules that know nothing of models or training.

Every rule takes the random key (if any), the arrays, `available` [N] and the budget, and returns a
`Selection` of distinct available rows in the order picked.
"""

from jaxal.selection.badge import badge
from jaxal.selection.batch_bald import batch_bald
from jaxal.selection.embedding import (
    GRADIENT_KINDS,
    Dense,
    Embedding,
    GradientEmbedding,
    gradient_embedding,
)
from jaxal.selection.glister import glister
from jaxal.selection.grad_match import grad_match
from jaxal.selection.k_center import k_center
from jaxal.selection.k_means import k_means, k_means_plus_plus
from jaxal.selection.lazy import Rule, lazy_greedy
from jaxal.selection.matching_pursuit import orthogonal_matching_pursuit
from jaxal.selection.represents import represents
from jaxal.selection.take import take_stochastic, take_top

__all__ = [
    "GRADIENT_KINDS",
    "Dense",
    "Embedding",
    "GradientEmbedding",
    "Rule",
    "badge",
    "batch_bald",
    "glister",
    "grad_match",
    "gradient_embedding",
    "k_center",
    "k_means",
    "k_means_plus_plus",
    "lazy_greedy",
    "orthogonal_matching_pursuit",
    "represents",
    "take_stochastic",
    "take_top",
]
