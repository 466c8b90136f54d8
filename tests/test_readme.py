"""What the pages say is what the package does."""

import pathlib
import re
import tomllib

import pytest

import jaxal
from jaxal.loop.plan import check_model

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = {name: (ROOT / name).read_text() for name in ("ARCHITECTURE.md", "CONTRIBUTING.md")}


@pytest.mark.slow
def test_its_python_runs():
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL))
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    history = names["history"]
    assert history.test.accuracy.shape == (20, 16)
    assert history.test.accuracy[:, -1].mean() > 0.95
    assert len(set(names["selection"].rows.tolist())) == 100
    assert len(set(names["rows"].tolist())) == 50
    assert not set(names["varied"].rows.tolist()) & set(names["told"].tolist())
    assert len(names["features"]) == len(names["pool"].labels)
    plain = jaxal.selection.k_center(names["features"], names["available"] | True, 50)
    assert names["far_apart"].rows.tolist() == plain.rows.tolist()
    assert names["state"].count == 29 and names["state"].skipped[0] == names["asked"].rows[3]
    check_model(
        names["net"],
        names["net"].init(names["jax"].random.key(0), names["pool"].inputs[:1]),
        names["pool"].inputs,
    )


def section(title):
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_its_tables_hold_every_strategy_and_every_network():
    table = re.findall(r"^\| `(\w+)` \|", section("Strategies"), re.MULTILINE)
    assert tuple(sorted(table)) == jaxal.strategies.names()
    rows = re.findall(r"^\| (`\w+`.*?) \|", section("Your model"), re.MULTILINE)
    assert tuple(sorted(re.findall(r"`(\w+)`", " ".join(rows)))) == jaxal.models.names()


@pytest.mark.parametrize("page", PAGES)
def test_files_of_the_pages_are_there(page):
    for name in re.findall(r"`([\w./]+(?:\.py|\.md|/))`", PAGES[page]):
        there = (ROOT / name).exists() or (ROOT / "jaxal" / name).exists()
        assert there or name.endswith(("_my_rule.py", "_name.py")), name


@pytest.mark.parametrize("path", re.findall(r"\]\(((?!http)[^)]+)\)|(configs/\S+\.toml)", README))
def test_its_files_are_there(path):
    assert (ROOT / "".join(path)).exists()


def test_the_version_is_said_once_for_all():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == jaxal.__version__
