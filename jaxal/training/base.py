"""What the loop asks of a learner, and what a fit reports."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import jax

from jaxal.base import Examples, Model, PyTree
from jaxal.sameness import ByStructure


class FitInfo(NamedTuple):
    """How a fit went: loss and accuracy of its last epoch, measured while it trained.

    Of a fit on matched subsets, the accuracy is that on all labelled rows, after the last epoch.
    """

    loss: jax.Array  # [] float32, mean training loss
    accuracy: jax.Array  # [] float32, fraction of the rows drawn that were predicted right
    epochs: jax.Array  # [] int32, how many there were


class FitFn(Protocol):
    """Fits a model to the labelled rows; pure and traceable. The loop gives all seven arguments."""

    def __call__(
        self,
        key: jax.Array,
        variables: PyTree,
        inputs: PyTree,
        labels: jax.Array,
        weights: jax.Array,
        count: jax.Array,
        validation: Examples | None = None,
    ) -> tuple[PyTree, FitInfo]:
        """Fits the model.

        Args:
          key: a PRNG key, consumed.
          variables: those of the round before; at first those of `model.init`.
          inputs: leaves [M, ...], buffers of constant size.
          labels: [M] int32.
          weights: [M], of the losses of the rows.
          count: [] int32, how many rows are in use; they come first.
          validation: held-out `(inputs, labels)`, None if there are none.

        Returns:
          The fitted variables, and how the fit went.
        """
        ...


class AnyLearner(Protocol):
    """A learner: a model, and how it is fitted to the labelled rows.

    `Learner`, `CustomLearner` and what `ensemble` returns are learners; so is any hashable object
    with these two attributes. It is a static argument of compiled functions: equal learners must
    compute the same.
    """

    @property
    def model(self) -> Model:
        """What is fitted."""
        ...

    @property
    def fit(self) -> FitFn:
        """How it is fitted."""
        ...


@dataclass(frozen=True, eq=False)
class CustomLearner(ByStructure):
    """A model with a fit of your own, to be used in place of a `Learner`.

    Attributes:
      model: what to fit.
      fit: a pure, traceable function; see `FitFn`.
    """

    model: Model
    fit: FitFn
