"""From `[sets]` to the examples that a strategy may look at."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxal import data
from jaxal.base import Examples, Selection, Strategy, View
from jaxal.data import scenarios
from jaxal.data.scenarios.classes import renumbered
from jaxal.data.splits import take
from jaxal.experiment.keys import named
from jaxal.experiment.settings import Config, SetConfig
from jaxal.loop.plan import SO_FAR

TAKES = {"smi": {"query"}, "scg": {"private"}, "scmi": {"query", "private"}}
"""Strategies that refuse the query or the private set, and what they take of them."""


def with_own_sets(strategy: Strategy) -> Strategy:
    """The strategy without the sets that it refuses: those of an experiment are for all strategies.

    Args:
      strategy: from `jaxal.strategies`.
    """
    refused = {"query", "private"} - TAKES.get(strategy.name or "", {"query", "private"})
    if not refused:
        return strategy
    hidden = dict.fromkeys(refused) | ({"private_usable": None} if "private" in refused else {})

    def select(key: jax.Array, view: View, budget: int) -> Selection:
        return strategy.select(key, view._replace(**hidden), budget)

    return strategy._replace(select=select)


def hold_out_sets(
    config: Config, pool: Examples, prepared: Callable[[Examples], Examples]
) -> tuple[Examples, dict[str, Any]]:
    """Holds the query, private and validation sets out of the pool, or loads them, in this order.

    Args:
      config: the settings.
      pool: as loaded.
      prepared: does to examples from elsewhere what was done to the pool's.

    Returns:
      The rest of the pool, and the sets that there are: examples whose classes are numbered as
      those of the scenario, or "labeled" or "found".

    Raises:
      ValueError: too few rows, or classes that cannot be in the set; names the key.
    """
    sets: dict[str, Any] = {}
    for name in ("query", "private", "validation"):
        asked = getattr(config.sets, name)
        if asked == SetConfig():
            continue
        with named(f"sets.{name}", vars(asked)):
            if name == "private" and asked.source in SO_FAR:
                _check_so_far(config, asked)
                sets[name] = asked.source
                continue
            _check(config, name, asked)
            if asked.source is not None:
                examples = _loaded(config, name, asked, asked.source, prepared)
            elif asked.rows_per_class is not None:
                classes = _classes(config, name, asked, pool.labels)
                options = {"classes": classes, "seed": config.data.split_seed}
                pool, examples = scenarios.hold_out(pool, asked.rows_per_class, **options)
            else:
                raise ValueError(
                    "rows_per_class: expected how many rows of each class are held out"
                )
        outside = np.array(config.scenario.ood_classes, int)
        sets[name] = Examples(examples.inputs, renumbered(examples.labels, outside))
    return pool, sets


def _check_so_far(config: Config, asked: SetConfig) -> None:
    if asked.classes or asked.rows_per_class is not None:
        raise ValueError(f"source: expected nothing else beside {asked.source!r}")
    if asked.source == "found" and not config.scenario.ood_classes:
        raise ValueError("source: 'found' needs rows out of distribution: scenario.ood_classes")


def _check(config: Config, name: str, asked: SetConfig) -> None:
    outside = set(asked.classes) & set(config.scenario.ood_classes)
    if outside and name != "private":
        raise ValueError(f"classes: expected none that is out of distribution, got {min(outside)}")


def _classes(config: Config, name: str, asked: SetConfig, labels: np.ndarray) -> list[int]:
    """Those asked for; else all, but that only what is to be avoided may be of no class."""
    if asked.classes:
        return [*asked.classes]
    known = np.unique(labels[labels >= 0])
    outside = () if name == "private" else config.scenario.ood_classes
    return np.setdiff1d(known, outside).tolist()


def _loaded(
    config: Config,
    name: str,
    asked: SetConfig,
    source: str,
    prepared: Callable[[Examples], Examples],
) -> Examples:
    """All rows of a source, those of its test part too; prepared as the pool is."""
    settings = config.data
    parts = data.load(
        source,
        folder=settings.folder,
        standardize=False,
        flat=settings.flat,
        labeled_only=settings.labeled_only,
    )
    found = prepared(Examples(*map(np.concatenate, zip(*parts, strict=True))))
    classes = _classes(config, name, asked, found.labels)
    found = take(found, np.flatnonzero(np.isin(found.labels, classes)))
    if not len(found.labels):
        raise ValueError(f"classes: expected some of {source}, got {classes}")
    if asked.rows_per_class is None:
        return found
    return scenarios.imbalanced(found, {}, others=asked.rows_per_class, seed=settings.split_seed)
