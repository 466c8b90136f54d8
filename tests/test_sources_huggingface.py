"""The source huggingface: folders that the package `datasets` wrote."""

import sys

import numpy as np
import pytest
from PIL import Image

from jaxal import data
from jaxal.data.readers import read

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JAXAL_DATA", raising=False)
    (tmp_path / "empty").mkdir()


@pytest.fixture
def datasets():
    found = pytest.importorskip("datasets")
    found.disable_progress_bars()
    return found


def pictures(datasets, rows):
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])}
    images = [Image.fromarray(PIXELS[row]) for row in rows]
    columns = {"image": images, "label": [row % 2 for row in rows]}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


def test_a_dictionary_of_splits(datasets):
    parts = {"train": pictures(datasets, range(4)), "test": pictures(datasets, range(4, 6))}
    datasets.DatasetDict(parts).save_to_disk("saved")
    table = read("huggingface:saved")
    assert table.test is not None and table.class_names == ("cat", "dog")
    np.testing.assert_array_equal(table.train[0], PIXELS[:4])
    np.testing.assert_array_equal(table.test[0], PIXELS[4:])
    assert table.train[1].tolist() == [0, 1, 0, 1]


def test_a_data_set_in_another_order(datasets):
    pictures(datasets, range(6)).select([3, 0, 5]).save_to_disk("saved")
    table = read("huggingface:saved")
    assert table.test is None
    np.testing.assert_array_equal(table.train[0], PIXELS[[3, 0, 5]])


def test_lists_and_text_labels(datasets):
    rows = datasets.Dataset.from_dict({"x": [[1, 2], [3, 4], [5, 6]], "y": ["b", "a", "b"]})
    rows.save_to_disk("saved")
    found = data.describe("huggingface:saved", options={"label": "y"})
    assert found.class_names == ("a", "b") and found.train.shape == (3, 2)
    with pytest.raises(ValueError, match="label: 'label' is unknown in saved; valid names: x, y"):
        read("huggingface:saved")


def test_other_folders_and_splits(datasets):
    with pytest.raises(ValueError, match="empty: expected a folder of save_to_disk, got"):
        read("huggingface:empty")
    datasets.DatasetDict(validation=pictures(datasets, range(2))).save_to_disk("saved")
    with pytest.raises(ValueError, match="saved: expected a split called train, got validation"):
        read("huggingface:saved")


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ValueError, match="source huggingface: expected the package datasets to be"):
        read("huggingface:empty")
    with pytest.raises(FileNotFoundError, match="no such folder: nowhere"):
        read("huggingface:nowhere")
