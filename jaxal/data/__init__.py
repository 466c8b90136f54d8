"""Labelled examples as NumPy arrays: sources, splits, scenarios, and checks of their values."""

from jaxal.data import scenarios
from jaxal.data._describe import Contents, PartContents, describe
from jaxal.data._load import load
from jaxal.data.checks import check, num_classes
from jaxal.data.normalization import NORMALIZATIONS, Normalization
from jaxal.data.readers import Table, source, sources
from jaxal.data.repeats import repeat
from jaxal.data.splits import split, subset

__all__ = [
    "Contents",
    "PartContents",
    "NORMALIZATIONS",
    "Normalization",
    "Table",
    "check",
    "describe",
    "load",
    "num_classes",
    "repeat",
    "scenarios",
    "source",
    "sources",
    "split",
    "subset",
]
