"""The settings of a sweep: a config, and a table of what is varied over it."""

import dataclasses
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxal.checks import nearest
from jaxal.experiment.config import override, parse
from jaxal.experiment.settings import Config, StopConfig

KEYS = ("data", "budgets", "whole_pool")


class Cell(NamedTuple):
    """One data set and one budget; what is run of it stands in a folder of this name."""

    name: str
    config: Config


class Grid(NamedTuple):
    """The experiments of a sweep."""

    name: str
    cells: tuple[Cell, ...]  # by data set, then by budget
    whole_pool: bool = False  # labels are bought as long as there are rows for a round


def load_grid(path: str | Path, overrides: Sequence[str] = ()) -> Grid:
    """Reads a TOML file of settings with a table `[sweep]`, of what is varied.

    `[sweep.data.NAME]` replaces settings of `[data]` for a data set that is called so, `budgets` is
    a list that stands for `strategy.budget`, and with `whole_pool = true` each experiment has as
    many rounds as its pool has room for, in place of `strategy.rounds`. Each data set with each
    budget is a cell: an experiment of all strategies and seeds.

    Args:
      path: the file.
      overrides: assignments such as "strategy.rounds=20", applied in order to every cell.

    Returns:
      `Grid`. Cells are called by their data set, and with several budgets NAME-BUDGET.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is not TOML, has no table `[sweep]`, an unknown or missing key or a value out
        of range, or asks for what a sweep does not have: stopping rules, further sets of examples,
        rows out of distribution.
      TypeError: a value of the wrong type.
    """
    path = Path(path)
    text = path.read_bytes()
    try:
        table = tomllib.loads(text.decode())
        table.pop("provenance", None)
        return _grid({"name": path.stem, **table}, overrides)
    except TypeError as error:
        raise TypeError(f"{path}: {error}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _grid(table: dict[str, Any], overrides: Sequence[str]) -> Grid:
    varied = table.pop("sweep", None)
    if not isinstance(varied, dict):
        raise ValueError("sweep: missing; expected a table of what is varied")
    for key in varied:
        if key not in KEYS:
            raise ValueError(f"sweep.{key}: unknown key; {nearest(key, KEYS)}")
    whole = varied.get("whole_pool", False)
    if type(whole) is not bool:
        raise TypeError(f"sweep.whole_pool: expected true or false, got {whole!r}")
    budgets = varied.get("budgets", [None])
    if not isinstance(budgets, list) or not budgets or len(set(map(repr, budgets))) < len(budgets):
        raise ValueError(f"sweep.budgets: expected a list of budgets, each once, got {budgets!r}")
    cells = []
    for name, data in _data_sets(table, varied).items():
        for budget in budgets:
            config = _config(table, name, data, budget, len(budgets) > 1)
            for assignment in overrides:
                config = override(config, assignment)
            _refuse(config)
            cells.append(Cell(config.name, config))
    return Grid(parse(_named(table, _data_sets(table, varied))).name, tuple(cells), whole)


def _data_sets(table: dict[str, Any], varied: dict[str, Any]) -> dict[str, Any]:
    """Settings of `[data]` by the name of the data set; those of the config if none is varied."""
    sets = varied.get("data", {table["name"]: {}})
    if not isinstance(sets, dict) or not sets:
        raise TypeError(f"sweep.data: expected a table for each data set, got {sets!r}")
    for name, data in sets.items():
        if not isinstance(data, dict):
            raise TypeError(f"sweep.data.{name}: expected a table, got {data!r}")
    return sets


def _named(table: dict[str, Any], sets: dict[str, Any]) -> dict[str, Any]:
    """The config of the first data set, under the name of the sweep."""
    return {**table, "data": {**table.get("data", {}), **next(iter(sets.values()))}}


def _config(table: dict[str, Any], name: str, data: Any, budget: Any, several: bool) -> Config:
    strategy = dict(table.get("strategy", {}))
    if budget is not None:
        if "budget" in strategy:
            raise ValueError("strategy.budget: expected none beside sweep.budgets")
        strategy["budget"] = budget
    own = f"{name}-{budget}" if several else name
    data = {**table.get("data", {}), **data}
    return parse({**table, "name": own, "data": data, "strategy": strategy})


def _refuse(config: Config) -> None:
    """Raises ValueError for what a sweep does not have."""
    given = {
        "stop": config.stop != StopConfig(),
        "sets": any(vars(one) != vars(type(one)()) for one in vars(config.sets).values()),
        "scenario.ood_classes": bool(config.scenario.ood_classes),
        "data.validation": config.data.validation > 0,
        "strategy.seed_set": config.strategy.seed_set not in (None, "random", "balanced"),
    }
    for key, is_given in given.items():
        if is_given:
            raise ValueError(f"{key}: expected none in a sweep; `jaxal run` takes it")


def with_rounds(config: Config, rounds: int) -> Config:
    """The settings with so many rounds."""
    return dataclasses.replace(config, strategy=dataclasses.replace(config.strategy, rounds=rounds))
