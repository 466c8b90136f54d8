"""Plans for a topology, for a number of chips without their compiler, and for the devices here."""

import os

import jax

from jaxal.accelerators.compiled import compile_for
from jaxal.accelerators.compilers import Compiler
from jaxal.accelerators.decisions import Decision
from jaxal.accelerators.planning import Plan, peaks, plan
from jaxal.accelerators.topologies import Topology, parse
from jaxal.costs.machine import Machine, measured


def plan_for(decision: Decision, topology: str) -> Plan:
    """Plans a decision for accelerators that are not here, compiled by their own compiler.

    Args:
      decision: what is decided.
      topology: as "v5e:8x8" or "h100:8".

    Returns:
      `Plan`. It takes 5 to 60 seconds.

    Raises:
      TypeError, ValueError: no such decision or topology, or a compiler that is not installed;
        says what to install.
    """
    where = parse("topology", topology)
    decision.check()
    with Compiler(where.chip.compiler) as compiler:
        compiled = compiler.compile(decision, where)
    return plan(decision, compiled, where.chips, *_peaks(decision, where))


def plan_by_arithmetic(decision: Decision, devices: str) -> Plan:
    """Plans a decision for accelerators whose compiler is not here either.

    XLA's program for as many CPUs is read with the chips' published peaks. What it takes of a chip
    besides the pool is not what their own compiler would make of it.

    Args:
      decision: what is decided.
      devices: as "h100x8"; a topology will do.

    Returns:
      `Plan`. It takes some seconds.

    Raises:
      TypeError, ValueError: no such decision or machine.
    """
    where = parse("devices", devices, shaped=False)
    decision.check()
    with Compiler("cpu", devices=where.chips) as compiler:
        compiled = compiler.compile(decision, where)
    return plan(decision, compiled, where.chips, *_peaks(decision, where, devices=1))


def plan_here(decision: Decision) -> Plan:
    """Plans a decision for the devices of this process, measured in about a second.

    Args:
      decision: what is decided.

    Returns:
      `Plan`. It takes some seconds.

    Raises:
      TypeError, ValueError: no such decision.
    """
    decision.check()
    devices, machine = jax.devices(), measured()
    compiled = compile_for(devices, decision)
    memory = (devices[0].memory_stats() or {}).get("bytes_limit")
    if memory is None:  # CPUs share that of the machine
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // len(devices)
    return plan(decision, compiled, len(devices), memory, machine, machine)


def _peaks(
    decision: Decision, where: Topology, devices: int | None = None
) -> tuple[int, Machine, Machine]:
    """The memory of a chip, and its peaks with the products of the features' type, and without."""
    chip = where.chip if devices is None else where.chip._replace(devices=devices)
    return chip.memory, peaks(chip, decision.dtype), peaks(chip)
