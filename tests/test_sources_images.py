"""The source images: folders of pictures, one a class."""

import numpy as np
import pytest
from helpers import bad_inputs
from PIL import Image

from jaxal import data
from jaxal.data.readers import read

RANDOM = np.random.default_rng(0)
COLORS = RANDOM.integers(0, 256, (4, 5, 3), dtype=np.uint8)
GRAY = COLORS[..., 0]


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JAXAL_DATA", raising=False)


@pytest.fixture
def save(tmp_path):
    """Writes pictures into folders: path -> array, or the file's bytes."""

    def write(**files):
        for name, content in files.items():
            path = tmp_path / "pictures" / name.replace("__", "/").replace("_png", ".png")
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                Image.fromarray(content).save(path, "PNG")
        return "images:pictures"

    return write


def test_folders_are_classes(save):
    source = save(dog__b_png=COLORS, cat__a_png=COLORS // 2, dog__a_png=COLORS // 3)
    inputs, labels = read(source).train
    assert inputs.dtype == np.uint8
    np.testing.assert_array_equal(inputs, np.stack([COLORS // 2, COLORS // 3, COLORS]))
    assert labels.tolist() == ["cat", "dog", "dog"]
    assert data.describe(source).class_names == ("cat", "dog")


def test_folders_of_parts(save):
    source = save(train__2__a=GRAY, train__10__a=GRAY, test__10__a=GRAY, test__2__b=GRAY)
    pool, test = data.load(source, standardize=False)
    assert pool.inputs.shape == (2, 4, 5, 1) and test.labels.tolist() == [1, 0]
    assert data.describe(source).class_names == ("2", "10")
    save(test__3__a=GRAY)
    with pytest.raises(ValueError, match="test labels: expected a class .* got '3' at row 2"):
        data.load(source)


def test_a_training_part_alone_and_files_beside(save):
    source = save(train__cat__a=GRAY, train__dog__a=GRAY, train__notes=b"x", train__dog__q=GRAY)
    save(**{"train__dog__.hidden": b"x", "train__.hidden__a": b"x"})
    table = read(source)
    assert table.test is None and len(table.train[1]) == 3


def test_classes_that_are_called_as_parts(save):
    assert read(save(train__a=GRAY, car__a=GRAY)).train[1].tolist() == ["car", "train"]


def test_sizes_and_colors(save):
    source = save(a__a=COLORS, a__b=COLORS[:3], b__a=GRAY)
    assert read(source, options={"size": 3}).train[0].shape == (3, 3, 3, 3)
    assert read(source, options={"size": (4, 5), "color": "gray"}).train[0].shape == (3, 4, 5, 1)
    exact = read(source, options={"size": [4, 5]}).train[0]
    np.testing.assert_array_equal(exact[0], COLORS)
    np.testing.assert_array_equal(exact[2], np.stack([GRAY] * 3, -1))  # grey as colours


@pytest.mark.parametrize("mode", ["P", "RGBA", "1", "LA"])
def test_modes_of_pictures(mode, tmp_path):
    (tmp_path / "pictures" / "a").mkdir(parents=True)
    Image.fromarray(COLORS).convert(mode).save(tmp_path / "pictures" / "a" / "a.png")
    channels = 3 if mode in ("P", "RGBA") else 1
    assert read("images:pictures").train[0].shape == (1, 4, 5, channels)


DEEP = GRAY.astype(np.uint16) * 256


@bad_inputs(
    {
        "no folder": ((None, {}), FileNotFoundError, "no such folder: pictures"),
        "no classes": (({"a_png": GRAY}, {}), ValueError, "expected a folder of pictures for each"),
        "unequal sizes": (
            ({"a__a": GRAY, "a__b": GRAY[:3]}, {}),
            ValueError,
            "a/b: expected 4 x 5 pixels, as the first picture has, got 3 x 5; the option size",
        ),
        "colours after grey": (
            ({"a__a": GRAY, "a__b": COLORS}, {}),
            ValueError,
            "a/b: expected a grey picture, as the first is, got colours; the option color",
        ),
        "garbage": (
            ({"a__a": GRAY, "a__b": b"garbage"}, {}),
            ValueError,
            "a/b: expected a picture",
        ),
        "empty": (({"a__a": b""}, {}), ValueError, "a/a: expected a picture, got another kind"),
        "truncated": (({"a__a": b"\x89PNG\r\n\x1a\n"}, {}), ValueError, "a/a: expected a picture"),
        "deep": (({"a__a": DEEP}, {}), ValueError, "a/a: expected a picture, got one whose pixels"),
        "a folder inside": (
            ({"a__a__b": GRAY}, {}),
            ValueError,
            "a/a: expected a picture, got .*[Dd]irectory",
        ),
        "size of zero": (({}, {"size": 0}), ValueError, "size: expected an integer >= 1"),
        "size of text": (({}, {"size": "large"}), TypeError, "size: expected an integer"),
        "size of three": (({}, {"size": [1, 2, 3]}), ValueError, "size: expected an integer"),
        "size of a flag": (({}, {"size": True}), TypeError, "size: expected an integer"),
        "color": (({}, {"color": "grey"}), ValueError, "color: 'grey' is unknown; did you mean 'g"),
        "color that is no text": (({}, {"color": 1}), TypeError, "color: expected text"),
    }
)
def test_pictures_that_are_refused(given, error, message, save):
    files, options = given
    if files is not None:
        save(**files)
    with pytest.raises(error, match=message):
        read("images:pictures", options=options)
