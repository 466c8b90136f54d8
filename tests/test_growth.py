"""How decisions grow: the fits, tiny cells, and that the page says what is stored."""

import importlib
import json
import pathlib
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def benchmarks():
    """The modules of `benchmarks/` that measure growth."""
    names = ("common", "growth_page", "growth")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield {name: importlib.import_module(name) for name in names}
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def cases():
    return json.loads((ROOT / "benchmarks" / "results" / "growth-cpu.json").read_text())["cases"]


def test_powers_are_those_of_a_line_through_logarithms(benchmarks):
    power = benchmarks["growth_page"].power
    assert power([1, 2, 4, 8], [3, 12, 48, 192]) == pytest.approx((2.0, 0.0))
    sizes, values = np.array([1, 2, 4, 8]), np.array([1.0, 2.5, 3.5, 9.0])
    line, spread = np.polyfit(np.log(sizes), np.log(values), 1, cov=True)
    assert power(sizes, values) == pytest.approx((line[0], spread[0, 0] ** 0.5))
    assert power([1, 2, 4, 8], [0, 1, 2, 3]) is None and power([1, 2], [1, 2]) is None


def test_what_grows_faster_than_is_said(benchmarks):
    above = benchmarks["growth_page"].above
    assert above("margin", "rows", (1.3, 0.05)) and not above("margin", "rows", (1.3, 0.15))
    assert not above("max_herding", "rows", (2.05, 0.0)) and above("margin", "seeds", (1.4, 0.1))
    assert not above("bait", "rows", (3.0, 0.0))  # nothing is said


def test_axes_meet_in_a_middle_cell(benchmarks):
    growth = benchmarks["growth"]
    found = growth.cells_of("badge", ["rows", "budget", "seeds"], 0)
    sizes = [cell.sizes for _, cell in found]
    assert sizes.count(growth.MIDDLE["badge"]) == 3
    assert [one["rows"] for one in sizes[:5]] == [16_000, 32_000, 64_000, 128_000, 256_000]
    assert set(benchmarks["growth_page"].SAID) == set(growth.MIDDLE)


def test_a_tiny_cell_of_several_seeds(benchmarks):
    growth = benchmarks["growth"]
    sizes = {"rows": 200, "features": 4, "classes": 3, "budget": 5, "seeds": 2, "devices": 1}
    function, arguments = growth.decision(growth.Cell("margin", sizes))
    rows = np.asarray(function(*arguments))
    assert rows.shape == (2, 5) and rows.min() >= growth.LABELED
    found = growth.timed(growth.Cell("margin", sizes | {"seeds": 1}))
    assert found["processor_seconds"] > 0 and found["runs"] >= 3
    assert found["argument_bytes"] >= 200 * 4 * 4
    shared = growth.shared(growth.Cell("margin", sizes | {"seeds": 1}))
    assert shared["argument_bytes"] >= 200 * 4 * 4 and "processor_seconds" not in shared


def test_the_page_says_what_is_stored(benchmarks, cases):
    page = benchmarks["growth_page"]
    assert page.exponents(cases["cells"]) == cases["exponents"]
    text = page.PAGE.read_text()
    assert page.into(text, cases) == text
    with pytest.raises(ValueError, match="page: expected the marks"):
        page.into("no marks", cases)


def test_a_picture_is_drawn(benchmarks, cases, tmp_path):
    benchmarks["growth_page"].draw(cases["cells"], tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 10_000
