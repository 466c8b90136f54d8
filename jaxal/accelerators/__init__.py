"""Decisions compiled for TPU pods and NVIDIA's cards that are not here, on shapes alone.

What comes back is what their compilers know: the bytes that a program takes of a chip, what it
sends to others, what each step of a loop launches; and a plan: will it fit, how long will it take.
"""

from jaxal.accelerators.chips import CHIPS, Chip
from jaxal.accelerators.compiled import Compiled
from jaxal.accelerators.compilers import Compiler, missing
from jaxal.accelerators.decisions import Decision
from jaxal.accelerators.planning import Plan
from jaxal.accelerators.plans import plan_by_arithmetic, plan_for, plan_here
from jaxal.accelerators.reading import Collective, Contents, Loop
from jaxal.accelerators.topologies import Topology, parse

__all__ = [
    "CHIPS",
    "Chip",
    "Collective",
    "Compiled",
    "Compiler",
    "Contents",
    "Decision",
    "Loop",
    "Plan",
    "Topology",
    "missing",
    "parse",
    "plan_by_arithmetic",
    "plan_for",
    "plan_here",
]
