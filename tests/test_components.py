"""Principal components of inputs: `data.load(pca=)` and `[data] pca`."""

import numpy as np
import pytest
from helpers import bad_inputs

from jaxal import data
from jaxal.experiment import parse
from jaxal.experiment.build import build


def by_definition(pool, test, number):
    """The coordinates of the singular vectors of centred inputs, in float64, signs as they come."""
    pool, test = (np.asarray(part, np.float64).reshape(len(part), -1) for part in (pool, test))
    directions = np.linalg.svd(pool - pool.mean(0))[2][:number].T
    return (pool - pool.mean(0)) @ directions, (test - pool.mean(0)) @ directions


def assert_same_components(found, expected):
    """Equal but for the signs of the components, which are the same in all parts."""
    signs = np.sign(np.sum(found[0].inputs * expected[0], axis=0))
    for part, want in zip(found, expected, strict=True):
        assert part.inputs.dtype == np.float32
        np.testing.assert_allclose(part.inputs, want * signs, atol=2e-5)


@pytest.mark.parametrize("standardize", [True, False])
def test_columns(standardize):
    plain = data.load("sklearn:iris", standardize=standardize)
    found = data.load("sklearn:iris", standardize=standardize, pca=3)
    assert_same_components(found, by_definition(plain[0].inputs, plain[1].inputs, 3))
    np.testing.assert_array_equal(found[1].labels, plain[1].labels)
    deviations = found[0].inputs.std(axis=0)
    assert (np.diff(deviations) < 0).all()


def images(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (60, 3, 4), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", inputs=pixels, labels=np.arange(60) % 3)
    return f"npz:{tmp_path / 'images.npz'}"


def parts(source, **given):
    table = {"name": "small", "model": {"name": "linear"}, "learner": {}}
    return build(
        parse(table | {"data": {"source": source, **given}, "strategy": {"names": ["random"]}})
    )


@pytest.mark.parametrize("normalization", ["pool", "mnist"])
def test_images_of_a_config(tmp_path, normalization):
    """They are normalised before, and left to no model after."""
    source = images(tmp_path)
    made = parts(source, pca=5, normalization=normalization)
    pool, test = (part.inputs / 255 for part in data.load(source, standardize=False))
    mean, std = (0.1307, 0.3081) if normalization == "mnist" else (pool.mean(), pool.std())
    expected = by_definition((pool - mean) / std, (test - mean) / std, 5)
    assert_same_components((made.pool, made.test), expected)
    assert made.learner.model.prepare is None
    if normalization == "pool":
        loaded = data.load(source, pca=5)
        np.testing.assert_allclose(made.pool.inputs, loaded[0].inputs, atol=1e-5)


def test_signs_do_not_depend_on_those_of_the_solver(tmp_path):
    """The largest coefficient of each direction is positive: negative inputs, negative scores."""
    inputs = np.random.default_rng(1).normal(size=(40, 4)) * [8, 4, 2, 1]
    np.savez(tmp_path / "a.npz", inputs=inputs, labels=np.arange(40) % 2)
    pool, _ = data.load(f"npz:{tmp_path / 'a.npz'}", standardize=False, pca=4)
    plain, _ = data.load(f"npz:{tmp_path / 'a.npz'}", standardize=False)
    assert (np.diag(np.corrcoef(pool.inputs.T, plain.inputs.T)[:4, 4:]) > 0).all()


def test_targets_stay_standardised():
    pool, _ = data.load("sklearn:diabetes", task="regression", pca=2)
    assert pool.inputs.shape[1:] == (2,)
    np.testing.assert_allclose([pool.labels.mean(), pool.labels.std()], [0, 1], atol=1e-5)


@bad_inputs(
    {
        "columns": ({"pca": 5}, ValueError, r"^pca: expected 1 to 4 .*, got 5"),
        "more than rows": (
            {"pca": 4, "limit": 3, "source": "sklearn:digits"},
            ValueError,
            "^pca: expected 1 to 3 ",
        ),
    }
)
def test_numbers_out_of_range(given, error, message):
    with pytest.raises(error, match=message):
        data.load(**{"source": "sklearn:iris", **given})


def test_config_errors_name_the_key(tmp_path):
    with pytest.raises(ValueError, match="^data.pca: expected 1 to 4 "):
        parts("sklearn:iris", pca=5)
    text = tmp_path / "some.txt"
    text.write_text("".join(f"{word} {word} is here\n" for word in ("yes", "no") * 10))
    with pytest.raises(ValueError, match="^data.pca: expected inputs that are measured"):
        parts(f"text:{text}", pca=2)
