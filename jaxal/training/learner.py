"""The learner: fits a model to the labelled rows, as one compiled program for all rounds."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxal.base import Examples, Model, PyTree
from jaxal.checks import check_name, describe
from jaxal.fields import check_fields, count
from jaxal.numerics import are_targets, first
from jaxal.sameness import ByStructure
from jaxal.threefry import short_key
from jaxal.training.averaging import Average, averaged, start_average, with_average
from jaxal.training.base import FitInfo, check_model_functions
from jaxal.training.epoch import LossFn, Trained, TrainingRows, train_epoch, with_dtypes_of
from jaxal.training.evaluation import evaluate
from jaxal.training.options import TrainingOptions, check_average, check_optimizer
from jaxal.training.stopping import Best, better, first_best, has_failed, is_saturated, may_train
from jaxal.training.subsets import all_rows, matched_subset

CROSS_ENTROPY = optax.softmax_cross_entropy_with_integer_labels
LOSSES: dict[str, LossFn] = {"cross_entropy": CROSS_ENTROPY, "squared": optax.squared_error}
"""Losses by name."""
NO_EPOCH = 2**32 - 1  # a number that no epoch folds into the key


class _FitState(NamedTuple):
    """What one epoch, or the epochs on one subset, hand on."""

    trained: Trained
    accuracies: jax.Array  # [1 + lookback] float32, the latest last
    best: Best | None  # None without patience
    average: Average | None  # None unless parameters are averaged
    info: FitInfo


@dataclass(frozen=True, eq=False)
class Learner(ByStructure, TrainingOptions):
    """A model and how it is fitted each round, by minibatches and an optax optimizer.

    Each round trains from scratch (or from the round before, with `warm_start`) in shuffled
    minibatches on the labelled rows, until an epoch's training accuracy, measured while it trains,
    is at least `max_accuracy`, or has not risen by `min_gain` within the last `window` epochs, or
    the loss on validation examples has not fallen for `patience` epochs, or the training loss is
    not finite, or `max_epochs` are done. The last minibatch of an epoch is filled up with rows of
    its beginning at weight 0, so running statistics see labelled rows only.

    With `subset_fraction` below 1, an epoch goes through fewer rows that stand for all: a weighted
    subset whose last-layer gradients add up to those of all labelled rows, matched anew every
    `subset_every` epochs. The training accuracy is then that on all rows, measured when the next
    match is due, and the `window` goes back as many epochs as it says, at least to the match
    before.

    With `restart_every`, a fit that has failed begins anew from other initial variables: one whose
    training accuracy is below `restart_below` when so many epochs, or a multiple, are done. Below
    it no saturation ends a fit. With `average_from`, what is returned is the mean of the parameters
    after that epoch and each later one (stochastic weight averaging), and running statistics are
    brought up by 50 minibatches or an epoch under these parameters; a fit that ends before, or that
    has begun anew too late, returns its last parameters.

    A learner is hashable, so it may be a static argument of a compiled function. Two that are built
    alike are equal, and share what was compiled: equality is that of the code and the captured
    values of the model, the optimizer and the loss (`jaxal.sameness`).

    Attributes:
      model: what to fit.
      optimizer: any optax transformation; its state begins anew each round. One that takes further
        arguments is told the `epoch` (see `training.scale_by_epoch`).
      batch_size: rows in a minibatch.
      epoch_rows: least number of rows drawn in an epoch; fewer labelled rows are gone through
        several times.
      max_epochs: most epochs in a round.
      max_accuracy: training accuracy that ends a round, above 0; above 1 none does.
      window: epochs looked back on; 0 switches the saturation rule off.
      min_gain: least rise of the accuracy within the window that counts as progress.
      patience: epochs without a new lowest mean cross-entropy on the validation examples that end a
        round, which then returns the variables of the lowest; 0 switches this off.
      warm_start: go on from the variables of the round before.
      restart_every: epochs from one look for a failed fit to the next; 0 switches this off.
      restart_below: training accuracy of a failed fit is below.
      average_from: first epoch of the average, counted from 1 and from a restart; 0 averages
        nothing. Not together with patience.
      subset_fraction: labelled rows that an epoch goes through, of all, above 0; 1 switches subsets
        off.
      subset_every: epochs from match to match.
      loss: per-example loss, (logits [n, C], labels [n]) -> [n], or "cross_entropy". Of a
        regression, a model of one output whose labels are floats, "squared", or a function
        (predictions [n], targets [n]) -> [n], as `optax.huber_loss` is. In the rules above its
        accuracy is then R^2, the share of the targets' variance that is explained.
      eval_batch_size: rows that go through the model at once where nothing is learned from them, on
        validation examples and to match subsets.

    Raises:
      TypeError: a model, an optimizer or a loss that is none, or a number of rows or epochs that is
        not an integer.
      ValueError: a number out of range, or an average together with patience.

    References:
      Izmailov et al., "Averaging weights leads to wider optima and better generalization", UAI 2018
      (the average).
      Killamsetty et al., "GRAD-MATCH: gradient matching based data subset selection for efficient
      deep model training", ICML 2021 (the subsets).

    Example:
      >>> from jaxal import models
      >>> learner = Learner(models.mlp(10, hidden=(128,)), optax.adam(3e-3), max_epochs=60)
      >>> learner == Learner(models.mlp(10, hidden=(128,)), optax.adam(3e-3), max_epochs=60)
      True
    """

    model: Model
    optimizer: optax.GradientTransformation
    loss: Any = CROSS_ENTROPY  # a `LossFn`, or one of LOSSES
    eval_batch_size: int = count(1024)

    def __post_init__(self):
        check_model_functions("model", self.model)
        check_optimizer(self.optimizer)
        if isinstance(self.loss, str):
            check_name("loss", self.loss, LOSSES)
            object.__setattr__(self, "loss", LOSSES[self.loss])
        if not callable(self.loss):
            raise TypeError(f"loss: expected a function, got {describe(self.loss)}")
        check_fields(self)
        check_average(self.average_from, self.patience)

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
        """Fits the model to the first `count` rows of the buffers.

        Args:
          key: a PRNG key, consumed.
          variables: those of the round before; looked at with `warm_start` alone.
          inputs: leaves [M, ...].
          labels: [M] integers, or targets, floats.
          weights: [M], of the losses of the rows.
          count: [] integer, from 1 to M.
          validation: `(inputs, labels)`, looked at with `patience` alone.

        Returns:
          The fitted variables, and how the fit went.

        Raises:
          ValueError: patience without validation examples, or a loss of classes for targets.
        """
        self._check_loss(labels)
        if self.patience and validation is None:
            raise ValueError(
                f"patience: {self.patience} epochs without a fall of the validation loss, but "
                "there are no validation examples"
            )
        key_init, key_epochs = jax.random.split(short_key(key))
        if not self.warm_start:
            variables = self.model.init(key_init, first(inputs))
        inputs, labels, weights = jax.tree.map(jnp.asarray, (inputs, labels, weights))
        count = jnp.asarray(count, jnp.int32)

        def epoch(chosen: TrainingRows, state: _FitState) -> _FitState:
            trained, loss, accuracy = train_epoch(
                self, key_epochs, state.info.epochs, state.trained, inputs, labels, chosen
            )
            info = FitInfo(loss, accuracy, state.info.epochs + 1)
            best = self._best(state.best, trained.variables, info, validation)
            average = state.average
            if average is not None:
                average = averaged(average, trained.variables["params"])
            return _FitState(trained, state.accuracies, best, average, info)

        def advance(state: _FitState) -> _FitState:
            before = state.info.epochs
            if self.subset_fraction < 1:
                state = self._on_subset(epoch, state, (inputs, labels, weights, count))
            else:
                state = epoch(all_rows(weights, count), state)
            accuracies = jnp.roll(state.accuracies, -1).at[-1].set(state.info.accuracy)
            state = state._replace(accuracies=accuracies)
            if self.restart_every:
                key_restarts = jax.random.fold_in(key_epochs, NO_EPOCH)
                state = self._restarted(key_restarts, first(inputs), before, state)
            return state

        end = jax.lax.while_loop(self._goes_on, advance, self._start(variables))
        if end.average is not None:
            last, buffers = end.trained.variables, (inputs, labels, weights, count)
            variables = with_average(self, key_epochs, end.info.epochs, last, end.average, buffers)
            return variables, end.info
        return (end.trained if end.best is None else end.best).variables, end.info

    def _check_loss(self, labels: jax.Array) -> None:
        """Raises ValueError where the loss, or a matched subset, is not for labels of that type."""
        targets = are_targets(labels)
        if targets and self.loss is CROSS_ENTROPY:
            raise ValueError(
                "loss: expected 'squared', or one of optax for regressions, as the labels are "
                "floats, got the cross-entropy"
            )
        if not targets and self.loss is LOSSES["squared"]:
            raise ValueError("loss: 'squared' is for labels that are floats, got integers")
        if targets and self.subset_fraction < 1:
            raise ValueError(
                "subset_fraction: expected 1 in a regression, as subsets are matched by the "
                f"gradients of classes, got {self.subset_fraction}"
            )

    def _start(self, variables: PyTree) -> _FitState:
        # lookback = ceil((window - 1) / epochs per accuracy): accuracies before the latest.
        lookback = -(-(max(self.window, 1) - 1) // self._epochs_per_accuracy)
        return _FitState(
            Trained(variables, self.optimizer.init(variables["params"])),
            jnp.zeros(1 + lookback, jnp.float32),
            first_best(variables) if self.patience else None,
            start_average(variables["params"], self.average_from) if self.average_from else None,
            FitInfo(jnp.float32(0), jnp.float32(0), jnp.int32(0)),
        )

    @property
    def _epochs_per_accuracy(self) -> int:
        """Epochs from one accuracy that the stopping rules look at to the next."""
        return self.subset_every if self.subset_fraction < 1 else 1

    def _best(
        self, best: Best | None, variables: PyTree, info: FitInfo, validation: Examples | None
    ) -> Best | None:
        """The best epoch so far by the loss on the validation examples, None without patience."""
        if best is None or validation is None:
            return None
        held_out = evaluate(self.model, variables, *validation, batch_size=self.eval_batch_size)
        return better(best, variables, held_out.loss, info.epochs)

    def _on_subset(self, epoch, state: _FitState, buffers: tuple) -> _FitState:
        """Matches a subset, trains on it until the next match is due, and measures all rows."""
        inputs, labels, _, count = buffers
        subset = matched_subset(
            self.model,
            state.trained.variables,
            buffers,
            self.subset_fraction,
            batch_size=self.eval_batch_size,
            loss=None if self.loss is CROSS_ENTROPY else self.loss,
        )
        until = state.info.epochs + self.subset_every
        # A loop in the loop: a `cond` in each epoch would match in each epoch under vmap.
        state = jax.lax.while_loop(
            lambda state: self._may_train(state) & (state.info.epochs < until),
            lambda state: epoch(subset, state),
            state,
        )
        known = jnp.where(jnp.arange(len(labels), dtype=jnp.int32) < count, labels, -1)
        variables, batch_size = state.trained.variables, self.eval_batch_size
        reached = evaluate(self.model, variables, inputs, known, batch_size=batch_size)
        accuracy = reached.accuracy.astype(jnp.float32)
        return state._replace(info=state.info._replace(accuracy=accuracy))

    def _restarted(
        self, key: jax.Array, example: PyTree, before: jax.Array, state: _FitState
    ) -> _FitState:
        """The state as it is, or with other initial variables if the fit has failed."""
        # As words: under vmap a `cond` selects its operands, which a key that is used once forbids.
        words = jax.random.key_data(jax.random.fold_in(key, state.info.epochs))

        def fresh() -> tuple[Trained, Average | None]:
            key_init = jax.random.wrap_key_data(words, impl=jax.random.key_impl(key))
            variables = self.model.init(key_init, example)
            start = self._start(variables)
            return with_dtypes_of((state.trained, state.average), (start.trained, start.average))

        failed = has_failed(state.info, before, every=self.restart_every, below=self.restart_below)
        trained, average = jax.lax.cond(
            failed & self._may_train(state),
            fresh,
            lambda: (state.trained, state.average),
        )
        return state._replace(trained=trained, average=average)

    def _may_train(self, state: _FitState) -> jax.Array:
        return may_train(state.info, state.best, max_epochs=self.max_epochs, patience=self.patience)

    def _goes_on(self, state: _FitState) -> jax.Array:
        """Whether no rule ends the fit."""
        info = state.info
        stop = (info.epochs > 0) & (info.accuracy >= self.max_accuracy)
        if self.window:
            filled = -(-info.epochs // self._epochs_per_accuracy)
            saturated = is_saturated(state.accuracies, filled, self.min_gain)
            if self.restart_every:
                saturated &= info.accuracy >= self.restart_below
            stop |= saturated
        return self._may_train(state) & ~stop
