"""What several rules observe of the same examples, by one pass of the model."""

from collections.abc import Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from jaxal.base import Model, ObserveFn, PyTree, View
from jaxal.numerics import derive_keys

SETS = ("observation", "query", "private", "validation")
"""The fields of a view that hold observations."""

SALT = np.uint32(0x9E3779B9)
"""Makes numbers of observers that no other derived key has."""


@jax.tree_util.register_pytree_node_class
class Observations:
    """Pytrees of arrays, in which an array that stands in several places is kept once."""

    def __init__(self, arrays: Sequence[Any], layout: tuple) -> None:
        self.arrays, self.layout = arrays, layout

    @classmethod
    def of(cls, trees: tuple[PyTree, ...]) -> Self:
        """Those of these pytrees."""
        leaves, structure = jax.tree.flatten(trees)
        distinct = list({id(leaf): leaf for leaf in leaves}.values())
        place = {id(leaf): number for number, leaf in enumerate(distinct)}
        return cls(distinct, (structure, tuple(place[id(leaf)] for leaf in leaves)))

    def trees(self) -> tuple[PyTree, ...]:
        """The pytrees."""
        structure, places = self.layout
        return jax.tree.unflatten(structure, [self.arrays[place] for place in places])

    def tree_flatten(self) -> tuple[Sequence[Any], tuple]:
        """For JAX: the distinct arrays, and where each belongs."""
        return self.arrays, self.layout

    @classmethod
    def tree_unflatten(cls, layout: tuple, arrays: Sequence[Any]) -> Self:
        """For JAX: the inverse."""
        return cls(arrays, layout)


def observe_all(observers: Sequence[ObserveFn]) -> ObserveFn:
    """One `observe` for several, whose result is `Observations`; equal ones run once."""
    distinct = list(dict.fromkeys(observers))

    def observe(key, model, variables, inputs, labels):
        # Not split, as all batches have the same key; the first observer has the key as it is.
        keys = derive_keys(key, SALT * jnp.arange(len(distinct), dtype=jnp.uint32))
        model = _run_once(model, variables, inputs)
        seen = {
            observer: observer(key, model, variables, inputs, labels)
            for observer, key in zip(distinct, keys, strict=True)
        }
        return Observations.of(tuple(seen[observer] for observer in observers))

    return observe


def _run_once(model: Model, variables: PyTree, inputs: PyTree) -> Model:
    """The model, whose outputs for these inputs are there already."""
    outputs = model.apply(variables, inputs)

    def apply(own_variables, own_inputs, *, key=None):
        if key is None and own_variables is variables and own_inputs is inputs:
            return outputs
        return model.apply(own_variables, own_inputs, key=key)

    return model._replace(apply=apply)


def views_of_each(view: View) -> tuple[View, ...]:
    """The view as each of the observers has it, from one whose observations are of all of them."""
    given = {name: getattr(view, name) for name in SETS if getattr(view, name) is not None}
    each = zip(*(seen.trees() for seen in given.values()), strict=True)
    return tuple(view._replace(**dict(zip(given, trees, strict=True))) for trees in each)
