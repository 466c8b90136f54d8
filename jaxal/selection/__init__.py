"""Batch selection rules: arrays in, rows out, with no knowledge of models or training.

Every rule takes the PRNG key (if any), the arrays, `available` [N] bool and the budget, and returns
a `Selection` of distinct available rows in the order picked. Points are arrays [N, D] or an
`Embedding`, also one of a user's own. The rules are jitted, with the budget and what else fixes
shapes static; `take_top` and `take_stochastic` are not. All may be called inside `jit` and `vmap`.
"""

from typing import TYPE_CHECKING

from jaxal._lazy import lazy
from jaxal.greedy.inside import Rule
from jaxal.greedy.lazy import lazy_greedy
from jaxal.greedy.take import take_stochastic, take_top
from jaxal.points.embedding import Dense, Embedding
from jaxal.points.gradient import GRADIENT_KINDS, GradientEmbedding, gradient_embedding
from jaxal.points.nearest import nearest_pick
from jaxal.points.sketch import random_projection
from jaxal.selection._badge import badge
from jaxal.selection._bait import bait
from jaxal.selection._batch_bald import batch_bald
from jaxal.selection._cluster_margin import cluster_margin
from jaxal.selection._drop_query import drop_query
from jaxal.selection._falcun import falcun
from jaxal.selection._gist import gist
from jaxal.selection._herding import herding
from jaxal.selection._k_center import k_center
from jaxal.selection._k_means import k_means
from jaxal.selection._k_means_plus_plus import k_means_plus_plus
from jaxal.selection._lcmd import lcmd
from jaxal.selection._typiclust import typiclust
from jaxal.selection.gradient_matching._glister import glister
from jaxal.selection.gradient_matching._grad_match import grad_match
from jaxal.selection.gradient_matching._matching_pursuit import orthogonal_matching_pursuit

if TYPE_CHECKING:
    from jaxal.selection import anytime, certified, streamed
else:
    __getattr__, __dir__ = lazy(
        __name__,
        {},
        modules=[
            "jaxal.selection.anytime",
            "jaxal.selection.certified",
            "jaxal.selection.streamed",
        ],
    )

__all__ = [
    "GRADIENT_KINDS",
    "Dense",
    "Embedding",
    "GradientEmbedding",
    "Rule",
    "anytime",
    "badge",
    "bait",
    "batch_bald",
    "certified",
    "cluster_margin",
    "drop_query",
    "falcun",
    "gist",
    "glister",
    "grad_match",
    "gradient_embedding",
    "herding",
    "k_center",
    "k_means",
    "k_means_plus_plus",
    "lazy_greedy",
    "lcmd",
    "orthogonal_matching_pursuit",
    "nearest_pick",
    "random_projection",
    "streamed",
    "take_stochastic",
    "take_top",
    "typiclust",
]
