"""What a page is made of, whether it comes from the folders of runs or from records."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxal.experiment.predictions import OfPool
from jaxal.records import Record
from jaxal.report.paired import Paired
from jaxal.report.summary import Summary

LAYOUTS = ("auto", "pca", "t-sne", "both")
"""How the rows of the map are placed."""


class ShownPool(NamedTuple):
    """The pool, for the map and for what is shown of its rows."""

    inputs: Any  # [N, ...] or a pool on disk: what the map is made of
    labels: np.ndarray  # [N], -1: of no class
    raw: Any = None  # [N, ...] what is shown of a row; None: the inputs
    tokens: bool = False  # whether the inputs are token ids
    texts: Mapping[bytes, str] | None = None  # by the bytes of a row's inputs
    left_out: bool = False  # whether rows with label -1 are no rows of the pool
    predicted: Mapping[int, OfPool] | None = None  # by line, of the first seed
    layout: str = "auto"  # one of LAYOUTS


class Shown(NamedTuple):
    """Everything a page shows. A line is a strategy, of several runs one of each run."""

    title: str
    lines: dict[str, list[Record]]  # by its name on the page
    summaries: Sequence[Summary]  # as many, in the same order
    paired: Sequence[Paired]
    random: str | None  # what random sampling is called
    notes: Sequence[str]
    class_names: Sequence[str]  # [C]; may be empty
    pool: ShownPool | None
    configs: Mapping[str, str]  # the settings of each run, as text
    facts: Mapping[str, Any]  # where the numbers come from: versions, hashes, times
