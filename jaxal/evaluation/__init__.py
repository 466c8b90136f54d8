"""How good a model is, from few labels of the examples that it is measured on.

`lure` corrects a mean loss for how its rows were drawn, `active_inference` gives a mean with its
confidence interval, `wilson` one of a uniform sample, `labels_needed` says how many labels an
interval takes, and `coda` which of several models is best and which label would tell most about
that. Arrays in, numbers out; all may be called inside `jit` and `vmap`.
"""

from jaxal.evaluation._active_inference import Estimate, active_inference, sampling_probabilities
from jaxal.evaluation._coda import Coda, coda, coda_prior, coda_update
from jaxal.evaluation._labels_needed import labels_needed
from jaxal.evaluation._lure import Drawn, draw_rows, lure, lure_weights
from jaxal.evaluation._wilson import wilson

__all__ = [
    "Coda",
    "Drawn",
    "Estimate",
    "active_inference",
    "coda",
    "coda_prior",
    "coda_update",
    "draw_rows",
    "labels_needed",
    "lure",
    "lure_weights",
    "sampling_probabilities",
    "wilson",
]
