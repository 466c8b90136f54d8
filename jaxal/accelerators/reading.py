"""What a compiled program sends to other devices, and what a step of each of its loops launches."""

import math
from typing import NamedTuple

from jaxal.costs.explicit import counted
from jaxal.costs.program import SENDS, Instruction, Program, trips_of

LAUNCH_NOTHING = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while"}
LAUNCH_NOTHING |= {"after-all", "partition-id", "replica-id", "opt-barrier", "add-dependency"}
HAND_ON = ("call", "async-start")  # to a computation of their own


class Collective(NamedTuple):
    """An exchange between devices."""

    kind: str
    shape: tuple[int, ...]  # of its largest array, on each device
    bytes: int  # of all its arrays

    @property
    def numbers(self) -> int:
        """Of the largest array."""
        return math.prod(self.shape)


class Loop(NamedTuple):
    """A loop of a program; what is in a loop inside it counts there alone."""

    written_by: str  # the innermost function of jaxal that the loop was traced in
    inside: tuple[str, ...]  # the loops around it by their writers, the outermost first
    trips: int | None  # as the compiler knows them; None: asked for at each step
    counted: int | None  # as they are seen in the program; None: they depend on the data
    kernels: int  # launched a step, by the condition too; the dearer way where there are two
    collectives: tuple[Collective, ...]  # a step


class Contents(NamedTuple):
    """What is in a program."""

    once: tuple[Collective, ...]  # exchanges outside all loops
    loops: tuple[Loop, ...]

    @property
    def collectives(self) -> tuple[Collective, ...]:
        """All exchanges."""
        return sum((loop.collectives for loop in self.loops), self.once)


def contents(program: Program) -> Contents:
    """Finds the collectives and loops of a program.

    Args:
      program: as `costs.program.read` gives it, for one device of those that share the pool.

    Returns:
      `Contents`.
    """
    loops: list[Loop] = []
    return Contents(_collect(program, program.entry, (), loops), tuple(loops))


def _collect(
    program: Program, name: str, inside: tuple[str, ...], loops: list[Loop]
) -> tuple[Collective, ...]:
    """The collectives of a computation; its loops are added to those found."""
    found: list[Collective] = []
    for one in program.computations.get(name, {}).values():
        if one.opcode == "while":
            _add_loop(program, one, inside, loops)
            continue
        if one.opcode.removesuffix("-start") in SENDS:
            found.append(_collective(one))
        elif one.opcode not in SENDS:  # what these call adds two numbers
            for called in one.called:
                found += _collect(program, called, inside, loops)
    return tuple(found)


def _add_loop(
    program: Program, one: Instruction, inside: tuple[str, ...], loops: list[Loop]
) -> None:
    writer = next(iter(program.writers_of(one)), "")
    place = len(loops)
    parts = [_collect(program, called, (*inside, writer), loops) for called in one.called]
    kernels = sum(launched(program, called) for called in one.called)
    trips = trips_of(one), trips_of(counted(program, one))
    loops.insert(place, Loop(writer, inside, *trips, kernels, sum(parts, ())))


def _collective(one: Instruction) -> Collective:
    shapes = one.shapes
    if one.opcode in ("all-gather-start", "collective-permute-start"):
        shapes = shapes[len(shapes) // 2 :]  # what is sent comes first
    largest = max((axes for _, axes in shapes), key=math.prod, default=())
    size = sum(width * math.prod(axes) for width, axes in shapes)
    return Collective(one.opcode.removesuffix("-start"), largest, size)


def launched(program: Program, name: str) -> int:
    """Kernels and copies that a computation starts, without those of loops in it."""
    total = 0
    for one in program.computations.get(name, {}).values():
        if one.opcode == "conditional":
            total += max((launched(program, called) for called in one.called), default=0)
        elif one.opcode in HAND_ON:
            total += sum(launched(program, called) for called in one.called)
        elif one.opcode not in LAUNCH_NOTHING and not one.opcode.endswith("-done"):
            total += 1
    return total
