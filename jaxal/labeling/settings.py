"""The settings of a label project: those of an experiment, and a table `[label]` beside them."""

import dataclasses
import tomllib
from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import tomli_w

from jaxal.checks import is_number, nearest
from jaxal.experiment.config import override, parse, to_toml
from jaxal.experiment.keys import named
from jaxal.experiment.settings import Config, DataConfig, ScenarioConfig, SetConfig
from jaxal.fields import check_fields, checked
from jaxal.interop import FORMATS
from jaxal.labeling.stopping import StopConfig

FIRST = ("herding", "k_center", "k_means", "random")
AGREEMENTS = ("majority", "unanimous")


def _one_of(names: Sequence[str], default: str | None) -> Any:
    return checked(f"one of {', '.join(names)}", lambda name: name in names, default)


def _are_classes(names: Any) -> bool:
    if not isinstance(names, tuple) or len(names) < 2 or len(set(names)) < len(names):
        return False
    return all(isinstance(n, str) and n == n.strip() and n.isprintable() and n for n in names)


@dataclass(frozen=True)
class LabelConfig:
    """What people are asked, and how their answers count."""

    classes: tuple[str, ...] = checked(  # What a row may be labelled as; numbered in this order.
        "a list of two or more distinct texts", _are_classes
    )
    format: str = _one_of(sorted(FORMATS), "csv")  # The form of task files and of answers.
    agreement: str = _one_of(AGREEMENTS, "majority")  # How several answers make one label.
    first: str | None = _one_of(FIRST, None)  # How rows are picked while there is no label.
    features: str | None = checked(  # By these vectors: an npz file with `ids` and `inputs`.
        "a path", lambda path: isinstance(path, str), None
    )


class Settings(NamedTuple):
    """A label project's settings, checked."""

    config: Config
    label: LabelConfig
    stop: StopConfig

    @property
    def strategy(self) -> str:
        """The name of the one strategy."""
        return self.config.strategy.names[0]


def load(path: str | Path, overrides: Sequence[str] = ()) -> Settings:
    """Reads the TOML file of a label project, or the `config.toml` in the folder of one.

    Args:
      path: the file.
      overrides: assignments such as "strategy.budget=50", of the tables of an experiment.

    Raises:
      OSError: it cannot be read.
      ValueError, TypeError: as `experiment.load`; a key that a label project has no use for.
    """
    path = Path(path)
    try:
        return _parse(tomllib.loads(path.read_bytes().decode()), path.stem, overrides)
    except TypeError as error:
        raise TypeError(f"{path}: {error}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _parse(table: dict[str, Any], stem: str, overrides: Sequence[str]) -> Settings:
    table.pop("provenance", None)
    label = table.pop("label", None)
    if label is None:
        raise ValueError("label: missing; expected a table [label] with the classes")
    stop = label.pop("stop", {}) if isinstance(label, dict) else {}
    strategy = table.get("strategy")
    if isinstance(strategy, dict) and strategy.get("initial") == 0:
        strategy["initial"] = strategy.get("budget", 20)  # the first batch is like the others
    config = parse({"name": stem, **table})
    for assignment in overrides:
        config = override(config, assignment)
    _refuse_unused(config)
    return Settings(
        config, _section(LabelConfig, label, "label"), _section(StopConfig, stop, "label.stop")
    )


_USED = ("source", "test", "folder", "options", "standardize", "normalization", "flat")
"""What a label project takes of `[data]`: of all rows, as they are."""


def _refuse_unused(config: Config) -> None:
    """Raises ValueError for what only an experiment, in which labels are known, can do."""
    kind = "a label project"
    if len(config.strategy.names) != 1:
        got = ", ".join(config.strategy.names)
        raise ValueError(f"strategy.names: expected one strategy in {kind}, got {got}")
    if not config.data.source.startswith("items:"):
        got = config.data.source
        raise ValueError(f"data.source: expected items:FILE, whose rows have ids, got {got!r}")
    for field in dataclasses.fields(DataConfig):
        value = getattr(config.data, field.name)
        if field.name not in _USED and value != field.default:
            raise ValueError(f"data.{field.name}: expected none in {kind}, got {value!r}")
    if config.scenario != ScenarioConfig():
        raise ValueError(f"scenario: expected none in {kind}, got one")
    for name, one in vars(config.sets).items():
        if one != SetConfig():
            raise ValueError(f"sets.{name}: expected none in {kind}, got one")
    if config.strategy.seed_set is not None or config.strategy.balanced:
        raise ValueError(f"strategy.seed_set: expected none in {kind}, as label.first says how")
    if config.learner.patience and config.data.test is None:
        raise ValueError("learner.patience: needs held-out rows, so set data.test too")


def _section(kind: Any, table: Any, path: str) -> Any:
    """A table as a dataclass, whose fields are checked."""
    if not isinstance(table, dict):
        raise TypeError(f"{path}: expected a table, got {table!r}")
    known = {field.name: field for field in dataclasses.fields(kind)}
    for key in table:
        if key not in known:
            raise ValueError(f"{path}.{key}: unknown key; {nearest(key, known)}")
    for key, field in known.items():
        if key not in table and field.default is MISSING:
            raise ValueError(f"{path}.{key}: missing; expected {field.metadata['expected']}")
    frozen = {
        key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
    }
    with named(path, table):
        made = kind(**frozen)
        check_fields(made)
    return made


def to_text(settings: Settings, provenance: dict[str, Any] | None = None) -> str:
    """The settings as TOML, which `load` reads back to equal ones."""
    label = {k: v for k, v in dataclasses.asdict(settings.label).items() if v is not None}
    stop = {k: v for k, v in dataclasses.asdict(settings.stop).items() if is_number(v)}
    label |= {"stop": stop} if stop else {}
    return f"{to_toml(settings.config, provenance)}\n{tomli_w.dumps({'label': label})}"
