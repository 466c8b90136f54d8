"""From settings to a pool and test rows as the device is to hold them: floats, or raw integers."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from jaxal.base import Examples
from jaxal.data._load import Raw, load_raw
from jaxal.data.normalization import (
    NORMALIZATIONS,
    Normalization,
    normalize,
    pool_normalization,
)
from jaxal.experiment.keys import named
from jaxal.experiment.settings import DataConfig, SourceConfig


class Inputs(NamedTuple):
    """A pool and test rows as their source has them, and what is done to their numbers."""

    raw: Raw
    normalization: Normalization | None  # of integer images; floats count as normalised already
    prepared: Callable[[Examples], Examples]
    """Examples of the source, or of another like it, as a device is to hold them."""


def load(config: DataConfig) -> Inputs:
    """Loads the data; integer images are left to the model, unless noise is to be added to them."""
    with named("data", vars(config)):
        raw = load_raw(
            config.source,
            test=config.test,
            folder=config.folder,
            options=config.options,
            test_fraction=config.test_fraction,
            seed=config.split_seed,
            limit=None if config.limit is None else config.limit + config.validation,
            flat=config.flat,
            labeled_only=config.labeled_only,
            task=config.task,
        )
    made = prepare(raw, config)
    if made.normalization is not None and config.noise:  # which is that of normalised numbers
        return made._replace(prepared=partial(normalize, by=made.normalization))
    return made


def prepare(raw: Raw, config: SourceConfig) -> Inputs:
    """What is done to the numbers of raw examples."""
    made = _scaled(raw, config)
    if config.pca is None:
        return made
    with named("data", vars(config)):
        return Inputs(raw, None, raw.projector(_on_the_host(made), config.pca))


def _scaled(raw: Raw, config: SourceConfig) -> Inputs:
    normalization = _normalization(config, raw)
    if normalization is None and config.standardize:
        return Inputs(raw, None, raw.standardizer())
    return Inputs(raw, normalization, raw.with_targets if config.standardize else raw.kept)


def _on_the_host(made: Inputs) -> Callable[[Examples], Examples]:
    """What is done to examples, with the normalisation that would be left to the model."""
    by = made.normalization
    if by is None:
        return made.prepared
    return lambda examples: normalize(made.prepared(examples), by)


def _normalization(config: SourceConfig, raw: Raw) -> Normalization | None:
    """How integer images are normalised, None of other inputs.

    Raises:
      ValueError: the constants of a data set for inputs that are no such images.
    """
    inputs, name = raw.stored[0].inputs, config.normalization
    is_image = raw.scale > 1 or inputs.ndim > 2
    if name != "pool":
        known = NORMALIZATIONS[name]
        if not config.standardize:
            raise ValueError(f"data.normalization: {name!r} needs data.standardize, which is false")
        channels = 1 if inputs.ndim < 4 else inputs.shape[-1]
        if raw.scale == 1 or len(known.mean) not in (1, channels):
            raise ValueError(
                f"data.normalization: expected 'pool', as {name!r} is for images of uint8 with "
                f"{len(known.mean)} channels, got inputs {inputs.dtype} {inputs.shape}"
            )
        return known
    if not (is_image and np.issubdtype(inputs.dtype, np.integer)):
        return None
    if config.standardize:
        return pool_normalization(inputs, float(raw.scale))
    return Normalization((0.0,), (1.0,), float(raw.scale))
