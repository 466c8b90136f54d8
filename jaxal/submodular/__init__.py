"""Set functions and their greedy maximisation: arrays in, rows out.

    function = submodular.make("facility_location", features, metric="cosine")
    picked = submodular.maximize(function, available, budget)

Diversity, representation, coverage, and the information measures that aim a selection at a query
set or away from a private one. Similarities are made by products when asked for, never as an N x N
array. Rows with NaN or infinities, and those outside the mask `usable`, are ignored: they enter no
sum, and their gain is -inf, so that they come last.
"""

from jaxal.points.similarity import METRICS
from jaxal.submodular._maximize import OPTIMIZERS, maximize
from jaxal.submodular.concave import (
    concave_over_modular,
    feature_based,
    graph_cut_mutual_information,
)
from jaxal.submodular.conditional import given
from jaxal.submodular.coverage import (
    facility_location,
    facility_location_conditional_gain,
    facility_location_conditional_mutual_information,
    facility_location_mutual_information,
    facility_location_variant_mutual_information,
    probabilistic_set_cover,
    set_cover,
)
from jaxal.submodular.determinant import (
    log_determinant,
    log_determinant_conditional_gain,
    log_determinant_conditional_mutual_information,
    log_determinant_mutual_information,
)
from jaxal.submodular.function import SetFunction, evaluate
from jaxal.submodular.pairwise import (
    disparity_min,
    disparity_sum,
    graph_cut,
    graph_cut_conditional_gain,
)
from jaxal.submodular.registry import FunctionSpec, make, names, specify
from jaxal.submodular.seeds import seed_rows
from jaxal.submodular.sparse import sparse_facility_location

__all__ = [
    "METRICS",
    "OPTIMIZERS",
    "FunctionSpec",
    "SetFunction",
    "concave_over_modular",
    "disparity_min",
    "disparity_sum",
    "evaluate",
    "facility_location",
    "facility_location_conditional_gain",
    "facility_location_conditional_mutual_information",
    "facility_location_mutual_information",
    "facility_location_variant_mutual_information",
    "feature_based",
    "given",
    "graph_cut",
    "graph_cut_conditional_gain",
    "graph_cut_mutual_information",
    "log_determinant",
    "log_determinant_conditional_gain",
    "log_determinant_conditional_mutual_information",
    "log_determinant_mutual_information",
    "make",
    "maximize",
    "names",
    "probabilistic_set_cover",
    "seed_rows",
    "set_cover",
    "sparse_facility_location",
    "specify",
]
