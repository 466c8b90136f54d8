"""From settings to examples: the pool, the test rows, and the sets a strategy may look at.

In this order: the data are loaded, validation rows and further sets are held out of the pool, and
the scenario is made of what is left; then come repetition and noise. What is tested or validated on
is as it was loaded, but for classes that are out of distribution: they are in the pool alone.
"""

from typing import Any, NamedTuple

import numpy as np

from jaxal import data
from jaxal.base import Examples
from jaxal.data import scenarios
from jaxal.data._load import Raw, load_raw
from jaxal.data.normalization import (
    NORMALIZATIONS,
    Normalization,
    normalize,
    pool_normalization,
)
from jaxal.data.repeats import repeated
from jaxal.data.scenarios import Facts
from jaxal.experiment.keys import named
from jaxal.experiment.scenario import make_pool
from jaxal.experiment.sets import hold_out_sets
from jaxal.experiment.settings import Config, DataConfig


class Loaded(NamedTuple):
    """The examples of an experiment."""

    pool: Examples
    test: Examples
    sets: dict[str, Any]  # "query", "private" and "validation", where there are some
    facts: Facts | None  # what is known of the pool's rows, where that says more than their labels
    normalization: Normalization | None  # of integer images, which stay integers until then


def examples(config: Config) -> Loaded:
    """Loads the data and makes the pool, the test rows and the sets."""
    settings, ood = config.data, config.scenario.ood_classes
    raw = _load(settings)
    normalization = _normalization(settings, raw)
    by_hand = normalization if settings.noise else None  # noise is that of normalised numbers

    def prepared(examples: Examples) -> Examples:
        """Examples of the source, or of another like it, as those of the pool are to be."""
        if by_hand is not None:
            return normalize(examples, by_hand)
        is_ready = normalization is not None or not settings.standardize
        return raw.kept(examples) if is_ready else raw.standardize(examples)

    pool, test = map(prepared, raw.stored)
    pool, validation = _validation(settings, pool)
    pool, sets = hold_out_sets(config, pool, prepared)
    if validation is not None:
        if "validation" in sets:
            raise ValueError("sets.validation: expected no data.validation beside it, got both")
        sets["validation"] = scenarios.in_distribution(validation, ood) if ood else validation
    pool, facts = make_pool(config.scenario, pool, settings.split_seed)
    if settings.repeat > 1 or settings.noise:
        pool, rows = repeated(pool, settings.repeat, settings.noise, settings.split_seed)
        if facts is None and settings.repeat > 1:
            facts = Facts(np.asarray(pool.labels), rows)
        elif facts is not None:
            originals = rows if facts.originals is None else facts.originals[rows]
            facts = facts.take(rows)._replace(originals=originals)
    if ood:
        test = scenarios.in_distribution(test, ood)
    if settings.test_limit is not None:
        rows = min(settings.test_limit, len(test.labels))
        test = data.subset(test, rows, seed=settings.split_seed)
    return Loaded(pool, test, sets, facts, None if by_hand else normalization)


def _load(config: DataConfig) -> Raw:
    """The pool and the test rows as the source has them."""
    limit = None if config.limit is None else config.limit + config.validation
    with named("data", vars(config)):
        return load_raw(
            config.source,
            test=config.test,
            folder=config.folder,
            options=config.options,
            test_fraction=config.test_fraction,
            seed=config.split_seed,
            limit=limit,
            flat=config.flat,
            labeled_only=config.labeled_only,
        )


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


def _validation(config: DataConfig, pool: Examples) -> tuple[Examples, Examples | None]:
    """The pool and the rows held out of it."""
    if not config.validation:
        return pool, None
    rows = len(pool.labels)
    if config.validation >= rows:
        raise ValueError(
            f"data.validation: expected fewer than the {rows} rows of the pool, "
            f"got {config.validation}"
        )
    return data.split(pool, config.validation / rows, seed=config.split_seed)
