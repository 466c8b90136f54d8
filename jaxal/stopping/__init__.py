"""When a loop has labelled enough: rules over what its rounds find out, without labels.

The functions take the history of a loop of any kind, and say after which round to stop: by
predictions that no longer change, a model that is sure, or new labels that can no longer change the
error. The classes are the same rules a round at a time, and some more, as `jaxal.simulate` and
`jaxal.iterate` take them; `rule` makes one by its name.
"""

from jaxal.stopping.errors import error_gap, error_stability
from jaxal.stopping.predictions import (
    classification_change,
    cohen_kappa,
    overall_uncertainty,
    stabilizing_predictions,
)
from jaxal.stopping.rules import (
    Accuracy,
    Budget,
    ClassificationChange,
    ErrorStability,
    Kappa,
    OverallUncertainty,
    Rule,
    Seen,
    Tolerance,
)
from jaxal.stopping.watch import Stopped, reason, rule

__all__ = [
    "Accuracy",
    "Budget",
    "ClassificationChange",
    "ErrorStability",
    "Kappa",
    "OverallUncertainty",
    "Rule",
    "Seen",
    "Stopped",
    "Tolerance",
    "classification_change",
    "cohen_kappa",
    "error_gap",
    "error_stability",
    "overall_uncertainty",
    "reason",
    "rule",
    "stabilizing_predictions",
]
