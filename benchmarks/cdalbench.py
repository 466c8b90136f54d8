"""The two synthetic sets of CDALBench, as published and as measured here: area by strategy.

`benchmarks/sweeps/honeypot.toml` and `diverging_sine.toml` have the settings, which are those that
the published runs name: a perceptron whose first hidden layer is doubled, NAdam at 0.001, one label
a round for 60 rounds, 50 runs with data of their own; the figure is the mean of the test accuracies
after the first fit and each round. BALD has a dropout of 0.3. What is called a fit from scratch
there goes on from the weights before, as the curves of its losses show, so that it does here.

It differs in this: their fits end once 50 epochs have not lowered the loss on held-out rows, ours
never; they leave out the last minibatch if it is not full, and keep the state of the optimizer; the
first fit has 50 epochs there and 100 here; weights are drawn otherwise; TypiClust has clusters of
inputs there, of features here.

Published: Werner et al., "A cross-domain benchmark for active learning", arXiv 2408.00426, results
of the repository at 9180529 (`results/auc_qs1.csv`), settings of its runs at e4cfe86. The paper's
names are Honeypot and Diverging Sine, the repository's ThreeClust and DivergingSin.
"""

import json
import pathlib
import tempfile
import time
from typing import Any

import common
import numpy as np
import published

from jaxal import experiment

SWEEPS = pathlib.Path(__file__).parent / "sweeps"
RUNS = 50
PUBLISHED = {  # mean and standard deviation of the area, by our name of the strategy
    "honeypot": {
        "random": (0.721, 0.036),
        "margin": (0.704, 0.074),
        "core_set": (0.730, 0.031),
        "typi_clust": (0.727, 0.033),
        "badge": (0.690, 0.083),
        "bald": (0.698, 0.043),
    },
    "diverging_sine": {
        "random": (0.933, 0.017),
        "margin": (0.941, 0.018),
        "core_set": (0.937, 0.014),
        "typi_clust": (0.934, 0.018),
        "badge": (0.941, 0.017),
        "bald": (0.928, 0.014),
    },
}
DROPOUT = "model.dropout=0.3"  # of BALD


def areas(records: list) -> dict[str, np.ndarray]:
    """The mean accuracy over the rounds of each run, by strategy."""
    found: dict[str, dict[int, list[float]]] = {}
    for one in records:
        found.setdefault(one.strategy, {}).setdefault(one.seed, []).append(one.test_accuracy)
    return {name: np.mean(list(runs.values()), axis=1) for name, runs in found.items()}


def measured(name: str, strategies: list[str], changed: list[str]) -> dict[str, np.ndarray]:
    """The areas of one sweep of a set."""
    names = "strategy.names=" + ",".join(strategies)
    grid = experiment.load_grid(SWEEPS / f"{name}.toml", [names, *changed])
    with tempfile.TemporaryDirectory() as folder:
        out = experiment.Sweep(grid).run(pathlib.Path(folder) / "sweep")
        return areas(experiment.read(out / grid.cells[0].name / "history.jsonl"))


def all_areas(name: str, strategies: list[str], runs: int) -> dict[str, np.ndarray]:
    """The areas of strategies; BALD with dropout, the others without."""
    plain, found = [each for each in strategies if each != "bald"], {}
    seeds = f"seeds={runs}"
    if plain:
        found = measured(name, plain, [seeds])
    if "bald" in strategies:
        found |= measured(name, ["bald"], [seeds, DROPOUT])
    return found


def stored(folder: pathlib.Path, name: str) -> dict[str, Any]:
    """The strategies that are in the results already."""
    path = folder / f"cdalbench-{name}-cpu.json"
    return json.loads(path.read_text())["cases"] if path.exists() else {}


def main():
    names = ",".join(PUBLISHED["honeypot"])
    options = common.arguments(__doc__, sets=",".join(PUBLISHED), strategies=names, runs=RUNS)
    for name in options.sets.split(","):
        start = time.process_time()
        cases = stored(options.out, name)
        found_all = all_areas(name, options.strategies.split(","), options.runs)
        for strategy, found in found_all.items():
            ours = float(found.mean()), float(found.std()), options.runs
            cases[strategy] = published.compared(ours, (*PUBLISHED[name][strategy], RUNS))
        print(f"{name}: {time.process_time() - start:.0f} s of processor time")
        common.write(f"cdalbench-{name}", options.out, cases)


if __name__ == "__main__":
    main()
