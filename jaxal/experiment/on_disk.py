"""Experiments on a pool on disk, `[data] source = "pool:DIR"`: its rows stay there.

The rows to test on are those of a second pool, `test = "pool:DIR"`, or a share of this one's,
`test_fraction`, which is held out by classes as of any source; so are the `validation` rows. These
are read into memory. The others keep the numbers that they have in the pool.
"""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxal import pools
from jaxal.base import Examples
from jaxal.data.normalization import Normalization
from jaxal.data.readers.paths import find
from jaxal.data.readers.registry import FOLDER_VARIABLE
from jaxal.data.splits import stratified_rows
from jaxal.experiment.sets import hold_out_sets
from jaxal.experiment.settings import Config, DataConfig, ScenarioConfig, SetConfig
from jaxal.pools import Directory

KIND = "pool:"

AS_THEY_ARE = {
    "options": {},
    "standardize": False,
    "normalization": "pool",
    "pca": None,
    "limit": None,
    "flat": None,
    "repeat": 1,
    "noise": 0.0,
}
"""Settings of `[data]` that do something to rows, and their values where nothing is done."""


class OnDisk(NamedTuple):
    """The examples of an experiment, as those of other sources."""

    pool: Examples  # a `Directory` and labels, which are -1 of rows that are left out
    test: Examples
    sets: dict[str, Any]
    normalization: Normalization | None  # of integers, which are pixels


def is_on_disk(config: DataConfig) -> bool:
    """Whether the pool is one on disk."""
    return config.source.startswith(KIND)


def examples_on_disk(config: Config) -> OnDisk:
    """Opens the pool, and reads the rows that are held out of it.

    Raises:
      FileNotFoundError: no such folder, or no pool in it.
      ValueError: settings that would change rows, unknown labels, or too few rows; names the key.
    """
    settings = config.data
    _check(config)
    source, labels = _opened(settings, "source", settings.source)
    generator = np.random.default_rng(settings.split_seed)
    if settings.test is None:
        labels, rows = _held_out(labels, settings.test_fraction, generator)
        where, tested = source, np.asarray(source.labels)
    else:
        where, tested = _opened(settings, "test", settings.test)
        rows = np.flatnonzero(tested >= 0)
    if settings.test_limit is not None and settings.test_limit < len(rows):
        share = settings.test_limit / len(rows)
        rows = rows[stratified_rows(tested[rows], share, generator)[1]]
    test, validation = _read(where, tested, rows), None
    if settings.validation:
        left = np.sum(labels >= 0)
        if settings.validation >= left:
            raise ValueError(
                f"data.validation: expected fewer than the {left} rows of the pool, "
                f"got {settings.validation}"
            )
        labels, rows = _held_out(labels, settings.validation / left, generator)
        validation = _read(source, np.asarray(source.labels), rows)
    _, sets = hold_out_sets(config, Examples(source, labels), lambda examples: examples)
    if validation is not None:
        if "validation" in sets:
            raise ValueError("sets.validation: expected no data.validation beside it, got both")
        sets["validation"] = validation
    is_pixels = np.issubdtype(source.dtype, np.integer)
    normalization = Normalization((0.0,), (1.0,), 255.0) if is_pixels else None
    return OnDisk(Examples(source, labels), test, sets, normalization)


def _check(config: Config) -> None:
    """Raises ValueError where a setting would change rows, or needs all of them in memory."""
    for key, value in AS_THEY_ARE.items():
        given = getattr(config.data, key)
        if given != value:
            expected = "nothing" if value in (None, {}) else str(value).lower()
            raise ValueError(
                f"data.{key}: expected {expected}, as rows of a pool on disk stay as they are, "
                f"got {given!r}"
            )
    if config.scenario != ScenarioConfig():
        raise ValueError("scenario: expected none, as the rows of a pool on disk stay as they are")
    if config.strategy.seed_set == "facility_location":
        raise ValueError("strategy.seed_set: 'facility_location' needs a pool in memory")
    for name in ("query", "private", "validation"):
        asked = getattr(config.sets, name)
        if asked != SetConfig() and asked.source is None:
            raise ValueError(f"sets.{name}.source: missing; a pool on disk is not parted further")


def _opened(config: DataConfig, key: str, name: str) -> tuple[Directory, np.ndarray]:
    """A pool, and its labels [N] int32."""
    kind, _, path = name.partition(":")
    if f"{kind}:" != KIND:
        raise ValueError(f"data.{key}: expected a source of the kind pool, got {name!r}")
    folder = config.folder or os.environ.get(FOLDER_VARIABLE)
    found = pools.open(find(path, Path(folder).expanduser() if folder else None, is_folder=True))
    if found.labels is None:
        raise ValueError(f"data.{key}: expected a pool with labels, {name} has none")
    labels = np.asarray(found.labels, np.int32)
    unknown = int(np.sum(labels < 0))
    if unknown and not config.labeled_only:
        raise ValueError(
            f"data.{key}: expected all labels to be known, got {unknown} of {len(labels)} that are "
            "-1; data.labeled_only leaves these rows out"
        )
    return found, labels


def _held_out(
    labels: np.ndarray, share: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The labels, -1 for a share of the rows of each class, and these rows, in order."""
    known = np.flatnonzero(labels >= 0)
    rows = np.sort(known[stratified_rows(labels[known], share, generator, keep_one=True)[1]])
    if not len(rows):
        raise ValueError(f"data: expected rows enough to hold out a share of {share:g}, got none")
    labels = labels.copy()
    labels[rows] = -1
    return labels, rows


def _read(source: Directory, labels: np.ndarray, rows: np.ndarray) -> Examples:
    rows = np.sort(rows)
    return Examples(source[rows], np.asarray(labels[rows], np.int32))
