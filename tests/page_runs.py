"""Folders of runs as the page reads them, made without training."""

import base64
import json
import math
import re
import zlib

import numpy as np

from jaxal.experiment import Record, Seconds, Writer, load, to_toml

ROOT = __file__.rsplit("/", 2)[0]
ROUNDS, BUDGET, INITIAL = 3, 4, 6


def records(strategies, rows, *, seeds=2, classes=10, gain=0.0, regression=False):
    """Rounds of strategies that pick at random; the later ones are better by `gain` each."""
    made = []
    for number, strategy in enumerate(strategies):
        for seed in range(seeds):
            drawn = np.random.default_rng((number, seed)).permutation(rows).tolist()
            for round in range(ROUNDS + 1):
                start = INITIAL + BUDGET * round
                accuracy = 0.5 + 0.1 * round + gain * number + 0.01 * seed * (1 + number)
                made.append(
                    Record(
                        strategy,
                        seed=seed,
                        round=round,
                        labels=start,
                        rows=drawn[start : start + BUDGET] if round < ROUNDS else [],
                        train_accuracy=1.0,
                        train_loss=0.1,
                        test_accuracy=math.nan if regression else accuracy,
                        test_loss=1 - accuracy,
                        epochs=5,
                        seconds=Seconds(0.5, 0.1, 0.2),
                        class_accuracy=[] if regression else [accuracy] * classes,
                        test_rmse=1.5 - accuracy if regression else None,
                        test_mae=1.2 - accuracy if regression else None,
                        initial=drawn[:INITIAL] if round == 0 else None,
                    )
                )
    return made


def folder_of_run(folder, own, *overrides, config="digits", provenance=None):
    """A folder with the settings of a config and these records."""
    folder.mkdir()
    settings = load(f"{ROOT}/configs/{config}.toml", overrides)
    (folder / "config.toml").write_text(to_toml(settings, provenance or {}))
    with Writer(folder / "history.jsonl") as writer:
        writer.write(*own)
    return folder


def read(path):
    """What a page holds: its JSON, and a function that unpacks an array."""
    text = path.read_text(encoding="utf-8")
    [found] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text)

    def content(reference):
        mark = f'id="array-{reference["array"]}">'
        return base64.b64decode(text.split(mark)[1].split("</script>")[0])

    def array(reference):
        flat = np.frombuffer(zlib.decompress(content(reference)), reference["dtype"])
        return flat.reshape(reference["shape"])

    return text, json.loads(found), array, content
