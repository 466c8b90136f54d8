"""How decisions grow: processor time and memory against rows, features, classes, budget and seeds.

Each axis is grown alone, by doublings from half a middle cell to eight times it. Against devices
the memory of one of them is read from programs that are compiled for 1 to 8, here virtual, and
not run. Seeds are decisions of that many experiments in one program. A process a core is started.

    python benchmarks/growth.py                       # some minutes; `taskset -c 1` for one core
    python benchmarks/growth.py --strategies badge,bait --out FOLDER

Strategies that are not asked for stay as they are stored. The picture and the tables of
`docs/guide/growth.md` are written by `growth_page.py`.
"""

import concurrent.futures
import datetime
import json
import multiprocessing
import os
import pathlib
import platform
import statistics
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import common
import growth_page
import jax
import jax.numpy as jnp
import numpy as np

import jaxal
from jaxal import models, posterior, strategies
from jaxal.accelerators import Decision
from jaxal.accelerators.compiled import compile_for

LINEAR = {"rows": 32_000, "features": 64, "classes": 8, "budget": 32, "seeds": 1, "devices": 1}
SQUARE = LINEAR | {"rows": 2_000}  # of what may look at all pairs of rows, or at many draws
MIDDLE = {
    "margin": LINEAR,
    "bald": LINEAR,
    "core_set": LINEAR,
    "badge": LINEAR,
    "glister": LINEAR,
    "lcmd": LINEAR,
    "submodular": SQUARE,
    "max_herding": SQUARE,
    "k_means": SQUARE,
    "typi_clust": SQUARE,
    "batch_bald": SQUARE,
}
DOUBLINGS = {
    "rows": range(-1, 4),
    "features": range(-1, 4),
    "classes": range(-1, 4),
    "budget": range(-1, 4),
    "seeds": range(4),
    "devices": range(4),
}
LABELED, GROUPS, DROPOUT = 100, 100, 0.3
LEAST, RUNS = 0.2, 20  # seconds of runs that are enough, and how many are


class Cell(NamedTuple):
    """A decision: the sizes are those of `LINEAR`, in this order."""

    strategy: str
    sizes: dict[str, int]


def options(name: str) -> dict[str, Any]:
    """Batch-BALD needs draws that are models, and by default keeps 10,000 outcomes."""
    if name != "batch_bald":
        return {}
    return {"posterior": posterior.mc_dropout(5, consistent=True), "num_samples": 100}


def decision(cell: Cell) -> tuple[Any, tuple]:
    """A function and its arguments: picks from clusters, of which `LABELED` rows are labelled."""
    rows, features, classes, budget, seeds, _ = cell.sizes.values()
    strategy = strategies.make(cell.strategy, **options(cell.strategy))
    model = models.linear(classes, dropout=DROPOUT)
    rng = np.random.default_rng(0)
    centers = 2 * rng.normal(size=(GROUPS, features))
    inputs = centers[rng.integers(0, GROUPS, rows)] + rng.normal(size=(rows, features))
    inputs = jnp.asarray(inputs, jnp.float32)
    available = jnp.arange(rows) >= LABELED
    labels = jnp.where(available, -1, jnp.asarray(rng.integers(0, classes, rows)))

    def decide(key, variables, labels, available, inputs):
        given = {"labels": labels} if strategy.reads_labels else {}
        found = jaxal.acquire(
            key, strategy, model, variables, inputs, budget, available=available, **given
        )
        return found.rows

    keys = jax.random.split(jax.random.key(0), seeds)
    variables = jax.vmap(lambda key: model.init(key, inputs[:2]))(keys)
    many = keys, variables, jnp.tile(labels, (seeds, 1)), jnp.tile(available, (seeds, 1))
    if seeds > 1:
        return jax.vmap(decide, (0, 0, 0, 0, None)), (*many, inputs)
    return decide, (*jax.tree.map(lambda one: one[0], many), inputs)


def timed(cell: Cell) -> dict[str, Any]:
    """Processor seconds of warm runs, and bytes, of one cell."""
    function, arguments = decision(cell)
    start = time.process_time()
    program = jax.jit(function).lower(*arguments).compile()
    compiling = time.process_time() - start
    jax.block_until_ready(program(*arguments))
    seconds: list[float] = []
    while len(seconds) < 3 or (sum(seconds) < LEAST and len(seconds) < RUNS):
        start = time.process_time()
        jax.block_until_ready(program(*arguments))
        seconds.append(time.process_time() - start)
    memory: Any = program.memory_analysis()
    return {
        "processor_seconds": min(seconds),
        "median_processor_seconds": statistics.median(seconds),
        "runs": len(seconds),
        "compile_processor_seconds": compiling,
        "temporary_bytes": memory.temp_size_in_bytes,
        "argument_bytes": memory.argument_size_in_bytes,
        "result_bytes": memory.output_size_in_bytes,
    }


