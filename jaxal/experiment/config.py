"""The settings of an experiment: TOML in, checked and frozen dataclasses out, and back.

Every key is known, typed and bounded, and a mistake names its dotted key. What belongs to one
model, optimizer or strategy (`model.*`, `learner.optimizer_options.*`, `strategy.options.NAME.*`)
is free here and checked where it is used. Lists become tuples, so that a setting can be a static
argument of jit.
"""

import dataclasses
import math
import re
import tomllib
import types
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from jaxal.checks import nearest
from jaxal.fields import checked, count, count_or_zero, finite
from jaxal.training.learner import TrainingOptions


def _seed(default: int) -> Any:
    return checked("an integer from 0 to 2**32 - 1", lambda n: 0 <= n < 2**32, default)


@dataclass(frozen=True)
class DataConfig:
    """What to learn from: `jaxal.data.load`, `split` and `repeat`."""

    source: str  # The data are named as in "sklearn:digits" or "npz:PATH".
    test_fraction: float = checked(  # This share is tested on, if the source has no test part.
        "a number between 0 and 1, both excluded", lambda x: 0 < x < 1, 0.2
    )
    split_seed: int = _seed(0)  # Equal seeds hold out the same rows and keep the same ones.
    standardize: bool = True  # Inputs get mean 0 and standard deviation 1 over the pool.
    limit: int | None = count(None)  # So many pool rows are kept; None keeps all.
    test_limit: int | None = count(None)  # At most so many test rows are kept; None keeps all.
    labeled_only: bool = False  # Rows whose label is -1, unknown, are left out.
    flat: bool | None = None  # Inputs are vectors (true) or images (false); None: as stored.
    validation: int = count_or_zero(0)  # So many rows are held out of the pool, beside `limit`.
    repeat: int = count(1)  # Each pool row is there so many times.
    noise: float = finite(0.0)  # Noise of this standard deviation is added to each pool row.


@dataclass(frozen=True)
class ModelConfig:
    """What to train: `jaxal.models.make(name, num_classes, **hyper)`."""

    name: str  # The model is one of `jaxal.models.names()`.
    hyper: dict[str, Any] = field(default_factory=dict)  # In TOML these stand beside `name`.


@dataclass(frozen=True)
class OptimizerConfig:
    """How a step is taken: an optimizer of optax."""

    optimizer: str = "adam"  # Any optimizer of optax that takes a learning rate will do.
    learning_rate: float = checked("a finite number above 0", lambda x: 0 < x < math.inf, 1e-3)
    optimizer_options: dict[str, Any] = field(
        default_factory=dict
    )  # The optimizer takes these as well.
    l2: float = finite(0.0)  # This times the parameters is added to the gradient.


@dataclass(frozen=True)
class LearnerConfig(TrainingOptions, OptimizerConfig):
    """How to train: an optimizer, and the options of `jaxal.Learner` by the same names."""


@dataclass(frozen=True)
class StrategyConfig:
    """What to compare, and how many labels to buy.

    A name need not be a strategy's if its table of options says which is meant: with
    `name = "bald"` there, two differently made ones are compared.
    """

    names: tuple[str, ...] = checked(
        "a list of one or more strategies, each once",
        lambda names: names and len(set(names)) == len(names),
    )
    initial: int = count(20)  # So many rows are labelled before the first round.
    budget: int = count(20)  # So many labels are bought in a round.
    rounds: int = count(15)  # Labels are bought so many times.
    balanced: bool = False  # As many initial rows are drawn of each class.
    options: dict[str, dict[str, Any]] = field(default_factory=dict)  # Each strategy has a table.


@dataclass(frozen=True)
class RunConfig:
    """How the experiment runs on the machine."""

    batch_size: int = count(1024)  # So many rows go through the model at once on a device.


@dataclass(frozen=True)
class Config:
    """A whole experiment, as `load` and `parse` return it."""

    data: DataConfig
    model: ModelConfig
    learner: LearnerConfig
    strategy: StrategyConfig
    run: RunConfig
    name: str = checked(
        "letters, digits, '.', '_' or '-', and no '.' in front (it names a folder)",
        lambda name: re.fullmatch(r"[\w-][\w.-]*", name) is not None,
    )
    seeds: int = count(10)  # Each strategy runs so many times.
    seed: int = _seed(0)  # All randomness comes from this, but for `data.split_seed`.


