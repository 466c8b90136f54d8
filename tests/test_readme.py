"""What the pages say is what the package does."""

import pathlib
import re
import shlex
import subprocess
import tomllib

import numpy as np
import pytest
from helpers import clouds

import jaxal
from jaxal.cli import main
from jaxal.loop.plan import check_model
from jaxal.pools import devices

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
GUIDE = {  # in the order in which names made on one page are used on the next
    path: (ROOT / path).read_text() for path in re.findall(r"\]\((docs/guide/\S+\.md)\)", README)
}
PAGES = {name: (ROOT / name).read_text() for name in ("ARCHITECTURE.md", "CONTRIBUTING.md")}


@pytest.mark.slow
def test_its_python_runs():
    names: dict = {}
    for path, page in {"README.md": README, **GUIDE}.items():
        code = "\n".join(re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
        exec(compile(code, path, "exec"), names)
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


def test_a_folder_of_embeddings(empty_folder):
    features = clouds(300, 8).inputs
    jaxal.pools.create("embeddings", features)
    (code,) = re.findall(r"^```py\n(embeddings = .*?)^```", README, re.MULTILINE | re.DOTALL)
    names = {"jaxal": jaxal, "np": np}
    exec(code.replace("10_000", "40"), names)
    expected = jaxal.selection.k_center(features, np.ones(300, bool), 40)
    assert names["rows"].tolist() == expected.rows.tolist()


def test_its_guide_is_whole():
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs" / "guide").glob("*.md")}
    assert there == {*GUIDE}


def section(title):
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_its_tables_hold_every_strategy_and_every_network():
    table = re.findall(r"^\| `(\w+)` \|", section("Strategies"), re.MULTILINE)
    assert tuple(sorted(table)) == jaxal.strategies.names()
    rows = re.findall(r"^\| (`\w+`.*?) \|", GUIDE["docs/guide/models.md"], re.MULTILINE)
    assert tuple(sorted(re.findall(r"`(\w+)`", " ".join(rows)))) == jaxal.models.names()


@pytest.mark.parametrize("page", PAGES)
def test_files_of_the_pages_are_there(page):
    for name in re.findall(r"`([\w./]+(?:\.py|\.md|/))`", PAGES[page]):
        there = (ROOT / name).exists() or (ROOT / "jaxal" / name).exists()
        assert there or name.endswith(("_my_rule.py", "_name.py")), name


NAMED = re.compile(r"((?:configs|benchmarks)/[\w./-]+\.(?:toml|py|json))")


@pytest.mark.parametrize("page", ["README.md", *GUIDE])
def test_its_files_are_there(page):
    text = (ROOT / page).read_text()
    for path in re.findall(r"\]\(((?!http)[^)#]+)", text):
        assert ((ROOT / page).parent / path).exists(), path
    for path in NAMED.findall(text):
        assert (ROOT / path).exists(), path


def test_the_version_is_said_once_for_all():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == jaxal.__version__


@pytest.mark.slow
def test_a_dozen_lines_give_a_picture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jaxal._cache.set_up_cache", lambda on: None)
    pool = clouds(300, spread=2.0)
    table = np.column_stack([pool.inputs, pool.labels])
    np.savetxt("mine.csv", table, delimiter=",", fmt="%.5g")
    np.savez("embeddings.npz", inputs=pool.inputs, labels=pool.labels)
    blocks = re.findall(
        r"^```(py|toml)\n(.*?)^```", section("A dozen lines to a picture"), re.M | re.S
    )
    (_, code), (_, config) = blocks
    assert all(len([line for line in block.splitlines() if line]) <= 12 for _, block in blocks)
    exec(compile(code, "README.md", "exec"), {})
    assert (tmp_path / "mine" / "curves.png").stat().st_size > 10_000
    (tmp_path / "embeddings.toml").write_text(config)
    # One device of the eight, as readers have: what is compiled has half the operations.
    monkeypatch.setattr(devices, "mesh_for", lambda seeds: None)
    main(["run", "embeddings.toml", "--seeds", "2"])
    assert (tmp_path / "runs" / "embeddings" / "curves.png").stat().st_size > 10_000


@pytest.mark.slow
def test_its_label_project_runs_as_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jaxal._cache.set_up_cache", lambda on: None)
    page = GUIDE["docs/guide/people.md"]
    blocks = re.findall(r"^```(sh|toml)\n(.*?)^```", page, re.M | re.S)
    (_, items), (_, config), (_, commands) = blocks
    subprocess.run(["bash", "-ec", items], check=True)
    (tmp_path / "label.toml").write_text(config)
    for line in commands.splitlines():
        if line.startswith("#"):  # people answer: every third row is of the first class
            file = tmp_path / "notes" / "tasks" / "batch-001.csv"
            head, *rows = file.read_text().splitlines()
            answers = [f"{row[:-2]}{'sport' if k % 3 else 'food'},," for k, row in enumerate(rows)]
            file.write_text("\n".join([head, *answers]))
        else:
            assert main(shlex.split(line)[1:]) == 0
    lines = (tmp_path / "labels.csv").read_text().splitlines()
    assert len(lines) == 201 and sum(",labelled," in line for line in lines) == 20
    assert (tmp_path / "notes" / "tasks" / "batch-002.csv").exists()
