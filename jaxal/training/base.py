"""What the loop asks of a learner, and what a fit reports."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from jaxal.base import Examples, Model, PyTree
from jaxal.checks import adapter_hint, check_flag, describe
from jaxal.sameness import ByStructure


class FitInfo(NamedTuple):
    """How a fit went: loss and accuracy of its last epoch, measured while it trained.

    Of a regression, R^2 stands in place of the accuracy: the share of the variance explained.
    Of a fit on matched subsets, the accuracy is that on all labelled rows, after the last epoch.
    """

    loss: jax.Array  # [] float32, mean training loss
    accuracy: jax.Array  # [] float32, fraction of the rows drawn that were predicted right; or R^2
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
          labels: [M] int32; of a regression float32.
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
    compute the same. One with a third, `fit_on_host = True`, is never traced; see `CustomLearner`.
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
      fit_on_host: whether it is neither: a training loop of your own, in Python. `iterate` and
        `ask` then call it with arrays, so that `int(count)`, `if` and NumPy work, and it may print,
        write files, and call functions that are compiled; `simulate`, `step` and `ensemble`, which
        trace a fit, refuse it.

    Raises:
      TypeError: a model, a fit or a flag that is something else.

    Example:
      >>> from jaxal import models
      >>> def fit(key, variables, inputs, labels, weights, count, validation=None):
      ...     rows = inputs[: int(count)]  # the labelled rows; what follows is room for more
      ...     for epoch in range(3):
      ...         pass  # a step of training, by any means
      ...     return variables, FitInfo(loss=0.0, accuracy=1.0, epochs=3)
      >>> learner = CustomLearner(models.logistic(10), fit, fit_on_host=True)
    """

    model: Model
    fit: FitFn
    fit_on_host: bool = False

    def __post_init__(self):
        check_model_functions("model", self.model)
        if not callable(self.fit):
            raise TypeError(f"fit: expected a function, got {describe(self.fit)}")
        check_flag(fit_on_host=self.fit_on_host)


def fits_on_host(learner: AnyLearner) -> bool:
    """Whether the learner's fit is code of the host, which cannot be traced."""
    return getattr(learner, "fit_on_host", False)


def refuse_host_fit(learner: AnyLearner, what: str) -> None:
    """Raises TypeError if a fit on the host is given to a function that traces it."""
    if fits_on_host(learner):
        raise TypeError(
            f"learner: {what} compiles the fit, and this one is code of the host (fit_on_host); "
            "jaxal.iterate and jaxal.ask run it"
        )


def as_fitted(fitted: Any) -> tuple[PyTree, FitInfo]:
    """What a fit returned, as arrays.

    Raises:
      TypeError: something else than variables and a `FitInfo` of three numbers.
    """
    if not (isinstance(fitted, tuple) and len(fitted) == 2 and isinstance(fitted[1], FitInfo)):
        raise TypeError(f"expected (variables, FitInfo), got {describe(fitted)}")
    variables, info = fitted
    dtypes = FitInfo(jnp.float32, jnp.float32, jnp.int32)
    numbers = FitInfo(*(jnp.asarray(*pair) for pair in zip(info, dtypes, strict=True)))
    for name, number in numbers._asdict().items():
        if number.ndim:
            raise TypeError(f"expected FitInfo of three numbers, got {name} {describe(number)}")
    return jax.tree.map(jnp.asarray, variables), numbers


def check_learner(learner: Any) -> None:
    """Raises TypeError unless the learner has a model and a way to fit it."""
    model = getattr(learner, "model", None)
    if model is None or not callable(getattr(learner, "fit", None)):
        raise TypeError(
            "learner: expected a Learner, or another object with `model` and `fit`, "
            f"got {describe(learner)}"
        )
    check_model_functions("learner.model", model)


def check_model_functions(name: str, model: Any) -> None:
    """Raises TypeError unless a model has its three functions."""
    if not all(callable(getattr(model, part, None)) for part in ("init", "apply", "train")):
        raise TypeError(
            f"{name}: expected a Model of three functions, as jaxal.models makes, "
            f"got {describe(model)}{adapter_hint(model)}"
        )
