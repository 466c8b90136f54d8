"""The source tfds: prepared data sets, made here without TensorFlow."""

import io
import json
import sys
import time
import warnings

import numpy as np
import pytest
from helpers import SHARED, bad_inputs, needs
from PIL import Image

from jaxal import data
from jaxal.data.readers import read
from jaxal.data.readers.tfds import find_prepared

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 4, 5, 3), dtype=np.uint8)


def prepare(folder, version="1.0.0", rows=(6, 3), picture=True, supervised=True):
    """Prepares a data set `tiny`, whose rows come in the order of a hash."""
    import tensorflow_datasets as tfds

    kind = (
        tfds.features.Image(shape=(4, 5, 3))
        if picture
        else tfds.features.Tensor(shape=(4, 5, 3), dtype=np.uint8)
    )
    features = {"image": kind, "label": tfds.features.ClassLabel(names=["cat", "dog"])}

    class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version(version)
        name = "tiny"

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(features),
                supervised_keys=("image", "label") if supervised else None,
            )

        def _split_generators(self, dl_manager):
            train, test = rows
            parts = {"train": self._generate_examples(range(train))}
            return parts | {"test": self._generate_examples(range(train, train + test))}

        def _generate_examples(self, indices):
            for row in indices:
                pixels = Image.fromarray(PIXELS[row]) if picture else PIXELS[row]
                yield row, {"image": pixels, "label": row % 2}

    tfds.disable_progress_bar()
    Builder(data_dir=str(folder)).download_and_prepare(file_format="array_record")
    return folder / "tiny" / version


@pytest.fixture(autouse=True)
def nowhere_else(monkeypatch, tmp_path):
    monkeypatch.delenv("JAXAL_DATA", raising=False)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "own"))


def in_order(inputs):
    """The rows of `PIXELS` that inputs are, sorted."""
    return sorted(int((PIXELS == one).all((1, 2, 3)).argmax()) for one in inputs)


@pytest.mark.parametrize("picture", [True, False], ids=["pictures", "tensors"])
@pytest.mark.parametrize("supervised", [True, False], ids=["supervised", "by name"])
@pytest.mark.parametrize("place", ["", "tfds", "own"])
def test_a_prepared_data_set(place, picture, supervised, tmp_path):
    prepare(tmp_path / place, picture=picture, supervised=supervised)
    given = {} if place == "own" else {"folder": tmp_path}
    table = read("tfds:tiny", **given)
    assert table.test is not None and table.class_names == ("cat", "dog")
    for (inputs, labels), rows in ((table.train, range(6)), (table.test, range(6, 9))):
        assert inputs.dtype == np.uint8 and in_order(inputs) == list(rows)
        odd = [int((PIXELS == one).all((1, 2, 3)).argmax()) % 2 for one in inputs]
        assert labels.tolist() == odd


def test_splits_and_versions(tmp_path):
    for version, rows in {"2.0.0": (4, 3), "10.0.0": (6, 3)}.items():
        prepare(tmp_path, version, rows)
    sizes = {
        "tiny": 6,
        "tiny/2.0.0": 4,
        "tiny:test": 3,
        "tiny:train[:50%]": 3,
        "tiny:train+test": 9,
    }
    for name, size in sizes.items():
        assert len(read(f"tfds:{name}", folder=tmp_path).train[1]) == size
    pool, test = data.load(
        "tfds:tiny/2.0.0:train", test="tfds:tiny:test", folder=tmp_path, standardize=False
    )
    assert len(pool.labels) == 4 and len(test.labels) == 3 and pool.inputs.dtype == np.uint8


def test_neither_tensorflow_nor_a_network(tmp_path):
    prepare(tmp_path)
    read("tfds:tiny", folder=tmp_path)
    assert "tensorflow" not in sys.modules


def test_fakes_of_tensorflow_datasets(tmp_path):
    """Random examples of its own for a data set of which there is only what describes it."""
    import tensorflow_datasets as tfds

    info = tfds.builder("cifar10", data_dir=str(tmp_path), file_format="array_record").info
    part = {"shard_lengths": [5], "num_bytes": 1, "filename_template": None}
    names = ("train", "test")
    info.set_splits(tfds.core.SplitDict([tfds.core.SplitInfo(name=name, **part) for name in names]))
    place = tmp_path / "cifar10" / "3.0.2"
    place.mkdir(parents=True)
    info.write_to_directory(str(place))
    with tfds.testing.mock_data(data_dir=str(place), as_data_source_fn=_fakes):
        found = data.describe("cifar10", folder=tmp_path)
    assert found.train.shape == (5, 32, 32, 3) and found.train.dtype == np.uint8
    assert found.class_names == tuple("0123456789")  # the names are among what is downloaded


