"""The settings of an experiment: TOML in, checked and frozen dataclasses out, and back.

Every key is known, typed and bounded, and a mistake names its dotted key. Lists become tuples, so
that a setting can be a static argument of jit.
"""

import dataclasses
import tomllib
import types
import typing
import warnings
from collections.abc import Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

from jaxal.checks import nearest
from jaxal.experiment.distil import check_labels, is_distil, read_distil
from jaxal.experiment.settings import Config, ScenarioConfig, StopConfig

Settings = TypeVar("Settings")
"""A dataclass of sections, as `Config` is."""


def load(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Reads a TOML file of settings, or a JSON file that DISTIL takes.

    Of a JSON file every key is honoured, warned of as one without effect, or refused. Its data are
    looked for in `../datasets` of the working directory and of the file's folder, as DISTIL does,
    and where `data.folder` says.

    Args:
      path: the file. Its table `[provenance]`, which `to_toml` writes, is ignored; `name` is the
        stem of the file unless given.
      overrides: assignments such as "strategy.budget=50", applied in order; see `override`.

    Returns:
      The settings, with every default filled in.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is not TOML, or has an unknown or missing key, or a value out of range; a JSON
        file that asks for more labels than there are.
      TypeError: a value of the wrong type.
    """
    path = Path(path)
    text = path.read_bytes()
    try:
        table = _from_json(text.decode(), path) if is_distil(path) else tomllib.loads(text.decode())
        table.pop("provenance", None)
        config = parse({"name": path.stem, **table})
    except TypeError as error:
        raise TypeError(f"{path}: {error}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    for assignment in overrides:
        config = override(config, assignment)
    if is_distil(path):
        check_labels(config, path)
    return config


def _from_json(text: str, path: Path) -> dict[str, Any]:
    table, notes = read_distil(text, [Path(), path.parent])
    for note in notes:
        warnings.warn(f"{path}: {note}", stacklevel=3)
    return table


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
    return parse_as(Config, table)


def parse_as(kind: type[Settings], table: dict[str, Any]) -> Settings:
    """`parse` for settings of another kind, which have a model and a strategy as well."""
    model, data = table.get("model", {}), table.get("data", {})
    if isinstance(model, dict):
        named = {key: model[key] for key in ("name", "factory") if key in model}
        if len(named) != 1:
            raise ValueError(
                f"model.factory: expected no model.name beside it, got {model['factory']!r}"
                if named
                else "model.name: missing; expected a string, or model.factory"
            )
        hyper = {key: value for key, value in model.items() if key not in named}
        table = {**table, "model": {**named, "hyper": hyper}}
    if isinstance(data, dict) and "factory" in data:
        table = {**table, "data": _made_by_factory(data)}
    config = _section(kind, table, "")
    for name, options in config.strategy.options.items():
        if not isinstance(options, dict):
            raise TypeError(f"strategy.options.{name}: expected a table, got {options!r}")
    return config


def _made_by_factory(data: dict[str, Any]) -> dict[str, Any]:
    """The table, whose source is what a function returns."""
    rest = {key: value for key, value in data.items() if key != "factory"}
    if "source" in data:
        raise ValueError("data.factory: expected no data.source beside it")
    if not isinstance(data["factory"], str):
        raise TypeError(f"data.factory: expected a string, got {data['factory']!r}")
    return {"source": f"python:{data['factory']}", **rest}


def override(config: Settings, assignment: str) -> Settings:
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
    key, text = _parted(assignment, "strategy.budget=50")
    table = here = _to_table(config)
    *sections, last = key.split(".")
    for depth, section in enumerate(sections, start=1):
        here = here.setdefault(section, {})
        if not isinstance(here, dict):
            outer = ".".join(sections[:depth])
            raise ValueError(f"{key}: unknown key; {outer} is a value, not a table")
    here[last] = _value(text, is_list=isinstance(here.get(last), tuple))
    return parse_as(type(config), table)


def assignments(texts: Sequence[str]) -> dict[str, Any]:
    """Reads options given one by one, as `override` reads settings.

    Args:
      texts: assignments such as "label=first" or "size=[32, 32]".

    Returns:
      Option -> value; of those given twice the last.

    Raises:
      ValueError: no "=".
    """
    parted = (_parted(text, "label=first") for text in texts)
    return {key: _freeze(_value(value, is_list=False)) for key, value in parted}


def to_toml(config: Any, provenance: dict[str, Any] | None = None) -> str:
    """Writes settings as TOML that is read back to equal ones.

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
    if _kind(spec) is float and type(value) is int:
        value = float(value)
    if not any(_is_of(value, kind) for kind in _kinds(spec)):
        raise TypeError(problem)
    holds = spec.metadata.get("holds")
    if holds is not None and not holds(value):
        raise ValueError(problem)
    return value


def _is_of(value: Any, kind: Any) -> bool:
    """Whether a value is of a type, a tuple with all in it."""
    origin = typing.get_origin(kind) or kind
    if origin is tuple:
        item = typing.get_args(kind)[0]
        return type(value) is tuple and all(_is_of(one, item) for one in value)
    # bool is a subclass of int, and `seeds = true` is a mistake. An integer is a float in a list.
    return type(value) is origin or (origin is float and type(value) is int)


def _kinds(spec: dataclasses.Field) -> tuple[Any, ...]:
    """The types that a setting may have; None aside, which TOML cannot say."""
    if not isinstance(spec.type, types.UnionType):
        return (spec.type,)
    return tuple(kind for kind in typing.get_args(spec.type) if kind is not type(None))


def _kind(spec: dataclasses.Field) -> Any:
    first = _kinds(spec)[0]
    return typing.get_origin(first) or first


def _expected(spec: dataclasses.Field) -> str:
    names = {str: "a string", bool: "true or false", dict: "a table"}
    return spec.metadata.get("expected") or names[_kind(spec)]


def _freeze(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(map(_freeze, value))
    if isinstance(value, dict):
        return {key: _freeze(inner) for key, inner in value.items()}
    return value


def _to_table(config: Any) -> dict[str, Any]:
    table = dataclasses.asdict(config)
    table["model"] |= table["model"].pop("hyper")
    # What is not asked for is not said, so that settings written before it was known are the same.
    if isinstance(config, Config):
        if config.scenario == ScenarioConfig():
            del table["scenario"]
        sets = {name: _said(one, (None, ())) for name, one in table.pop("sets").items()}
        if sets := _said(sets, ({},)):
            table["sets"] = sets
        if config.stop == StopConfig():
            del table["stop"]
        for key in ("resplit", "redraw"):
            if not table["data"][key]:
                del table["data"][key]
        if config.data.task == "classification":
            del table["data"]["task"]
    scalars = {key: value for key, value in table.items() if not isinstance(value, dict)}
    sections = {name: value for name, value in table.items() if isinstance(value, dict)}
    return scalars | {name: _said(section) for name, section in sections.items()}


def _said(section: dict[str, Any], unsaid: tuple[Any, ...] = (None, {})) -> dict[str, Any]:
    """The table without what is not set."""
    inner = {k: _said(v, (None,)) if isinstance(v, dict) else v for k, v in section.items()}
    return {key: value for key, value in inner.items() if value not in unsaid}


def _parted(assignment: str, example: str) -> tuple[str, str]:
    key, equals, text = (part.strip() for part in assignment.partition("="))
    if not (key and equals):
        raise ValueError(f"expected KEY=VALUE, as in {example}, got {assignment!r}")
    return key, text


def _value(text: str, is_list: bool) -> Any:
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        if is_list and "," in text:
            return [_value(part.strip(), is_list=False) for part in text.split(",")]
        value = text
    return [value] if is_list and not isinstance(value, list) else value
