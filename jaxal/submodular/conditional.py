"""Set functions that go on from rows chosen before: what further rows add to these."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import PyTree
from jaxal.submodular.function import SetFunction, check_function, rows_at_once

BLOCK = 256  # rows of the condition that are added at a time


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Given(SetFunction):
    """f(S + G) - f(G) for rows G of the pool; see `given`."""

    function: SetFunction  # f
    mask: jax.Array  # [N] bool, G

    @property
    def size(self) -> int:
        return self.function.size

    @property
    def submodular(self) -> bool:
        return self.function.submodular

    @property
    def monotone(self) -> jax.Array | bool:
        return self.function.monotone

    @property
    def usable(self) -> jax.Array | None:
        return self.function.usable

    @property
    def offset(self) -> jax.Array | None:
        offset = self.function.offset
        return None if offset is None else jnp.where(jnp.any(self.mask), 0.0, offset)

    def init(self, capacity: int) -> PyTree:
        """The state of G, with room for `capacity` rows more."""
        function, mask = self.function, self.mask
        if function.usable is not None:
            mask = mask & function.usable
        room = capacity if _has_one_size(function) else capacity + self.size
        order = jnp.argsort(~mask).astype(jnp.int32)
        count = jnp.sum(mask, dtype=jnp.int32)
        at_once = min(BLOCK, rows_at_once(function))

        def add(carry):
            start, state = carry
            rows = order.at[start + jnp.arange(at_once, dtype=jnp.int32)].get(mode="clip")
            return start + at_once, function.add_rows(state, rows, count - start)

        start = jnp.int32(0), function.init(room)
        return jax.lax.while_loop(lambda carry: carry[0] < count, add, start)[1]

    def bounds(self) -> jax.Array | None:
        # Gains only shrink, so those at the empty set are bounds after G as well.
        return self.function.bounds() if self.submodular else None

    def columns(self, rows: jax.Array) -> PyTree:
        return self.function.columns(rows)

    def gains(self, state: Any, columns: Any) -> jax.Array:
        return self.function.gains(state, columns)

    def add(self, state: Any, column: Any) -> PyTree:
        return self.function.add(state, column)

    def add_rows(self, state: Any, rows: jax.Array, count: jax.Array) -> PyTree:
        return self.function.add_rows(state, rows, count)


def _has_one_size(function: SetFunction) -> bool:
    """Whether a state is as large for many rows as for few."""
    return jax.eval_shape(lambda: function.init(1)) == jax.eval_shape(lambda: function.init(2))


@entry.checked(function=check_function, mask=entry.mask)
def given(function: SetFunction, mask: jax.Array) -> SetFunction:
    """f(S + G) - f(G): the conditional gain of S over rows G of the pool, as the labelled ones.

    Greedy maximisation so goes on from G: of facility location, rows are gained that are far from
    all of G. G costs as many additions as it has rows: of facility location one product, O(G N D).
    A log-determinant, whose state grows with the rows, takes O(N^2) memory.

    Args:
      function: f, over N rows, of which G are some: they have to be `usable`, or do not count.
      mask: [N] bool, G. They may be selected again unless they are not available.

    Returns:
      `SetFunction`, submodular if f is.

    Raises:
      TypeError: no set function, or a mask that is not bool.
      ValueError: a mask that is not [N].

    >>> from jaxal.submodular import facility_location, maximize
    >>> points = jnp.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.9, 0.2]])
    >>> mask = jnp.array([True, False, False, False])
    >>> maximize(given(facility_location(points), mask), ~mask, 2).rows.tolist()
    [2, 3]
    """
    if len(mask) != function.size:
        raise ValueError(f"mask: expected {function.size} rows, got {len(mask)}")
    return Given(function, jnp.asarray(mask))
