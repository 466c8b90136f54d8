"""From settings to examples: the pool, the validation rows and the test rows."""

from typing import NamedTuple

from jaxal import data
from jaxal.base import Examples
from jaxal.data import Normalization
from jaxal.experiment.inputs import load
from jaxal.experiment.settings import DataConfig


class ExperimentExamples(NamedTuple):
    """The examples of an experiment, and what the model has still to do to them."""

    pool: Examples
    validation: Examples | None
    test: Examples
    normalization: Normalization | None


def examples(config: DataConfig) -> ExperimentExamples:
    """The pool, the validation rows and the test rows."""
    validation, seed = None, config.split_seed
    pool, test, normalization = load(config)
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
