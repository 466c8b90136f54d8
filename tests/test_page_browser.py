"""The page in a real browser: it draws itself, and slider, pointer and keys do what they say."""

import shutil

import numpy as np
import pytest
from page_runs import folder_of_run, records

from jaxal import report
from jaxal.base import Examples

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

# A browser without a card imitates one, which the page leaves alone: here it does not notice.
IMITATED = """
const own = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, options) {
  return own.call(this, kind, { ...options, failIfMajorPerformanceCaveat: false });
};
WebGL2RenderingContext.prototype.getExtension = () => null;
"""
EVIL = "<img src=x onerror=alert(1)></script>"


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--enable-unsafe-swiftshader"]
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield started
        started.close()


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    settings = ["data.limit=60", "strategy.names=random,badge", "strategy.rounds=3", "seeds=2"]
    run = folder_of_run(folder / "digits", records(["random", "badge"], 60, gain=0.1), *settings)
    report.write_runs_page([run], folder / "digits.html")
    return folder / "digits.html"


class Opened:
    """A page, and what its console said."""

    def __init__(self, browser, path, *, theme="light", script=""):
        self.page = browser.new_page(viewport={"width": 1280, "height": 720}, color_scheme=theme)
        self.said, self.asked = [], []
        self.page.on("console", lambda one: self.said.append(f"{one.type}: {one.text}"))
        self.page.on("pageerror", lambda one: self.said.append(f"error: {one}"))
        self.page.on("request", lambda one: self.asked.append(one.url))
        self.page.on("dialog", lambda one: self.said.append(f"error: dialog {one.message}"))
        if script:
            self.page.add_init_script(script)
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-points]", state="attached")

    def text(self, selector):
        return self.page.inner_text(selector)

    def colors(self, selector):
        """How many pixels of a canvas are drawn, and a digest of them."""
        picture = self.page.locator(selector).screenshot()
        return len(picture), hash(picture)

    def close(self):
        errors = [one for one in self.said if one.startswith("error")]
        outside = [url for url in self.asked if not url.startswith(("file:", "blob:", "data:"))]
        self.page.close()
        assert not errors and not outside


@pytest.mark.parametrize("drawn", ["pixels", "webgl"])
def test_slider_and_pointer(browser, digits, drawn):
    opened = Opened(browser, digits, script=IMITATED if drawn == "webgl" else "")
    page = opened.page
    assert page.get_attribute("html", "data-points") == drawn
    page.locator("#atlas").scroll_into_view_if_needed()
    assert "after round 3 of 3: 18 labels" in opened.text("#round-said")
    full = opened.colors("#stage")
    page.focus("#round")
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    assert "initial rows: 6 labels" in opened.text("#round-said")
    assert opened.colors("#stage") != full
    page.focus("#marks")
    page.keyboard.press("]")
    assert "after round 1 of 3: 10 labels" in opened.text("#round-said")
    # A pick by key is where the pointer finds it.
    page.keyboard.press("n")
    page.wait_for_selector("#card ul")
    card = opened.text("#card")
    assert "badge: initial" in card and page.locator("#card .thumb").count() == 1
    x, y = page.evaluate("[placeX(atlas.kept.point), placeY(atlas.kept.point)]")
    page.keyboard.press("Escape")
    place = page.locator("#marks").bounding_box()
    assert place is not None
    page.mouse.move(place["x"] + 2, place["y"] + place["height"] - 2)
    page.wait_for_selector("#card .empty")
    page.mouse.move(place["x"] + x, place["y"] + y)
    page.wait_for_selector("#card ul")
    assert opened.text("#card") == card and "row" in card
    opened.close()


def test_colors_and_zoom(browser, digits):
    opened = Opened(browser, digits, theme="dark")
    page = opened.page
    assert page.get_attribute("html", "data-theme") == "dark"
    seen = set()
    for color in ("class", "round", "nearest"):
        page.select_option("#atlas-color", color)
        page.wait_for_timeout(150)
        seen.add(opened.colors("#points"))
    page.click("#zoom-in")
    page.wait_for_timeout(150)
    seen.add(opened.colors("#points"))
    page.focus("#atlas-layout")
    page.keyboard.press("ArrowDown")
    page.locator("#atlas-about", has_text="t-SNE").wait_for()
    page.wait_for_timeout(150)
    seen.add(opened.colors("#points"))
    assert len(seen) == 5
    # The last of several choices holds, and a point is found where it lies now.
    page.evaluate("""() => {
      for (const name of ["pca", "t-sne", "pca", "t-sne"]) {
        $("atlas-layout").value = name;
        $("atlas-layout").dispatchEvent(new Event("change"));
      }
    }""")
    page.wait_for_timeout(150)
    assert page.evaluate("under(placeX(7), placeY(7)).point") == 7
    page.select_option("#atlas-layout", "pca")
    page.locator("#atlas-about", has_text="first two principal components").wait_for()
    page.select_option("#theme", "light")
    page.wait_for_timeout(150)
    assert opened.colors("#points") not in seen
    opened.close()


