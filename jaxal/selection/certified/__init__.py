"""Exact selection from compressed pools: bounds from a short copy, decisions on the rows."""

from jaxal.selection.certified._k_center import k_center

__all__ = ["k_center"]
