"""The public names of jaxal by page of the reference; needs no Sphinx.

A page has the `__all__` of some packages, and each object once, by its shortest path. Nothing but
the packages is listed by hand, and a public package that is on no page is an error.
"""

import importlib
import pkgutil
import re
import types

import jaxal

PAGES = {  # page -> title, packages
    "loop": ("The loop", ["jaxal.loop"]),
    "strategies": ("Strategies", ["jaxal.strategies"]),
    "selection": (
        "Selection rules",
        [
            "jaxal.selection",
            "jaxal.selection.anytime",
            "jaxal.selection.certified",
            "jaxal.selection.streamed",
        ],
    ),
    "scores": ("Scores", ["jaxal.scores"]),
    "curation": ("Training data for large models", ["jaxal.curation"]),
    "evaluation": ("How good, and when to stop", ["jaxal.evaluation", "jaxal.stopping"]),
    "submodular": ("Set functions", ["jaxal.submodular"]),
    "posterior": ("Posteriors and calibration", ["jaxal.posterior", "jaxal.calibration"]),
    "pools": ("Pools and devices", ["jaxal.pools", "jaxal.pools.devices", "jaxal.points"]),
    "data": ("Data and scenarios", ["jaxal.data", "jaxal.data.scenarios"]),
    "models": ("Models", ["jaxal.models"]),
    "training": ("Training", ["jaxal.training"]),
    "report": ("Reports", ["jaxal.report"]),
    "labeling": ("People who label", ["jaxal.labeling", "jaxal.interop"]),
    "experiment": ("Experiments from a file", ["jaxal.experiment"]),
    "costs": ("Costs and plans", ["jaxal.costs", "jaxal.accelerators"]),
    "types": ("Shared types", ["jaxal"]),  # last: what no other package has
}
INSIDE = {
    "jaxal.data.readers",
    "jaxal.pools.directory",
    "jaxal.report.page",
    "jaxal.strategies.filters",
}
"""Packages whose names other ones export, or use alone."""


def public_modules():
    """Names of the packages and modules with public names."""
    found = pkgutil.walk_packages(jaxal.__path__, "jaxal.")
    named = [each.name for each in found if not re.search(r"\._", each.name) and each.ispkg]
    listed = [f"jaxal.{name}" for name in jaxal.__all__]
    modules = {name for name in named if hasattr(importlib.import_module(name), "__all__")}
    tops = {getattr(jaxal, name.partition(".")[2]).__name__ for name in listed if is_module(name)}
    return modules | tops | {"jaxal"}


def is_module(path):
    return isinstance(getattr(jaxal, path.partition(".")[2], None), types.ModuleType)


def exported(module):
    """The public names of a module: its `__all__`, or what it defines."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    own = [name for name, value in vars(module).items() if belongs(value, module.__name__)]
    return [name for name in own if not name.startswith("_")]


def belongs(value, module):
    return callable(value) and getattr(value, "__module__", None) == module


def contents():
    """{page: {module: paths}}, each object once, by its shortest public path.

    Raises:
      LookupError: a public package is on no page.
    """
    listed = [module for _, modules in PAGES.values() for module in modules]
    if missing := public_modules() - set(listed) - INSIDE:
        raise LookupError(f"public packages that no page of the reference has: {missing}")
    seen, pages = set(), {}
    for page, (_, modules) in PAGES.items():
        pages[page] = {}
        for name in modules:
            module = importlib.import_module(name)
            values = {key: getattr(module, key) for key in exported(module)}
            paths = [
                path_of(name, key)
                for key, value in values.items()
                if not isinstance(value, types.ModuleType)
            ]
            pages[page][name] = [path for path in paths if path not in seen]
            seen.update(paths)
    return pages


def path_of(module, name):
    value = getattr(importlib.import_module(module), name)
    top = name in jaxal.__all__ and getattr(jaxal, name) is value
    return f"jaxal.{name}" if top else f"{module}.{name}"


def resolve(path):
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)
