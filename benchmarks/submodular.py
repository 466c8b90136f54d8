"""Greedy maximisation of set functions: time and objective.

Beside submodlib and apricot where they are installed, in the same run, the time for their kernel
included. `--mnist FILE.npz` takes `train_images` in place of clusters, as 128 random ReLU features.
How facility location grows with the pool: `benchmarks/facility_location.py`.
"""

import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec

import common
import jax.numpy as jnp
import numpy as np

from jaxal import submodular

WIDTH, QUERIES = 128, 50


def points(rows, mnist, seed=0, width=WIDTH):
    """Rows of 50 wide clusters, or ReLU features of digits; float32 [rows, width]."""
    rng = np.random.default_rng(seed)
    if not mnist:
        centers = np.random.default_rng(1).normal(size=(50, width))
        near = 0.7 * rng.normal(size=(rows, width))
        return (centers[rng.integers(0, 50, rows)] + near).astype(np.float32)
    with np.load(mnist) as file:
        images = file["train_images"]
    images = images[rng.permutation(len(images))[:rows]].reshape(rows, -1) / 255
    weights = np.random.default_rng(1).normal(size=(images.shape[1], width))
    return np.maximum(images @ weights, 0).astype(np.float32)


def case(name, rows, picks, mnist, others=(), **examples):
    """One function, beside the packages that have it."""
    x = points(rows, mnist)

    def run(x, examples):
        function = submodular.make(name, x, **examples)
        return submodular.maximize(function, jnp.ones(rows, bool), picks)

    picked, report = common.measure(run, jnp.asarray(x), examples, repeats=3)
    report |= {"rows": rows, "picks": picks, "objective": float(picked.scores.sum())}
    for package, theirs in OTHERS.items():
        if package in others and find_spec(package.split()[0]):
            start = time.perf_counter()
            objective = theirs(name, x, picks)
            seconds = time.perf_counter() - start
            ratio = seconds / report["seconds"]
            report[package] = {
                "seconds": seconds,
                "objective": objective,
                "ratio": ratio,
            }
    return report


def submodlib(optimizer, name, x, picks):
    functions = import_module("submodlib")
    options = {"n": len(x), "mode": "dense", "data": x, "metric": "cosine"}
    if name == "facility_location":
        function = functions.FacilityLocationFunction(**options)
    else:
        function = functions.LogDeterminantFunction(**options, lambdaVal=1.0)
    picked = function.maximize(budget=picks, optimizer=optimizer, show_progress=False)
    return sum(gain for _, gain in picked)


def apricot(name, x, picks):
    """Facility location of a kernel given: its own cosine is another."""
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    selector = import_module("apricot").FacilityLocationSelection(
        picks, metric="precomputed", optimizer="lazy"
    )
    return sum(selector.fit(np.maximum(unit @ unit.T, 0)).gains)


OTHERS: dict[str, Callable[..., float]] = {
    "submodlib naive": partial(submodlib, "NaiveGreedy"),
    "submodlib lazy": partial(submodlib, "LazyGreedy"),
    "apricot": apricot,
}


def main():
    options = common.arguments(__doc__, rows=10_000, mnist="")
    mnist = options.mnist
    cases = {}
    query = jnp.asarray(points(QUERIES, mnist, seed=2))
    for name, rows, picks, others, examples in (
        ("facility_location", 2_000, 100, list(OTHERS), {}),
        ("facility_location", options.rows, 300, ["submodlib lazy", "apricot"], {}),
        ("log_determinant", 2_000, 100, ["submodlib lazy"], {}),
        ("log_determinant", options.rows, 300, [], {}),
        ("fl2mi", options.rows, 300, [], {"query": query}),
        ("logdetmi", options.rows, 300, [], {"query": query}),
    ):
        title = f"{name} {rows} x {WIDTH}, {picks} picks, beside others"
        cases[title] = case(name, rows, picks, mnist, others, **examples)
    common.write("submodular", options.out, cases)


if __name__ == "__main__":
    main()
