"""What a compiled program does: products, operations, bytes, kernels, and the seconds they take."""

import math
import re
from collections.abc import Callable
from typing import NamedTuple

from jaxal.costs.loops import OpenLoop
from jaxal.costs.machine import Machine, Prices
from jaxal.costs.program import SENDS, Instruction, Program, trips_of

FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "copy-done"}
FREE |= {"iota", "broadcast", "reshape", "convert", "partition-id", "replica-id", "opt-barrier"}
FREE |= {"all-gather-done", "all-reduce-done"}
LOOKS = {"dynamic-slice", "gather", "slice"}  # read what they return
WRITES = {"dynamic-update-slice": 1, "scatter": 2}  # opcode -> the operand that is written
DEAR = {"exponential", "log", "tanh", "power", "sqrt", "rsqrt", "divide", "exponential-minus-one"}
DEAR |= {"log-plus-one", "logistic", "sine", "cosine", "atan2", "erf"}
LIGHT = {"and", "or", "xor", "not", "shift-left", "shift-right-logical", "select", "compare"}


class Work(NamedTuple):
    """What a program does, on each device."""

    seconds: float
    flops: float  # of products
    operations: float  # others, on numbers
    moved: float  # bytes read and written
    sent: float  # bytes from other devices
    steps: float  # kernels, one after the other

    def times(self, count: float) -> "Work":
        """The same `count` times."""
        return Work(*(count * part for part in self))

    def plus(self, other: "Work") -> "Work":
        """Both, one after the other."""
        return Work(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


NOTHING = Work(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)

Trips = Callable[[OpenLoop], float]
"""The steps of a loop, each time that it is entered."""


def work_of(program: Program, machine: Machine, trips: Trips) -> Work:
    """Adds up the kernels of a program, each as slow as what it has most of: a roofline.

    Args:
      program: as `program.read` gives it.
      machine: the peaks.
      trips: the steps of loops whose number is not in the program.

    Returns:
      `Work`.
    """
    return _Walk(program, machine, trips).computation(program.entry, 1.0)


class _Walk(NamedTuple):
    program: Program
    machine: Machine
    trips: Trips
    outermost: bool = True  # no loop whose number of steps is not known is around

    def lines(self, name: str) -> dict[str, Instruction]:
        return self.program.computations.get(name, {})

    def computation(self, name: str, entered: float) -> Work:
        """The work of a computation that is entered so often, all times together."""
        total, lines = NOTHING, self.lines(name)
        for one in lines.values():
            if one.opcode == "while":
                total = total.plus(self.loop(one, entered))
            elif one.opcode == "conditional":
                for called in one.called:  # each of its ways as often as the others
                    total = total.plus(self.computation(called, entered / len(one.called)))
            elif one.opcode in ("call", "async-start"):
                for called in one.called:
                    total = total.plus(self.computation(called, entered))
            elif one.opcode not in FREE:
                total = total.plus(self.kernel(one, lines).times(entered))
        return total

    def loop(self, loop: Instruction, entered: float) -> Work:
        walk, steps = self, trips_of(loop)
        if steps is None:
            steps = self.trips(self.open(loop, entered))
            walk = self._replace(outermost=False)
        total = NOTHING
        for called in loop.called:
            total = total.plus(walk.computation(called, entered * steps))
        return total

    def open(self, loop: Instruction, entered: float) -> OpenLoop:
        """What is known of a loop whose number of steps is not."""
        nested = [one for called in loop.called for one in self.lines(called).values()]
        return OpenLoop(
            self.program.writers_of(loop),
            entered,
            loop.shapes,
            {
                writer: one.shapes
                for one in nested
                if one.opcode == "while"
                for writer in self.program.writers_of(one)[:1]
            },
            self.outermost,
        )

    def kernel(self, one: Instruction, lines: dict[str, Instruction]) -> Work:
        """The work of one instruction that is entered once."""
        machine = self.machine
        flops, operations = self.computed(one, lines)
        if one.opcode.startswith(SENDS):
            moved, sent = 0.0, float(one.bytes)
        else:
            moved, sent = self.moved(one, lines), 0.0
        seconds = max(
            flops / machine.flops * self.thinness(one, lines) + operations / machine.operations,
            machine.moving(moved),
            sent / machine.sent,
        )
        return Work(seconds + machine.launch, flops, operations, moved, sent, 1.0)

    def computed(self, one: Instruction, lines: dict[str, Instruction]) -> tuple[float, float]:
        """Products and other operations of an instruction, those inside it included."""
        if one.opcode == "fusion":
            inside = self.lines(one.called[0])
            parts = [self.computed(part, inside) for part in inside.values()]
            return sum(part[0] for part in parts), sum(part[1] for part in parts)
        if one.opcode in ("dot", "convolution"):
            return 2.0 * one.numbers * _contracted(one, lines), 0.0
        operands = [lines[name] for name in one.operands if name in lines]
        return 0.0, _operations(one, operands, self.machine.prices)

    def thinness(self, one: Instruction, lines: dict[str, Instruction]) -> float:
        """By how much a product is slower than a square one, for its shortest side."""
        if one.opcode == "fusion":
            inside = self.lines(one.called[0])
            return max((self.thinness(part, inside) for part in inside.values()), default=1.0)
        if one.opcode != "dot":
            return 1.0
        sides = [*one.shapes[0][1][-2:], _contracted(one, lines)]
        # With one column alone, reading the other side is what takes time.
        return 1.0 + self.machine.prices.thin / max(min(sides), 4.0)

    def moved(self, one: Instruction, lines: dict[str, Instruction]) -> float:
        """Bytes that an instruction reads and writes; of what it looks up, those it finds."""
        operands = [lines[name].bytes for name in one.operands if name in lines]
        if one.opcode != "fusion":
            if one.opcode in LOOKS:
                return 2.0 * one.bytes
            if one.opcode in WRITES and len(operands) > 1:
                return 2.0 * operands[WRITES[one.opcode]]
            return float(sum(operands) + one.bytes)
        inside = self.lines(one.called[0])
        read = sum(_read(part, inside) for part in inside.values() if part.opcode == "parameter")
        result = next(reversed(inside.values())) if inside else one
        if result.opcode in WRITES:
            written = inside.get(result.operands[WRITES[result.opcode]])
            return read + float(written.bytes if written else 0)
        return read + float(one.bytes)


def _read(parameter: Instruction, inside: dict[str, Instruction]) -> float:
    """Bytes read of an operand: what is looked up in it, if nothing else is done with it."""
    found = 0.0
    for one in inside.values():
        if parameter.name not in one.operands:
            continue
        first = one.operands[0] == parameter.name
        if first and one.opcode in LOOKS:
            found += one.bytes
        elif not (first and one.opcode in WRITES):
            return float(parameter.bytes)
    return min(found, float(parameter.bytes))


def _operations(one: Instruction, operands: list[Instruction], prices: Prices) -> float:
    """The operations of an instruction that is no product."""
    most = max((operand.numbers for operand in operands), default=0)
    last = one.shapes[0][1][-1:] if one.shapes else ()
    if one.opcode in FREE or one.opcode == "copy" or one.opcode.startswith(SENDS):
        return 0.0
    if one.opcode in LOOKS:
        row = math.prod(last) if one.opcode == "gather" and most > one.numbers else one.numbers
        return prices.looked_up * one.numbers / max(row, 1)
    if one.opcode in WRITES:
        written = operands[WRITES[one.opcode]] if len(operands) > WRITES[one.opcode] else one
        rows = written.shapes[0][1][:1] if one.opcode == "scatter" else ()
        return prices.written * math.prod(rows) if rows else float(written.numbers)
    if one.opcode == "sort":
        return prices.compared * most * max(math.log2(max(most, 1)), 1.0)
    if one.opcode == "custom-call":
        return prices.ranked * most if "TopK" in one.text else 0.0
    if one.opcode.startswith("reduce"):
        return most * (prices.summed if len(one.shapes) == 1 else prices.first)
    if one.opcode in DEAR:
        return one.numbers * prices.dear
    return one.numbers * (prices.light if one.opcode in LIGHT else 1.0)


def _contracted(dot: Instruction, lines: dict[str, Instruction]) -> float:
    """The length of the sums of a product."""
    sides = [lines[name] for name in dot.operands[:2] if name in lines]
    if len(sides) < 2 or not dot.numbers:
        return 1.0
    if named := re.search(r"lhs_contracting_dims=\{([\d,]+)\}", dot.text):
        axes = sides[0].shapes[0][1]
        return float(math.prod(axes[int(axis)] for axis in named[1].split(",")))
    # A convolution that is a product: of n k, k m and n m numbers.
    return max(1.0, math.sqrt(sides[0].numbers * sides[1].numbers / dot.numbers))
