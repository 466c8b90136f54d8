"""When a loop has labelled enough: rules over what its rounds find out, without labels.

Each takes the history of a loop of any kind, and says after which round to stop: by predictions
that no longer change, a model that is sure, or new labels that can no longer change the error.
"""

from jaxal.stopping.errors import error_gap, error_stability
from jaxal.stopping.predictions import (
    classification_change,
    cohen_kappa,
    overall_uncertainty,
    stabilizing_predictions,
)

__all__ = [
    "classification_change",
    "cohen_kappa",
    "error_gap",
    "error_stability",
    "overall_uncertainty",
    "stabilizing_predictions",
]
