"""Pools on disk: written by jaxal or by ten lines of NumPy, read by slices and rows, checked."""

import hashlib
import json
import pathlib
import re
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs

from jaxal import pools
from jaxal.cli import main
from jaxal.pools.directory import MANIFEST, finish, write_shard

SMAPS = pathlib.Path("/proc/self/smaps")

FEATURES = np.random.default_rng(0).normal(size=(23, 3)).astype(np.float32)
LABELS = np.arange(23) % 4 - 1
IDS = np.array([f"image-{row}".encode() for row in range(23)])


@pytest.fixture
def pool(tmp_path):
    return pools.create(tmp_path / "pool", FEATURES, ids=IDS, labels=LABELS, shard_rows=10)


def by_numpy(folder, features):
    """A pool without jaxal, as the guide shows it."""
    folder.mkdir()
    shards = []
    for number, part in enumerate(np.array_split(features, 3)):
        file = folder / f"features-{number:05d}.npy"
        np.save(file, part)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        shards.append({"rows": len(part), "features": {"file": file.name, "sha256": digest}})
    manifest = {"format": "jaxal pool", "version": 1, "rows": len(features), "shards": shards}
    manifest |= {"row_shape": features.shape[1:], "dtype": str(features.dtype)}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_rows_come_back(pool):
    assert pool.shape == (23, 3) and pool.dtype == np.float32 and len(pool) == 23
    for start, stop in ((0, 23), (0, 0), (3, 7), (8, 21), (20, 99), (-2, None)):
        np.testing.assert_array_equal(pool[start:stop], FEATURES[start:stop])
    rows = [22, 0, 9, 10, 9, 19, 20]
    np.testing.assert_array_equal(pool[rows], FEATURES[rows])
    np.testing.assert_array_equal(pool.ids([11, 2]), IDS[[11, 2]])
    np.testing.assert_array_equal(pool.ids(slice(8, 12)), IDS[8:12])
    np.testing.assert_array_equal(pool.labels, LABELS)
    pool.check()


@pytest.mark.parametrize("dtype", ["float16", "uint8", jnp.bfloat16])
def test_types_are_kept(dtype, tmp_path):
    features = (FEATURES * 10).astype(dtype)
    pool = pools.create(tmp_path / "pool", features, shard_rows=7)
    assert pool.dtype == features.dtype
    np.testing.assert_array_equal(pool[:], features)
    np.testing.assert_array_equal(pool.ids([4, 2]), [4, 2])
    assert pool.labels is None


def test_a_pool_is_written_from_a_pool(pool, tmp_path):
    again = pools.create(tmp_path / "again", pool, shard_rows=9)
    np.testing.assert_array_equal(again[:], FEATURES)


def test_numpy_alone_writes_one(tmp_path):
    by_numpy(tmp_path / "pool", FEATURES)
    pool = pools.open(tmp_path / "pool")
    pool.check()
    np.testing.assert_array_equal(pool[5:20], FEATURES[5:20])


def test_int8_is_read_with_its_scale(tmp_path):
    folder = tmp_path / "pool"
    stored = np.arange(-6, 6, dtype=np.int8).reshape(4, 3)
    by_numpy(folder, stored)
    scale, offset = [0.5, 1.0, 2.0], [1.0, 0.0, -1.0]
    change(folder, lambda manifest: manifest.update(scale=scale, offset=offset))
    pool = pools.open(folder)
    assert pool.dtype == np.float32
    wanted = np.asarray(offset, np.float32) + np.asarray(scale, np.float32) * stored[[3, 1]]
    np.testing.assert_array_equal(pool[[3, 1]], wanted)


