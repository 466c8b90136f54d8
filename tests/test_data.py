"""Sources, splits, standardisation and checks of values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs

from jaxal import data
from jaxal.base import Examples
from jaxal.data.readers import read
from jaxal.data.readers import registry as registry_module
from jaxal.experiment import parse
from jaxal.experiment.build import build

SHAPES = {
    "breast_cancer": (569, 30, 2),
    "digits": (1797, 64, 10),
    "iris": (150, 4, 3),
    "wine": (178, 13, 3),
}


def tabular(rows=60, width=3, classes=3, seed=0):
    generator = np.random.default_rng(seed)
    inputs = generator.normal(5, 3, (rows, width))
    return inputs, (np.arange(rows) % classes).astype(np.int64)


def images(rows=20, seed=0):
    generator = np.random.default_rng(seed)
    inputs = generator.integers(0, 256, (rows, 4, 5), dtype=np.uint8)
    return inputs, (np.arange(rows) % 2).astype(np.uint8)


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """Each test finds the sources of the package alone, and what it registers is gone after it."""
    known = {kind: registry_module._REGISTRY[kind] for kind in ("npz", "sklearn")}
    monkeypatch.setattr(registry_module, "_REGISTRY", known)


@pytest.fixture
def write(tmp_path):
    """Writes an .npz file, and returns its source string."""

    def save(**arrays):
        np.savez(tmp_path / "file.npz", **arrays)
        return f"npz:{tmp_path / 'file.npz'}"

    return save


def sorted_rows(inputs):
    flat = inputs.reshape(len(inputs), -1)
    return flat[np.lexsort(flat.T)]


def assert_equal(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.mark.parametrize("name", SHAPES)
def test_sklearn_sources(name):
    rows, width, classes = SHAPES[name]
    pool, test = data.load(f"sklearn:{name}")
    assert isinstance(pool, Examples) and isinstance(test, Examples)
    assert len(pool.labels) + len(test.labels) == rows
    for part in (pool, test):
        assert part.inputs.shape == (len(part.labels), width)
        assert part.inputs.dtype == np.float32 and part.labels.dtype == np.int32
        assert data.num_classes(part.labels) == classes
        data.check(part, classes)


def test_sources_are_listed():
    assert data.sources() == (
        "npz:PATH",
        *(f"sklearn:{name}" for name in sorted([*SHAPES, "diabetes"])),
    )


def test_digits_as_images():
    flat, _ = data.load("sklearn:digits", standardize=False)
    pool, _ = data.load("sklearn:digits", standardize=False, flat=False)
    assert pool.inputs.shape[1:] == (8, 8, 1)
    assert_equal(pool.inputs.reshape(-1, 64), flat.inputs)
    scaled, _ = data.load("sklearn:digits", flat=False)
    assert abs(scaled.inputs.mean()) < 1e-5 and abs(scaled.inputs.std() - 1) < 1e-5


# Sources of one's own


def test_a_source_of_ones_own():
    @data.source("rows")
    def read(count):
        inputs, labels = tabular(int(count))
        return data.Table((inputs, labels))

    assert data.sources()[-1] == "rows:COUNT"
    pool, test = data.load("rows:60", standardize=False)
    assert pool.inputs.shape == (48, 3) and test.labels.shape == (12,)
    assert_equal(
        sorted_rows(np.concatenate([pool.inputs, test.inputs])),
        sorted_rows(tabular(60)[0].astype(np.float32)),
    )
    with pytest.raises(ValueError, match="'row:60' is unknown; .*rows:COUNT"):
        data.load("row:60")


def test_a_source_in_a_config():
    data.source("pictures")(lambda: data.Table(images(20), images(6, seed=1)))
    assert data.sources()[-1] == "pictures"
    table = {"model": {"name": "logistic"}, "strategy": {"names": ["random"]}, "name": "x"}
    parts = build(parse({"data": {"source": "pictures", "flat": True}} | table))
    assert parts.pool.inputs.shape == (20, 20) and parts.test.inputs.shape == (6, 20)
    with pytest.raises(ValueError, match="'pictures:a' is unknown"):
        data.load("pictures:a")


def test_a_reader_is_told_whether_inputs_are_to_be_flat():
    told = []

    @data.source("closed", names=["a", "b"])
    def read(name, flat=None):
        told.append((name, flat))
        return data.Table(tabular())

    assert data.sources()[-2:] == ("closed:a", "closed:b")
    data.load("closed:b", flat=True)
    data.load("closed:a")
    assert told == [("b", True), ("a", None)]
    with pytest.raises(ValueError, match="'closed:c' is unknown"):
        data.load("closed:c")


def test_a_reader_keeps_types_and_returns_a_table(write):
    inputs, labels = images()
    train = read(write(inputs=inputs, labels=labels)).train
    assert train[0].dtype == np.uint8
    data.source("pair")(lambda: tabular())  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="source pair: expected its reader to return a Table"):
        data.load("pair")


# Splits


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5, 0.93])
def test_split_is_stratified_within_one(name, fraction):
    pool, test = data.load(f"sklearn:{name}", test_fraction=fraction, seed=3, standardize=False)
    counts = np.bincount(np.concatenate([pool.labels, test.labels]))
    held_out = np.bincount(test.labels, minlength=len(counts))
    assert np.abs(held_out - fraction * counts).max() < 1
    assert np.bincount(pool.labels).min() >= 1
    assert abs(len(test.labels) - fraction * counts.sum()) <= 0.5 + 1e-9


def test_split_loses_nothing():
    inputs, labels = tabular()
    rest, share = data.split(Examples(inputs, labels), 0.3, seed=1)
    together = np.concatenate([rest.inputs, share.inputs])
    assert_equal(sorted_rows(together), sorted_rows(inputs))
    for part in (rest, share):
        for row, label in zip(part.inputs, part.labels, strict=True):
            assert labels[(inputs == row).all(1)].tolist() == [label]


def test_split_keeps_one_of_each_class():
    labels = np.array([0] * 8 + [1] * 2 + [2])
    rest, _ = data.split(Examples(np.arange(11.0), labels), 0.95)
    assert np.bincount(rest.labels).tolist() == [1, 1, 1]


def test_split_is_deterministic_and_leaves_the_global_generator_alone():
    np.random.seed(0)
    expected = np.random.random()
    np.random.seed(0)
    one = data.load("sklearn:iris", seed=4, limit=50)
    assert np.random.random() == expected
    assert_equal(one, data.load("sklearn:iris", seed=4, limit=50))
    other = data.load("sklearn:iris", seed=5, limit=50)
    assert (one[0].inputs != other[0].inputs).any()


def test_rows_come_in_random_order():
    pool, test = data.load("sklearn:iris")
    for part in (pool, test):
        assert (np.diff(part.labels) < 0).any()


@pytest.mark.parametrize("limit", [1, 7, 50, 120])
def test_limit_keeps_a_stratified_subset(limit):
    whole, test = data.load("sklearn:iris", standardize=False)
    pool, same = data.load("sklearn:iris", standardize=False, limit=limit)
    assert len(pool.labels) == limit
    counts = np.bincount(pool.labels, minlength=3)
    assert np.abs(counts - limit / 3).max() < 1
    assert_equal(test, same)
    rows = {tuple(row) for row in whole.inputs}
    assert all(tuple(row) in rows for row in pool.inputs)


# Standardisation


def test_columns_are_standardized_by_the_pool():
    raw_pool, raw_test = data.load("sklearn:breast_cancer", standardize=False)
    pool, test = data.load("sklearn:breast_cancer")
    reference = raw_pool.inputs.astype(np.float64)
    mean, std = reference.mean(0), reference.std(0)
    np.testing.assert_allclose(pool.inputs, (reference - mean) / std, atol=1e-4)
    np.testing.assert_allclose(test.inputs, (raw_test.inputs - mean) / std, atol=1e-4)
    np.testing.assert_allclose(pool.inputs.mean(0, dtype=np.float64), 0, atol=1e-6)
    np.testing.assert_allclose(pool.inputs.std(0, dtype=np.float64), 1, atol=1e-6)


def test_columns_of_large_offset_keep_their_digits(write):
    inputs, labels = tabular()
    inputs[:, 0] += 1e9  # not representable in float32
    pool, _ = data.load(write(inputs=inputs, labels=labels))
    np.testing.assert_allclose(pool.inputs.std(0), 1, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_constant_columns_become_zero(write, value):
    inputs, labels = tabular()
    train = inputs.copy()
    train[:, 1] = value
    source = write(train_inputs=train, train_labels=labels, test_inputs=inputs, test_labels=labels)
    for part in data.load(source):
        assert_equal(part.inputs[:, 1], np.zeros(len(labels), np.float32))
        assert np.isfinite(part.inputs).all()


@pytest.mark.parametrize("times", [1, 4])
def test_repeat_gives_each_row_so_often(times):
    examples = Examples(np.arange(60, dtype=np.float32).reshape(20, 3), np.arange(20))
    repeated = data.repeat(examples, times)
    assert len(repeated.labels) == 20 * times
    assert (np.bincount(repeated.labels) == times).all()
    assert_equal(repeated.inputs, examples.inputs[repeated.labels])
    assert (np.diff(repeated.labels) != 0).mean() > 0.8  # copies are not side by side
    assert_equal(repeated, data.repeat(examples, times))
    assert (repeated.labels != data.repeat(examples, times, seed=1).labels).any()


@pytest.mark.parametrize("times", [1, 3])
def test_repeat_adds_noise_to_every_copy(times):
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(50, 20, 10)).astype(np.float32)
    examples = Examples(inputs, np.arange(50, dtype=np.int32))
    repeated = data.repeat(examples, times, noise=0.1)
    assert repeated.inputs.dtype == np.float32 and repeated.labels.dtype == np.int32
    added = repeated.inputs - inputs[repeated.labels]
    count = added.size
    assert abs(added.mean()) < 4 * 0.1 / count**0.5
    assert abs(added.std() - 0.1) < 4 * 0.1 / (2 * count) ** 0.5
    copies = [added[repeated.labels == row] for row in range(50)]
    assert all(len(np.unique(one[:, 0, 0])) == times for one in copies)
    assert_equal(examples.inputs, inputs)
    assert_equal(repeated, data.repeat(examples, times, noise=0.1))


@bad_inputs(
    {
        "none": ((0, 0.0), ValueError, "times.*got 0"),
        "fraction": ((1.5, 0.0), TypeError, "times.*got 1.5"),
        "bool": ((True, 0.0), TypeError, "times.*got True"),
        "negative": ((1, -0.1), ValueError, "noise.*got -0.1"),
        "NaN": ((1, float("nan")), ValueError, "noise.*got nan"),
        "infinite": ((1, float("inf")), ValueError, "noise.*got inf"),
    }
)
def test_repeat_refuses(given, error, message):
    times, noise = given
    with pytest.raises(error, match=message):
        data.repeat(Examples(np.ones((3, 2)), np.arange(3)), times, noise=noise)


def test_limit_comes_before_standardisation():
    pool, _ = data.load("sklearn:wine", limit=40)
    np.testing.assert_allclose(pool.inputs.mean(0), 0, atol=1e-5)


# Files


@pytest.mark.parametrize(
    "names",
    [
        ("train_inputs", "train_labels", "test_inputs", "test_labels"),
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("x_train", "y_train", "x_test", "y_test"),
    ],
)
def test_npz_with_a_test_part(write, names):
    arrays = (*images(20, seed=1), *images(6, seed=2))
    source = write(**dict(zip(names, arrays, strict=True)))
    pool, test = data.load(source, standardize=False)
    assert_equal(pool.inputs, arrays[0])
    assert_equal(test, Examples(arrays[2], arrays[3]))
    assert test.labels.dtype == np.int32 and test.inputs.dtype == np.uint8
    scaled_pool, scaled_test = data.load(source)
    reference = arrays[0] / 255.0
    mean, std = reference.mean(), reference.std()
    for part, raw in ((scaled_pool, arrays[0]), (scaled_test, arrays[2])):
        np.testing.assert_allclose(part.inputs, (raw / 255 - mean) / std, atol=1e-5)
        assert part.inputs.dtype == np.float32


def test_npz_is_split(write):
    inputs, labels = tabular()
    pool, test = data.load(write(inputs=inputs, labels=labels), standardize=False)
    assert len(pool.labels) == 48 and len(test.labels) == 12
    together = np.concatenate([pool.inputs, test.inputs])
    assert_equal(sorted_rows(together), sorted_rows(inputs.astype(np.float32)))


def test_npz_flat_images_and_column_labels(write):
    inputs, labels = images()
    source = write(inputs=inputs, labels=labels[:, None])
    pool, test = data.load(source, flat=True, standardize=False)
    assert pool.inputs.shape == (16, 20) and test.labels.shape == (4,)
    assert pool.inputs.dtype == np.uint8
    scaled, _ = data.load(source, flat=True)
    assert scaled.inputs.dtype == np.float32 and abs(scaled.inputs.mean()) < 1e-6


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_integers_keep_their_type_unless_they_are_standardised(write, dtype):
    inputs = np.arange(20, dtype=dtype).reshape(10, 2)
    source = write(inputs=inputs, labels=np.arange(10) % 2)
    pool, test = data.load(source, standardize=False)
    assert pool.inputs.dtype == test.inputs.dtype == dtype
    pool, test = data.load(source)
    assert pool.inputs.dtype == test.inputs.dtype == np.float32


def test_home_is_expanded(write, tmp_path, monkeypatch):
    inputs, labels = tabular()
    write(inputs=inputs, labels=labels)
    monkeypatch.setenv("HOME", str(tmp_path))
    pool, _ = data.load("npz:~/file.npz")
    assert pool.inputs.shape == (48, 3)


# Bad input


@bad_inputs(
    {
        "typo": (
            ("sklearn:digit", {}),
            ValueError,
            "source: 'sklearn:digit' is unknown; did you mean 'sklearn:digits'",
        ),
        "unknown": (("mnist", {}), ValueError, "valid names: npz:PATH, sklearn:"),
        "no-path": (("npz:", {}), ValueError, "'npz:' is unknown"),
        "kind alone": (("npz", {}), ValueError, "'npz' is unknown"),
        "no data set": (("sklearn:", {}), ValueError, "'sklearn:' is unknown"),
        "0": (("sklearn:iris", {"test_fraction": 0.0}), ValueError, r"test_fraction.*\(0, 1\)"),
        "1": (("sklearn:iris", {"test_fraction": 1.0}), ValueError, "got 1.0"),
        "none": (("sklearn:iris", {"test_fraction": 1e-4}), ValueError, "one row of 150"),
        "limit-above": (("sklearn:iris", {"limit": 121}), ValueError, r"1 to 120 .*, got 121"),
        "limit-0": (("sklearn:iris", {"limit": 0}), ValueError, "limit: expected an"),
        "limit-float": (("sklearn:iris", {"limit": 9.5}), TypeError, "got 9.5"),
        "flat": (("sklearn:iris", {"flat": False}), ValueError, "flat: expected images.*iris"),
    }
)
def test_load_refuses(given, error, message):
    source, options = given
    with pytest.raises(error, match=message):
        data.load(source, **options)


GOOD, LABELS = tabular(rows=6)


@bad_inputs(
    {
        "keys": (
            {"inputs": GOOD, "y": LABELS},
            ValueError,
            "expected the keys inputs, labels; or train_inputs, .*; got inputs, y",
        ),
        "no-test-labels": (
            {"x_train": GOOD, "y_train": LABELS, "x_test": GOOD},
            ValueError,
            "got x_train, y_train, x_test",
        ),
        "rank": ({"inputs": GOOD[:, 0], "labels": LABELS}, ValueError, r"shape \(6,\)"),
        "rows": ({"inputs": GOOD, "labels": LABELS[:5]}, ValueError, "labels has 5"),
        "float-labels": (
            {"inputs": GOOD, "labels": LABELS + 0.5},
            TypeError,
            "labels: expected integers.*float64",
        ),
        "-1": ({"inputs": GOOD, "labels": LABELS - 1}, ValueError, "got 2 of 6 that are -1"),
        "nan": (
            {"inputs": np.where(GOOD == GOOD[4, 1], np.nan, GOOD), "labels": LABELS},
            ValueError,
            "inputs: expected finite .* row 4",
        ),
        "widths": (
            {
                "x_train": GOOD,
                "y_train": LABELS,
                "x_test": GOOD[:, :2],
                "y_test": LABELS,
            },
            ValueError,
            r"of one shape, got \(6, 3\) and \(6, 2\)",
        ),
    }
)
def test_npz_refuses(write, given, error, message):
    with pytest.raises(error, match=message):
        data.load(write(**given))


def test_npz_must_be_there_and_an_archive(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file: .*absent.npz"):
        data.load(f"npz:{tmp_path}/absent.npz")
    (tmp_path / "text.npz").write_text("not an archive")
    with pytest.raises(ValueError, match="text.npz: expected an .npz archive"):
        data.load(f"npz:{tmp_path}/text.npz")


# check and num_classes


@pytest.mark.parametrize("library", [np, jnp])
def test_check_accepts(library):
    tree = {"image": library.ones((3, 2, 2)), "row": library.arange(3)}
    data.check((tree, library.array([0, 1, 2])), 3)
    data.check((tree, library.array([0, -1, 2])), 3, allow_unknown=True)
    data.check((tree, library.array([0, 1, 2])))
    data.check(Examples(tree, None))
    data.check((library.ones((1, 2), jnp.bfloat16), library.array([0])))


ONES = np.ones((3, 2), np.float32)
ZEROS = np.zeros(3, np.int32)


def spoilt(value):
    array = ONES.copy()
    array[1:, 1] = value
    return array


@pytest.mark.parametrize("library", [np, jnp])
@bad_inputs(
    {
        "rows": (
            ({"a": ONES, "b": ONES[:2]}, ZEROS, {}),
            ValueError,
            r"pool inputs\['a'\] has 3, pool inputs\['b'\] has 2, pool labels has 3",
        ),
        "empty": ((ONES[:0], ZEROS[:0], {}), ValueError, "at least one row"),
        "no-arrays": (({}, ZEROS, {}), ValueError, "at least one array"),
        "nan": (
            ({"x": (ONES, spoilt(np.nan))}, ZEROS, {"name": "test"}),
            ValueError,
            r"test inputs\['x'\]\[1\]: expected finite .* at row 1",
        ),
        "inf": ((spoilt(-np.inf), None, {}), ValueError, "at row 1"),
        "scalar": ((np.float32(3), ZEROS, {}), TypeError, r"expected an array \[N, ...\]"),
        "complex": ((ONES, 1j * ONES[:, 0], {}), TypeError, r"labels: expected integers"),
        "targets": (
            (ONES, ONES[:, 0], {"num_classes": 3}),
            TypeError,
            "has 3 classes, got float32",
        ),
        "classes": ((ONES, ZEROS, {"num_classes": 1}), TypeError, r"floats \[N\].*regression"),
        "several targets": ((ONES, ONES, {}), ValueError, r"one target a row, got \(3, 2\)"),
        "NaN target": ((ONES, ONES[:, 0] * np.nan, {}), ValueError, "finite numbers.*nan at row 0"),
        "infinite target": (
            (ONES, ONES[:, 0] * np.inf, {"allow_unknown": True}),
            ValueError,
            "got inf at row 0",
        ),
        "bool": ((ONES, ZEROS > 0, {}), TypeError, "integers .N., got bool array"),
        "column": ((ONES, ZEROS[:, None], {}), ValueError, r"shape \[N\], got \(3, 1\)"),
        "above": (
            (ONES, np.array([0, 1, 2]), {"num_classes": 2}),
            ValueError,
            "labels: expected 0 to 1, got 2 at row 2",
        ),
        "unknown": (
            (ONES, np.array([0, -1, -1]), {}),
            ValueError,
            "expected 0 to C - 1, got -1 at row 1",
        ),
        "below": (
            (ONES, np.array([0, -1, -2]), {"num_classes": 2, "allow_unknown": True}),
            ValueError,
            "expected -1 to 1, got -2 at row 2",
        ),
    }
)
def test_check_refuses(library, given, error, message):
    inputs, labels, options = given
    inputs, labels = jax.tree.map(library.asarray, (inputs, labels))
    with pytest.raises(error, match=message):
        data.check((inputs, labels), **options)


def test_check_refuses_lists():
    with pytest.raises(TypeError, match=r"pool inputs\[0\]\[0\]: .* got float"):
        data.check(([[1.0, 2.0]], ZEROS))
    with pytest.raises(TypeError, match="labels: expected integers .N., got list"):
        data.check((ONES, [0, 0, 0]))


@pytest.mark.parametrize("library", [np, jnp])
def test_num_classes(library):
    assert data.num_classes(library.array([0, -1, 4, 2])) == 5
    for labels in ([-1, -1], []):
        with pytest.raises(ValueError, match="at least one known label"):
            data.num_classes(library.array(labels, int))
    with pytest.raises(TypeError, match="expected integers"):
        data.num_classes(library.array([0.0, 1.0]))
