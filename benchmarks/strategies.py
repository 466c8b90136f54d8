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
from collections.abc import Sequence
from typing import Any, NamedTuple

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


class Decision(NamedTuple):
    """A compiled decision, and what it is of."""

    program: Any
    arguments: tuple
    trace_seconds: float
    compile_seconds: float


def alike(one: Decision, other: Decision) -> dict[str, int]:
    """How many picks of two devices are the same, in order and as sets."""
    ours, theirs = (np.asarray(of.program(*of.arguments).rows) for of in (one, other))
    return {
        "picks": len(ours),
        "equal_in_order": int((ours == theirs).sum()),
        "in_common": len({*ours.tolist()} & {*theirs.tolist()}),
    }


def compile_all(
    names: Sequence[str], options: argparse.Namespace, asked: dict[str, tuple]
) -> dict[str, dict[str, Decision]]:
    """The decisions of each strategy, for each of the rows and devices that are asked for."""
    lowered, programs = {}, {}
    with concurrent.futures.ThreadPoolExecutor(options.threads) as threads:
        for name in names:  # tracing is Python, and one at a time; compiling is not
            for kind, where in asked.items():
                lowered[name, kind] = lower(name, options, *where)
                programs[name, kind] = threads.submit(compiled, lowered[name, kind][0])
    made = {}
    for (name, kind), (_, arguments, tracing) in lowered.items():
        program, compiling = programs[name, kind].result()
        made.setdefault(name, {})[kind] = Decision(program, arguments, tracing, compiling)
    return made


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
    asked = {"timed": (options.rows, device)}
    if options.check > 0 and device != host:
        asked |= {"checked": (options.check, device), "host": (options.check, host)}
    cases = {}
    for name, of in compile_all(names, options, asked).items():
        own = of["timed"]
        found: dict[str, Any] = {
            "trace_seconds": own.trace_seconds,
            "compile_seconds": own.compile_seconds,
        }
        found |= timed(own.program, own.arguments)
        if "host" in of:
            found["beside_the_processor"] = alike(of["checked"], of["host"])
        cases[name] = found
        print(name, found, flush=True)
    facts: dict[str, Any] = {"budget": options.budget, "compiling_side_by_side": options.threads}
    common.write(f"strategies-{options.rows}x{options.features}", options.out, {**facts, **cases})


if __name__ == "__main__":
    main()
