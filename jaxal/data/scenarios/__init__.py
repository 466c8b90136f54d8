"""Scenarios of the papers: rare classes, copies, rows of no class, wrong labels.

Pure functions on (inputs, labels) of NumPy arrays and a seed. What they return is what
`jaxal.simulate` and `jaxal.iterate` take; `found` then counts what was picked.
"""

from jaxal.data.scenarios.classes import (
    hold_out,
    imbalanced,
    in_distribution,
    out_of_distribution,
)
from jaxal.data.scenarios.copies import redundant
from jaxal.data.scenarios.noise import noisy_labels
from jaxal.data.scenarios.picks import Facts, Found, found

__all__ = [
    "Facts",
    "Found",
    "found",
    "hold_out",
    "imbalanced",
    "in_distribution",
    "noisy_labels",
    "out_of_distribution",
    "redundant",
]
