"""Strategies compiled for TPU pods and cards that are not here: memory, messages, kernels.

    python benchmarks/pods.py
    python benchmarks/pods.py --topology h100:1 --rows 1000000 --features 512 --hidden 512 \\
        --budget 10000

takes the compiler of the topology, of `pip install "jax[tpu]"` or `"jax[cuda12]"`, and no
accelerator. `--hidden` is the width of a layer over the features, 0 for none. All strategies, or
those named by `--strategies`, take about ten minutes of processor time.
"""

import argparse
from typing import Any

import common

from jaxal import strategies
from jaxal.accelerators import Compiled, Compiler, Decision, parse


def facts(compiled: Compiled) -> dict[str, Any]:
    """What is kept of a compiled decision."""
    found = compiled.contents
    largest = max(found.collectives, key=lambda one: one.numbers, default=None)
    return {
        "compile_seconds": round(compiled.seconds, 1),
        "argument_bytes": compiled.arguments,
        "temporary_bytes": compiled.temporaries,
        "refused": compiled.refused,
        "largest_collective": largest and f"{largest.kind} {list(largest.shape)}",
        "largest_collective_numbers": largest.numbers if largest else 0,
        "bytes_sent_once": sum(one.bytes for one in found.once),
        "loops": [
            {
                "written_by": loop.written_by,
                "inside": list(loop.inside),
                "kernels_a_step": loop.kernels,
                "trips_known": loop.trips is not None,
                "bytes_sent_a_step": sum(one.bytes for one in loop.collectives),
            }
            for loop in found.loops
        ],
    }


def line(name: str, case: dict[str, Any]) -> str:
    """A row of the printed table."""
    if "error" in case:
        return f"| {name} | {case['error'][:80]} | | | |"
    gib = [case[f"{kind}_bytes"] / 2**30 for kind in ("argument", "temporary")]
    loops = ", ".join(
        f"{loop['written_by']} {loop['kernels_a_step']}{'' if loop['trips_known'] else '*'}"
        for loop in case["loops"]
    )
    refused = " (does not fit)" if case["refused"] else ""
    sent = case["largest_collective"] or ""
    return f"| {name} | {gib[0]:.3f} | {gib[1]:.3f}{refused} | {sent} | {loops} |"


def table(options: argparse.Namespace) -> dict[str, Any]:
    """Compiles the strategies one after the other, and prints a row of each."""
    topology, cases = parse("topology", options.topology), {}
    title = f"{options.rows:,} x {options.features} {options.dtype}, budget {options.budget:,}"
    print(f"{topology}, {title}; GiB a chip; * trip count not known\n")
    print("| strategy | arguments | temporaries | largest collective | loops, kernels a step |")
    print("|---|---|---|---|---|", flush=True)
    with Compiler(topology.chip.compiler) as compiler:
        for name in options.strategies.split(",") if options.strategies else strategies.names():
            decision = Decision(
                name,
                options.rows,
                options.features,
                options.budget,
                dtype=options.dtype,
                hidden=options.hidden,
            )
            try:
                case = facts(compiler.compile(decision, topology))
            except ValueError as error:
                case = {"error": str(error)}
            cases[f"{name}, {title}"] = case
            print(line(name, case), flush=True)
    return cases


def main() -> None:
    options = common.arguments(
        __doc__,
        topology="v5e:2x2",
        rows=1 << 20,
        features=256,
        budget=256,
        dtype="float32",
        hidden=256,
        strategies="",
    )
    cases = table(options)
    common.write(f"pods-{options.topology.replace(':', '-')}", options.out, cases)


if __name__ == "__main__":
    main()
