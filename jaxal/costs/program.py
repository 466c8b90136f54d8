"""A compiled program, read from XLA's text: its instructions, and the functions they are of."""

import functools
import math
import re
from typing import NamedTuple

_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{\s*$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (.*?) ([a-z][\w\-]*)\((.*)$")
_SHAPE = re.compile(r"\b([a-z]\w*)\[([\d,]*)\]")
_NAME = re.compile(r"%([\w.\-]+)")
_CALLED = re.compile(
    r"(?:calls|to_apply|body|condition|branch_computations|true_computation|false_computation)="
    r"\{?((?:%[\w.\-]+(?:, )?)+)"
)
_TABLE = re.compile(r"^(\d+) (.*)$")
_FIELD = re.compile(r"(\w+)=(\d+)")
_WIDTHS = {"pred": 1, "c64": 8, "c128": 16, "token": 0}

SENDS = ("all-gather", "all-reduce", "all-to-all", "collective-permute", "reduce-scatter")
"""What sends to other devices."""

TRIPS = "known_trip_count"
"""The attribute of a loop that says how often it goes round."""


class Instruction(NamedTuple):
    """One line of a computation."""

    name: str
    shapes: tuple[tuple[int, tuple[int, ...]], ...]  # (bytes of a number, axes) of each result
    opcode: str
    operands: tuple[str, ...]
    called: tuple[str, ...]  # computations, the body of a loop before its condition or after
    text: str  # what follows the operands' opening bracket

    @property
    def numbers(self) -> int:
        """How many numbers the results have."""
        return sum(math.prod(axes) for _, axes in self.shapes)

    @property
    def bytes(self) -> int:
        """The bytes of the results."""
        return sum(width * math.prod(axes) for width, axes in self.shapes)

    def attribute(self, name: str) -> str | None:
        """The name of a computation, or a number, that an attribute gives."""
        found = re.search(rf'\b{name}"?[=:](?:{{"n":)?"?%?([\w.\-]+)', self.text)
        return found[1] if found else None


class Program(NamedTuple):
    """Computations by name, each a list of instructions; the last is its result."""

    computations: dict[str, dict[str, Instruction]]
    entry: str
    writers: dict[int, tuple[str, ...]]  # stack frame -> function names, innermost first

    def writers_of(self, instruction: Instruction) -> tuple[str, ...]:
        """The functions that an instruction was traced in, innermost first."""
        frame = instruction.attribute("stack_frame_id")
        return self.writers.get(int(frame), ()) if frame else ()


def trips_of(loop: Instruction) -> int | None:
    """How often a loop goes round, if that is written there."""
    known = loop.attribute(TRIPS)
    return int(known) if known is not None and known.isdigit() else None


def read(text: str) -> Program:
    """Reads the text of a compiled program, as `compiled.as_text()` gives it on any platform.

    Args:
      text: of an optimised XLA module.

    Returns:
      `Program`.
    """
    computations: dict[str, dict[str, Instruction]] = {}
    tables: dict[str, dict[int, str]] = {}
    entry, inside, table = "", None, None
    for line in text.splitlines():
        if line in ("FileNames", "FunctionNames", "FileLocations", "StackFrames"):
            table = tables.setdefault(line, {})
        elif table is not None and (row := _TABLE.match(line)):
            table[int(row[1])] = row[2]
        elif head := _HEAD.match(line):
            table, inside = None, computations.setdefault(head[2], {})
            entry = head[2] if head[1] else entry
        elif inside is not None and (found := _INSTRUCTION.match(line)):
            inside[found[1]] = _instruction(*found.groups())
    return Program(computations, entry, _writers(tables))


def _instruction(name: str, shape: str, opcode: str, rest: str) -> Instruction:
    operands = tuple(_NAME.findall(rest.split(")", 1)[0]))
    called = tuple(part for group in _CALLED.findall(rest) for part in _NAME.findall(group))
    return Instruction(name, _shapes(shape), opcode, operands, called, rest)


@functools.cache
def _shapes(text: str) -> tuple[tuple[int, tuple[int, ...]], ...]:
    return tuple(
        (_width(kind), tuple(int(axis) for axis in axes.split(",") if axis))
        for kind, axes in _SHAPE.findall(text)
    )


def _width(kind: str) -> int:
    digits = re.search(r"\d+", kind)
    return _WIDTHS.get(kind) or (max(1, int(digits[0]) // 8) if digits else 0)


def _writers(tables: dict[str, dict[int, str]]) -> dict[int, tuple[str, ...]]:
    """The names of the functions of each stack frame, innermost first."""
    functions = tables.get("FunctionNames", {})
    frames = {
        number: {name: int(value) for name, value in _FIELD.findall(row)}
        for number, row in tables.get("StackFrames", {}).items()
    }
    places = {
        number: {name: int(value) for name, value in _FIELD.findall(row)}
        for number, row in tables.get("FileLocations", {}).items()
    }
    writers: dict[int, tuple[str, ...]] = {}
    for number, frame in sorted(frames.items()):
        place = places.get(frame.get("file_location_id", 0), {})
        name = functions.get(place.get("function_name_id", 0), "").strip('"')
        # Parents come before their frames, and are counted from one higher: 1 is none.
        writers[number] = (name, *writers.get(frame.get("parent_frame_id", 1) - 1, ()))
    return writers
