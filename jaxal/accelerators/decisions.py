"""One decision of a strategy on shapes alone: what is compiled for devices that are not here."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax

from jaxal import models, strategies
from jaxal.base import Model
from jaxal.checks import check_budget, check_integer, check_name
from jaxal.costs import DROPOUT, lower
from jaxal.pools import devices as meshes
from jaxal.pools.memory import padded_rows

DTYPES = ("bfloat16", "float16", "float32")


class Decision(NamedTuple):
    """What is decided: a strategy's picks from a pool of features that an encoder has made."""

    strategy: str
    rows: int
    features: int
    budget: int
    classes: int = 10
    dtype: str = "float32"  # of the features
    hidden: int = 0  # width of a hidden layer over them; 0: the last layer alone is trained
    options: Mapping[str, Any] = {}  # the strategy's

    def check(self) -> None:
        """Raises ValueError or TypeError, which names the field, unless this could be decided."""
        check_integer(1, rows=self.rows, features=self.features)
        check_budget(self.budget, self.rows)
        check_integer(2, classes=self.classes)
        check_integer(0, hidden=self.hidden)
        check_name("dtype", self.dtype, DTYPES)
        strategies.make(self.strategy, **self.options)

    def model(self) -> Model:
        """A classifier on the features, with dropout for the strategies that draw by it."""
        if self.hidden:
            return models.mlp(self.classes, hidden=(self.hidden,), dropout=DROPOUT)
        return models.linear(self.classes, dropout=DROPOUT)


def lowered(decision: Decision, devices: Sequence[Any]) -> jax.stages.Lowered:
    """Traces the decision for devices that share the rows, padded as `place` pads them.

    Args:
      decision: what is decided.
      devices: local ones, or those of a topology.

    Returns:
      What `compile` makes a program of. Nothing of the pool's size is allocated.
    """
    return lower(
        strategies.make(decision.strategy, **decision.options),
        padded_rows(decision.rows, len(devices)),
        decision.features,
        decision.budget,
        classes=decision.classes,
        model=decision.model(),
        mesh=meshes.make_mesh(devices=devices),
        dtype=decision.dtype,
    )
