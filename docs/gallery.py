"""The gallery: every config with what its head says, and the picture where a run of it is kept."""

import tomllib
from itertools import takewhile
from pathlib import Path

from docstrings import to_rst

ROOT = Path(__file__).parent.parent
INTRODUCTION = """\
Gallery
=======

Every config of the repository, with what its head says: what it shows, what it needs, and what was
measured. The pictures are those of the runs in ``benchmarks/results``; a config without one names
its numbers, or where they were published.

.. contents::
   :local:
   :depth: 2
   :backlinks: none

"""


def configs():
    """The configs by heading: those of jaxal, and DISTIL's."""
    folder = ROOT / "configs"
    return {
        "Examples": sorted(folder.glob("*.toml")),
        "DISTIL's settings": sorted((folder / "distil").glob("*.toml")),
    }


def head(config):
    """The comment that a config begins with, as lines without its marks."""
    lines = takewhile(lambda line: line.startswith("#"), config.read_text().splitlines())
    return [line.removeprefix("#").removeprefix(" ") for line in lines]


def compared(strategy):
    """The runs with a picture that have this strategy, by itself or under a name of their own."""
    found = []
    for config in configs()["Examples"]:
        table = tomllib.loads(config.read_text())["strategy"]
        options = table.get("options", {})
        named = {options.get(name, {}).get("name", name) for name in table["names"]}
        if picture(config).exists() and strategy in named:
            found.append(config.stem)
    return found


def picture(config):
    return ROOT / "benchmarks" / "results" / config.stem / "curves.png"


def entry(config):
    """The section of a config, which other pages link to as `run-NAME`."""
    command, *text = head(config)
    parts = [f".. _run-{config.stem}:", "", config.stem, "~" * len(config.stem), ""]
    parts += [".. code-block:: sh", "", f"   {command}", ""]
    if picture(config).exists():
        path = picture(config).relative_to(ROOT)
        parts += [f".. image:: ../../{path}", f"   :alt: {config.stem}", ""]
    return "\n".join([*parts, *to_rst(text), ""])


def page():
    parts = [INTRODUCTION]
    for title, members in configs().items():
        parts += [f"{title}\n{'-' * len(title)}\n", *map(entry, members)]
    return "\n".join(parts)


def write(app):
    file = Path(app.srcdir) / "reference" / "gallery.rst"
    file.parent.mkdir(exist_ok=True)
    if not file.exists() or file.read_text() != page():
        file.write_text(page())


def setup(app):
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "version": "1"}
