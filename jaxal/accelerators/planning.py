"""Whether a decision fits on accelerators, what it sends, how often it reads the pool, how long."""

from typing import NamedTuple

from jaxal.accelerators.chips import Chip
from jaxal.accelerators.compiled import Compiled
from jaxal.accelerators.decisions import Decision
from jaxal.accelerators.reading import Collective
from jaxal.costs.loops import OpenLoop, Sizes, steps
from jaxal.costs.machine import Machine
from jaxal.costs.program import Program
from jaxal.costs.work import work_of

FACTOR = 2.0  # by which passes over the pool may be more or fewer than expected
SHARE = 0.5  # of the peaks that is reached where all goes badly


class Range(NamedTuple):
    """The least and the most of a number that depends on the data and the machine."""

    least: float
    most: float


class Exchange(NamedTuple):
    """What devices send each other, once or in each step of a loop."""

    loop: str | None  # the function that wrote it; None: once
    count: int
    bytes: int
    largest: Collective


class Plan(NamedTuple):
    """What a decision takes of each chip; bytes."""

    chips: int
    memory: int  # that a chip has
    compiled: Compiled
    exchanges: tuple[Exchange, ...]
    passes: Range | None  # over the pool; None if it does not fit, so that there is no program
    seconds: Range | None

    @property
    def fits(self) -> bool:
        """Whether a chip holds all that the program takes of it."""
        return self.compiled.refused is None and self.compiled.bytes <= self.memory


def peaks(chip: Chip, dtype: str = "float32") -> Machine:
    """A chip's published peaks, of each of its devices.

    Args:
      chip: by its data sheet.
      dtype: of what is multiplied; float32 is at full precision.
    """
    products = chip.precise if dtype == "float32" else chip.products
    return Machine(
        flops=products / chip.devices,
        bandwidth=chip.bandwidth / chip.devices,
        launch=chip.launch,
        vector=chip.precise / 8 / chip.devices,
        link=chip.link / chip.devices,
    )


def plan(
    decision: Decision,
    compiled: Compiled,
    chips: int,
    memory: int,
    best: Machine,
    worst: Machine,
) -> Plan:
    """Reads a compiled decision.

    Args:
      decision: what is decided.
      compiled: for devices that share the rows.
      chips: how many.
      memory: of each, in bytes.
      best: the peaks of a device, for the least time.
      worst: those at full precision, of which `SHARE` is reached, for the most.

    Returns:
      `Plan`.
    """
    if not compiled.text:
        return Plan(chips, memory, compiled, (), None, None)
    slow = worst._replace(
        flops=worst.flops * SHARE,
        bandwidth=worst.bandwidth * SHARE,
        launch=worst.launch / SHARE,
        vector=worst.operations * SHARE,
        link=worst.sent * SHARE,
    )
    sizes = Sizes(compiled.rows, decision.budget, decision.budget, compiled.devices)
    least = passes_and_seconds(compiled.program, sizes._replace(passes=1 / FACTOR), best)
    most = passes_and_seconds(compiled.program, sizes._replace(passes=FACTOR), slow)
    passes, seconds = map(Range, least, most)
    return Plan(chips, memory, compiled, exchanges(compiled), passes, seconds)


def passes_and_seconds(program: Program, sizes: Sizes, machine: Machine) -> tuple[float, float]:
    """How often a program goes through the pool, and how long it takes.

    A step of a loop that ends as the data want, and has all rows at hand, is a pass, unless it is
    inside another.
    """
    passes, rows = 1.0, sizes.rows // sizes.devices

    def count(loop: OpenLoop) -> float:
        nonlocal passes
        number = steps(sizes, loop)
        if loop.outermost and loop.rows >= rows:
            passes += loop.entered * number
        return number

    seconds = work_of(program, machine, count).seconds
    return passes, seconds


def exchanges(compiled: Compiled) -> tuple[Exchange, ...]:
    """What is sent once, and in a step of each loop that sends anything."""
    found = compiled.contents
    parts = [(None, found.once), *((loop.written_by, loop.collectives) for loop in found.loops)]
    return tuple(
        Exchange(
            loop,
            len(sent),
            sum(one.bytes for one in sent),
            max(sent, key=lambda one: one.bytes),
        )
        for loop, sent in parts
        if sent
    )