@pytest.mark.skipif(not SMAPS.exists(), reason="says what is in memory, on Linux")
def test_what_is_read_does_not_stay_in_memory(tmp_path):
    features = np.arange(16_000_000 // 4, dtype=np.float32).reshape(-1, 100)
    pool, rows = pools.create(tmp_path / "pool", features), np.arange(0, 40_000, 40)
    np.testing.assert_array_equal(pool[rows[::-1]], features[rows[::-1]])
    np.testing.assert_array_equal(pool[5:39_000], features[5:39_000])
    maps = SMAPS.read_text().split("VmFlags:")
    held = [re.search(r"^Rss: +(\d+) kB", one, re.M) for one in maps if str(tmp_path) in one]
    assert held and sum(int(one[1]) for one in held if one) < 500


def test_what_was_cut_off_goes_on(tmp_path):
    class Cut:
        dtype = FEATURES.dtype
        read = 0

        def __len__(self):
            return len(FEATURES)

        def __getitem__(self, rows):
            Cut.read += 1
            if Cut.read == 2:
                raise KeyboardInterrupt
            return FEATURES[rows]

    folder = tmp_path / "pool"
    with pytest.raises(KeyboardInterrupt):
        pools.create(folder, Cut(), shard_rows=10)
    with pytest.raises(FileNotFoundError, match="expected a pool, but there is no manifest"):
        pools.open(folder)
    with pytest.raises(FileExistsError, match="holds an unfinished pool"):
        pools.create(folder, Cut(), shard_rows=10)
    pool = pools.create(folder, Cut(), shard_rows=10, resume=True)
    assert Cut.read == 4, "the first shard is read once"
    np.testing.assert_array_equal(pool[:], FEATURES)
    assert {path.suffix for path in folder.iterdir()} == {".npy", ".json"}
    assert len([*folder.glob("*.json")]) == 1
    with pytest.raises(FileExistsError, match="holds a pool already"):
        pools.create(folder, FEATURES)


def twice(batch):
    return 2 * batch


def never(batch):
    raise AssertionError("nothing is left to compute")


def test_features_of_an_encoder(tmp_path):
    sizes, done = [], []

    def encoder(batch):
        sizes.append(len(batch))
        return jnp.float32(2) * batch

    options = {"ids": IDS, "labels": LABELS, "batch_size": 4, "shard_rows": 10}
    about = {"name": "twice", "revision": "1"}
    pool = pools.embed(encoder, FEATURES, tmp_path, **options, about=about, advance=done.append)
    np.testing.assert_array_equal(pool[:], 2 * FEATURES)
    np.testing.assert_array_equal(pool.ids(), IDS)
    np.testing.assert_array_equal(pool.labels, LABELS)
    assert pool.manifest.encoder == about
    assert set(sizes) == {4} and sum(done) == 23
    again = pools.embed(never, FEATURES, tmp_path, **options, about=about)
    assert again.manifest == pool.manifest, "all is there, and nothing is computed"
    others = {"about": None}, {"labels": LABELS[::-1]}, {"labels": None}, {"ids": None}
    for other in others:
        with pytest.raises(ValueError, match="holds another pool, of 23 rows by"):
            pools.embed(encoder, FEATURES, tmp_path, **{**options, "about": about, **other})


def test_encoding_goes_on_where_it_was_cut_off(tmp_path):
    calls = []

    def stops(batch):
        calls.append(len(batch))
        if len(calls) == 5:
            raise KeyboardInterrupt
        return twice(batch)

    done = []
    options: dict[str, Any] = {"batch_size": 4, "shard_rows": 10}
    with pytest.raises(KeyboardInterrupt):
        pools.embed(stops, FEATURES, tmp_path, **options)
    with pytest.raises(ValueError, match="holds an unfinished pool whose shard_rows is 10, not 9"):
        pools.embed(twice, FEATURES, tmp_path, batch_size=4, shard_rows=9)
    with pytest.raises(ValueError, match="unfinished pool whose SHA-256 of the labels is None"):
        pools.embed(twice, FEATURES, tmp_path, **options, labels=LABELS)
    calls.clear()
    pool = pools.embed(stops, FEATURES[:, :], tmp_path, **options, advance=done.append)
    assert len(calls) == 4, "3 batches of the second file, 1 of the third"
    assert done[0] == 10 and sum(done) == 23
    np.testing.assert_array_equal(pool[:], 2 * FEATURES)


@bad_inputs(
    {
        "rows that differ": ({"encoder": lambda x: x[:1]}, ValueError, "encoder: expected featu"),
        "NaN": (
            {"encoder": lambda x: np.where(x == FEATURES[7, 1], np.nan, x)},
            ValueError,
            "encoder: expected finite features, got NaN or inf of row 7",
        ),
        "few labels": ({"labels": [0, 1]}, ValueError, "labels: expected 23"),
        "no batch": ({"batch_size": 0}, ValueError, "batch_size: expected an integer >= 1"),
        "no inputs": ({"inputs": {}}, ValueError, "embed inputs: expected at least one array"),
    }
)
def test_encoders_that_are_refused(given, error, message, tmp_path):
    given = {"encoder": twice, "inputs": FEATURES, "batch_size": 5} | given
    with pytest.raises(error, match=message):
        pools.embed(path=tmp_path, **given)


def test_shards_are_written_in_any_order(tmp_path):
    for number in (2, 0):
        write_shard(tmp_path, number, FEATURES[number::3])
    with pytest.raises(ValueError, match="expected 3 shards, but number 1 is not there"):
        finish(tmp_path, 3)
    write_shard(tmp_path, 1, FEATURES[1::3, :2])
    with pytest.raises(ValueError, match="expected shards of one type and shape"):
        finish(tmp_path, 3)
    write_shard(tmp_path, 1, FEATURES[1::3])
    with pytest.raises(ValueError, match="labels: expected 23"):
        finish(tmp_path, 3, labels=LABELS[:9])
    with pytest.raises(TypeError, match="ids: expected an array"):
        write_shard(tmp_path, 1, FEATURES[1::3], ids=IDS[1::3].astype(str))
    pool = finish(tmp_path, 3, encoder={"name": "clip", "revision": "7"})
    np.testing.assert_array_equal(pool[:8], FEATURES[0::3])
    assert pools.open(tmp_path).manifest.encoder == {"name": "clip", "revision": "7"}


def change(folder, edit):
    manifest = json.loads((folder / MANIFEST).read_text())
    edit(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


def test_the_digest_is_of_all_that_is_listed(pool):
    before = pools.open(pool.path).manifest.digest
    assert before == pool.manifest.digest
    change(pool.path, lambda manifest: manifest["shards"][1]["features"].update(sha256="0"))
    assert pools.open(pool.path).manifest.digest != before


def test_an_id_that_comes_twice_is_found(tmp_path):
    for number in range(2):  # each by itself, the shards are right
        write_shard(tmp_path, number, FEATURES[:4], ids=IDS[:4])
    with pytest.raises(ValueError, match="expected ids that differ, got .*image-0.* twice"):
        finish(tmp_path, 2).check()


def flip(path, at=-1):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_damage_is_found_and_named(pool, capsys):
    flip(pool.path / "features-00001.npy")
    pools.open(pool.path)  # a flipped bit is seen by who reads it all
    with pytest.raises(ValueError, match=r"features-00001\.npy: has changed since the manifest"):
        pool.check()
    assert main(["pool", "check", str(pool.path)]) == 2
    assert "features-00001.npy: has changed" in capsys.readouterr().err


SHARD = "features-00001.npy"
DAMAGES = {
    "a file is gone": (lambda f: (f / SHARD).unlink(), r"features-00001\.npy: is in the manifest"),
    "cut short": (
        lambda f: (f / SHARD).write_bytes((f / SHARD).read_bytes()[:-1]),
        r"features-00001\.npy: expected an array",
    ),
    "too long": (
        lambda f: (f / SHARD).write_bytes((f / SHARD).read_bytes() + b"0"),
        r"features-00001\.npy: expected 248 bytes, got 249",
    ),
    "another type": (
        lambda f: np.save(f / SHARD, FEATURES[:10].astype(float)),
        r"features-00001\.npy: expected float32 \(10, 3\), got float64",
    ),
    "other rows": (lambda f: np.save(f / SHARD, FEATURES[:9]), r"expected float32 \(10, 3\), got"),
    "columns first": (
        lambda f: np.save(f / SHARD, np.asfortranarray(FEATURES[:10])),
        "in C order",
    ),
    "ids of floats": (
        lambda f: np.save(f / "ids-00000.npy", np.ones(10)),
        "expected integers or bytes",
    ),
    "labels too few": (
        lambda f: np.save(f / "labels.npy", np.ones(1, np.int32)),
        r"labels\.npy: expect",
    ),
    "no JSON": (lambda f: (f / MANIFEST).write_text("{"), r"manifest\.json: expected JSON"),
}
EDITS = {
    "another format": (lambda m: m.update(format="x"), 'format: expected "jaxal pool"'),
    "a later version": (lambda m: m.update(version=2), "version: expected 1, got 2"),
    "an unknown key": (lambda m: m.update(row=1), "key: 'row' is unknown; did you mean 'rows'"),
    "a dtype": (lambda m: m.update(dtype="float31"), "dtype: 'float31' is unknown"),
    "rows": (lambda m: m.update(rows=24), "rows: expected 23, as the shards have, got 24"),
    "no shards": (lambda m: m.update(shards=[]), "shards: expected a list of at least one"),
    "a row's shape": (lambda m: m.update(row_shape=[0]), "row_shape: expected a list of integ"),
    "scale of floats": (lambda m: m.update(scale=[1.0]), "scale: expected none"),
    "int8 without one": (lambda m: m.update(dtype="int8"), "scale: expected 3 finite numbers"),
    "a path": (
        lambda m: m["shards"][0]["features"].update(file="../x"),
        r"shards\[0\] features: expected the name of a file here",
    ),
    "ids of some": (lambda m: m["shards"][0].pop("ids"), "ids: expected of every shard or of none"),
    "a file twice": (
        lambda m: m["shards"][1].update(features=m["shards"][0]["features"]),
        "shards: expected each file once, got 'features-00000.npy' more often",
    ),
    "a shard's rows": (lambda m: m["shards"][2].update(rows=True), r"shards\[2\] rows: expected"),
    "no features": (lambda m: m["shards"][2].pop("features"), r"shards\[2\] features: expected"),
    "an encoder": (lambda m: m.update(encoder=3), "encoder: expected an object with texts"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_damaged_files(damage, message, pool):
    damage(pool.path)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        pools.open(pool.path)


@pytest.mark.parametrize(("edit", "message"), EDITS.values(), ids=EDITS)
def test_wrong_manifests(edit, message, pool):
    change(pool.path, edit)
    with pytest.raises(ValueError, match=rf"manifest\.json: {message}"):
        pools.open(pool.path)


def spoilt(row):
    features = FEATURES.copy()
    features[row, 1] = np.nan
    return features


@bad_inputs(
    {
        "a list": ({"features": [[1.0]]}, TypeError, "features: expected an array"),
        "int8": ({"features": np.zeros((2, 1), np.int8)}, TypeError, "features: expected bfloat16"),
        "no rows": ({"features": FEATURES[:0]}, ValueError, "features: expected at least one row"),
        "NaN": (
            {"features": spoilt(15)},
            ValueError,
            "features: expected finite numbers, got NaN or inf in row 15 of shard 0",
        ),
        "too large": ({"labels": [2**31] * 23}, ValueError, "labels: expected at most 2147483647"),
        "few labels": ({"labels": [0, 1]}, ValueError, "labels: expected 23"),
        "halves": ({"labels": [0.5] * 23}, TypeError, "labels: expected integers"),
        "below -1": ({"labels": [-2] * 23}, ValueError, "labels: expected at least -1, got -2"),
        "ids of text": ({"ids": IDS.astype(str)}, TypeError, "ids: expected an array"),
        "few ids": ({"ids": IDS[:5]}, ValueError, "ids: expected 23"),
        "an id twice": ({"ids": np.repeat(IDS[:1], 23)}, ValueError, "ids: expected no two alike"),
        "rows of a file": ({"shard_rows": 0}, ValueError, "shard_rows: expected an integer >= 1"),
        "a flag": ({"resume": "no"}, TypeError, "resume: expected"),
    }
)
def test_bad_input(given, error, message, tmp_path):
    with pytest.raises(error, match=message):
        pools.create(tmp_path, **{"features": FEATURES} | given)


@bad_inputs(
    {
        "past the end": ([3, 23], IndexError, "rows: expected 0 to 22, got 23"),
        "negative": ([-1], IndexError, "rows: expected 0 to 22, got -1"),
        "halves": ([0.5], TypeError, "rows: expected integers"),
        "a step": (slice(0, 9, 2), ValueError, "rows: expected a slice with step 1"),
    }
)
def test_rows_that_are_none(given, error, message, pool, tmp_path):
    no_ids = pools.create(tmp_path / "no ids", FEATURES)
    for read in (pool.__getitem__, pool.ids, no_ids.ids):
        with pytest.raises(error, match=message):
            read(given)


def test_the_commands(pool, capsys):
    assert main(["pool", "info", str(pool.path)]) == 0
    facts = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert facts["rows"] == "23" and facts["type"] == "float32" and facts["files"] == "7"
    assert facts["labels"] == "17 known" and facts["SHA-256"] == pool.manifest.digest
    assert main(["pool", "check", str(pool.path)]) == 0
    out, err = capsys.readouterr()
    assert out == "all 7 files are as the manifest says\n" and "labels.npy" in err
    assert main(["pool", "info", str(pool.path / "none")]) == 2


def test_a_file_that_is_cut_while_it_is_open_is_named(tmp_path):
    pool = pools.create(tmp_path / "pool", np.ones((100, 8), np.float32), shard_rows=60)
    np.testing.assert_array_equal(pool[50:70], np.ones((20, 8), np.float32))
    file = tmp_path / "pool" / "features-00001.npy"
    with open(file, "r+b") as opened:
        opened.truncate(file.stat().st_size - 4)
    assert pool[60:99].shape == (39, 8)
    with pytest.raises(OSError, match="features-00001.npy: ends before row 39"):
        pool[70:]
