"""Every strategy's decision: seconds to trace, compile and run, and memory, at one size.

    python benchmarks/strategies.py
    python benchmarks/strategies.py --rows 1000000 --features 512 --budget 1000 --threads 8

Where the default device is an accelerator, each decision is also made on the processor, over
`--check` rows, and the picks are compared: other picks come of rounding alone, or of a defect.
`--threads` compile side by side; runs are timed afterwards, one at a time.
"""

import argparse
import concurrent.futures
import functools
import statistics
import time
from typing import Any

import common
import jax
import jax.numpy as jnp
import numpy as np

import jaxal
from jaxal import strategies
from jaxal.loop._acquire import acquire_unchecked
from jaxal.pools import place

CLASSES, LABELED, EXAMPLES = 10, 100, 8
SETS = {"smi": ["query"], "scg": ["private"], "scmi": ["query", "private"]}
SLOW = 1.0  # seconds: what takes longer runs twice


@functools.cache
def setting(rows: int, features: int, hidden: int, device: Any) -> tuple:
    """A model, and its variables, a pool in clusters and a few examples on a device."""
    rng = np.random.default_rng(0)
    centers = 2 * rng.normal(size=(100, features))
    labels = rng.integers(0, CLASSES, rows).astype(np.int32)
    inputs = centers[rng.integers(0, 100, rows)] + rng.normal(size=(rows, features))
    model = jaxal.models.mlp(CLASSES, hidden=(hidden,), dropout=0.3)
    with jax.default_device(jax.devices("cpu")[0]):  # equal on all devices
        variables = model.init(jax.random.key(0), jnp.zeros((1, features)))
    labels[LABELED:] = -1
    some = inputs[:EXAMPLES].astype(np.float32), np.arange(EXAMPLES, dtype=np.int32)
    arrays = variables, place(inputs.astype(np.float32), labels), some
    return model, *jax.device_put(arrays, device)


def lower(name: str, options: argparse.Namespace, rows: int, device: Any) -> tuple:
    """A traced decision, its arguments, and the seconds that tracing took."""
    size = rows, options.features, options.hidden
    model, variables, pool, some = setting(*size, device)
    sets = jaxal.ExampleSets(**dict.fromkeys(SETS.get(name, []), some))
    key = jax.device_put(jax.random.key(1), device)
    start = time.perf_counter()
    decide = jax.jit(acquire_unchecked, static_argnums=(1, 2, 6))
    traced = decide.lower(
        key, strategies.make(name), model, variables, pool, pool.labels < 0, options.budget, sets
    )
    seconds = time.perf_counter() - start
    return traced, (key, variables, pool, pool.labels < 0, sets), seconds


def compiled(traced: Any) -> tuple[Any, float]:
    start = time.perf_counter()
    return traced.compile(), time.perf_counter() - start


def timed(program: Any, arguments: tuple) -> dict[str, Any]:
    """Seconds of warm runs, of which the first is not one, and bytes."""
    walls, processor = [], []
    while len(walls) < (6 if not walls or walls[0] < SLOW else 3):
        start, spent = time.perf_counter(), time.process_time()
        jax.block_until_ready(program(*arguments))
        walls.append(time.perf_counter() - start)
        processor.append(time.process_time() - spent)
    memory = program.memory_analysis()
    return {
        "seconds": statistics.median(walls[1:]),
        "seconds_least": min(walls[1:]),
        "processor_seconds": statistics.median(processor[1:]),
        "temporary_bytes": memory.temp_size_in_bytes,
        "argument_bytes": memory.argument_size_in_bytes,
    }


def alike(program: Any, arguments: tuple, other: Any, others: tuple) -> dict[str, int]:
    """How many picks of two devices are the same, in order and as sets."""
    ours, theirs = np.asarray(program(*arguments).rows), np.asarray(other(*others).rows)
    return {
        "picks": len(ours),
        "equal_in_order": int((ours == theirs).sum()),
        "in_common": len({*ours.tolist()} & {*theirs.tolist()}),
    }


def main() -> None:
    options = common.arguments(
        __doc__,
        rows=20_000,
        features=128,
        hidden=128,
        budget=100,
        strategies="",
        threads=1,
        check=2_000,
    )
    device, host = jax.devices()[0], jax.devices("cpu")[0]
    names = options.strategies.split(",") if options.strategies else strategies.names()
    with_host = options.check > 0 and device != host
    asked = {"timed": (options.rows, device)}
    if with_host:
        asked |= {"checked": (options.check, device), "host": (options.check, host)}
    cases = {}
    with concurrent.futures.ThreadPoolExecutor(options.threads) as threads:
        lowered, programs = {}, {}
        for name in names:  # tracing is Python, and one at a time; compiling is not
            lowered[name] = {kind: lower(name, options, *where) for kind, where in asked.items()}
            programs[name] = {
                kind: threads.submit(compiled, traced)
                for kind, (traced, _, _) in lowered[name].items()
            }
        for name in names:
            done = {kind: future.result() for kind, future in programs[name].items()}
            concurrent.futures.wait([one for kinds in programs.values() for one in kinds.values()])
            (program, compiling), (_, arguments, tracing) = done["timed"], lowered[name]["timed"]
            found = {"trace_seconds": tracing, "compile_seconds": compiling}
            found |= timed(program, arguments)
            if with_host:
                pairs = [(done[kind][0], lowered[name][kind][1]) for kind in ("checked", "host")]
                found["beside_the_processor"] = alike(*pairs[0], *pairs[1])
            cases[name] = found
            print(name, found, flush=True)
    size = f"{options.rows}x{options.features}"
    common.write(f"strategies-{size}", options.out, {"budget": options.budget, **cases})


if __name__ == "__main__":
    main()
