"""Curation: which examples a large model is trained on. Arrays in, rows and weights out.

`rds` selects rows like examples of target tasks, `semdedup` drops those that are nearly copies.
All may be called inside `jit` and `vmap`. Random rows are the control that each of them has to
beat: the docstrings say where it did not.
"""

from jaxal.curation._clusters import k_means_clusters
from jaxal.curation._pooling import weighted_mean_pool
from jaxal.curation._rds import rds
from jaxal.curation._semdedup import Deduplicated, semdedup
from jaxal.selection._lloyd import Clusters

__all__ = [
    "Clusters",
    "Deduplicated",
    "k_means_clusters",
    "rds",
    "semdedup",
    "weighted_mean_pool",
]
