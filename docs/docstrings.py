"""Docstrings for Sphinx: jaxal's are Google's with Markdown in them, Sphinx wants reStructuredText.

Indented blocks are literal, tables are tables, and `|`, `*` and `_` mean themselves. The fields of
named tuples and dataclasses are listed, each with the comment behind it.
"""

import dataclasses
import inspect
import re
import sys
import tokenize
from io import StringIO

SECTION = re.compile(r"[A-Z]\w+:$")
CODE = re.compile(r"(`[^`]+`)")


def to_rst(lines):
    """The lines of a docstring in Markdown, as reStructuredText that napoleon reads.

    Before the first section, what is indented is literal. Later, indents are those of the section.
    """
    out, in_section, in_table, before = [], False, False, ""
    for line in lines:
        in_section = in_section or bool(SECTION.match(line))
        literal = line.startswith("    ") and not in_section
        if literal and not before.strip():
            out += ["::", ""]
        if line.startswith("|"):
            out += _row(line, first=not in_table)
            in_table = True
        else:
            in_table = False
            is_code = literal or line.lstrip().startswith((">>>", "..."))
            out.append(line if is_code else escaped(line))
        # The rest of a literal block needs no further mark.
        before = "literal" if literal or (before == "literal" and not line.strip()) else line
    return out


def _row(line, first):
    """A row of a table, whose second line is the rule below its head."""
    if set(line) <= set("|- :"):
        return []
    cells = [escaped(cell.strip()) for cell in line.strip("|").split("|")]
    head = [".. list-table::", "   :header-rows: 1", ""] if first else []
    marks = ["   * - ", *["     - "] * (len(cells) - 1)]
    return head + [mark + cell for mark, cell in zip(marks, cells, strict=True)]


def escaped(text):
    """Prose in which `|`, `*` and `_` are no markup; code in backticks stays."""
    start = re.match(r"\s*\*{0,2}(?=\w+( \(.*\))?: )", text)  # `**hyper: ...`, which napoleon knows
    head, rest = (text[: start.end()], text[start.end() :]) if start else ("", text)
    parts = CODE.split(rest)
    parts[::2] = [re.sub(r"([|*]|(?<=\w)_(?!\w))", r"\\\1", part) for part in parts[::2]]
    return head + "".join(parts)


def field_lines(cls):
    """The section `Fields:` of a named tuple or a dataclass, with the comments of its source."""
    names = field_names(cls)
    said = comments(cls) if names else {}
    lines = [f"  {name}: {escaped(said.get(name, ''))}" for name in names]
    return ["", "Fields:", *lines] if names else []


def field_names(cls):
    if dataclasses.is_dataclass(cls):
        own = inspect.get_annotations(cls)
        return [field.name for field in dataclasses.fields(cls) if field.name in own]
    return list(getattr(cls, "_fields", ()))


def comments(cls):
    """{field: the comment behind it} from the source of a class."""
    said, field = {}, None
    source = inspect.cleandoc("\n" + inspect.getsource(cls))
    for token in tokenize.generate_tokens(StringIO(source).readline):
        if found := re.match(r"\s+(\w+): ", token.line):
            field = found[1]
        if token.type == tokenize.COMMENT and field and "pyright" not in token.string:
            said[field] = f"{said.get(field, '')} {token.string.lstrip('# ')}".strip()
    return said


def said_of_data(name):
    """What stands below a constant in the module of jaxal that defines it, as lines."""
    from sphinx.pycode import ModuleAnalyzer  # the tests have no Sphinx

    for module in [each for each in sys.modules if each.startswith("jaxal.")]:
        found = ModuleAnalyzer.for_module(module).find_attr_docs()
        if said := found.get(("", name.rpartition(".")[2])):
            return list(said)
    return []


def process(app, what, name, obj, options, lines):
    """Sphinx's `autodoc-process-docstring`: changes the lines in place."""
    if what == "data":  # else it would be the docstring of its type
        lines[:] = said_of_data(name)
    described = any(line.strip() in ("Args:", "Attributes:") for line in lines)
    lines[:] = to_rst(lines)
    if what == "class" and not described:
        lines += field_lines(obj)


def setup(app):
    app.connect("autodoc-process-docstring", process, priority=400)  # before napoleon's
    return {"parallel_read_safe": True, "version": "1"}
