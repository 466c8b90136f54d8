"""What a posterior is: K draws of the model, made one at a time and reduced where they are made."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp

from jaxal.base import Model, PyTree, View
from jaxal.scores._flat import FlatDraws


class Draws(NamedTuple):
    """The logits of n rows under K draws of the model, one draw at a time.

    `scores.fold_draws(*draws)` folds them in the memory of one draw; `stack` keeps them all, as
    does `flat`, in less memory of accelerators.
    """

    logits: Callable[[PyTree], jax.Array]  # one of `each` -> [n, C]
    each: PyTree  # leaves [K, ...], what tells the draws apart: keys, weights, members

    def stack(self) -> jax.Array:
        """All draws of each row, [n, K, C]."""
        return jnp.moveaxis(jax.lax.map(self.logits, self.each), 0, 1)

    def flat(self) -> FlatDraws:
        """All draws of each row, laid flat."""
        return FlatDraws.of_rows(self.stack())


Reduce = Callable[[Draws], PyTree]
"""What a strategy keeps of the draws of n rows: leaves [n, ...]."""


class ObserveDraws(Protocol):
    """Observes a batch of rows; see `Posterior`."""

    def __call__(
        self,
        key: jax.Array,
        model: Model,
        variables: PyTree,
        inputs: PyTree,
        reduce: Reduce,
    ) -> PyTree: ...


class ResolveDraws(Protocol):
    """Reduces draws that had to wait for the whole pool; see `Posterior`."""

    def __call__(self, key: jax.Array, view: View, reduce: Reduce) -> View: ...


def resolved(key: jax.Array, view: View, reduce: Reduce) -> View:
    """The view as it is: `observe` has reduced the draws."""
    return view


class Posterior(NamedTuple):
    """Where draws of a model come from; a strategy passes `reduce`, what to keep of them per row.

    Draws that need nothing but the trained model are made and reduced in `observe`, so the pool's
    logits under all draws are never held at once. Draws that depend on the labelled rows are made
    in `resolve`, which sees all rows; `observe` then returns what they are made from. Both are
    called as the two functions of a `Strategy` are, and with the same keys: what `observe` returns
    for a row depends on that row and the key alone.
    """

    observe: ObserveDraws  # (key, model, variables, inputs [n, ...], reduce)
    resolve: ResolveDraws = resolved  # (key, view, reduce) -> view of what was kept
    consistent: bool = True  # whether draw k is one and the same model for all rows
    name: str = "posterior"

    def __repr__(self) -> str:
        return self.name

    @property
    def waits(self) -> bool:
        """Whether draws are made in `resolve`, from the labelled rows and a key of its own."""
        return self.resolve is not resolved

    def split(self, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """A key for `resolve` and one for the rule, which are one where `resolve` reads none."""
        if not self.waits:
            return key, key
        key_draws, key_rule = jax.random.split(key)
        return key_draws, key_rule
