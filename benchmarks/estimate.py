"""What `jaxal.estimate` says beside what is measured, for strategies and sizes of pools.

By processor time, so that a machine may be shared: `taskset -c 0 python benchmarks/estimate.py`.
"""

import collections
import time
from typing import Any

import common
import jax
import jax.numpy as jnp
import numpy as np

import jaxal
from jaxal import costs, strategies

CLASSES = 10
SMALL, MIDDLE, LARGE = (2_000, 32, 20), (10_000, 64, 100), (40_000, 128, 200)
LONG = (100_000, 32, 1_000)
FEW = (4_000, 16, 50)
CELLS = {
    "random": (MIDDLE, LARGE, LONG),
    "entropy": (SMALL, MIDDLE, LARGE, LONG),
    "margin": (MIDDLE, LARGE, LONG),
    "margin_dropout": (MIDDLE, LARGE),
    "bald": (SMALL, MIDDLE, LARGE),
    "core_set": (SMALL, MIDDLE, LARGE, LONG, (20_000, 512, 1_000)),
    "badge": (SMALL, MIDDLE, LARGE, LONG, (20_000, 512, 1_000)),
    "k_means": (SMALL, MIDDLE, (20_000, 64, 100)),
    "submodular": (SMALL, MIDDLE, (16_000, 128, 200), LARGE),
    "fass": (SMALL, MIDDLE, LARGE, LONG),
    "smi": (SMALL, MIDDLE, LARGE),
    "scg": (SMALL, MIDDLE),
    "glister": (SMALL, MIDDLE, LARGE),
    "grad_match": (SMALL, MIDDLE, LARGE),
    "epig": (SMALL, MIDDLE),
    "batch_bald": (SMALL, FEW),
    "adversarial_bim": (SMALL, MIDDLE),
    "variation_ratio": (MIDDLE, LARGE),
    "alfa_mix": (SMALL, MIDDLE),
    "bait": (SMALL, MIDDLE),
    "cluster_margin": (SMALL, MIDDLE),
    "drop_query": (SMALL, MIDDLE),
    "gist": (SMALL, MIDDLE),
    "lcmd": (SMALL, MIDDLE),
    "max_herding": (SMALL, MIDDLE),
    "prob_cover": (SMALL, MIDDLE),
    "typi_clust": (SMALL, MIDDLE),
}


def data(rows, features, budget):
    """Wide clusters, of which `budget` rows are labelled."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, rows).astype(np.int32)
    centers = rng.normal(size=(CLASSES, features))
    inputs = (centers[labels] + rng.normal(size=(rows, features))).astype(np.float32)
    known = np.arange(rows) < budget
    return jnp.asarray(inputs), jnp.asarray(np.where(known, labels, -1)), jnp.asarray(~known)


def made(name):
    joint = jaxal.posterior.mc_dropout(5, consistent=True)
    options: dict[str, dict[str, Any]] = {"epig": {"posterior": joint}}
    options["batch_bald"] = {"posterior": joint, "num_samples": 100}
    return strategies.make(name, **options.get(name, {}))


def least_seconds(program, *args):
    """Processor time of the shortest of some runs."""
    seconds = []
    while len(seconds) < 4 and sum(seconds) < 2.0:
        start = time.process_time()
        jax.block_until_ready(program(*args))
        seconds.append(time.process_time() - start)
    return min(seconds)


def case(name, machine, rows, features, budget):
    program = costs.lower(made(name), rows, features, budget, classes=CLASSES).compile()
    sizes = {"rows": rows, "budget": budget, "labeled": budget}
    expected = costs.of_program(program, machine, **sizes)
    model = jaxal.models.linear(CLASSES, dropout=0.3)
    inputs, labels, available = data(rows, features, budget)
    variables = model.init(jax.random.key(0), inputs[:2])
    seconds = least_seconds(program, jax.random.key(1), variables, inputs, labels, available)
    return sizes | {
        "features": features,
        "predicted": expected.seconds,
        "measured": seconds,
        "ratio": expected.seconds / seconds,
        "bytes": expected.bytes,
        "steps": expected.steps,
    }


def main():
    options = common.arguments(__doc__, only="")
    machine = costs.measure(time.process_time)
    cases = {}
    for name, sizes in CELLS.items():
        if options.only and name not in options.only.split(","):
            continue
        for size in sizes:
            title = f"{name} {size[0]} x {size[1]}, {size[2]} picks"
            cases[title] = found = case(name, machine, *size)
            print(f"{found['ratio']:6.2f}  {found['measured']:8.4f} s  {title}", flush=True)
    within = [0.5 <= one["ratio"] <= 2.0 for one in cases.values()]
    share = collections.Counter(within)[True] / len(within)
    summary = {"machine": machine._asdict(), "cells": len(within), "within_a_factor_of_2": share}
    common.write("estimate", options.out, {"summary": summary} | cases)


if __name__ == "__main__":
    main()
