"""What a compiler says of a decision: bytes of a chip, and the program to be read."""

import functools
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax

from jaxal.accelerators.decisions import Decision, lowered
from jaxal.accelerators.reading import Contents, contents
from jaxal.costs.explicit import explicit
from jaxal.costs.program import Program, read
from jaxal.pools.memory import padded_rows

NO_ROOM = ("RESOURCE_EXHAUSTED", "Ran out of memory")
_SIZES = {"arguments": "argument", "temporaries": "temp", "results": "output"}
_NEEDED = re.compile(r"HLO temporaries \(([\d.]+)([KMG])\)")
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True)
class Compiled:
    """A decision compiled for devices that share the rows; bytes are those of one chip."""

    rows: int  # padding included
    devices: int  # of which a chip may have several
    seconds: float  # that it took to trace and compile
    arguments: int
    temporaries: int
    results: int
    text: str  # of the program, as XLA writes it
    refused: str | None = None  # why it does not fit, in the compiler's words; else it does

    @property
    def bytes(self) -> int:
        """What the program takes of a chip at most."""
        return self.arguments + self.temporaries + self.results

    @functools.cached_property
    def program(self) -> Program:
        """The program, whose loops that count say how far."""
        return explicit(read(self.text))

    @functools.cached_property
    def contents(self) -> Contents:
        """Its collectives and loops."""
        return contents(read(self.text))


def compile_for(
    devices: Sequence[Any],
    decision: Decision,
    *,
    options: Mapping[str, Any] | None = None,
    devices_of_a_chip: int = 1,
) -> Compiled:
    """Compiles a decision for devices that share the rows.

    Args:
      devices: local ones, or those of a topology.
      decision: what is decided.
      options: the compiler's.
      devices_of_a_chip: how many there are of one chip.

    Returns:
      `Compiled`. Where the compiler refuses a program that does not fit, it has no text, and of
      the bytes the temporaries alone, if the compiler says them.
    """
    start, number = time.perf_counter(), len(devices)
    rows = padded_rows(decision.rows, number)
    try:
        compiled = lowered(decision, devices).compile(compiler_options=dict(options or {}))
    except jax.errors.JaxRuntimeError as error:
        if not any(words in str(error) for words in NO_ROOM):
            raise
        found = _NEEDED.search(str(error))
        needed = int(float(found[1]) * _UNITS[found[2]]) if found else 0
        seconds = time.perf_counter() - start
        return Compiled(rows, number, seconds, 0, needed * devices_of_a_chip, 0, "", str(error))
    memory = compiled.memory_analysis()
    sizes = {
        name: getattr(memory, f"{kind}_size_in_bytes") * devices_of_a_chip
        for name, kind in _SIZES.items()
    }
    seconds = time.perf_counter() - start
    return Compiled(rows, number, seconds, text=compiled.as_text() or "", **sizes)
