"""The process of a `Compiler`: reads a decision and a topology a line, writes what came of it."""

import dataclasses
import json
import os
import sys
from typing import Any

import jax

from jaxal.accelerators.compiled import compile_for
from jaxal.accelerators.decisions import Decision
from jaxal.accelerators.topologies import Topology, devices
from jaxal.targets import trace_for

OPTIONS: dict[str, dict[str, Any]] = {
    # Without a card no kernel can be tried out for its speed.
    "cuda": {"xla_gpu_autotune_level": 0, "xla_gpu_enable_triton_gemm": False},
}


def main(compiler: str) -> None:
    """Answers until there are no more lines."""
    # What compilers print to stdout is no answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if compiler != "cpu":
        trace_for({"cuda": "gpu"}.get(compiler, compiler))
    for line in sys.stdin:
        given = json.loads(line)
        machine, shape = given["topology"]
        topology = Topology(machine, tuple(shape))
        try:
            found = answer(compiler, Decision(**given["decision"]), topology)
        except Exception as error:  # whatever it is, whoever asked hears of it
            name = given["decision"]["strategy"]
            found = {"error": f"{name} on {topology}: {type(error).__name__}: {error}"}
        print(json.dumps(found), file=answers, flush=True)


def answer(compiler: str, decision: Decision, topology: Topology) -> dict[str, Any]:
    """The fields of `Compiled`."""
    # On the CPU as many devices stand for the chips.
    chips = jax.devices() if compiler == "cpu" else devices(topology)
    compiled = compile_for(
        chips,
        decision,
        options=OPTIONS.get(compiler),
        devices_of_a_chip=len(chips) // topology.chips,
    )
    return dataclasses.asdict(compiled)


if __name__ == "__main__":
    main(sys.argv[1])
