"""The page of all settings of a config, written from the dataclasses that read them."""

import dataclasses
import inspect
import re
import types
import typing
from pathlib import Path

from docstrings import comments, escaped

from jaxal.experiment import settings
from jaxal.labeling.settings import LabelConfig, PickConfig
from jaxal.labeling.stopping import StopConfig as LabelStopConfig
from jaxal.training import Learner

TABLES = {
    "``[data]``": settings.DataConfig,
    "``[scenario]``": settings.ScenarioConfig,
    "``[sets.query]``, ``[sets.private]``, ``[sets.validation]``": settings.SetConfig,
    "``[model]``": settings.ModelConfig,
    "``[learner]``": settings.LearnerConfig,
    "``[augmentation]``": settings.AugmentationConfig,
    "``[strategy]``": settings.StrategyConfig,
    "``[stop]``": settings.StopConfig,
    "``[run]``": settings.RunConfig,
    "``[strategy]`` of a label project": PickConfig,
    "``[label]``": LabelConfig,
    "``[label.stop]``": LabelStopConfig,
}

HEAD = """\
Settings
========

Every key of a config, with its default. An unknown key is refused, and so is a value out of its
range; ``--set TABLE.KEY=VALUE`` replaces one. Keys that belong to one model, optimizer, source or
strategy stand with it in the reference. In place of a source, ``[data]`` may name a ``factory``, a
"module:function" that returns the examples. ``jaxal sweep`` reads ``[sweep]`` beside
them: see :doc:`Many experiments in one program </guide/sweeps>`. The last three tables are those of
``jaxal label``, which has ``[data]``, ``[model]``, ``[learner]``, ``[augmentation]`` and ``[run]``
too.

.. contents::
   :local:
   :backlinks: none

"""


def meanings(cls):
    """{field: what its comment says}, from the class and those it comes from."""
    said = {}
    for base in reversed(cls.__mro__):
        if dataclasses.is_dataclass(base):
            said |= comments(base)
    return of_learner() | said


def of_learner():
    """{field: text} of what `Learner` says of the options that a config has by the same names."""
    section = inspect.getdoc(Learner).split("Attributes:\n")[1].split("\n\n")[0]
    found = re.findall(r"^  (\w+): (.*(?:\n    .*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


def keys(cls):
    """(key, default, meaning, range) of each field that is no table of its own."""
    said = meanings(cls)
    for field in dataclasses.fields(cls):
        if dataclasses.is_dataclass(field.type):
            continue
        yield field.name, default(field), said.get(field.name, ""), kind(field)


def default(field):
    """The default as TOML has it; nothing where there is none."""
    value = field.default
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    if value is dataclasses.MISSING:
        return "required"
    if value in (None, {}, ()):
        return ""
    return f"``{str(value).lower() if isinstance(value, bool) else toml(value)}``"


def toml(value):
    return f'"{value}"' if isinstance(value, str) else f"{value}"


def kind(field):
    """What a value may be, in the words of the error message where it has any."""
    if "expected" in field.metadata:
        return field.metadata["expected"]
    union = isinstance(field.type, types.UnionType)
    members = typing.get_args(field.type) if union else (field.type,)
    names = {str: "text", bool: "true or false", int: "an integer", float: "a number"}
    found = [typing.get_origin(one) or one for one in members if one is not types.NoneType]
    return " or ".join(names.get(one, "a table" if one is dict else "a list") for one in found)


def table(cls):
    """The keys of a table as a list-table."""
    parts = [".. list-table::", "   :header-rows: 1", "   :widths: 20 14 40 26", ""]
    rows = [("key", "default", "what it says", "values"), *keys(cls)]
    for number, (name, standard, meaning, values) in enumerate(rows):
        cells = [name if not number else f"``{name}``", standard, escaped(meaning), escaped(values)]
        parts += [f"   {'* -' if not place else '  -'} {cell}" for place, cell in enumerate(cells)]
    return "\n".join(parts)


def page():
    parts = [HEAD, heading("At the top"), "", table(settings.Config)]
    for title, cls in TABLES.items():
        about = inspect.getdoc(cls).split("\n\n")
        parts += [heading(title), *(f"{escaped(one)}\n" for one in about), table(cls)]
    return "\n".join([*parts, ""])


def heading(title):
    return f"\n{title}\n{'-' * len(title)}\n"


def write(app):
    file = Path(app.srcdir) / "reference" / "settings.rst"
    file.parent.mkdir(exist_ok=True)
    if not file.exists() or file.read_text() != page():
        file.write_text(page())


def setup(app):
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "version": "1"}
