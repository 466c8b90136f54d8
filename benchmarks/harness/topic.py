"""What a topic is: inputs, the sides that answer the same question, and how good an answer is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

Inputs = Mapping[str, np.ndarray]
Size = Mapping[str, Any]
Call = Callable[[int], np.ndarray]  # a seed in; rows picked, or centers, out, on the host


class Work(NamedTuple):
    """What the definition asks for, computed as it is usually written; a rule may do with less."""

    flops: float
    bytes: float  # of the inputs, each read as often as it is usually read


@dataclass(frozen=True)
class Side:
    """One package's answer.

    `prepare` gets the inputs and the size, converts the inputs to the package's own arrays, and
    returns the call that is timed. It imports what it needs itself: other sides lack it.
    """

    prepare: Callable[[Inputs, Size], Call]
    package: str  # the distribution, of which the version is recorded
    imports: tuple[str, ...]  # whose import is timed by itself
    peer: bool = True  # in the environment of the peers, not in this one


@dataclass(frozen=True)
class Quality:
    """A number in float64 that says how good an answer is, whoever gave it."""

    name: str
    measure: Callable[[Inputs, Size, np.ndarray], float]
    higher_is_better: bool = True


@dataclass(frozen=True)
class Topic:
    """A question, and who is asked. The first side is what the others are compared with."""

    title: str
    sizes: Mapping[str, Size]
    make: Callable[[np.random.Generator, Size], Inputs]
    sides: Mapping[str, Side]
    quality: Quality
    work: Callable[[Size], Work] | None  # None: there is no one way to do it
    shape: Callable[[Size], str]  # the inputs in words
    picks_rows: bool = True  # an answer is rows; otherwise there are none to compare
    random: bool = False  # answers depend on the seed: picks of two sides need not agree
    whole: bool = False  # an experiment, or more, and no decision
    alone: bool = False  # jaxal is beside itself, with no peers


def jaxal_side(prepare: Callable[[Inputs, Size], Call]) -> Side:
    """Jaxal, in this environment."""
    return Side(prepare, "jaxal", ("jax", "jaxal"), peer=False)
