"""Set functions in incremental form: a state, the gains of rows, and the addition of one row."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxal import entry
from jaxal.base import PyTree
from jaxal.checks import describe, is_traced

COLUMN_ENTRIES = 1 << 24  # numbers that `columns` may hold at once, 64 MiB


class SetFunction:
    """A set function f over N pool rows in incremental form; subclass it for one of your own.

    A subclass is a pytree (arrays as leaves, so that one compiled `maximize` serves all data of a
    shape) and has `size`, `init`, `gains` and `add`. `columns` is for functions that must compute
    something costly of a row, such as its similarity to all others: it is called once for a block
    of rows, and `gains` and `add` then receive its slices in place of the row numbers. States hold
    arrays only and keep their shapes and dtypes.

    >>> from dataclasses import dataclass, field
    >>> from jaxal.submodular import SetFunction, maximize
    >>> @jax.tree_util.register_dataclass
    ... @dataclass(frozen=True)
    ... class DistinctLabels(SetFunction):
    ...     labels: jax.Array  # [N]
    ...     num_classes: int = field(metadata={"static": True})
    ...
    ...     @property
    ...     def size(self):
    ...         return len(self.labels)
    ...
    ...     def init(self, capacity):
    ...         return jnp.zeros(self.num_classes, bool)
    ...
    ...     def gains(self, seen, rows):
    ...         return 1.0 - seen[self.labels[rows]]
    ...
    ...     def add(self, seen, row):
    ...         return seen.at[self.labels[row]].set(True)
    >>> function = DistinctLabels(jnp.array([0, 0, 1, 1, 2]), 3)
    >>> maximize(function, jnp.ones(5, bool), 3).rows.tolist()
    [0, 2, 4]
    """

    submodular: bool = True
    """Whether gains only shrink as rows are added; if not, only naive greedy is right."""

    monotone: jax.Array | bool = False
    """Whether no gain is negative, whatever was added before; False: not known to be so, []."""

    usable: jax.Array | None = None
    """The rows that exist, [N] bool; the gain of others counts as -inf. None: all do."""

    offset: jax.Array | None = None
    """f(S) = offset + the sum of gains for every S but the empty one, where f is 0. None: 0."""

    @property
    def size(self) -> int:
        """N."""
        raise NotImplementedError

    def init(self, capacity: int) -> PyTree:
        """The state of the empty set, with room for `capacity` rows."""
        raise NotImplementedError

    def bounds(self) -> jax.Array | None:
        """Upper bounds [N] of the gains at the empty set, where they cost less than the gains."""
        return None

    def columns(self, rows: jax.Array) -> PyTree:
        """What `gains` and `add` need of rows [Q]; leaves [Q, ...]. The row numbers by default."""
        return rows

    def gains(self, state: Any, columns: Any) -> jax.Array:
        """f(S + row) - f(S) for a block of rows, [Q]."""
        raise NotImplementedError

    def all_gains(self, state: Any) -> jax.Array:
        """f(S + row) - f(S) for every row, [N]; overridden where no row needs to be looked up."""
        return _in_chunks(self, state, self.size, lambda slots: slots)

    def add(self, state: Any, column: Any) -> PyTree:
        """The state of S + row; `column` is one slice of `columns`."""
        raise NotImplementedError

    def add_rows(self, state: Any, rows: jax.Array, count: jax.Array) -> PyTree:
        """The state of S + the first `count` [] of rows [Q], or all of them if that is more."""
        some = jnp.minimum(count, len(rows))
        return jax.lax.fori_loop(0, some, lambda i, state: add_row(self, state, rows[i]), state)


def rows_at_once(function: SetFunction) -> int:
    """How many rows' `columns` fit in the memory set aside for them."""
    one = jax.eval_shape(function.columns, jax.ShapeDtypeStruct((1,), jnp.int32))
    entries = sum(leaf.size for leaf in jax.tree.leaves(one))
    return min(function.size, max(1, COLUMN_ENTRIES // max(entries, 1)))


def all_gains(function: SetFunction, state: PyTree) -> jax.Array:
    """The gains of every row, [N], as many at a time as memory allows."""
    gains = function.all_gains(state).astype(float)
    return gains if function.usable is None else jnp.where(function.usable, gains, -jnp.inf)


def gains_of(function: SetFunction, state: PyTree, rows: jax.Array) -> jax.Array:
    """The gains of any number of rows, [M], as many at a time as memory allows."""
    gains = _in_chunks(function, state, len(rows), lambda slots: rows[slots]).astype(float)
    usable = function.usable
    return gains if usable is None else jnp.where(usable[rows], gains, -jnp.inf)


def _in_chunks(
    function: SetFunction, state: PyTree, number: int, rows_of: Callable[[jax.Array], jax.Array]
) -> jax.Array:
    """The gains of some rows [number], by what the rows of some slots are."""
    size = rows_at_once(function)
    if number <= size:
        return function.gains(state, function.columns(rows_of(jnp.arange(number, dtype=jnp.int32))))

    def chunk(start: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        # Those past the end are cut off below. All slots at once would be on every device.
        slots = jnp.minimum(start + jnp.arange(size, dtype=jnp.int32), number - 1)
        return start + size, function.gains(state, function.columns(rows_of(slots)))

    gains = jax.lax.scan(chunk, jnp.int32(0), length=-(-number // size))[1]
    return gains.reshape(-1)[:number]


def add_row(function: SetFunction, state: PyTree, row: jax.Array) -> PyTree:
    """The state with one row more, given by its number []."""
    columns = function.columns(row[None])
    return function.add(state, jax.tree.map(lambda leaf: leaf[0], columns))


def check_function(name: str, function: Any) -> None:
    """Raises TypeError unless it is a set function."""
    if not isinstance(function, SetFunction):
        raise TypeError(
            f"{name}: expected a SetFunction, as submodular.make returns, got {describe(function)}"
        )


@entry.checked(function=check_function, rows=entry.integers)
def evaluate(function: SetFunction, rows: jax.Array) -> jax.Array:
    """f(rows), as the sum of the gains in the order given.

    Args:
      function: over N rows.
      rows: [B] integers, each row at most once; -1 is passed over.

    Returns:
      f(rows) []; -inf if a row is not usable.

    Raises:
      TypeError: if `function` is none, or `rows` are not integers.
      ValueError: if `rows` is not one axis, holds a row twice or one outside -1 to N - 1; values
        are not looked at inside jit.

    >>> from jaxal.submodular import set_cover
    >>> evaluate(set_cover(jnp.array([[1, 0], [1, 1]])), jnp.array([0, -1])).item()
    1.0
    """

    if not is_traced(rows):
        _check_rows(np.asarray(rows), function.size)
    return _evaluate(function, rows)


def _check_rows(rows: np.ndarray, size: int) -> None:
    outside = rows[(rows < -1) | (rows >= size)]
    if outside.size:
        raise ValueError(f"rows: expected -1 to {size - 1}, got {outside[0]}")
    found, counts = np.unique(rows[rows >= 0], return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"rows: expected each row once, got {found[counts > 1][0]} twice")


@jax.jit
def _evaluate(function: SetFunction, rows: jax.Array) -> jax.Array:
    def one(carry, row):
        state, total = carry
        gain = gains_of(function, state, row[None])[0]
        added = add_row(function, state, row), total + gain
        return jax.tree.map(lambda new, old: jnp.where(row >= 0, new, old), added, carry), None

    start = function.init(len(rows)), jnp.zeros(())
    (_, total), _ = jax.lax.scan(one, start, rows)
    if function.offset is not None:
        total = jnp.where(jnp.any(rows >= 0), total + function.offset, 0.0)
    return total.astype(jnp.float32)
