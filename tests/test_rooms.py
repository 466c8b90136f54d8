"""Rooms of the package: lower ones never import higher ones (levels: ARCHITECTURE.md)."""

import ast
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[1]
ROW = re.compile(r"^\| ((?:`[\w/.]+`(?:, )?)+) \| (\d) \|", re.MULTILINE)


def levels():
    """The level of each room, by its name in `jaxal`."""
    found = {}
    for names, level in ROW.findall((ROOT / "ARCHITECTURE.md").read_text()):
        for name in re.findall(r"`([\w/.]+)`", names):
            found[name.rstrip("/").removesuffix(".py")] = int(level)
    return found


def imported(path):
    """The rooms that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "jaxal":
            names = [f"jaxal.{alias.name}" for alias in node.names]
        else:
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from (name.split(".")[1] for name in names if name.startswith("jaxal."))


def test_no_room_imports_a_higher_one():
    level, upwards, inside = levels(), [], 0
    for path in (ROOT / "jaxal").rglob("*.py"):
        own = path.relative_to(ROOT / "jaxal").parts[0].removesuffix(".py")
        if own in ("__init__", "__main__"):
            continue
        for other in imported(path):
            inside += 1
            if level[other] > level[own]:
                upwards.append((path.name, other))
    assert not upwards and inside > 500
