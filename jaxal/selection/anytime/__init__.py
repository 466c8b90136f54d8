"""Rules that can be left after any pass over the pool, with what they have and a bound on it.

    for progress in anytime.k_center(features, available, 10_000):
        if progress.bound.radius < 0.5:
            break
    progress.selection  # a prefix of the whole decision: rows of -1 after `progress.count`

    last = anytime.until(anytime.maximize(function, available, 1_000), seconds=60)
    last.bound.ratio  # proved: so much of the best value that as many rows could have

The passes are those of the compiled decision, and so are the picks.
"""

from jaxal.selection.anytime._batch_bald import batch_bald
from jaxal.selection.anytime._certified import certified_k_center
from jaxal.selection.anytime._k_center import Radius, k_center
from jaxal.selection.anytime._lazy_greedy import Next, lazy_greedy
from jaxal.selection.anytime._maximize import maximize
from jaxal.selection.anytime.d2 import Potential, badge, k_means_plus_plus
from jaxal.selection.anytime.progress import Progress, until
from jaxal.selection.anytime.value import Value

__all__ = [
    "Next",
    "Potential",
    "Progress",
    "Radius",
    "Value",
    "badge",
    "batch_bald",
    "certified_k_center",
    "k_center",
    "k_means_plus_plus",
    "lazy_greedy",
    "maximize",
    "until",
]
