"""Greedy maximisation of set functions: time, objective and memory as the pool grows.

Beside submodlib and apricot where they are installed, in the same run, the time for their kernel
included. `--mnist FILE.npz` takes `train_images` in place of clusters, as 128 random ReLU features.
"""

import multiprocessing
import pathlib
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec

import common
import jax
import jax.numpy as jnp
import numpy as np

from jaxal import submodular
from jaxal.submodular.costs import make_knapsack
from jaxal.submodular.optimizers import block_lazy
from jaxal.submodular.representation import SAMPLED

WIDTH, QUERIES, BLOCK_SIZE = 128, 50, 256


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


def of_one_process(name, rows, width, picks, mnist, options):
    """A function, run once in a process of its own, for the memory that it needs at most."""
    x = jnp.asarray(points(rows, mnist, width=width))

    def run(x):
        function = submodular.make(name, x, **options)
        free = make_knapsack(rows, None, None, True)
        return block_lazy(function, jnp.ones(rows, bool), picks, free, BLOCK_SIZE)

    start = time.perf_counter()
    compiled = jax.jit(run).lower(x).compile()
    compile_seconds = time.perf_counter() - start
    start, cpu = time.perf_counter(), time.process_time()
    selection, computed = jax.block_until_ready(compiled(x))
    memory = compiled.memory_analysis()
    return {
        "rows": rows,
        "picks": picks,
        "compile_seconds": compile_seconds,
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
        "gains_computed_a_row": float(computed) / rows,
        "objective": covered(np.asarray(x), np.asarray(selection.rows)),
        "distinct": len(set(selection.rows.tolist())) == picks,
        "temporary_bytes": None if memory is None else memory.temp_size_in_bytes,
        "peak_resident_bytes": peak_resident(),
        "bytes_of_a_kernel_matrix": 4 * rows**2,
    }


def covered(x, rows, block=10_000):
    """Facility location of a set, over all rows."""
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    parts = (unit[start : start + block] @ unit[rows].T for start in range(0, len(x), block))
    return sum(float(np.maximum(part.max(1), 0).sum(dtype=float)) for part in parts)


def peak_resident():
    """Of this process; `getrusage` would count what its parent held when it was forked."""
    status = pathlib.Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((1024 * int(s.split()[1]) for s in lines if s.startswith("VmHWM")), None)


def growth(sizes, mnist):
    context = multiprocessing.get_context("spawn")
    reports = {}
    for name, rows, width, picks, options in sizes:
        said = "".join(f", {option} {value}" for option, value in options.items())
        title = f"{name} {rows} x {width}, {picks} picks{said}"
        with context.Pool(1) as process:
            report = process.apply(of_one_process, (name, rows, width, picks, mnist, options))
        reports[title] = report
        print(title, report, flush=True)
    return reports


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
    options = common.arguments(__doc__, rows=10_000, largest=100_000, mnist="")
    mnist = options.mnist
    dense, sparse = "facility_location", "sparse_facility_location"
    sizes = [
        (dense, 1_000, WIDTH, 100, {}),
        (dense, options.rows, WIDTH, 300, {"targets": "all"}),
        (dense, options.rows, WIDTH, 300, {"targets": SAMPLED}),
        (sparse, options.rows, WIDTH, 300, {}),
        (dense, options.largest, WIDTH, 1_000, {"targets": "all"}),  # five minutes
        (dense, options.largest, WIDTH, 1_000, {}),
        (sparse, options.largest, WIDTH, 1_000, {}),
        (dense, 10 * options.largest, 64, 1_000, {}),
    ]
    cases = growth(sizes, mnist)
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
