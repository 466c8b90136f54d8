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
from jaxal.data.normalization import Normalization
from jaxal.data.repeats import repeated
from jaxal.data.scenarios import Facts
from jaxal.experiment.inputs import load
from jaxal.experiment.on_disk import examples_on_disk, is_on_disk
from jaxal.experiment.scenario import make_pool
from jaxal.experiment.sets import hold_out_sets
from jaxal.experiment.settings import Config, DataConfig


class Loaded(NamedTuple):
    """The examples of an experiment."""

    pool: Examples  # on disk: a `Directory` and labels
    test: Examples
    sets: dict[str, Any]  # "query", "private" and "validation", where there are some
    facts: Facts | None  # what is known of the pool's rows, where that says more than their labels
    normalization: Normalization | None  # of integer images, which stay integers until then


def examples(config: Config) -> Loaded:
    """Loads the data and makes the pool, the test rows and the sets.

    Raises:
      ValueError: settings that do not fit the data, or each other.
    """
    for key in ("resplit", "redraw"):
        if getattr(config.data, key):
            raise ValueError(
                f"data.{key}: expected false but in `jaxal sweep`: a run has one split"
            )
    if is_on_disk(config.data):
        pool, test, sets, normalization = examples_on_disk(config)
        return Loaded(pool, test, sets, None, normalization)
    settings, ood = config.data, config.scenario.ood_classes
    inputs = load(settings)
    pool, test = map(inputs.prepared, inputs.raw.stored)
    pool, validation = _validation(settings, pool)
    pool, sets = hold_out_sets(config, pool, inputs.prepared)
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
    return Loaded(pool, test, sets, facts, inputs.normalization)


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
