"""From settings to examples: the pool, the validation rows and the test rows."""

from jaxal import data
from jaxal.base import Examples
from jaxal.experiment.keys import named
from jaxal.experiment.settings import DataConfig


def examples(config: DataConfig) -> tuple[Examples, Examples | None, Examples]:
    """The pool, the validation rows and the test rows."""
    limit, validation, seed = config.limit, None, config.split_seed
    with named("data", vars(config)):
        pool, test = data.load(
            config.source,
            test=config.test,
            folder=config.folder,
            options=config.options,
            test_fraction=config.test_fraction,
            seed=seed,
            standardize=config.standardize,
            limit=None if limit is None else limit + config.validation,
            flat=config.flat,
            labeled_only=config.labeled_only,
        )
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
    return pool, validation, test
