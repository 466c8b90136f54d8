"""Data sets by their name alone: where they are found, and what is said of those that are not."""

import time

import numpy as np
import pytest
from helpers import SHARED, needs
from test_sources_arrays import encoded

from jaxal import data
from jaxal.data.readers import read
from jaxal.data.readers.named import IMAGES, VECTORS

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), dtype=np.uint8)
LABELS = np.arange(6) % 2


@pytest.fixture(autouse=True)
def nowhere_else(monkeypatch, tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("JAXAL_DATA", raising=False)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "own"))


def save(place, inputs=PIXELS):
    place.parent.mkdir(parents=True, exist_ok=True)
    np.savez(place, x_train=inputs, y_train=LABELS, x_test=inputs, y_test=LABELS)


def write(place):
    place.mkdir(parents=True, exist_ok=True)
    for part in ("trn", "tst"):
        (place / f"satimage.scale.{part}").write_text("1 1:1\n7 2:1\n")


@pytest.mark.parametrize("place", ["here", "here/mnist", "data", "data/mnist", "data/tabular"])
def test_archives_are_found(place, tmp_path):
    save(tmp_path / place / "mnist.npz", PIXELS[..., 0])
    table = read("mnist", folder=tmp_path / "data")
    assert table.test is not None
    for inputs, _ in (table.train, table.test):
        assert inputs.shape == (6, 4, 5, 1) and inputs.dtype == np.uint8


@pytest.mark.parametrize(
    "place", ["here", "here/satimage", "data", "data/satimage", "data/tabular"]
)
def test_files_of_libsvm_are_found(place, tmp_path):
    write(tmp_path / place)
    found = data.describe("satimage", folder=tmp_path / "data")
    assert found.class_names == ("1", "7") and found.train.shape == (2, 2)


def test_the_working_directory_comes_first_and_both_files_have_to_be_there(tmp_path):
    write(tmp_path / "data")
    write(tmp_path / "here")
    (tmp_path / "here" / "satimage.scale.trn").write_text("1 1:1\n2 1:1\n3 1:1\n")
    (tmp_path / "here" / "satimage.scale.tst").write_text("1 1:1\n")
    assert len(read("satimage", folder=tmp_path / "data").train[1]) == 3
    (tmp_path / "here" / "satimage.scale.tst").unlink()
    assert len(read("satimage", folder=tmp_path / "data").train[1]) == 2


def test_copies_are_read_with_a_warning(tmp_path):
    blob, offsets = encoded(PIXELS)
    arrays = {"jpeg": blob, "offsets": offsets, "labels": LABELS}
    both = {f"{part}_{key}": array for part in ("train", "test") for key, array in arrays.items()}
    np.savez(tmp_path / "data" / "cifar10-jpeg.npz", **both)  # pyright: ignore[reportArgumentType]
    with pytest.warns(UserWarning, match="cifar10-jpeg.npz holds JPEG copies of cifar10, whose"):
        pool, _ = data.load("cifar10", folder=tmp_path / "data", standardize=False)
    assert pool.inputs.shape == (6, 4, 5, 3)
    save(tmp_path / "data" / "cifar10.npz", PIXELS[:, :3])
    assert data.load("cifar10", folder=tmp_path / "data")[0].inputs.shape == (6, 3, 5, 3)


@pytest.mark.parametrize("name", [*IMAGES, *VECTORS])
def test_what_is_not_there(name, tmp_path):
    start = time.monotonic()
    with pytest.raises(FileNotFoundError) as raised:
        data.load(name)
    assert time.monotonic() - start < 5
    message = str(raised.value)
    assert message.startswith(f"{name}: no {name}") and f"., {name}, tabular" in message
    assert "JAXAL_DATA" in message
    if name in IMAGES:
        assert f"tfds.data_source('{IMAGES[name]}', data_dir='{tmp_path / 'own'}'" in message
    else:
        assert "fetched by: git clone https://github.com/decile-team/datasets.git" in message
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}/data, {tmp_path}/data/{name}"):
        data.load(name, folder=tmp_path / "data")


def test_sources_list_them():
    assert {*IMAGES, *VECTORS} <= {*data.sources()}


@needs("mnist.npz", "tfds/mnist")
@pytest.mark.slow
def test_mnist_is_the_same_from_an_archive_and_from_tfds(tmp_path):
    archive = read("mnist", folder=SHARED)
    (tmp_path / "data" / "tfds").symlink_to(SHARED / "tfds")
    prepared = read("tfds:mnist:test", folder=tmp_path / "data").train
    assert archive.test is not None
    for one, other in zip(archive.test, prepared, strict=True):
        assert one.shape == other.shape and one.sum(dtype=int) == other.sum(dtype=int)
    assert read("mnist", folder=tmp_path / "data").class_names == tuple("0123456789")


@needs("tabular/satimage.scale.trn")
def test_satimage():
    found = data.describe("satimage", folder=SHARED)
    assert found.train.shape == (3104, 36) and found.class_names == tuple("123456")
    assert found.test is not None and found.test.shape == (2000, 36)
