"""Labelled examples as numpy arrays: where they come from, how they are split, and checks of their values."""

from jaxal.data.checks import check, num_classes
from jaxal.data.repeats import repeat
from jaxal.data.sources import load, sources
from jaxal.data.splits import split, subset

__all__ = ["check", "load", "num_classes", "repeat", "sources", "split", "subset"]
