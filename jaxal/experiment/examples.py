"""From settings to examples: the pool, the validation rows and the test rows."""

from typing import NamedTuple

import numpy as np

from jaxal import data
from jaxal.base import Examples
from jaxal.data._load import Raw, load_raw
from jaxal.data.normalization import (
    NORMALIZATIONS,
    Normalization,
    normalize,
    pool_normalization,
)
from jaxal.experiment.keys import named
from jaxal.experiment.settings import DataConfig


class ExperimentExamples(NamedTuple):
    """The examples of an experiment, and what the model has still to do to them."""

    pool: Examples
    validation: Examples | None
    test: Examples
    normalization: Normalization | None  # of integer images, which stay integers until then


def examples(config: DataConfig) -> ExperimentExamples:
    """The pool, the validation rows and the test rows."""
    limit, validation, seed = config.limit, None, config.split_seed
    with named("data", vars(config)):
        raw = load_raw(
            config.source,
            test=config.test,
            folder=config.folder,
            options=config.options,
            test_fraction=config.test_fraction,
            seed=seed,
            limit=None if limit is None else limit + config.validation,
            flat=config.flat,
            labeled_only=config.labeled_only,
        )
    normalization = _normalization(config, raw)
    if normalization is None and config.standardize:
        pool, test = raw.standardized()
    else:
        pool, test = raw.pool, raw.test
    if normalization is not None and config.noise:  # which is that of normalised numbers
        pool, test = normalize(pool, normalization), normalize(test, normalization)
        normalization = None
    if config.validation:
        rows = len(pool.labels)
        if config.validation >= rows:
            raise ValueError(
                f"data.validation: expected fewer than the {rows} rows of the pool, "
                f"got {config.validation}"
            )
        pool, validation = data.split(pool, config.validation / rows, seed=seed)
    if config.repeat > 1 or config.noise:
        pool = data.repeat(pool, config.repeat, noise=config.noise, seed=seed)
    if config.test_limit is not None:
        test = data.subset(test, min(config.test_limit, len(test.labels)), seed=seed)
    return ExperimentExamples(pool, validation, test, normalization)


def _normalization(config: DataConfig, raw: Raw) -> Normalization | None:
    """How integer images are normalised, None of other inputs.

    Raises:
      ValueError: the constants of a data set for inputs that are no such images.
    """
    inputs, name = raw.pool.inputs, config.normalization
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
