"""What the loop asks of a pool, wherever its rows are kept."""

from collections.abc import Callable
from typing import Protocol

import jax
from jax.sharding import Mesh

from jaxal.base import PyTree


class Pool(Protocol):
    """Rows to select from. Their inputs stay behind these methods; N counts padding too."""

    @property
    def labels(self) -> jax.Array:
        """[N] int32, -1 where unknown and in padding; of a regression float32, NaN there."""
        ...

    @property
    def valid(self) -> jax.Array:
        """[N] bool, False in padding."""
        ...

    @property
    def batch_size(self) -> int:
        """How many rows go through a model at once on a device."""
        ...

    @property
    def mesh(self) -> Mesh | None:
        """The devices that share the rows; None for one."""
        ...

    def __len__(self) -> int:
        """N."""
        ...

    def first(self) -> PyTree:
        """The inputs of the first row as a batch of one: leaves [1, ...]."""
        ...

    def take(self, rows: jax.Array) -> PyTree:
        """The inputs of rows [M]: leaves [M, ...]."""
        ...

    def map(self, function: Callable[..., PyTree], shared: PyTree, *arrays: jax.Array) -> PyTree:
        """Applies a function to all rows, a batch at a time.

        Args:
          function: (shared, inputs [n, ...], *arrays [n, ...]) -> leaves [n, ...], each row by
            itself.
          shared: what every batch needs, such as keys and variables.
          *arrays: [N, ...] more of each row, such as labels.

        Returns:
          Leaves [N, ...].
        """
        ...
