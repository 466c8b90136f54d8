"""What a decision has after each pass, and how it goes from one pass to the next."""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxal import entry, processes
from jaxal.base import Selection
from jaxal.checks import describe
from jaxal.rows import DATA, rows_over, shards

State = TypeVar("State")


class Progress(NamedTuple):
    """A decision after a pass over the pool: a prefix of what it will be."""

    selection: Selection  # rows [B]: the first `count` of the whole decision, then -1
    count: int  # rows picked so far
    passes: int  # over the pool so far
    bound: Any  # on these picks: a `Radius`, `Value`, `Potential` or `Next`
    done: bool  # whether the selection is whole


class Measured(NamedTuple):
    """The same, as a compiled pass has it."""

    selection: Selection
    count: jax.Array  # []
    passes: jax.Array  # []
    bound: tuple[jax.Array, ...]  # [] each
    done: jax.Array  # [] bool


def settled(state: State, rows: int) -> State:
    """What passes hand on, of one type and shared alike before the first and after each.

    Or else the program would be compiled again for the second: for a number whose type is weak, or
    an array that no device shares yet, as it is not made of the pool. Devices share axes of `rows`.
    """
    mesh = jax.sharding.get_abstract_mesh() if shards(rows) > 1 else None

    def settle(leaf: jax.Array) -> jax.Array:
        leaf = jnp.asarray(leaf, leaf.dtype)
        if mesh is None or rows not in leaf.shape:
            return leaf
        axes = PartitionSpec(*[None] * leaf.shape.index(rows), DATA)
        return jax.lax.with_sharding_constraint(leaf, NamedSharding(mesh, axes))

    return jax.tree.map(settle, state)


def passes(
    state: State,
    step: Callable[[State], tuple[State, Measured]],
    bound: Callable[..., Any],
    mesh: Mesh | None,
) -> Iterator[Progress]:
    """Makes a pass whenever the next `Progress` is asked for, until the selection is whole.

    Args:
      state: before the first pass.
      step: a pass, compiled.
      bound: makes a bound of its numbers.
      mesh: whose devices share the rows of the pool, if any do.
    """
    done = False
    while not done:
        with rows_over(mesh):
            state, found = step(state)
        count, number, bounds, done = jax.device_get(found[1:])
        bounds = bound(*map(float, bounds))
        done = bool(done)
        yield Progress(found.selection, int(count), int(number), bounds, done)


def _check_progress(name: str, value: Any) -> None:
    if not isinstance(value, Iterator):
        raise TypeError(
            f"{name}: expected passes, as anytime.k_center gives, got {describe(value)}"
        )


@entry.checked(progress=_check_progress, seconds=entry.positive)
def until(progress: Iterator[Progress], *, seconds: float) -> Progress:
    """Makes passes until the time is up, one at least, and returns the last progress.

    A pass that has begun is finished, and the first compiles its program if there is none yet. The
    passes that are left can still be made: by a further call, or by iterating. Of several
    processes the first one's clock counts.

    Args:
      progress: passes to make.
      seconds: from this call on; above 0.

    Returns:
      `Progress`; its selection is a prefix of the whole one, with rows of -1 after `count`.

    Raises:
      TypeError: if `progress` is no iterator, or `seconds` no number.
      ValueError: if no pass is left, or `seconds` is not above 0.

    Example:

    >>> import jax.numpy as jnp
    >>> from jaxal.selection import anytime
    >>> points = jnp.array([[0.0], [1.0], [5.0], [9.0]])
    >>> last = anytime.until(anytime.k_center(points, jnp.ones(4, bool), 2), seconds=60)
    >>> last.selection.rows.tolist(), round(last.bound.radius, 3), last.done
    ([0, 3], 4.0, True)
    """
    end = time.monotonic() + seconds
    last = None
    for last in progress:
        # The others have to make as many passes as the first.
        if last.done or processes.from_first(lambda: time.monotonic() >= end):
            break
    if last is None:
        raise ValueError("progress: expected passes to make, got none that are left")
    return last