def test_everything_else_is_there(browser, digits):
    opened = Opened(browser, digits)
    page = opened.page
    assert page.locator("#chart-accuracy polyline").count() == 2
    page.focus("#chart-accuracy")
    page.keyboard.press("ArrowRight")
    assert "6 labels" in opened.text("#chart-accuracy .tip")
    page.locator("#legend button").first.click()
    assert page.locator("#chart-accuracy polyline").count() == 1
    assert "badge" in opened.text("#table-comparison") and "above" in opened.text(
        "#table-comparison"
    )
    assert page.locator("#table-rounds button").count() == 2 * 4
    assert page.locator("#table-rounds .thumb").count() == 2 * (6 + 3 * 4)
    page.locator("#table-rounds button").nth(2).click()
    assert "after round 2 of 3" in opened.text("#round-said")
    assert page.locator("#heat td").count() == 2 * 10 * 4
    assert "data_sha256" not in opened.text("#facts") and "page made by" in opened.text("#facts")
    assert 'source = "sklearn:digits"' in opened.text("#configs")
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 1280, "nothing but tables that scroll is wider than the window"
    opened.close()


def test_names_do_nothing(browser, tmp_path):
    pool = Examples(np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2)
    own = records([EVIL, "random"], 40, classes=2)
    path = tmp_path / "page.html"
    report.write_page(own, path, title=EVIL, pool=pool, class_names=[EVIL, "b"], layout="pca")
    opened = Opened(browser, path)
    assert opened.text("#title") == EVIL and EVIL in opened.text("#map-legend")
    assert opened.page.locator("img").count() == 0
    opened.page.focus("#marks")
    opened.page.keyboard.press("n")
    opened.page.wait_for_selector("#card .values")
    assert opened.page.locator("#card .values i").count() == 3
    opened.close()


@pytest.mark.parametrize("regression", [False, True])
def test_colors_of_predictions(browser, tmp_path, regression):
    rng = np.random.default_rng(0)
    targets = rng.normal(size=40) if regression else np.arange(40) % 2
    outputs = targets + 0.3 if regression else np.eye(2)[(np.arange(40) + (np.arange(40) < 4)) % 2]
    own = records(["random", "badge"], 40, classes=2, gain=0.1, regression=regression)
    pool = Examples(rng.normal(size=(40, 3)), targets)
    path = tmp_path / "page.html"
    report.write_page(own, path, pool=pool, outputs={"badge": outputs}, layout="pca")
    opened = Opened(browser, path)
    page = opened.page
    seen = set()
    for color in ("class", "predicted", *([] if regression else ["sure"]), "error"):
        page.select_option("#atlas-color", color)
        page.wait_for_timeout(150)
        seen.add(opened.colors("#points"))
    assert len(seen) == (3 if regression else 4)
    said = "0.3 and more" if regression else "wrong: 4 of 40 rows, 10.0%"
    assert said in opened.text("#map-legend")
    page.focus("#marks")
    page.keyboard.press("n")
    page.wait_for_selector("#card ul")
    assert "predicted: " in opened.text("#card")
    assert ("value" in opened.text("#card")) == regression
    measure = "RMSE" if regression else "accuracy"
    assert measure in opened.text("#round-said") and f"final {measure}" in opened.text(
        "#table-curves"
    )
    page.select_option("#atlas-line", "0")
    page.wait_for_timeout(150)
    page.select_option("#atlas-color", "predicted")
    page.wait_for_timeout(150)
    assert "Not known of this strategy" in opened.text("#map-legend")
    page.select_option("#atlas-line", "-1")
    page.wait_for_timeout(150)
    legend = opened.text("#map-legend")
    assert "badge" in legend and "Choose one strategy" in legend
    marks = opened.colors("#marks")
    page.select_option("#atlas-color", "class")
    page.wait_for_timeout(150)
    assert opened.colors("#marks") == marks  # of all strategies marks have the strategies' colours
    opened.close()


def test_a_difference_that_is_the_same_in_every_seed(browser, tmp_path):
    own = [
        *report.from_curve("random", [10, 20], [[0.5, 0.6]] * 2),
        *report.from_curve("badge", [10, 20], [[0.5, 0.7]] * 2),
    ]
    opened = Opened(browser, report.write_page(own, tmp_path / "page.html"))
    assert "+5.0" in opened.text("#table-comparison")
    assert "not known" in opened.text("#table-comparison")
    opened.close()


def test_a_page_without_a_map(browser, tmp_path):
    path = report.write_page(
        report.from_curve("mine", [10, 20], [0.5, 0.7]), tmp_path / "page.html"
    )
    opened = Opened(browser, path)
    assert "without the pool" in opened.text("#atlas-about")
    assert "Nothing to compare" in opened.text("#comparison-about")
    assert "Rounds" not in opened.text("#nav") and "Curves" in opened.text("#nav")
    opened.close()
