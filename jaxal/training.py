"""The learner: fits a model to the labelled rows, as one compiled program for all rounds."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax

from jaxal.base import Examples, Model, PyTree, check_positive
from jaxal.evaluation import evaluate
from jaxal.stopping import better, first_best, is_saturated

VALIDATION_BATCH = 1024  # validation rows that go through the model at once


class FitInfo(NamedTuple):
    """How a fit went; the loss and the accuracy are those of its last epoch, while it trained."""

    loss: jax.Array  # [] mean training loss
    accuracy: jax.Array  # [] fraction of the rows drawn that were predicted right
    epochs: jax.Array  # [] int32, how many there were


class FitFn(Protocol):
    """How a model is fitted to the labelled rows.

    `inputs` [M, ...], `labels` [M] and `weights` [M] are buffers of constant size of which the first
    `count` rows are in use; `variables` are those of the round before (at first, those of `model.init`);
    `validation` are held-out examples, None if there are none. The loop gives all seven.
    """

    def __call__(
        self,
        key: jax.Array,
        variables: PyTree,
        inputs: PyTree,
        labels: jax.Array,
        weights: jax.Array,
        count: jax.Array,
        validation: Examples | None = None,
    ) -> tuple[PyTree, FitInfo]: ...


class AnyLearner(Protocol):
    """What the loop asks of a learner; hashable, as it is a static argument."""

    @property
    def model(self) -> Model: ...

    @property
    def fit(self) -> FitFn: ...


class CustomLearner(NamedTuple):
    """A model with a fit of your own, to be used in place of a `Learner`; `fit` must be traceable."""

    model: Model
    fit: FitFn


@dataclass(frozen=True)
class Learner:
    """A model and how it is fitted each round. Hashable, so it may be a static argument.

    Each round trains from scratch (or from the round before, with `warm_start`) in shuffled minibatches
    on the labelled rows, until an epoch's training accuracy, measured while it trains, is at least
    `max_accuracy`, or has not risen by `min_gain` within the last `window` epochs, or the loss on
    validation examples has not fallen for `patience` epochs, or the training loss is not finite, or
    `max_epochs` are done. The last minibatch of an epoch is filled up with rows of its beginning at
    weight 0, so running statistics see labelled rows only.

    Attributes:
      model: what to fit.
      optimizer: any optax transformation; its state begins anew each round.
      batch_size: rows in a minibatch.
      epoch_rows: least number of rows drawn in an epoch; fewer labelled rows are gone through several
        times.
      max_epochs: most epochs in a round.
      max_accuracy: training accuracy that ends a round, above 0; above 1 none does.
      window: epochs looked back on; 0 switches the saturation rule off.
      min_gain: least rise of the accuracy within the window that counts as progress.
      patience: epochs without a new lowest mean cross-entropy on the validation examples that end a
        round, which then returns the variables of the lowest; 0 switches this off.
      warm_start: go on from the variables of the round before.
      loss: per-example loss, (logits [n, C], labels [n]) -> [n].

    Raises:
      ValueError: if a number is out of range.
    """

    model: Model
    optimizer: optax.GradientTransformation
    batch_size: int = 32
    epoch_rows: int = 0
    max_epochs: int = 100
    max_accuracy: float = 1.0
    window: int = 10
    min_gain: float = 1e-3
    patience: int = 0
    warm_start: bool = False
    loss: Callable[[jax.Array, jax.Array], jax.Array] = (
        optax.softmax_cross_entropy_with_integer_labels
    )

    def __post_init__(self):
        check_positive(
            batch_size=self.batch_size,
            max_epochs=self.max_epochs,
            max_accuracy=self.max_accuracy,
        )
        for name in ("epoch_rows", "window", "min_gain", "patience"):
            if not 0 <= (value := getattr(self, name)) < math.inf:
                raise ValueError(f"{name}: expected a number >= 0, got {value!r}")

    def fit(
        self,
        key: jax.Array,
        variables: PyTree,
        inputs: PyTree,
        labels: jax.Array,
        weights: jax.Array,
        count: jax.Array,
        validation: Examples | None = None,
    ) -> tuple[PyTree, FitInfo]:
        """Fits the model to the first `count` rows of the buffers; see `FitFn` for the arguments.

        Raises:
          ValueError: patience without validation examples.
        """
        if self.patience and validation is None:
            raise ValueError(
                f"patience: {self.patience} epochs without a fall of the validation loss, but "
                "there are no validation examples"
            )
        key_init, key_epochs = jax.random.split(key)
        if not self.warm_start:
            variables = self.model.init(
                key_init, jax.tree.map(lambda leaf: leaf[:1], inputs)
            )

        def body(carry):
            variables, opt_state, accuracies, best, info = carry
            variables, opt_state, loss, accuracy = self._epoch(
                jax.random.fold_in(key_epochs, info.epochs),
                (variables, opt_state),
                (inputs, labels, weights, count),
            )
            accuracies = jnp.roll(accuracies, -1).at[-1].set(accuracy)
            info = FitInfo(loss, accuracy, info.epochs + 1)
            if validation is not None and self.patience:
                held_out = evaluate(
                    self.model, variables, *validation, batch_size=VALIDATION_BATCH
                )
                best = better(best, variables, held_out.loss, info.epochs)
            return variables, opt_state, accuracies, best, info

        window = jnp.zeros(max(self.window, 1))
        best = first_best(variables) if self.patience else None
        info = FitInfo(jnp.float32(0), jnp.float32(0), jnp.int32(0))
        start = (
            variables,
            self.optimizer.init(variables["params"]),
            window,
            best,
            info,
        )
        variables, _, _, best, info = jax.lax.while_loop(self._goes_on, body, start)
        return (variables if best is None else best.variables), info

    def _goes_on(self, carry: PyTree) -> jax.Array:
        """Whether no rule ends the fit."""
        _, _, accuracies, best, info = carry
        stop = (info.epochs >= self.max_epochs) | ~jnp.isfinite(info.loss)
        stop |= (info.epochs > 0) & (info.accuracy >= self.max_accuracy)
        if self.window:
            stop |= is_saturated(accuracies, info.epochs, self.min_gain)
        if self.patience:
            stop |= info.epochs - best.epoch >= self.patience
        return ~stop

    def _epoch(self, key: jax.Array, trained: PyTree, buffers: PyTree) -> tuple:
        """One pass, or several, over the labelled rows in shuffled minibatches."""
        inputs, labels, weights, count = buffers
        key_shuffle, key_batches = jax.random.split(key)
        slots = jnp.arange(len(labels))
        noise = jax.random.uniform(key_shuffle, labels.shape)
        order = jnp.argsort(jnp.where(slots < count, noise, jnp.inf))
        drawn = jnp.maximum(count, self.epoch_rows)

        def body(batch, carry):
            variables, opt_state, loss, right = carry
            position = batch * self.batch_size + jnp.arange(self.batch_size)
            counted = position < drawn
            rows = order[position % jnp.maximum(count, 1)]
            variables, opt_state, batch_loss, batch_right = self._update(
                jax.random.fold_in(key_batches, batch),
                (variables, opt_state),
                jax.tree.map(lambda leaf: leaf[rows], inputs),
                labels[rows],
                jnp.where(counted, weights[rows], 0.0),
                counted,
            )
            return variables, opt_state, loss + batch_loss, right + batch_right

        start = (*trained, jnp.float32(0), jnp.int32(0))
        batches = -(-drawn // self.batch_size)
        variables, opt_state, loss, right = jax.lax.fori_loop(0, batches, body, start)
        total = jnp.maximum(drawn, 1)
        return variables, opt_state, loss / total, right / total

    def _update(self, key, trained, inputs, labels, weights, counted) -> tuple:
        """One step of the optimizer; returns the summed loss and how many predictions were right."""
        variables, opt_state = trained

        def objective(params):
            outputs, changed = self.model.train(
                {**variables, "params": params}, inputs, key=key
            )
            losses = weights * self.loss(outputs.logits, labels)
            total = jnp.sum(jnp.where(counted, losses, 0.0))
            right = counted & (jnp.argmax(outputs.logits, axis=-1) == labels)
            return total / jnp.sum(counted), (changed, total, jnp.sum(right))

        gradient, (changed, total, right) = jax.grad(objective, has_aux=True)(
            variables["params"]
        )
        updates, opt_state = self.optimizer.update(
            gradient, opt_state, variables["params"]
        )
        params = optax.apply_updates(variables["params"], updates)
        return {**changed, "params": params}, opt_state, total, right
