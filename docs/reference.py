"""The API reference, written from the public names: nothing of it is listed by hand.

A public name that Sphinx did not document fails the build.
"""

import importlib
import inspect
from pathlib import Path

import gallery
from docstrings import field_names, to_rst
from names import PAGES, contents, resolve
from sphinx.errors import ExtensionError

from jaxal import strategies


def entry(path):
    """The directive that documents one name."""
    value = resolve(path)
    if inspect.isclass(value):
        members = ", ".join(documented_members(value))
        return f".. autoclass:: {path}\n" + (f"   :members: {members}\n" if members else "")
    return f".. {'autofunction' if callable(value) else 'autodata'}:: {path}\n"


def documented_members(cls):
    """Its own public methods and properties that say what they do; fields stand in its text."""
    return [
        name
        for name, value in vars(cls).items()
        if not name.startswith("_")
        and name not in field_names(cls)
        and (inspect.isroutine(value) or isinstance(value, property | classmethod | staticmethod))
        and inspect.getdoc(value)
    ]


def heading(text, line):
    return f"{text}\n{line * len(text)}\n"


def listing(paths):
    """A table of names with their first lines, and then each in full."""
    table = [".. autosummary::", "   :nosignatures:", ""] + [f"   ~{path}" for path in paths]
    return "\n".join([*table, "", *map(entry, paths)])


def module_page(title, modules):
    parts = [heading(title, "=")]
    for name, paths in modules.items():
        if len(modules) > 1:
            parts.append(heading(f"``{name}``", "-"))
        text = inspect.getdoc(importlib.import_module(name)) or ""
        parts.append("\n".join(to_rst(text.splitlines())))
        parts.append(listing(paths))
    return "\n\n".join(parts)


def strategies_page(title, modules):
    """All strategies from the registry: a table, and the families that their modules are."""
    (paths,) = modules.values()
    named = {each.name: each for each in strategies.describe()}
    parts = [heading(title, "="), HEAD.format(count=len(named)) + "".join(map(row, named.values()))]
    families = {}
    for name in named:
        families.setdefault(getattr(strategies, name).__module__, []).append(name)
    for module, members in sorted(families.items()):
        family = first_line(importlib.import_module(module)).rstrip(".").partition(":")[0]
        parts.append(heading(family, "-"))
        parts += [entry(f"jaxal.strategies.{name}") + curves(name) for name in members]
    parts.append(heading("Making, naming and registering", "-"))
    parts.append(listing([path for path in paths if path.rpartition(".")[2] not in named]))
    return "\n\n".join(parts)


HEAD = """\
The {count} strategies of the registry. Each is a function of its options that returns a
`jaxal.Strategy`; ``jaxal.strategies.make(name, **options)`` and a config take the same names and
options. Formula, options and paper of each stand below the table.

.. list-table::
   :header-rows: 1
   :widths: 25 50 25

   * - name
     - what it does
     - options
"""


def curves(strategy):
    """Where the gallery has a learning curve of it."""
    runs = ", ".join(f":ref:`{run} <run-{run}>`" for run in gallery.compared(strategy))
    return f"\n   Learning curves: {runs}.\n" if runs else ""


def row(strategy):
    options = ", ".join(f"``{option}``" for option in strategy.options) or "none"
    name = f"`~jaxal.strategies.{strategy.name}`"
    return f"   * - {name}\n     - {strategy.summary}\n     - {options}\n"


def first_line(value):
    return inspect.getdoc(value).split("\n", 1)[0]


def write(app):
    """Writes the pages that changed, so that the others are not read again."""
    folder = Path(app.srcdir) / "reference"
    folder.mkdir(exist_ok=True)
    app.public_names = contents()
    names = "\n".join(f"   {page}" for page in PAGES)
    pages = {"index": f"{heading('Reference', '=')}\n.. toctree::\n   :maxdepth: 1\n\n{names}\n"}
    for page, modules in app.public_names.items():
        make = strategies_page if page == "strategies" else module_page
        pages[page] = make(PAGES[page][0], modules)
    for page, text in pages.items():
        file = folder / f"{page}.rst"
        if not file.exists() or file.read_text() != text:
            file.write_text(text)


def check(app, env):
    """Every public name is documented."""
    documented = env.domains["py"].objects
    paths = [path for page in app.public_names.values() for each in page.values() for path in each]
    if missing := [path for path in paths if path not in documented]:
        raise ExtensionError(f"public names that the reference does not have: {missing}")


def within_jaxal(app, env, node, content):
    """`selection.k_center` in a docstring means `jaxal.selection.k_center`, and `Outputs` a type.

    Other short names may be a parameter's, or a class of the module's own.
    """
    domain, target = env.domains["py"], f"jaxal.{node['reftarget']}"
    short = "." not in node["reftarget"] and target not in app.public_names["types"]["jaxal"]
    if node.get("refdomain") != "py" or short or target not in domain.objects:
        return None
    return domain.resolve_xref(
        env, node["refdoc"], app.builder, node["reftype"], target, node, content
    )


def setup(app):
    app.connect("builder-inited", write)
    app.connect("env-check-consistency", check)
    app.connect("missing-reference", within_jaxal)
    return {"parallel_read_safe": True, "version": "1"}
