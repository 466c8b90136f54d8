"""Random sampling, by what it is: what every other strategy is compared with."""

from collections.abc import Iterable

from jaxal.experiment.settings import Config
from jaxal.records import Record
from jaxal.strategies.registry import resolved


def random_name(strategies: Iterable[str], config: Config | None = None) -> str | None:
    """The first of the strategies that samples at random, whatever it is called.

    Args:
      strategies: as records name them.
      config: of their run; there a strategy may have a name of its own. None: they are known by
        their names here and in DISTIL alone.

    Returns:
      Its name; None where there is none.

    Example:
      >>> random_name(["badge", "random_sampling"])
      'random_sampling'
    """
    options = config.strategy.options if config else {}
    for name in strategies:
        if resolved(options.get(name, {}).get("name", name)) == "random":
            return name
    return None


def random_records(records: Iterable[Record], config: Config | None = None) -> list[Record]:
    """The records of random sampling among those of a run."""
    records = list(records)
    name = random_name(dict.fromkeys(record.strategy for record in records), config)
    return [record for record in records if record.strategy == name]
