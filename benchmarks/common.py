"""Timing, compilation apart from running, and result files that say where they come from."""

import argparse
import json
import pathlib
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax

from jaxal.experiment import provenance

RESULTS = pathlib.Path(__file__).parent / "results"


def arguments(description: str | None, **defaults: Any) -> argparse.Namespace:
    """The command line of a benchmark: where the result goes, and what may be changed."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS, help="folder of the result")
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    return parser.parse_args()


def measure(function: Callable, *args: Any, repeats: int = 5) -> tuple[Any, dict[str, Any]]:
    """Compiles and runs a function of arrays.

    Returns:
      Its result, and seconds to compile, seconds to run (median, least and all of `repeats` warm
      runs) and the bytes XLA plans for temporaries and for the result.
    """
    start = time.perf_counter()
    compiled = jax.jit(function).lower(*args).compile()
    compile_seconds = time.perf_counter() - start
    result = jax.block_until_ready(compiled(*args))
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(compiled(*args))
        seconds.append(time.perf_counter() - start)
    memory: Any = compiled.memory_analysis()
    return result, {
        "compile_seconds": compile_seconds,
        "seconds": statistics.median(seconds),
        "seconds_least": min(seconds),
        "seconds_all": seconds,
        "temporary_bytes": memory.temp_size_in_bytes,
        "result_bytes": memory.output_size_in_bytes,
    }


def write(name: str, folder: pathlib.Path, cases: dict[str, Any]) -> None:
    """Writes `NAME-DEVICE.json` and prints it."""
    device = jax.devices()[0].device_kind.lower().replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{device}.json"
    table = {"environment": provenance(), "cases": cases}
    path.write_text(json.dumps(table, indent=1) + "\n")
    print(json.dumps(cases, indent=1))
    print(path)
