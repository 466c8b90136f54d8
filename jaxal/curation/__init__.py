"""Curation: which examples a large model is trained on. Arrays in, rows and weights out.

`rds` selects rows like examples of target tasks, `semdedup` drops those that are nearly copies,
`hierarchical_sampling` balances what is common and what is rare, `sensitivity_sampling` draws
weighted rows that stand for all, `joint_example_selection` chooses a batch inside a training step,
and `d_optimal_pairs` the comparisons a reward is learned from. All may be called inside `jit` and
`vmap`. Random rows are the control that each has to beat: the docstrings say where they did not.
"""

from jaxal.curation._clusters import k_means_clusters
from jaxal.curation._d_optimal import d_optimal_pairs
from jaxal.curation._hierarchical import ClusterTree, hierarchical_k_means, hierarchical_sampling
from jaxal.curation._jest import joint_example_selection
from jaxal.curation._pooling import weighted_mean_pool
from jaxal.curation._rds import rds
from jaxal.curation._semdedup import Deduplicated, semdedup
from jaxal.curation._sensitivity import WeightedSample, sensitivity_sampling
from jaxal.selection._lloyd import Clusters

__all__ = [
    "ClusterTree",
    "Clusters",
    "Deduplicated",
    "WeightedSample",
    "d_optimal_pairs",
    "hierarchical_k_means",
    "hierarchical_sampling",
    "joint_example_selection",
    "k_means_clusters",
    "rds",
    "semdedup",
    "sensitivity_sampling",
    "weighted_mean_pool",
]
