"""From `[scenario]` to the pool, and what is known of its rows; and the rows to begin with."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxal import submodular
from jaxal.base import Examples, Model, prepared
from jaxal.data import scenarios
from jaxal.data.scenarios import Facts
from jaxal.data.scenarios.classes import renumbered
from jaxal.experiment.keys import renamed
from jaxal.experiment.settings import ScenarioConfig, StrategyConfig
from jaxal.numerics import is_known


def make_pool(config: ScenarioConfig, pool: Examples, seed: int) -> tuple[Examples, Facts | None]:
    """Makes the scenario's pool of the one that was loaded.

    First rows of classes are left out, then classes become out of distribution, then labels become
    wrong, then rows are copied, with their labels.

    Args:
      config: the scenario.
      pool: as loaded.
      seed: of all that is drawn.

    Returns:
      The pool, and the facts about its rows; None if there is no scenario.

    Raises:
      ValueError: settings that contradict each other or the data; names the key.
    """
    if config == ScenarioConfig():
        return pool, None
    _check(config, pool)
    pool = _thinned(config, pool, seed)
    outside = np.array(config.ood_classes, int)
    if len(outside):
        pool = scenarios.out_of_distribution(pool, config.ood_classes)
    rare = renumbered(np.array(config.rare_classes, int), outside)
    facts = Facts(np.asarray(pool.labels), None, tuple(rare.tolist()))
    transition = config.label_transition or None
    with renamed(share="scenario.label_noise", transition="scenario.label_transition"):
        pool = scenarios.noisy_labels(pool, config.label_noise, transition=transition, seed=seed)
    if config.copies == 1 and config.unique_rows is None:
        return pool, facts
    keys = {"times": "copies", "unique": "unique_rows", "copied": "copied_rows"}
    with renamed(**{name: f"scenario.{key}" for name, key in keys.items()}):
        pool, rows = scenarios.redundant(
            pool, config.copies, unique=config.unique_rows, copied=config.copied_rows, seed=seed
        )
    return pool, facts.take(rows)._replace(originals=rows if config.copies > 1 else None)


def _thinned(config: ScenarioConfig, pool: Examples, seed: int) -> Examples:
    """The pool with fewer rows of a class, as many as its kind says."""
    rare = config.rare_rows or config.rare_fraction
    of_rare = dict.fromkeys(config.rare_classes, rare) if rare else {}
    of_ood = dict.fromkeys(config.ood_classes, config.ood_rows or 1.0)
    keys = {f"keep[{number}]": "scenario.rare_rows" for number in of_rare}
    keys |= {f"keep[{number}]": "scenario.ood_rows" for number in of_ood}
    with renamed(**keys, others="scenario.rows_per_class"):
        keep = of_rare | of_ood
        return scenarios.imbalanced(pool, keep, others=config.rows_per_class, seed=seed)


def _check(config: ScenarioConfig, pool: Examples) -> None:
    """Raises ValueError where settings contradict each other or the classes of the pool."""
    for key in ("rare_classes", "ood_classes"):
        missing = np.setdiff1d(getattr(config, key), pool.labels)
        if len(missing):
            raise ValueError(f"scenario.{key}: expected classes of the pool, got {missing[0]:g}")
    both = set(config.rare_classes) & set(config.ood_classes)
    if both:
        raise ValueError(f"scenario.ood_classes: expected none that is rare, got {min(both)}")
    needs = {
        "rare_rows": "rare_classes",
        "rare_fraction": "rare_classes",
        "ood_rows": "ood_classes",
    }
    for key, other in needs.items():
        if getattr(config, key) is not None and not getattr(config, other):
            raise ValueError(f"scenario.{key}: needs classes, so set scenario.{other} too")
    if config.rare_rows is not None and config.rare_fraction is not None:
        raise ValueError("scenario.rare_fraction: expected no rare_rows beside it, got both")
    if config.copied_rows is not None and config.copies == 1:
        raise ValueError("scenario.copied_rows: needs scenario.copies of 2 or more")


def initial_rows(config: StrategyConfig, pool: Examples, model: Model) -> Any:
    """What `simulate` takes as `initial`: a number, rows, or counts by class.

    Args:
      config: whose `seed_set` says how they are chosen.
      pool: facility location is that of its inputs, and of each class by itself if the initial rows
        are to be balanced; of rows that have a label.
      model: which may normalise the inputs first.

    Raises:
      TypeError: facility location of token ids, or of other integers that the model takes as such.
      ValueError: more rows than there are.
    """
    asked = config.seed_set
    if isinstance(asked, dict):
        return {int(number): count for number, count in asked.items()}
    if isinstance(asked, tuple):
        return list(asked)
    if asked != "facility_location":
        return config.initial
    inputs = prepared(model, jnp.asarray(pool.inputs))
    if not jnp.issubdtype(inputs.dtype, jnp.floating):
        raise TypeError(
            "strategy.seed_set: 'facility_location' compares inputs by their numbers: expected "
            f"floating point, got {inputs.dtype}, as of token ids"
        )
    labels = np.asarray(pool.labels)
    if not config.balanced:
        labels = np.where(is_known(labels), 0, -1)  # known or not, and no class
    with renamed(count="strategy.initial"):
        return submodular.seed_rows(inputs.reshape(len(labels), -1), config.initial, labels=labels)