def shared(cell: Cell) -> dict[str, Any]:
    """Bytes of one of the devices that share the rows; nothing is run."""
    rows, features, classes, budget, _, devices = cell.sizes.values()
    asked = Decision(cell.strategy, rows, features, budget, classes, options=options(cell.strategy))
    found = compile_for(jax.devices()[:devices], asked)
    return {
        "temporary_bytes": found.temporaries,
        "argument_bytes": found.arguments,
        "result_bytes": found.results,
    }


def pin(cores: Any) -> None:
    """Gives a process a core of its own, before JAX makes its threads."""
    os.sched_setaffinity(0, {cores.get()})


def measured(function: Any, cells: Sequence[Cell], cores: Sequence[int]) -> list[dict[str, Any]]:
    """What the function says of each cell, by a process a core."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    for core in cores:
        queue.put(core)
    with concurrent.futures.ProcessPoolExecutor(len(cores), context, pin, (queue,)) as processes:
        found = []
        for cell, one in zip(cells, processes.map(function, cells), strict=True):
            print(cell.strategy, *cell.sizes.values(), one, flush=True)
            found.append(one)
        return found


def middle(name: str, shift: int) -> dict[str, int]:
    """The middle cell of a strategy, `shift` doublings of the rows aside."""
    sizes = MIDDLE.get(name, SQUARE)
    return sizes | {"rows": int(sizes["rows"] * 2.0**shift)}


def cells_of(name: str, axes: Sequence[str], shift: int) -> list[tuple[str, Cell]]:
    """The cells of some axes, in order of size, each with its axis."""
    sizes = middle(name, shift)
    return [
        (axis, Cell(name, sizes | {axis: int(sizes[axis] * 2.0**doubling)}))
        for axis in axes
        for doubling in DOUBLINGS[axis]
    ]


def grown(names: Sequence[str], cores: Sequence[int], shift: int = 0) -> dict[str, Any]:
    """{strategy: {axis: what was measured at each size}}; a middle cell is measured once."""
    *axes, devices = DOUBLINGS
    cases: dict[str, Any] = {name: {axis: [] for axis in DOUBLINGS} for name in names}

    def add(function: Any, some: Sequence[str]) -> None:
        wanted = [one for name in names for one in cells_of(name, some, shift)]
        each = {str(cell): cell for _, cell in wanted}
        found = dict(zip(each, measured(function, [*each.values()], cores), strict=True))
        for axis, cell in wanted:
            cases[cell.strategy][axis].append({"at": cell.sizes[axis]} | found[str(cell)])

    os.environ["JAX_NUM_CPU_DEVICES"] = "8"
    add(shared, [devices])
    os.environ["JAX_NUM_CPU_DEVICES"] = "1"
    add(timed, axes)
    return cases


def machine(cores: Sequence[int], before: Sequence[float], seconds: float) -> dict[str, Any]:
    """The processor, the cores that were used of it, and what else it did meanwhile."""
    info = pathlib.Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return {
        "processor": next(named, platform.processor()),
        "ended": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "used": list(cores),
        "load_before": list(before),
        "load_after": list(os.getloadavg()),
        "seconds": seconds,
    }


def stored(folder: pathlib.Path) -> dict[str, Any]:
    """What the folder has of other strategies, which stay as they are."""
    path = folder / "growth-cpu.json"
    return json.loads(path.read_text())["cases"] if path.exists() else {}


def main() -> None:
    given = common.arguments(__doc__, strategies=",".join(MIDDLE), shift=0)
    names = strategies.names() if given.strategies == "all" else given.strategies.split(",")
    cores, before, start = sorted(os.sched_getaffinity(0)), os.getloadavg(), time.perf_counter()
    cells = grown(names, cores, given.shift)
    facts = machine(cores, before, time.perf_counter() - start)
    own = {
        "machine": dict.fromkeys(names, facts),
        "middle": {name: middle(name, given.shift) for name in names},
        "exponents": growth_page.exponents(cells),
        "cells": cells,
    }
    cases, kept = {}, stored(given.out)
    for part, values in own.items():
        both = kept.get(part, {}) | values
        order = [*MIDDLE, *(name for name in both if name not in MIDDLE)]
        cases[part] = {name: both[name] for name in order if name in both}
    common.write("growth", given.out, cases)
    growth_page.draw(cases["cells"], given.out / "growth.png")
    if given.out == common.RESULTS:
        growth_page.write()


if __name__ == "__main__":
    main()
