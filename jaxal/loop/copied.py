"""Decisions on a short copy of what a strategy observes of a pool that is read.

A pass observes every row, and keeps of its features codes and how far off they are. The rule reads
the rows that these leave open: their inputs are read, and observed once more, in batches of the
size that the pass has. Of a model whose features of a row depend on that row alone they are those
of the pass, up to rounding, which is measured beforehand, and which the bounds allow for: a model
that computes in bfloat16 has a thousandth at another place of a batch. Of another model it is
noticed and refused.
"""

import weakref
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxal.base import CopyRule, Model, PyTree, Selection, Strategy, View
from jaxal.loop.decision import Facts, Observer, check_task, hidden, known_compiled
from jaxal.loop.returned import (
    are_free,
    check_selection_type,
    explained,
    flawed_row,
    is_finite,
    strategy_name,
)
from jaxal.numerics import gather, is_known, row_norms
from jaxal.pools import StreamedPool, devices
from jaxal.pools._unseen import Unseen
from jaxal.pools.compression import ENCODERS, CompressedPool, ranges_of, spread_rows
from jaxal.pools.memory import batch_rows
from jaxal.rows import DATA
from jaxal.sameness import ByStructure
from jaxal.selection import take_top

SAMPLED = 2**12
"""Rows, about, by which the range of the codes is found; what lies outside counts as an error."""

ROUNDING = 1e-5
"""How far the features of a row, observed twice, may be apart at least, relative to their norm."""

MARGIN = 8.0
"""How many times as far as those of the rows that were observed twice those of all rows may be."""

MOST = 1e-2
"""Features that are farther apart are none of the row alone."""


class Copied(NamedTuple):
    """What is kept of an observation of N rows."""

    features: CompressedPool
    rest: PyTree  # leaves [N, ...]
    source: "ObservedRows"  # of the features, which know it for as long as this is kept

    def flawed_row(self) -> jax.Array:
        """[] int32, the first row that has a NaN or an infinity, -1 if there is none."""
        return _flawed_row((self.features.error, self.rest), self.features.valid)


_flawed_row = jax.jit(flawed_row)


def are_copies(observed: PyTree) -> bool:
    """Whether what was observed is kept as copies, one for each seed."""
    return isinstance(observed, tuple) and bool(observed) and isinstance(observed[0], Copied)


def rule_of(strategy: Strategy) -> CopyRule | None:
    """How it decides from a copy; None: it does not, as any pair of functions like a strategy."""
    return getattr(strategy, "copy", None)


@dataclass(frozen=True, eq=False)
class Encoder(ByStructure):
    """What is mapped over the rows of a pool: as the observer, and then codes of the features."""

    observer: Observer
    rule: CopyRule

    def __call__(self, shared: PyTree, inputs: PyTree, labels: jax.Array) -> PyTree:
        """Codes [n, D], how far off they are [n], and the rest."""
        (known, ranges, rounding), rule = shared, self.rule
        features, rest = rule.features(self.observer(known, inputs, labels))
        # What follows is not to be compiled into what makes the features.
        features = jax.lax.optimization_barrier(features).astype(jnp.float32)
        codes, error = ENCODERS[rule.precision](ranges, features)
        return codes, error + rounding * row_norms(features), rest


