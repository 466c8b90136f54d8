"""The learner: fits a model to the labelled rows, as one compiled program for all rounds."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax

from jaxal.base import Examples, Model, PyTree
from jaxal.checks import check_positive
from jaxal.training.evaluation import evaluate
from jaxal.training.stopping import Best, better, first_best, is_saturated
from jaxal.training.subsets import Subset, matched_subset, whole

BATCH_SIZE = 1024  # rows that go through the model at once where none are trained on


class FitInfo(NamedTuple):
    """How a fit went; the loss and the accuracy are those of its last epoch, while it trained.

    Of a fit on matched subsets, the accuracy is that on all labelled rows, after the last epoch.
    """

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


class _Progress(NamedTuple):
    """What an epoch hands the next."""

    variables: PyTree
    opt_state: PyTree
    accuracies: jax.Array  # the latest ones last
    best: Best | None
    info: FitInfo


@dataclass(frozen=True)
class Learner:
    """A model and how it is fitted each round. Hashable, so it may be a static argument.

    Each round trains from scratch (or from the round before, with `warm_start`) in shuffled minibatches
    on the labelled rows, until an epoch's training accuracy, measured while it trains, is at least
    `max_accuracy`, or has not risen by `min_gain` within the last `window` epochs, or the loss on
    validation examples has not fallen for `patience` epochs, or the training loss is not finite, or
    `max_epochs` are done. The last minibatch of an epoch is filled up with rows of its beginning at
    weight 0, so running statistics see labelled rows only.

    With `subset_fraction` below 1, an epoch goes through fewer rows that stand for all: a weighted subset whose
    last-layer gradients add up to those of all labelled rows, matched anew every `subset_every` epochs. The
    training accuracy is then that on all rows, measured when the next match is due, and the `window` goes back
    as many epochs as it says, at least to the match before.

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
      subset_fraction: labelled rows that an epoch goes through, of all, above 0; 1 switches subsets off.
      subset_every: epochs from match to match.
      loss: per-example loss, (logits [n, C], labels [n]) -> [n].

    Raises:
      ValueError: if a number is out of range.

    References:
      Killamsetty et al., "GRAD-MATCH: gradient matching based data subset selection for efficient deep
      model training", ICML 2021 (the subsets).
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
    subset_fraction: float = 1.0
    subset_every: int = 20
    loss: Callable[[jax.Array, jax.Array], jax.Array] = (
        optax.softmax_cross_entropy_with_integer_labels
    )

    def __post_init__(self):
        check_positive(
            batch_size=self.batch_size,
            max_epochs=self.max_epochs,
            max_accuracy=self.max_accuracy,
            subset_fraction=self.subset_fraction,
            subset_every=self.subset_every,
        )
        if not self.subset_fraction <= 1:
            raise ValueError(f"subset_fraction: expected at most 1, got {self.subset_fraction!r}")
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
            variables = self.model.init(key_init, jax.tree.map(lambda leaf: leaf[:1], inputs))

        buffers = inputs, labels, weights, count
        epoch = partial(self._measured_epoch, key_epochs, (inputs, labels), validation)

        def turn(now):
            if self.subset_fraction < 1:
                now = self._on_subset(epoch, now, buffers)
            else:
                now = epoch(whole(weights, count), now)
            accuracies = jnp.roll(now.accuracies, -1).at[-1].set(now.info.accuracy)
            return now._replace(accuracies=accuracies)

        back = -(-(max(self.window, 1) - 1) // self._turn)
        start = _Progress(
            variables,
            self.optimizer.init(variables["params"]),
            jnp.zeros(1 + back),
            first_best(variables) if self.patience else None,
            FitInfo(jnp.float32(0), jnp.float32(0), jnp.int32(0)),
        )
        end = jax.lax.while_loop(self._goes_on, turn, start)
        return (end.variables if end.best is None else end.best.variables), end.info

    @property
    def _turn(self) -> int:
        """Epochs from one accuracy that counts to the next."""
        return self.subset_every if self.subset_fraction < 1 else 1

    def _on_subset(
        self,
        epoch: Callable[[Subset, _Progress], _Progress],
        now: _Progress,
        buffers: tuple[PyTree, jax.Array, jax.Array, jax.Array],
    ) -> _Progress:
        """Matches a subset, trains on it until the next match is due, and measures the accuracy on all rows."""
        inputs, labels, _, count = buffers
        subset = matched_subset(self.model, now.variables, buffers, self.subset_fraction)
        until = now.info.epochs + self.subset_every
        # A loop in the loop: a `cond` in each epoch would match in each epoch under vmap.
        now = jax.lax.while_loop(
            lambda now: self._has_time(now) & (now.info.epochs < until),
            partial(epoch, subset),
            now,
        )
        known = jnp.where(jnp.arange(len(labels)) < count, labels, -1)
        reached = evaluate(self.model, now.variables, inputs, known, batch_size=BATCH_SIZE)
        return now._replace(info=now.info._replace(accuracy=reached.accuracy))

    def _goes_on(self, now: _Progress) -> jax.Array:
        """Whether no rule ends the fit."""
        info = now.info
        stop = (info.epochs > 0) & (info.accuracy >= self.max_accuracy)
        if self.window:
            turns = -(-info.epochs // self._turn)
            stop |= is_saturated(now.accuracies, turns, self.min_gain)
        return self._has_time(now) & ~stop

    def _has_time(self, now: _Progress) -> jax.Array:
        """Whether no rule ends the fit that does not look at the accuracy."""
        info = now.info
        stop = (info.epochs >= self.max_epochs) | ~jnp.isfinite(info.loss)
        if now.best is not None:
            stop |= info.epochs - now.best.epoch >= self.patience
        return ~stop

    def _measured_epoch(
        self,
        key_epochs: jax.Array,
        examples: tuple[PyTree, jax.Array],
        validation: Examples | None,
        subset: Subset,
        now: _Progress,
    ) -> _Progress:
        """An epoch on a subset, and with patience the loss on the validation examples after it."""
        variables, opt_state, loss, accuracy = self._epoch(
            jax.random.fold_in(key_epochs, now.info.epochs),
            (now.variables, now.opt_state),
            examples,
            subset,
        )
        info, best = FitInfo(loss, accuracy, now.info.epochs + 1), now.best
        if validation is not None and best is not None:
            held_out = evaluate(self.model, variables, *validation, batch_size=BATCH_SIZE)
            best = better(best, variables, held_out.loss, info.epochs)
        return _Progress(variables, opt_state, now.accuracies, best, info)

    def _epoch(self, key: jax.Array, trained: PyTree, examples: PyTree, subset: Subset) -> tuple:
        """One pass, or several, over the rows of a subset in shuffled minibatches."""
        inputs, labels = examples
        rows, weights, count = subset
        key_shuffle, key_batches = jax.random.split(key)
        noise = jax.random.uniform(key_shuffle, rows.shape)
        order = jnp.argsort(jnp.where(jnp.arange(len(rows)) < count, noise, jnp.inf))
        drawn = jnp.maximum(count, self.epoch_rows)

        def body(batch, carry):
            variables, opt_state, loss, right = carry
            position = batch * self.batch_size + jnp.arange(self.batch_size)
            counted = position < drawn
            slots = order[position % jnp.maximum(count, 1)]
            variables, opt_state, batch_loss, batch_right = self._update(
                jax.random.fold_in(key_batches, batch),
                (variables, opt_state),
                jax.tree.map(lambda leaf: leaf[rows[slots]], inputs),
                labels[rows[slots]],
                jnp.where(counted, weights[slots], 0.0),
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
            outputs, changed = self.model.train({**variables, "params": params}, inputs, key=key)
            losses = weights * self.loss(outputs.logits, labels)
            total = jnp.sum(jnp.where(counted, losses, 0.0))
            right = counted & (jnp.argmax(outputs.logits, axis=-1) == labels)
            return total / jnp.sum(counted), (changed, total, jnp.sum(right))

        gradient, (changed, total, right) = jax.grad(objective, has_aux=True)(variables["params"])
        updates, opt_state = self.optimizer.update(gradient, opt_state, variables["params"])
        params = optax.apply_updates(variables["params"], updates)
        return {**changed, "params": params}, opt_state, total, right
