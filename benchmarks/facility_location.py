"""Facility location as the pool grows, by all rows, a sample, or lists of neighbours.

Each case runs once, in a process of its own, for the memory that it needs at most. Its objective is
summed over all rows, whatever the function sums over. All rows of 100,000 take five minutes.
"""

import multiprocessing
import pathlib
import time

import common
import jax
import jax.numpy as jnp
import numpy as np

from jaxal import submodular
from jaxal.submodular.costs import make_knapsack
from jaxal.submodular.optimizers import block_lazy

BLOCK_SIZE, WIDTH = 256, 128
FORMS = {
    "all rows": ("facility_location", {"targets": "all"}),
    "a sample": ("facility_location", {"targets": 8_192}),  # the default above 16,384 rows
    "64 neighbours": ("sparse_facility_location", {"num_neighbours": 64}),
}
SIZES = [
    (1_000, WIDTH, 100, ["all rows"]),
    (10_000, WIDTH, 300, ["all rows", "a sample", "64 neighbours"]),
    (1_000_000, 64, 1_000, ["a sample"]),
    (100_000, WIDTH, 1_000, ["a sample", "64 neighbours", "all rows"]),
]


def points(rows, width):
    """Rows of 50 wide clusters, float32 [rows, width]."""
    rng = np.random.default_rng(0)
    centers = np.random.default_rng(1).normal(size=(50, width))
    near = 0.7 * rng.normal(size=(rows, width))
    return (centers[rng.integers(0, 50, rows)] + near).astype(np.float32)


def run(form, rows, width, picks):
    """One case."""
    name, options = FORMS[form]
    x = jnp.asarray(points(rows, width))

    def select(x):
        function = submodular.make(name, x, **options)
        free = make_knapsack(rows, None, None, True)
        return block_lazy(function, jnp.ones(rows, bool), picks, free, BLOCK_SIZE)

    start = time.perf_counter()
    compiled = jax.jit(select).lower(x).compile()
    compile_seconds = time.perf_counter() - start
    start, cpu = time.perf_counter(), time.process_time()
    selection, computed = jax.block_until_ready(compiled(x))
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    memory = compiled.memory_analysis()
    return {
        "rows": rows,
        "picks": picks,
        "compile_seconds": compile_seconds,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "gains_computed_a_row": float(computed) / rows,
        "temporary_bytes": None if memory is None else memory.temp_size_in_bytes,
        "peak_resident_bytes": peak_resident(),
        "bytes_of_a_kernel_matrix": 4 * rows * rows,
        "objective": covered(np.asarray(x), np.asarray(selection.rows)),
        "distinct": len(set(selection.rows.tolist())) == picks,
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
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), None)


def main():
    options = common.arguments(__doc__, largest=1_000_000)
    context = multiprocessing.get_context("spawn")
    cases = {}
    for rows, width, picks, forms in SIZES:
        for form in forms if rows <= options.largest else ():
            with context.Pool(1) as process:
                report = process.apply(run, (form, rows, width, picks))
            title = f"{rows} x {width}, {picks} picks, {form}"
            cases[title] = report
            print(title, report, flush=True)
        exact = cases.get(f"{rows} x {width}, {picks} picks, all rows")
        if exact is not None:
            for form in forms:
                case = cases[f"{rows} x {width}, {picks} picks, {form}"]
                case["share_of_exact"] = case["objective"] / exact["objective"]
    common.write("facility_location", options.out, cases)


if __name__ == "__main__":
    main()