class ObservedRows:
    """A source of features: rows of a pool, which are read and observed when they are asked for."""

    dtype = np.dtype(np.float32)

    def __init__(self, observer: Observer, shared: PyTree, pool: StreamedPool, labels: jax.Array):
        self._observer, self._shared, self._pool, self._labels = observer, shared, pool, labels
        self._known: tuple[jax.Array, ...] = ()
        shards = 1 if pool.mesh is None else pool.mesh.shape[DATA]
        self._batch = batch_rows(len(pool) // shards, pool.batch_size)
        width = jax.eval_shape(
            partial(_features, observer=observer), shared, pool.first(), labels[:1]
        ).shape[1]
        self.shape = (pool.rows, width)

    def __len__(self) -> int:
        return self.shape[0]

    def compare(self, *known: jax.Array) -> None:
        """From now on rows are compared with codes [N, D], error [N], scale [D] and offset [D]."""
        self._known = known

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Features of rows [n], in batches of one size: [n, D]."""
        found = np.empty((len(rows), self.shape[1]), np.float32)
        for start in range(0, len(rows), self._batch):
            some = rows[start : start + self._batch]
            padded = np.pad(some, (0, self._batch - len(some)), mode="edge")
            inputs, labels = self._pool.take(padded), self._labels[padded]
            features = _features(self._shared, inputs, labels, observer=self._observer)
            self._check(padded, features)
            found[start : start + len(some)] = np.asarray(features)[: len(some)]
        return found

    def _check(self, rows: np.ndarray, features: jax.Array) -> None:
        if self._known and (place := int(_first_apart(*self._known, rows, features))) >= 0:
            raise _of_others(rows[place])

    def rounding(self, rows: np.ndarray, features: np.ndarray) -> float:
        """How far features [n, D] may be from those of the same rows [n] among others, relatively.

        Raises:
          ValueError: they are too far apart, when they are observed again in another order.
        """
        order = np.random.default_rng(0).permutation(len(rows))
        again = np.empty_like(features)
        again[order] = self[rows[order]]
        with np.errstate(all="ignore"):  # what is not finite is found by the pass
            norms = np.linalg.norm(features, axis=1)
            apart = np.linalg.norm(again - features, axis=1) / np.where(norms > 0, norms, 1.0)
        apart = np.where(np.isfinite(apart), apart, 0.0)
        if apart.max() > MOST:
            raise _of_others(rows[apart.argmax()])
        return max(ROUNDING, MARGIN * float(apart.max()))


def _of_others(row: int) -> ValueError:
    return ValueError(
        "model.apply: expected features of a row that depend on that row alone, got others for row "
        f"{row} when it was observed again among other rows"
    )


@partial(jax.jit, static_argnames="observer")
def _features(shared: PyTree, inputs: PyTree, labels: jax.Array, *, observer: Observer):
    rule: Any = observer.strategy.copy
    return rule.features(observer(shared, inputs, labels))[0].astype(jnp.float32)


@jax.jit
def _first_apart(codes, error, scale, offset, rows, features) -> jax.Array:
    """The first place whose features are farther from the codes than is said; -1 if none is."""
    codes, error = gather((codes, error), rows)
    apart = features - offset[None, :] - codes.astype(jnp.float32) * scale[None, :]
    wrong = ~(row_norms(apart) <= error * (1.0 + ROUNDING))
    return jnp.where(jnp.any(wrong), jnp.argmax(wrong), -1)


def observe_copied(
    strategy: Strategy, observer: Observer, shared: PyTree, pool: StreamedPool, labels: jax.Array
) -> Copied:
    """A pass over the pool, of which codes of the features are kept, and what else is observed.

    Args:
      strategy: that decides from a copy.
      observer: of one seed.
      shared: (key, variables).
      pool: N rows.
      labels: [N], those that the strategy may know.
    """
    check_task(strategy, labels)
    rule: Any = strategy.copy
    with explained(f"{strategy_name(strategy)}: observe"):
        source = ObservedRows(observer, shared, pool, labels)
        rows = spread_rows(len(source), SAMPLED)
        some = source[rows]
        rounding = np.float32(source.rounding(rows, some))
        ranges = *ranges_of(some, rule.precision), rounding
        scale, offset, rounding = devices.replicate(ranges, pool.mesh)
        given = shared, (scale, offset), rounding
        codes, error, rest = pool.map(Encoder(observer, rule), given, labels)
    source.compare(codes, error, scale, offset)
    # Compiled programs keep the pool that they met first: not so what this source knows.
    hides = Unseen(weakref.proxy(source))
    features = CompressedPool(codes, error, pool.valid, scale, offset, hides, pool.mesh)
    return Copied(features, rest, source)


def select_copied(
    key: jax.Array,
    strategy: Strategy,
    copied: Copied,
    labels: jax.Array,
    available: jax.Array,
    budget: int,
) -> Selection:
    """`decision.select` from a copy, where rows are missing -1.

    Where a row has no finite features nothing is known of distances: the lowest rows are picked,
    and whoever called raises.
    """
    if int(copied.flawed_row()) >= 0:
        return _lowest(available, budget=budget)
    labels = hidden(available, labels)
    view = View(None, labels, is_known(labels), available)
    rule: Any = strategy.copy
    picks = min(budget, len(copied.source))  # the padding of a pool has no rows to be read
    with explained(strategy_name(strategy)):
        selection = rule.select(key, copied.features, copied.rest, view, picks)
        check_selection_type(selection, picks)
    rows = jnp.pad(selection.rows, (0, budget - picks), constant_values=-1)
    scores = selection.scores.astype(jnp.float32)
    scores = jnp.pad(scores, (0, budget - picks), constant_values=-jnp.inf)
    return selection._replace(rows=rows, scores=scores)


@partial(jax.jit, static_argnames="budget")
def _lowest(available: jax.Array, *, budget: int) -> Selection:
    return take_top(jnp.zeros(len(available)), available, budget)


def decide_copied(
    key: jax.Array,
    strategy: Strategy,
    model: Model,
    variables: PyTree,
    pool: Any,
    available: jax.Array,
    budget: int,
    sets: Any,
) -> tuple[Selection, Facts]:
    """`decision.decide_streamed` from a copy; no rule of such looks at further examples."""
    keys, labels, available = known_compiled(key, pool, available)
    observer = Observer(strategy, model)
    copied = observe_copied(strategy, observer, (keys[0], variables), pool, labels)
    selection = select_copied(keys[1], strategy, copied, labels, available, budget)
    free = are_free(selection.rows, available)
    return selection, Facts(_all_finite(variables), copied.flawed_row(), *free)


_all_finite = jax.jit(is_finite)