def load(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Reads a TOML file of settings.

    Args:
      path: the file. Its table `[provenance]`, which `to_toml` writes, is ignored; `name` is the
        stem of the file unless given.
      overrides: assignments such as "strategy.budget=50", applied in order; see `override`.

    Returns:
      The settings, with every default filled in.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is not TOML, or has an unknown or missing key, or a value out of range.
      TypeError: a value of the wrong type.
    """
    path = Path(path)
    text = path.read_bytes()
    try:
        table = tomllib.loads(text.decode())
        table.pop("provenance", None)
        config = parse({"name": path.stem, **table})
    except TypeError as error:
        raise TypeError(f"{path}: {error}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    for assignment in overrides:
        config = override(config, assignment)
    return config


def parse(table: dict[str, Any]) -> Config:
    """Checks a table of settings.

    Args:
      table: as `tomllib` reads it.

    Returns:
      The settings, with every default filled in.

    Raises:
      ValueError: an unknown or missing key, or a value out of range.
      TypeError: a value of the wrong type.
    """
    model = table.get("model", {})
    if isinstance(model, dict):
        hyper = {key: value for key, value in model.items() if key != "name"}
        named = {"name": model["name"]} if "name" in model else {}
        table = {**table, "model": {**named, "hyper": hyper}}
    config = _section(Config, table, "")
    for name, options in config.strategy.options.items():
        if not isinstance(options, dict):
            raise TypeError(f"strategy.options.{name}: expected a table, got {options!r}")
    return config


def override(config: Config, assignment: str) -> Config:
    """Returns the settings with one of them replaced.

    Args:
      config: the settings to start from.
      assignment: "dotted.key=value". The value is TOML, or a bare word for a string; where the key
        holds a list, words with commas between them do too, as in "strategy.names=random,badge".

    Returns:
      New settings; the old ones are as they were.

    Raises:
      ValueError: no "=", an unknown key, or a value out of range.
      TypeError: a value of the wrong type.
    """
    key, equals, text = (part.strip() for part in assignment.partition("="))
    if not (key and equals):
        raise ValueError(f"expected KEY=VALUE, as in strategy.budget=50, got {assignment!r}")
    table = here = _to_table(config)
    *sections, last = key.split(".")
    for depth, section in enumerate(sections, start=1):
        here = here.setdefault(section, {})
        if not isinstance(here, dict):
            outer = ".".join(sections[:depth])
            raise ValueError(f"{key}: unknown key; {outer} is a value, not a table")
    here[last] = _value(text, is_list=isinstance(here.get(last), tuple))
    return parse(table)


def to_toml(config: Config, provenance: dict[str, Any] | None = None) -> str:
    """Writes settings as TOML that `load` reads back to an equal `Config`.

    Args:
      config: the settings.
      provenance: where they ran, a table of its own that `load` ignores.

    Returns:
      The text of the file.
    """
    table = _to_table(config)
    if provenance:
        table["provenance"] = provenance
    return tomli_w.dumps(table)


def _section(kind: Any, table: Any, path: str) -> Any:
    if not isinstance(table, dict):
        raise TypeError(f"{path}: expected a table, got {table!r}")
    prefix = f"{path}." if path else ""
    known = {known.name: known for known in dataclasses.fields(kind)}
    for key in table:
        if key not in known:
            raise ValueError(f"{prefix}{key}: unknown key; {nearest(key, known)}")
    values = {}
    for key, spec in known.items():
        if dataclasses.is_dataclass(spec.type):
            values[key] = _section(spec.type, table.get(key, {}), prefix + key)
        elif key in table:
            values[key] = _setting(spec, table[key], prefix + key)
        elif spec.default is MISSING and spec.default_factory is MISSING:
            raise ValueError(f"{prefix}{key}: missing; expected {_expected(spec)}")
    return kind(**values)


def _setting(spec: dataclasses.Field, value: Any, path: str) -> Any:
    problem = f"{path}: expected {_expected(spec)}, got {value!r}"
    value = _freeze(value)
    if spec.type is float and type(value) is int:
        value = float(value)
    kind = _kind(spec)
    # bool is a subclass of int, and `seeds = true` is a mistake.
    if type(value) is not kind:
        raise TypeError(problem)
    if kind is tuple and not all(isinstance(item, str) for item in value):
        raise TypeError(problem)
    holds = spec.metadata.get("holds")
    if holds is not None and not holds(value):
        raise ValueError(problem)
    return value


def _kind(spec: dataclasses.Field) -> Any:
    if isinstance(spec.type, types.UnionType):  # `int | None`
        return spec.type.__args__[0]
    return getattr(spec.type, "__origin__", spec.type)


def _expected(spec: dataclasses.Field) -> str:
    names = {str: "a string", bool: "true or false", dict: "a table"}
    return spec.metadata.get("expected") or names[_kind(spec)]


def _freeze(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(map(_freeze, value))
    if isinstance(value, dict):
        return {key: _freeze(inner) for key, inner in value.items()}
    return value


def _to_table(config: Config) -> dict[str, Any]:
    table = dataclasses.asdict(config)
    table["model"] |= table["model"].pop("hyper")
    scalars = {key: value for key, value in table.items() if not isinstance(value, dict)}
    sections = {
        name: {key: value for key, value in section.items() if value not in (None, {})}
        for name, section in table.items()
        if isinstance(section, dict)
    }
    return scalars | sections


def _value(text: str, is_list: bool) -> Any:
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        if is_list and "," in text:
            return [_value(part.strip(), is_list=False) for part in text.split(",")]
        value = text
    return [value] if is_list and not isinstance(value, list) else value
