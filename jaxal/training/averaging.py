"""Stochastic weight averaging: the mean of the parameters after each epoch from one on."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxal.base import Model, PyTree
from jaxal.training.epoch import LossFn, Trained, TrainingSetup, train_epoch
from jaxal.training.subsets import all_rows

STATISTICS_BATCHES = 50
"""Minibatches at least by which running statistics are brought up: 0.9^50 is half a percent."""


class Average(NamedTuple):
    """The mean so far."""

    params: PyTree  # before the first epoch that counts, the latest
    count: jax.Array  # [] int32, epochs that count; 0 or less before the first


def start_average(params: PyTree, first_epoch: int) -> Average:
    """The average before any epoch; `first_epoch` is counted from 1."""
    return Average(params, jnp.int32(1 - first_epoch))


def averaged(average: Average, params: PyTree) -> Average:
    """The average with one epoch more.

    Args:
      average: of the epochs before.
      params: after the new epoch.
    """
    count = average.count + 1
    share = 1 / jnp.maximum(count, 1)

    def mean(old: jax.Array, new: jax.Array) -> jax.Array:
        return jnp.where(count <= 1, new, old + (new - old) * share.astype(old.dtype))

    return Average(jax.tree.map(mean, average.params, params), count)


class _Still(NamedTuple):
    """A `TrainingSetup` that moves no parameters."""

    model: Model
    loss: LossFn
    batch_size: int
    epoch_rows: int
    optimizer: optax.GradientTransformation = optax.set_to_zero()


def with_average(
    setup: TrainingSetup,
    key: jax.Array,
    epoch: jax.Array,
    variables: PyTree,
    average: Average,
    buffers: tuple[PyTree, jax.Array, jax.Array, jax.Array],
) -> PyTree:
    """The averaged parameters, and running statistics brought up under them.

    Args:
      setup: how a fit went through its rows.
      key: PRNG key of the fit.
      epoch: [] int32, how many epochs there were.
      variables: after the last of them.
      average: of their parameters.
      buffers: inputs [M, ...], labels [M], weights [M] and the count of rows in use [].

    Returns:
      Variables; those given if no epoch counted.
    """
    mean = {**variables, "params": average.params}
    if len(jax.tree.leaves(mean)) == len(jax.tree.leaves(average.params)):
        return mean
    inputs, labels, weights, count = buffers
    rows = max(setup.epoch_rows, STATISTICS_BATCHES * setup.batch_size)
    still = _Still(setup.model, setup.loss, setup.batch_size, rows)
    trained = Trained(mean, still.optimizer.init(average.params))
    seen, _, _ = train_epoch(still, key, epoch, trained, inputs, labels, all_rows(weights, count))
    return jax.tree.map(
        lambda new, old: jnp.where(average.count > 1, new, old), seen.variables, variables
    )
