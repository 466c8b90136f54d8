"""Draws of a model, those of a row laid flat: accelerators pad the last two axes to tiles."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from jaxal.numerics import by_rows


@partial(jax.tree_util.register_dataclass, data_fields=["flat"], meta_fields=["num_draws"])
@dataclass(frozen=True)
class FlatDraws:
    """The logits of N rows under K draws of the model.

    A TPU's tiles hold 8 x 128 numbers: of [N, 20, 10] it takes as much as of [N, 24, 128].

    Attributes:
      flat: [N, K C], of each row one draw after another.
      num_draws: K.
    """

    flat: jax.Array
    num_draws: int

    @classmethod
    def of_rows(cls, stacked: jax.Array) -> "FlatDraws":
        """From [N, K, C]."""
        rows, draws, classes = stacked.shape
        return cls(by_rows(stacked.reshape(rows, draws * classes)), draws)

    @property
    def shape(self) -> tuple[int, int, int]:
        """K, N and C."""
        rows, numbers = self.flat.shape
        return self.num_draws, rows, numbers // self.num_draws

    def __getitem__(self, rows: jax.Array) -> "FlatDraws":
        return FlatDraws(self.flat[rows], self.num_draws)

    def astype(self, dtype: jax.typing.DTypeLike) -> "FlatDraws":
        return FlatDraws(self.flat.astype(dtype), self.num_draws)

    def by_draw(self) -> jax.Array:
        """One draw after another, [K, N, C]."""
        draws, rows, classes = self.shape
        return jnp.moveaxis(by_rows(self.flat).reshape(rows, draws, classes), 1, 0)