class Fakes(list):
    def __getitems__(self, rows):
        return [self[row] for row in rows]


def _fakes(builder, split, decoders, **options):
    from tensorflow_datasets.testing.mocking import RandomFakeGenerator

    examples = [RandomFakeGenerator(builder.info.features, 5)[row] for row in range(5)]
    assert set(decoders) == {"image"}  # it is given as the bytes of its file
    return Fakes(one | {"image": encoded(one["image"])} for one in examples)


def encoded(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


# What is refused


def absent(name, folder=None):
    start = time.monotonic()
    with pytest.raises(FileNotFoundError) as raised:
        data.load(f"tfds:{name}", folder=folder)
    assert time.monotonic() - start < 5
    return str(raised.value)


def test_a_data_set_that_is_not_prepared(tmp_path):
    message = absent("mnist", tmp_path)
    assert message.startswith(f"mnist is not prepared: none of {tmp_path}/mnist/VERSION, ")
    assert "pip install tensorflow tensorflow-datasets array_record importlib_resources" in message
    assert (
        'python -c "import tensorflow_datasets as tfds; tfds.data_source('
        f"'mnist', data_dir='{tmp_path}', builder_kwargs={{'file_format': 'array_record'}})\""
    ) in message
    assert f"data_dir='{tmp_path / 'own'}'" in absent("no_such_set")
    assert f"'mnist:3.0.1', data_dir='{tmp_path}'" in absent("mnist/3.0.1", tmp_path)


@bad_inputs(
    {
        "split": ("tiny:tset", ValueError, "split 'tset' is unknown; did you mean 'test'"),
        "part of a split": ("tiny:train[:x]", ValueError, "expected prepared files, got"),
        "no rows": ("tiny:train[:0]", ValueError, r"train\[:0\]: expected prepared files, got"),
        "version": ("tiny/3.0.0", FileNotFoundError, "tiny/3.0.0 is not prepared"),
    }
)
def test_parts_that_are_not_there(given, error, message, tmp_path):
    prepare(tmp_path)
    with pytest.raises(error, match=message):
        read(f"tfds:{given}", folder=tmp_path)


def changed(place, **fields):
    file = place / "dataset_info.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def spoil(place, what):
    records = place / "tiny-train.array_record-00000-of-00001"
    match what:
        case "another format":
            changed(place, fileFormat="tfrecord")
        case "no train":
            changed(
                place, splits=json.loads((place / "dataset_info.json").read_text())["splits"][1:]
            )
        case "no label":
            changed(place, supervisedKeys={"tuple": {"items": [{"featureKey": "x"}] * 2}})
        case "info":
            (place / "dataset_info.json").write_text("garbage")
        case "features":
            (place / "features.json").write_text("garbage")
        case "short records":
            records.write_bytes(b"garbage")
        case "no records":
            records.unlink()


@bad_inputs(
    {
        "another format": (
            "another format",
            ValueError,
            "tiny/1.0.0: expected the format array_record, got tfrecord; beside it.* by: pip",
        ),
        "no train": ("no train", ValueError, "expected a split called train, got test"),
        "no label": ("no label", ValueError, "expected features of inputs and labels, got "),
        "info": ("info", ValueError, "dataset_info.json: expected a table in JSON, got"),
        "features": ("features", ValueError, "tiny/1.0.0: expected a prepared data set, got"),
        "short records": ("short records", ValueError, "1.0.0 train: expected prepared files, got"),
        "no records": ("no records", ValueError, "1.0.0 train: expected prepared files, got"),
    }
)
def test_files_that_are_spoilt(given, error, message, tmp_path):
    spoil(prepare(tmp_path), given)
    with pytest.raises(error, match=message):
        read("tfds:tiny", folder=tmp_path)


@pytest.mark.slow
@needs("tfds/mnist")
def test_mnist_as_it_was_published():
    """Reading logs a line about groups of rows for each file, which is about speed alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = data.describe("tfds:mnist:test", folder=SHARED)
    counts = (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
    assert found.train.shape == (10_000, 28, 28, 1) and found.train.counts == counts
    assert found.class_names == tuple("0123456789")
    assert find_prepared("mnist", SHARED) == SHARED / "tfds" / "mnist" / "3.0.1"
