"""Experiments of one size class: ragged data sets padded to the same shapes, and run as a batch."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxal.base import Examples, PyTree, Strategy
from jaxal.loop.plan import NO_SETS, Plan, Prepared
from jaxal.loop.round import RoundInfo
from jaxal.loop.simulation import simulated
from jaxal.numerics import unknown_label
from jaxal.pools.memory import ArrayPool
from jaxal.training.base import AnyLearner

LANES = 64
"""Most experiments that a program runs at once."""
BYTES = 2**28
"""Most bytes of examples in one such batch, unless one experiment has more."""


class Sizes(NamedTuple):
    """What experiments have in common that share a program; equal ones are one class."""

    learner: AnyLearner
    plan: Plan  # of the rounds of the longest
    pool_rows: int  # with padding
    test_rows: int
    inputs: tuple[Any, ...]  # shape and type of a row


class Batch(NamedTuple):
    """What a program returns of some experiments, on the host; leaves [experiments, ...]."""

    rows: np.ndarray  # [E, M], labelled in this order
    skipped: np.ndarray
    info: RoundInfo  # leaves [E, rounds + 1, ...]


def size_class(rows: int) -> int:
    """The least power of two, or three quarters of one, that holds so many rows.

    Coarser than the classes of `acquire`: a program takes seconds to compile, which in a sweep of
    small data sets is more than the padding costs.

    >>> [size_class(rows) for rows in (1, 5, 7, 90, 97)]
    [1, 6, 8, 96, 128]
    """
    power = 1 << (rows - 1).bit_length()
    return power * 3 // 4 if rows <= power * 3 // 4 else power


def sizes(learner: AnyLearner, plan: Plan, pool: Examples, test: Examples, exact: bool) -> Sizes:
    """The class of an experiment.

    Args:
      learner: the model and its fit.
      plan: of the rounds.
      pool: NumPy arrays.
      test: the same.
      exact: whether all experiments of the class have as many rounds; else they are padded too.
    """
    rounds = plan.rounds if exact else size_class(plan.rounds)
    leaves = (*jax.tree.leaves(pool.inputs), pool.labels)
    rows = tuple((leaf.shape[1:], str(leaf.dtype)) for leaf in leaves)
    padded = size_class(len(pool.labels)), size_class(len(test.labels))
    return Sizes(learner, plan._replace(rounds=rounds), *padded, rows)


def lanes(sizes: Sizes, pool: Examples, experiments: int) -> int:
    """How many experiments of a class are a batch: constant, so that a sweep that goes on is too.

    Args:
      sizes: the class.
      pool: of one of them.
      experiments: how many there are.
    """
    row = sum(leaf[:1].nbytes for leaf in (*jax.tree.leaves(pool.inputs), pool.labels))
    held = row * (sizes.pool_rows + sizes.test_rows + sizes.plan.capacity)
    most = max(1, min(LANES, BYTES // max(held, 1)))
    batches = -(-experiments // most)
    return -(-experiments // batches)  # alike, so that few are filled up


def padded(sizes: Sizes, pool: Examples, test: Examples) -> Prepared:
    """The examples with rows at the end that are not valid: never picked, and without a label."""
    inputs, labels = _padded(pool, sizes.pool_rows)
    valid = np.arange(sizes.pool_rows) < len(pool.labels)
    # NumPy arrays: they become those of a device as arguments of the program.
    arrays: Any = {"inputs": inputs, "labels": labels, "valid": valid}
    placed = ArrayPool(**arrays, batch_size=sizes.plan.batch_size)
    return Prepared(placed, _padded(test, sizes.test_rows), NO_SETS)


def _padded(examples: Examples, rows: int) -> Examples:
    more = rows - len(examples.labels)
    labels = np.asarray(examples.labels)

    def longer(leaf: np.ndarray) -> np.ndarray:
        return np.pad(leaf, [(0, more)] + [(0, 0)] * (leaf.ndim - 1))

    unknown = unknown_label(labels.dtype)
    return Examples(
        jax.tree.map(longer, examples.inputs), np.pad(labels, (0, more), constant_values=unknown)
    )


def stacked(experiments: Sequence[Prepared]) -> Prepared:
    """The examples of several experiments of one class, leaves [E, ...]."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *experiments)


class Program:
    """All rounds of a batch of experiments of one class and strategy, compiled once.

    Args:
      sizes: the class.
      strategy: the rule.
      shared: whether the experiments differ in their keys alone.
    """

    def __init__(self, sizes: Sizes, strategy: Strategy, *, shared: bool):
        one = partial(simulated, sizes.learner, strategy, sizes.plan)

        def batch(prepared: Prepared, keys: jax.Array) -> tuple[PyTree, ...]:
            state, info = jax.vmap(one, (None if shared else 0, 0))(prepared, keys)
            return state.rows, state.skipped, info

        self._jitted, self._compiled = jax.jit(batch), None

    def compile(self, prepared: Prepared, keys: jax.Array) -> None:
        """Compiles for such arguments."""
        self._compiled = self._jitted.lower(prepared, keys).compile()

    def __call__(self, prepared: Prepared, keys: jax.Array) -> Batch:
        run = self._compiled or self._jitted
        return Batch(*jax.device_get(run(prepared, keys)))


def joined(batches: Sequence[Batch], experiments: int) -> Batch:
    """The results of so many experiments, without those that filled up the last batch."""
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:experiments], *batches)
