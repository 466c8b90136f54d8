"""The file: the templates with data, styles and programs inside, so that it needs nothing else."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

from jaxal.files import written_whole
from jaxal.report.page.arrays import Arrays

STYLES = ("page.css",)
PROGRAMS = (
    "data.js",
    "charts.js",
    "tables.js",
    "map.js",
    "examples.js",
    "atlas.js",
    "predicted.js",
    "moving.js",
    "rounds.js",
    "page.js",
)


def write(made: dict[str, Any], arrays: Arrays, path: Path) -> None:
    """Writes a page, whole or not at all.

    Args:
      made: of `collect`.
      arrays: that it refers to.
      path: of the file; its folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part:
        part.write_text(page(made, arrays), encoding="utf-8")


def page(made: dict[str, Any], arrays: Arrays) -> str:
    """The text of a page."""
    parts = {
        "title": _escaped(made["title"]),
        "styles": "\n".join(map(_template, STYLES)),
        "data": json_inside(made),
        "arrays": "\n".join(
            f'<script type="text/plain" id="array-{number}">{text}</script>'
            for number, text in enumerate(arrays.texts)
        ),
        "programs": "\n".join(map(_template, PROGRAMS)),
    }
    # Part by part: what one holds is never looked at for the marks of the next.
    text, *rest = _template("page.html").split("{{")
    for piece in rest:
        name, _, after = piece.partition("}}")
        text += parts[name] + after
    return text


def json_inside(value: Any) -> str:
    """JSON that may stand in a script element, whatever texts it holds."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _escaped(text: str) -> str:
    for letter, name in {"&": "amp", "<": "lt", ">": "gt", '"': "quot"}.items():
        text = text.replace(letter, f"&{name};")
    return text


def _template(name: str) -> str:
    folder = resources.files("jaxal.report.page") / "template"
    return (folder / name).read_text(encoding="utf-8")
