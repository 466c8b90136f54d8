"""The pages of `docs/`, as far as they can be checked without Sphinx."""

import importlib
import json
import pathlib
import re
import sys
import tomllib

import pytest

import jaxal

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [
    page
    for page in sorted(DOCS.rglob("*.md"))
    if not {"_build", "jupyter_execute"} & set(page.relative_to(DOCS).parts)
]


def module(name, monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module(name)


def linked(text):
    """The local files that a page links to, shows, or has in its table of contents."""
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    shown = re.findall(r"\{(?:image|figure|literalinclude)\} (\S+)", text)
    trees = re.findall(r"^```\{toctree\}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    entries = re.findall(r"^([\w/-]+)$", "\n".join(trees), re.MULTILINE)
    return links + shown + [f"{entry}.md" for entry in entries]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_what_a_page_links_to_is_there(page, monkeypatch):
    generated = {"index", "gallery", "settings", *module("names", monkeypatch).PAGES}
    for name in linked(page.read_text()):
        path = (page.parent / name).resolve()
        if path.parent == DOCS / "reference":  # written when the pages are built
            assert path.stem in generated, name
        else:
            assert path.exists(), name


def test_every_page_is_in_the_contents():
    listed = {f"{page.parent}/{name}" for page in PAGES for name in linked(page.read_text())}
    assert {str(page) for page in PAGES} - listed == {str(DOCS / "index.md")}


def test_every_setting_says_what_it_does(monkeypatch):
    settings = module("settings", monkeypatch)
    for cls in (settings.settings.Config, *settings.TABLES.values()):
        for name, _, meaning, values in settings.keys(cls):
            assert meaning and values, f"{cls.__name__}.{name}"
    page = settings.page()
    assert "``resplit``" in page and "``newton_l2``" in page and "``max_epochs``" in page


def test_the_reference_has_every_public_name_once(monkeypatch):
    pages = module("names", monkeypatch).contents()
    paths = [path for page in pages.values() for each in page.values() for path in each]
    assert len(paths) == len(set(paths))
    modules = {name for page in pages.values() for name in page}
    assert {f"jaxal.{name}" for name in jaxal.__all__} <= {*paths, *modules, "jaxal.devices"}
    assert "jaxal.pools.devices" in modules  # as the reference names it
    assert {f"jaxal.strategies.{name}" for name in jaxal.strategies.names()} <= set(paths)


def test_a_public_package_without_a_page_is_an_error(monkeypatch):
    names = module("names", monkeypatch)
    monkeypatch.delitem(names.PAGES, "posterior")
    with pytest.raises(LookupError, match="jaxal.posterior"):
        names.contents()


def test_docstrings_become_what_sphinx_reads(monkeypatch):
    docstrings = module("docstrings", monkeypatch)
    text = "Of |x| and `a | b`:\n\n    |x| * y\n\nArgs:\n  **hyper: x_ * y."
    assert docstrings.to_rst(text.split("\n")) == [
        *("Of \\|x\\| and `a | b`:", "", "::", "", "    |x| * y", ""),
        *("Args:", "  **hyper: x\\_ \\* y."),
    ]
    assert docstrings.field_lines(jaxal.Selection)[2] == "  rows: [B] int32"


def test_the_gallery_has_every_config_and_every_picture(monkeypatch):
    text = module("gallery", monkeypatch).page()
    configs = sorted((ROOT / "configs").rglob("*.toml"))
    assert all(f"\n   jaxal run {config.relative_to(ROOT)}\n" in text for config in configs)
    for picture in (ROOT / "benchmarks" / "results").glob("*/curves.png"):
        assert f".. image:: ../../{picture.relative_to(ROOT)}\n" in text


def test_badge_of_ten_million_rows_is_what_was_measured():
    stored = ROOT / "benchmarks" / "results" / "scale-badge-10000000x64-cpu.json"
    cases = json.loads(stored.read_text())["cases"]
    disk, memory = cases["badge, disk"], cases["badge, memory"]
    said = " ".join((DOCS / "guide" / "pools.md").read_text().split())
    assert f"{disk['passes']} passes and {disk['rows_read']:,} reads of a row" in said
    of_each = (
        f"{one['processor_seconds']:.0f} s {kind}and {one['peak_bytes'] / 1e9:.1f} GB"
        for one, kind in ((disk, "of processor time "), (memory, ""))
    )
    assert f"{', and '.join(of_each)} in memory" in said


def test_the_citation_is_of_this_version():
    lines = (ROOT / "CITATION.cff").read_text().splitlines()
    assert f"version: {jaxal.__version__}" in lines


def test_what_builds_the_pages_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = " ".join(project["optional-dependencies"]["docs"])
    assert all(name in extra for name in ("sphinx>", "myst-nb", "sphinx-book-theme"))
