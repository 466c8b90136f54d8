"""The page of a run: what is collected for it, and the file, which holds everything it needs."""

import io
import re
import shutil

import numpy as np
import pytest
from helpers import bad_inputs
from page_runs import BUDGET, INITIAL, ROUNDS, folder_of_run, read, records
from PIL import Image

from jaxal import data, report
from jaxal.base import Examples
from jaxal.cli import main
from jaxal.experiment.predictions import OfPool, write_predictions
from jaxal.report.page import atlas, layout, picks
from jaxal.report.page.shown import ShownPool

EVIL = "</script><script>alert(1)</script><!--"
SETTINGS = ["data.limit=60", "seeds=2", "strategy.names=random,badge", f"strategy.rounds={ROUNDS}"]


@pytest.fixture(scope="module", autouse=True)
def in_the_plane():
    """t-SNE would be compiled for each number of rows; it has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atlas, "BOTH", 0)
        yield


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "digits"
    return folder_of_run(folder, records(["random", "badge"], 60, gain=0.1), *SETTINGS)


@pytest.fixture(scope="module")
def page(digits):
    path = digits.parent / "pages" / "digits.html"
    assert report.write_runs_page([digits], path) == []
    return path


def test_everything_is_inside(page):
    text, *_ = read(page)
    assert not re.search(r"(?:src|href)=\"(?!#)", text)
    assert not re.search(r"https?://(?!www\.w3\.org)", text)
    assert "default-src 'none'" in text and "{{" not in text.split("<script")[0]


def test_curves_and_comparison_are_those_of_the_tables(digits, page):
    _, found, *_ = read(page)
    rebuilt = report.rebuild(digits)
    for line, summary in zip(found["curves"]["lines"], rebuilt.summaries, strict=True):
        assert line["name"] == summary.strategy and line["seeds"] == 2
        for key in ("labels", "accuracy_mean", "accuracy_std", "efficiency"):
            expected = [getattr(point, key) for point in summary.points]
            ours = [np.nan if value is None else value for value in line["points"][key]]
            np.testing.assert_allclose(ours, expected, rtol=1e-6)
        assert line["seconds"]["all_fit"] == pytest.approx(0.5 * 2 * (ROUNDS + 1))
    [row], [pair] = found["comparison"]["rows"], rebuilt.paired
    assert row["low"] == pytest.approx(pair.low, rel=1e-6)
    assert row["told_apart"] == pair.told_apart
    assert found["facts"]["history.jsonl SHA-256"] and "page made by" in found["facts"]
    assert found["configs"]["digits"] == (digits / "config.toml").read_text()


def test_picks_are_those_of_the_records(page):
    _, found, array, _ = read(page)
    groups, rows = array(found["picks"]["groups"]), array(found["picks"]["rows"])
    assert groups[:, 3].sum() == len(rows) == 2 * 2 * (INITIAL + ROUNDS * BUDGET)
    ours = np.split(rows, np.cumsum(groups[:, 3])[:-1].tolist())
    own = {(1, one.seed, one.round): list(one.rows) for one in records(["random", "badge"], 60)[8:]}
    for (line, seed, number, _), picked in zip(groups.tolist(), ours, strict=True):
        if line == 1 and number >= 0:
            assert picked.tolist() == own[line, seed, number]
    assert {(seed, number) for _, seed, number, _ in groups.tolist()} == {
        (seed, number) for seed in range(2) for number in range(-1, ROUNDS)
    }


def test_balance_and_accuracy_by_class(page):
    _, found, array, _ = read(page)
    pool, _ = data.load("sklearn:digits", limit=60)
    picked, own = array(found["balance"]["picked"]), records(["random", "badge"], 60)
    assert picked.shape == (2, ROUNDS + 2, 11)
    expected = np.zeros((2, 10))
    for one in own:
        if one.round == 1:
            line = ["random", "badge"].index(one.strategy)
            expected[line] += np.bincount(pool.labels[list(one.rows)], minlength=10) / 2
    np.testing.assert_allclose(picked[:, 2, :10], expected)
    np.testing.assert_allclose(picked.sum((1, 2)), INITIAL + ROUNDS * BUDGET)
    accuracy = array(found["balance"]["accuracy"])
    np.testing.assert_allclose(accuracy[0, :, 3], 0.505 + 0.1 * np.arange(4), rtol=1e-6)
    assert found["balance"]["pool"][:10] == np.bincount(pool.labels).tolist()


def test_map_is_the_principal_components(page):
    _, found, array, _ = read(page)
    pool, _ = data.load("sklearn:digits", limit=60)
    centered = pool.inputs.astype(float) - pool.inputs.mean(0)
    left, size, _ = np.linalg.svd(centered, full_matrices=False)
    plane = left[:, :2] * size[:2]
    ours = array(found["atlas"]["layouts"]["pca"]).astype(float)
    for column in range(2):
        assert abs(np.corrcoef(ours[:, column], plane[:, column])[0, 1]) > 0.9999
    spans = np.ptp(ours, axis=0) / np.ptp(plane, axis=0)
    assert spans[0] == pytest.approx(spans[1], rel=1e-3) and ours.max() == 65535
    shares = (size**2 / (size**2).sum())[:2]
    np.testing.assert_allclose(found["atlas"]["explained"], shares, rtol=1e-3)
    assert array(found["atlas"]["classes"]).tolist() == pool.labels.tolist()


def test_nearest_pick(page):
    _, found, array, _ = read(page)
    stored = found["atlas"]["nearest"]
    assert stored["every"] == 1 and stored["seed"] == 0
    own = stored["lines"]["1"]
    assert array(own["counts"]).sum() == 60
    assert np.bincount(array(own["owners"]), minlength=18).tolist() == array(own["counts"]).tolist()


def test_nearest_by_hand():
    rng = np.random.default_rng(0)
    places, chosen = rng.normal(size=(9000, 5)).astype(np.float32), np.array([3, 8000, 17])
    distances = ((places[:, None] - places[chosen]) ** 2).sum(-1)
    assert layout.nearest(places, chosen).tolist() == distances.argmin(1).tolist()


def test_small_pictures_are_those_of_the_picked_rows(page):
    _, found, array, content = read(page)
    own = found["examples"]
    rows = array(own["rows"])
    assert own["kind"] == "image" and own["size"] == [8, 8]
    assert set(rows.tolist()) == set(array(found["picks"]["rows"]).tolist())
    images, _ = data.load("sklearn:digits", limit=60, flat=False, standardize=False)
    sheet = np.asarray(Image.open(io.BytesIO(content(own["sprite"]))))
    for place in (0, 55 % len(rows), len(rows) - 1):
        down, right = divmod(place, own["across"])
        tile = sheet[8 * down : 8 * down + 8, 8 * right : 8 * right + 8]
        expected = images.inputs[rows[place], ..., 0]
        np.testing.assert_allclose(tile, expected / 16 * 255, atol=1)


def test_what_users_named_stays_text(tmp_path):
    pool = Examples(np.random.default_rng(0).normal(size=(30, 3)), np.arange(30) % 2)
    path = report.write_page(
        records([EVIL, "random"], 30, classes=2),
        tmp_path / "page.html",
        title=EVIL,
        pool=pool,
        class_names=[EVIL, "b & c"],
    )
    text, found, *_ = read(path)
    assert "alert(1)</script>" not in text and "<!--" not in text
    assert text.count("<script") == text.count("</script>")
    assert found["classes"] == [EVIL, "b & c"] and found["title"] == EVIL
    assert found["curves"]["lines"][0]["name"] == EVIL


def test_without_a_pool(tmp_path):
    _, found, *_ = read(report.write_page(records(["badge"], 30), tmp_path / "page.html"))
    assert found["atlas"] is None and found["examples"] is None and found["title"] == "page"
    assert found["comparison"]["rows"] == [] and "picked" not in found["balance"]


def test_rows_of_numbers_and_features_of_ones_own(tmp_path):
    rng = np.random.default_rng(0)
    pool = Examples(rng.normal(size=(40, 30)).astype(np.float32), rng.integers(-1, 3, 40))
    features = rng.normal(size=(40, 2)).astype(np.float32)
    features.setflags(write=False)  # as a file that is mapped
    own = records(["random", "badge"], 40, classes=3)
    path = report.write_page(own, tmp_path / "page.html", pool=pool, features=features)
    _, found, array, _ = read(path)
    rows, values = array(found["examples"]["rows"]), array(found["examples"]["values"])
    np.testing.assert_array_equal(values, pool.inputs[rows, :24])
    assert found["examples"]["width"] == 30 and found["atlas"]["components"] == 2
    assert (array(found["atlas"]["classes"]) == 3).sum() == (pool.labels == -1).sum()


def test_texts(tmp_path):
    pytest.importorskip("tokenizers")
    words = "red green blue fast slow".split()
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(words, 4)) + f" {row % 7} end" for row in range(75)]
    lines = [f"{'ab'[row % 2]}\t{text} {EVIL}" for row, text in enumerate(texts)]
    (tmp_path / "t.txt").write_text("\n".join(lines))
    settings = [f"data.source=text:{tmp_path / 't.txt'}", *SETTINGS[1:], "data.test_fraction=0.2"]
    own = records(["random", "badge"], 60, classes=2)
    run = folder_of_run(tmp_path / "texts", own, *settings)
    assert report.write_runs_page([run], tmp_path / "page.html") == []
    _, found, array, _ = read(tmp_path / "page.html")
    pool, _ = data.load(f"text:{tmp_path / 't.txt'}")
    assert found["examples"]["kind"] == "text" and found["atlas"]["words"]
    ids = {row.tobytes() for row in pool.inputs[array(found["examples"]["rows"])]}
    shown = set(found["examples"]["texts"])
    assert len(shown) == len(ids) and shown <= {line.split("\t")[1] for line in lines}
    assert found["classes"] == ["a", "b"]


def test_data_that_are_not_there_or_others(tmp_path):
    own = records(["random", "badge"], 60)
    absent = folder_of_run(tmp_path / "absent", own, "data.source=npz:gone.npz", *SETTINGS[1:])
    other = folder_of_run(tmp_path / "other", own, *SETTINGS, provenance={"data_sha256": "0" * 64})
    few = folder_of_run(tmp_path / "few", own, "data.limit=40", *SETTINGS[1:])
    bare = folder_of_run(tmp_path / "bare", own, *SETTINGS)
    (bare / "config.toml").unlink()
    told = {absent: "gone.npz", other: "digest", few: "more than 40 rows", bare: "no map"}
    for folder, what in told.items():
        notes = report.write_runs_page([folder], tmp_path / "page.html")
        _, found, *_ = read(tmp_path / "page.html")
        assert found["atlas"] is None and any(what in note for note in notes)
        assert found["notes"] == notes and len(found["curves"]["lines"]) == 2


def test_regression(tmp_path):
    rng = np.random.default_rng(0)
    targets = rng.normal(size=40)
    targets[7] = np.nan
    pool = Examples(rng.normal(size=(40, 3)), targets)
    own = records(["random", "lcmd"], 40, gain=0.1, regression=True)
    outputs = {"lcmd": np.nan_to_num(targets) + 0.1}
    path = report.write_page(own, tmp_path / "page.html", pool=pool, outputs=outputs)
    _, found, array, _ = read(path)
    assert found["regression"] and found["balance"] == {} and found["classes"] == []
    points = found["curves"]["lines"][1]["points"]
    expected = [point.rmse_mean for point in report.summarize(own)[1].points]
    np.testing.assert_allclose(points["rmse_mean"], expected, rtol=1e-6)
    stored, known = found["atlas"]["values"], np.isfinite(targets)
    steps = array(stored["steps"])
    assert steps[7] == 65535
    shown = stored["low"] + steps[known] / 65534 * (stored["high"] - stored["low"])
    np.testing.assert_allclose(shown, targets[known], atol=1e-4)
    np.testing.assert_allclose(stored["ends"], np.quantile(targets[known], (0.02, 0.98)), rtol=1e-6)
    predicted = found["atlas"]["predicted"]
    assert list(predicted["lines"]) == ["1"] and predicted["error"] == pytest.approx(0.1, rel=1e-4)
    made = array(predicted["lines"]["1"]["values"])[known] / 65534
    made = stored["low"] + made * (stored["high"] - stored["low"])
    np.testing.assert_allclose(made, (targets[known] + 0.1).clip(max=stored["high"]), atol=1e-4)


def test_predictions_of_a_run(digits, tmp_path):
    rng = np.random.default_rng(0)
    classes, sure = rng.integers(0, 10, 60), rng.uniform(0.2, 1, 60).astype(np.float32)
    run = tmp_path / "digits"
    shutil.copytree(digits, run)
    write_predictions(run, "badge", OfPool(classes, sure))
    write_predictions(run, "random", OfPool(classes[:50], sure[:50]))
    [note] = report.write_runs_page([run], tmp_path / "page.html")
    assert "without the predictions of random: they are of 50 rows, and the pool has 60" in note
    (run / "predictions" / "pool" / "random.npz").write_bytes(b"torn")
    [note] = report.write_runs_page([run], tmp_path / "page.html")
    assert "without the predictions of random" in note
    _, found, array, _ = read(tmp_path / "page.html")
    predicted = found["atlas"]["predicted"]
    assert predicted["every"] == 1 and predicted["seed"] == 0 and list(predicted["lines"]) == ["1"]
    own = predicted["lines"]["1"]
    assert array(own["values"]).tolist() == classes.tolist()
    steps = array(own["sure"]) / 63 * (1 - predicted["low"]) + predicted["low"]
    np.testing.assert_allclose(steps, sure, atol=0.5 / 63)


def test_outputs_are_predictions(tmp_path):
    rng = np.random.default_rng(0)
    pool = Examples(rng.normal(size=(30, 3)), np.arange(30) % 2)
    logits = rng.normal(size=(30, 2))
    path = tmp_path / "page.html"
    report.write_page(RECORDS, path, pool=pool, outputs={"badge": logits})
    _, found, array, _ = read(path)
    predicted = found["atlas"]["predicted"]
    assert array(predicted["lines"]["0"]["values"]).tolist() == logits.argmax(1).tolist()
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert predicted["low"] == pytest.approx(chances.max(1).min(), rel=1e-5)


@pytest.mark.slow
def test_several_runs(digits, tmp_path, capsys):
    warm = folder_of_run(
        tmp_path / "warm", records(["badge"], 60), *SETTINGS, "learner.warm_start=true", "name=warm"
    )
    out = tmp_path / "both.html"
    assert main(["report", str(digits), str(warm), "--html", str(out), "-q"]) == 0
    printed, told = capsys.readouterr()
    assert printed.splitlines()[-1] == str(out) and "warm has no random sampling" in told
    _, found, array, _ = read(out)
    lines = [line["name"] for line in found["curves"]["lines"]]
    assert lines == ["random", "digits/badge", "warm/badge"]
    assert set(array(found["picks"]["groups"])[:, 0]) == {0, 1, 2}
    assert {row["strategy"] for row in found["comparison"]["rows"]} <= set(lines)
    assert list(found["configs"]) == ["digits", "warm"] and found["atlas"]
    iris = folder_of_run(tmp_path / "iris", records(["badge"], 60), "data.source=sklearn:iris")
    assert main(["report", str(digits), str(iris), "--html", str(out), "-q"]) == 2
    assert "not the same data" in capsys.readouterr().err
    [*_, note] = report.write_runs_page([digits, iris], out, different_data=True)
    assert "different data" in note and read(out)[1]["atlas"] is None


def test_large_pools_are_drawn_by_a_part(monkeypatch):
    labels = np.where(np.arange(500) % 5 == 0, -1, np.arange(500) % 3)
    found = picks.groups([records(["random"], 100)])
    found = [group._replace(rows=group.rows * 5 + 1) for group in found]
    rows = atlas.shown_rows(ShownPool(None, labels, left_out=True), found, most=120)
    assert len(rows) == 120 and (np.diff(rows) > 0).all() and (labels[rows] >= 0).all()
    assert np.isin(np.concatenate([group.rows for group in found]), rows).all()
    kept, [note] = picks.limited(found, most=20)
    assert {group.seed for group in kept} == {0} and "1 of 2 seeds" in note


RECORDS = records(["badge"], 30)
POOL = Examples(np.zeros((30, 2)), np.zeros(30, int))
FEW = Examples(np.zeros((9, 2)), np.zeros(9, int))


@bad_inputs(
    {
        "no records": (([], {}), ValueError, "at least one round"),
        "no record": (([3], {}), TypeError, "records: expected records"),
        "few rows": (
            (RECORDS, {"pool": FEW}),
            ValueError,
            "pool: exp",
        ),
        "layout": ((RECORDS, {"layout": "tsne"}), ValueError, "layout: 'tsne' is unknown; did"),
        "features": ((RECORDS, {"pool": POOL, "features": np.zeros(30)}), ValueError, "features: "),
        "no pool": ((RECORDS, {"outputs": {"badge": np.zeros((30, 2))}}), ValueError, "outputs: "),
        "whose outputs": (
            (RECORDS, {"pool": POOL, "outputs": {"bald": np.zeros((30, 2))}}),
            ValueError,
            "outputs: expected some of badge, got",
        ),
        "outputs with a NaN": (
            (RECORDS, {"pool": POOL, "outputs": {"badge": np.full((30, 2), np.nan)}}),
            ValueError,
            r"outputs\['badge'\]: expected numbers, got NaN or inf",
        ),
        "outputs": (
            (RECORDS, {"pool": POOL, "outputs": {"badge": np.zeros(30)}}),
            ValueError,
            r"outputs\['badge'\]: expected \[N, C\] of 30 rows",
        ),
        "lengths": ((RECORDS, {"pool": Examples(POOL[0], POOL[1][:9])}), ValueError, "pool"),
    }
)
def test_bad_page(given, error, message, tmp_path):
    own, options = given
    with pytest.raises(error, match=message):
        report.write_page(own, tmp_path / "page.html", **options)
    assert not any(tmp_path.iterdir())


def test_no_run(tmp_path):
    with pytest.raises(ValueError, match="folders: expected at least one"):
        report.write_runs_page([], tmp_path / "page.html")
