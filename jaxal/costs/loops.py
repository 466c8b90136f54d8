"""How often the loops go round whose number of steps is not in the compiled program.

What depends on the data is as measured on Gaussian clusters (`benchmarks/estimate.py`).
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

ENTRIES = 1 << 19  # numbers of a product of BatchBALD
PICKS = ("_by_loop", "_by_few_kernels")  # what writes the loop over the picks inside a block


class Sizes(NamedTuple):
    """Those of a decision."""

    rows: int
    budget: int
    labeled: int
    devices: int = 1  # that share the rows
    passes: float = 1.0  # of an engine over the pool, in those expected


Shapes = tuple[tuple[int, tuple[int, ...]], ...]
"""(bytes of a number, axes) of each array."""


class OpenLoop(NamedTuple):
    """What a program says of a loop whose number of steps it does not."""

    writers: tuple[str, ...]  # the functions it was traced in, innermost first
    entered: float  # how often it is entered
    carried: Shapes  # of what it carries
    nested: Mapping[str, Shapes]  # the same of loops right inside it, by their writers
    outermost: bool  # no other such loop is around it

    @property
    def rows(self) -> int:
        """Of the pool, or of the part of it that is looked at, on each device."""
        return max((axis for _, axes in self.carried for axis in axes), default=0)


def _in_blocks(sizes: Sizes, loop: OpenLoop) -> tuple[float, float]:
    """How many blocks of an engine are a pool, and over how many rows it sums, of each."""
    inside = next((loop.nested[name] for name in PICKS if name in loop.nested), ())
    # Those that are available are a mask.
    block = max((axes[0] for size, axes in inside if size == 1 and len(axes) == 1), default=1)
    width = max((axes[1] for _, axes in inside if len(axes) == 2 and axes[0] == block), default=0)
    rows = sizes.rows if loop.rows * sizes.devices == sizes.rows else loop.rows
    return rows / block, width


def _passes(sizes: Sizes, loop: OpenLoop) -> float:
    """Passes of block-lazy greedy: stale bounds are nearly exact for k-center alone."""
    blocks, width = _in_blocks(sizes, loop)
    if "block_lazy" in loop.writers:
        # Gains of a row computed anew: more where the sum is over more than some examples.
        anew = 1.0
        if (width > 256 or width == loop.rows) and "_herding" not in loop.writers:
            anew = math.log(sizes.budget + 1)
            anew /= 2 if "_targeted.<locals>.select" in loop.writers else 1
        return 1.0 + sizes.passes * blocks * anew
    if "_batch_bald" in loop.writers:
        return 8.0 * sizes.passes * blocks
    return _passes_of_k_center(sizes)


def _columns(sizes: Sizes, loop: OpenLoop) -> float:
    """Products of k-center: a pass has as many new centers as it made picks, 64 to a product."""
    passes = _passes_of_k_center(sizes)
    centers = sizes.labeled + sizes.budget * (1.0 - 1.0 / passes)
    return 0.5 + centers / (passes + _full_slots(sizes)) / 64


def _passes_of_k_center(sizes: Sizes) -> float:
    return 1.0 + sizes.passes * sizes.budget / 256


def _full_slots(sizes: Sizes) -> float:
    """How often k-center looks up 256 labelled rows, besides once a pass."""
    return max(sizes.labeled - 256, 0) / 256


def _times(number: float, at_once: int) -> float:
    """Steps in which so many are gone through."""
    return float(math.ceil(number / at_once))


def _members(sizes: Sizes, loop: OpenLoop) -> float:
    """Of TypiClust: those of a cluster, 64 at a time."""
    return _times(sizes.rows / min(sizes.labeled + sizes.budget, 500), 64)


def _moves(sizes: Sizes, loop: OpenLoop) -> float:
    """Of the centers of k-means, which come to rest later among more rows."""
    # Of ALFA-Mix and DropQuery, only rows whose class changes are clustered.
    candidates = 0.5 if "one_a_cluster" in loop.writers else 1.0
    return candidates * min(0.35 * loop.rows**0.5, 300.0)


def _outcomes(sizes: Sizes, loop: OpenLoop) -> float:
    """Products of BatchBALD: of its outcomes with its candidates' labels, some at a time."""
    axes = sorted({axis for _, axes in loop.carried for axis in axes})
    return max(1.0, math.prod(axes[-2:]) / ENTRIES)


STEPS: dict[str, Callable[[Sizes, OpenLoop], float]] = {
    # The function that wrote a loop -> its steps, each time that it is entered.
    "lazy_greedy": _passes,
    # A look in each pass that finds the best outside, besides the picks.
    **dict.fromkeys(PICKS, lambda sizes, loop: 1.0 + sizes.budget / loop.entered),
    "d2_sampling": lambda sizes, loop: 2.0 + sizes.passes * sizes.budget / 64,
    "_accept": lambda sizes, loop: 4.0,
    "_refresh": lambda sizes, loop: 1.0 + _full_slots(sizes) / loop.entered,
    "fold_nearest": _columns,
    "gains": _outcomes,
    "lloyd": _moves,
    "_attack": lambda sizes, loop: 10.0,
    "Given.init": lambda sizes, loop: 1.0 + sizes.labeled / 256,
    "smallest_gap": lambda sizes, loop: _times(sizes.labeled, 64) ** 2,
    "_around_labeled": lambda sizes, loop: _times(sizes.labeled, 16),
    "_heaviest": lambda sizes, loop: _times(sizes.labeled + sizes.budget, 1024),
    "_most_typical": _members,
    "_most_typical.<locals>.body": _members,
}


def steps(sizes: Sizes, loop: OpenLoop) -> float:
    """The steps of a loop each time that it is entered.

    Args:
      sizes: of the decision.
      loop: as its program has it.

    Returns:
      Steps; one a pick for a loop that is not known.
    """
    known = STEPS.get(loop.writers[0]) if loop.writers else None
    return float(sizes.budget) if known is None else known(sizes, loop)
