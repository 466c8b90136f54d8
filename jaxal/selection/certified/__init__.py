"""Exact selection from compressed pools: bounds from a short copy, decisions on the rows."""

from jaxal.selection.certified._badge import badge
from jaxal.selection.certified._k_center import k_center
from jaxal.selection.certified._k_means_plus_plus import k_means_plus_plus

__all__ = ["badge", "k_center", "k_means_plus_plus"]
