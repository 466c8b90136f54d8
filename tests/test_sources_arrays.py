"""The sources npz and npy: arrays that stay on the disk, and pictures in an archive."""

import io
import mmap

import numpy as np
import pytest
from helpers import SHARED, bad_inputs, needs
from PIL import Image

from jaxal import data
from jaxal.data.readers import read

IMAGES = np.arange(8 * 4 * 5, dtype=np.uint8).reshape(8, 4, 5)
LABELS = np.arange(8) % 2
PICTURES = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JAXAL_DATA", raising=False)


def is_mapped(array):
    """Whether the numbers are those of a file."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return isinstance(getattr(array, "obj", array), mmap.mmap)


@pytest.mark.parametrize(
    "inputs",
    [
        IMAGES,
        IMAGES.astype(">f4"),
        np.asfortranarray(IMAGES.astype(np.int64)),
        np.zeros((8, 2), dtype=[("a", "i4"), ("b", "f8")]),
    ],
    ids=["bytes", "big end", "fortran", "records"],
)
def test_an_archive_that_is_not_compressed_stays_on_the_disk(inputs):
    np.savez("a.npz", inputs=inputs, labels=LABELS)
    found, labels = read("npz:a.npz").train
    assert is_mapped(found) and is_mapped(labels)
    assert found.dtype == inputs.dtype
    np.testing.assert_array_equal(found, inputs)
    np.testing.assert_array_equal(labels, LABELS)
    np.savez_compressed("b.npz", inputs=inputs, labels=LABELS)
    again, _ = read("npz:b.npz").train
    assert not is_mapped(again)
    np.testing.assert_array_equal(again, inputs)


def test_images_of_bytes_are_never_copied():
    np.savez("a.npz", x_train=IMAGES, y_train=LABELS, x_test=IMAGES, y_test=LABELS)
    for part in data.load("npz:a.npz", standardize=False):
        assert is_mapped(part.inputs) and part.inputs.dtype == np.uint8
    for part in data.load("npz:a.npz", standardize=False, flat=True):
        assert is_mapped(part.inputs) and part.inputs.shape == (8, 20)


def test_a_damaged_array_is_refused_by_its_checksum(tmp_path):
    np.savez("a.npz", inputs=np.zeros((50, 50)), labels=LABELS)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[2000] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match="a.npz: .*'inputs', got a damaged .*bad checksum"):
        read("npz:a.npz")


def test_text_labels_and_names():
    np.savez("a.npz", inputs=IMAGES, labels=np.array(["b", "a"] * 4))
    assert data.describe("npz:a.npz").class_names == ("a", "b")
    np.savez("b.npz", inputs=IMAGES, labels=LABELS, class_names=["cat", "dog"])
    assert data.describe("npz:b.npz").class_names == ("cat", "dog")


# Pictures in an archive


def encoded(pictures, kind="PNG"):
    """The bytes of the files, one after the other, and where each begins and the last ends."""
    files = []
    for picture in pictures:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, kind)
        files.append(file.getvalue())
    offsets = np.cumsum([0, *map(len, files)]).astype(np.int32)
    return np.frombuffer(b"".join(files), np.uint8), offsets


def archive(**changes):
    blob, offsets = encoded(PICTURES)
    arrays = {"jpeg": blob, "offsets": offsets, "labels": np.arange(6) % 2}
    both = {f"{part}_{key}": array for part in ("train", "test") for key, array in arrays.items()}
    np.savez("a.npz", **both | changes)
    return "npz:a.npz"


def test_encoded_pictures():
    table = read(archive(class_names=np.array(["cat", "dog"])))
    assert table.test is not None and table.class_names == ("cat", "dog")
    for inputs, labels in (table.train, table.test):
        np.testing.assert_array_equal(inputs, PICTURES)
        assert labels.tolist() == [0, 1] * 3
    gray = encoded(PICTURES[..., 0], "JPEG")
    table = read(archive(train_jpeg=gray[0], train_offsets=gray[1]))
    assert table.train[0].shape == (6, 4, 5, 1)


@bad_inputs(
    {
        "offsets that fall": (
            {"train_offsets": np.arange(7)[::-1]},
            ValueError,
            "a.npz train: expected 7 offsets, rising",
        ),
        "too few": ({"test_offsets": np.arange(6)}, ValueError, "a.npz test: expected 7 offsets"),
        "past the end": (
            {"test_offsets": np.arange(7) * 10_000},
            ValueError,
            "a.npz test: expected 7 offsets, rising up to at most",
        ),
        "floats": (
            {"train_offsets": np.arange(7.0)},
            ValueError,
            "expected bytes uint8 and offsets .* of integers, got uint8.* and float64",
        ),
        "no picture": (
            {"train_jpeg": np.zeros(10_000, np.uint8)},
            ValueError,
            "a.npz train row 0: expected a picture, got another kind of file",
        ),
    }
)
def test_encoded_pictures_that_are_refused(given, error, message):
    with pytest.raises(error, match=message):
        read(archive(**given))


@needs("cifar10-jpeg.npz")
@pytest.mark.slow
def test_encoded_pictures_of_real_data():
    found = data.describe("npz:cifar10-jpeg.npz", folder=SHARED)
    assert found.train.shape == (50_000, 32, 32, 3) and found.class_names[0] == "airplane"
    assert found.test is not None and set(found.test.counts) == {1000}


# npy


def save(**arrays):
    for name, array in arrays.items():
        np.save(f"{name}.npy", array)


def test_npy(tmp_path):
    save(inputs=IMAGES, labels=LABELS, other=1 - LABELS)
    for source in (f"npy:{tmp_path}", "npy:inputs.npy"):
        inputs, labels = read(source).train
        assert is_mapped(inputs) and inputs.dtype == np.uint8
        np.testing.assert_array_equal(inputs, IMAGES)
        np.testing.assert_array_equal(labels, LABELS)
    chosen = read("npy:inputs.npy", options={"labels": "other.npy"}).train
    np.testing.assert_array_equal(chosen[1], 1 - LABELS)


def test_npy_with_a_test_part(tmp_path):
    save(x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:2], y_test=LABELS[:2])
    pool, test = data.load(f"npy:{tmp_path}", standardize=False)
    assert is_mapped(pool.inputs) and len(test.labels) == 2


@bad_inputs(
    {
        "no folder": (("nowhere", {}), FileNotFoundError, "no such folder: nowhere"),
        "no file": (("nowhere.npy", {}), FileNotFoundError, "no such file: nowhere.npy"),
        "no labels": (("apart/x.npy", {}), FileNotFoundError, "no such file: apart/labels.npy"),
        "other names": (
            ("apart", {}),
            FileNotFoundError,
            "apart: expected inputs.npy, labels.npy; or .*; got garbage.npy, x.npy",
        ),
        "garbage": (("apart/garbage.npy", {}), ValueError, "garbage.npy: expected an array of num"),
        "an archive": (("zip.npy", {}), ValueError, "zip.npy: expected an array, got an archive"),
        "labels of a folder": (
            (".", {"labels": "x"}),
            ValueError,
            "labels: expected none, as . is",
        ),
        "labels that are no text": ((".", {"labels": 1}), TypeError, "labels: expected text"),
        "pickled": (("objects.npy", {}), ValueError, "objects.npy: expected an array of numbers"),
    }
)
def test_npy_that_is_refused(given, error, message, tmp_path):
    save(labels=LABELS)
    (tmp_path / "apart").mkdir()
    np.save("apart/x.npy", IMAGES)
    (tmp_path / "apart" / "garbage.npy").write_bytes(b"garbage")
    with open("zip.npy", "wb") as file:
        np.savez(file, inputs=IMAGES)
    np.save("objects.npy", np.array([{}] * 8, object))
    path, options = given
    if path == "apart/garbage.npy":
        np.save("apart/labels.npy", LABELS)
    with pytest.raises(error, match=message):
        read(f"npy:{path}", options=options)
