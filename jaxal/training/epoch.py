"""One epoch of training: shuffled minibatches of the rows to train on, and a step on each."""

from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax

from jaxal.base import Model, PyTree
from jaxal.checks import describe
from jaxal.numerics import are_targets, gather

ABOVE_NOISE = 1 << 23  # noise has 23 bits
VARIANCE = 1e-12  # of targets, at least, where errors are compared with it


class TrainingRows(NamedTuple):
    """Rows of the buffers to train on; of the arrays, the first `count` entries are in use."""

    rows: jax.Array  # [M] int32, into the buffers of a fit
    weights: jax.Array  # [M], of their losses; their mean is that of all labelled rows
    count: jax.Array  # [] int32


class Trained(NamedTuple):
    """What training changes."""

    variables: PyTree
    opt_state: PyTree


class TrainingSetup(Protocol):
    """What an epoch reads of a `Learner`."""

    @property
    def model(self) -> Model: ...
    @property
    def optimizer(self) -> optax.GradientTransformation: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def epoch_rows(self) -> int: ...
    @property
    def loss(self) -> "LossFn": ...


class LossFn(Protocol):
    """The loss of each example: logits [n, C], labels [n] -> [n].

    Of a regression it is that of predictions [n] and targets [n], as those of optax are.
    """

    def __call__(self, logits: jax.Array, labels: jax.Array, /) -> jax.Array: ...


class _Minibatch(NamedTuple):
    """Rows that are trained on at once; n is the batch size."""

    inputs: PyTree  # leaves [n, ...]
    labels: jax.Array  # [n]
    weights: jax.Array  # [n]
    valid: jax.Array  # [n] bool; the others fill up the last minibatch of an epoch


def train_epoch(
    setup: TrainingSetup,
    key: jax.Array,
    epoch: jax.Array,
    trained: Trained,
    inputs: PyTree,
    labels: jax.Array,
    chosen: TrainingRows,
) -> tuple[Trained, jax.Array, jax.Array]:
    """Trains on shuffled minibatches of the chosen rows: all once, or `epoch_rows` if that is more.

    Args:
      setup: the model, the loss, the optimizer and the size of minibatches.
      key: PRNG key of the fit.
      epoch: [] int32, its number.
      trained: the variables and the optimizer's state before.
      inputs: leaves [M, ...].
      labels: [M].
      chosen: the rows to train on.

    Returns:
      The variables and the optimizer's state after; mean loss and accuracy [] float32 of the rows
      drawn, measured while they were trained on. In place of the accuracy of a regression stands
      R^2, the share of the targets' variance that is explained, which is at most 1 too.
    """
    rows, weights, count = chosen
    drawn = jnp.maximum(count, setup.epoch_rows)
    most_batches = -(-max(len(rows), setup.epoch_rows) // setup.batch_size)
    noise, keys = noise_and_keys(key, epoch, len(rows), most_batches)
    # Rows in use are sorted by noise, and so shuffled; the others go to the end.
    in_use = jnp.arange(len(rows), dtype=jnp.int32) < count
    order = jnp.argsort(jnp.where(in_use, noise, ABOVE_NOISE))

    def body(batch, carry):
        trained, loss, right = carry
        position = batch * setup.batch_size + jnp.arange(setup.batch_size, dtype=jnp.int32)
        valid = position < drawn
        # Past the last row the order begins anew: fewer rows than are drawn, or the last minibatch.
        slots = order[position % jnp.maximum(count, 1)]
        minibatch = _Minibatch(
            gather(inputs, rows[slots]),
            labels[rows[slots]],
            jnp.where(valid, weights[slots], 0.0),
            valid,
        )
        # A loop's key reads as used again where models consume it; each minibatch has its own.
        own = jax.random.clone(keys[batch])
        trained, batch_loss, batch_right = _step(setup, own, epoch, trained, minibatch)
        return trained, loss + batch_loss, right + batch_right

    regression = are_targets(labels)
    start = trained, jnp.float32(0), jnp.float32(0) if regression else jnp.int32(0)
    batches = -(-drawn // setup.batch_size)
    trained, loss, right = jax.lax.fori_loop(0, batches, body, start)
    total = jnp.maximum(drawn, 1)
    if regression:
        used = jnp.arange(len(rows), dtype=jnp.int32) < count
        explained = _explained(right / total.astype(jnp.float32), labels[rows], used)
        return trained, loss / total.astype(loss.dtype), explained
    return trained, loss / total.astype(loss.dtype), right / total


def _explained(error: jax.Array, targets: jax.Array, used: jax.Array) -> jax.Array:
    """R^2: 1 less a mean squared error over the variance of the targets [M] that are used."""
    count = jnp.maximum(jnp.sum(used), 1).astype(targets.dtype)
    mean = jnp.sum(jnp.where(used, targets, 0.0)) / count
    variance = jnp.sum(jnp.where(used, targets - mean, 0.0) ** 2) / count
    # Of targets that are all alike nothing is to be explained: the less error, the better.
    return (1 - error / jnp.maximum(variance, VARIANCE)).astype(jnp.float32)


def noise_and_keys(
    key: jax.Array, epoch: jax.Array, slots: int, batches: int
) -> tuple[jax.Array, jax.Array]:
    """The randomness of an epoch: 23 bits for each slot [slots] int32, a key for each minibatch.

    The key is folded with the epoch, with 0 for slots or 1 for minibatches, and with the number of
    the slot or minibatch. All of it is one loop around one hash, as each hash in a program takes
    XLA a fifth of a second to compile on a CPU. With JAX's own PRNG the noise orders the slots as
    `uniform(split(fold_in(key, epoch))[0], [slots])` does.
    """
    index = jnp.arange(slots + batches, dtype=jnp.int32)
    is_batch = index >= slots
    folded = jnp.stack(
        [
            jnp.broadcast_to(epoch, index.shape),
            is_batch.astype(jnp.int32),
            jnp.where(is_batch, index - slots, index),
        ]
    )
    keys = jnp.broadcast_to(key, (*index.shape, *key.shape))
    fold_in = jax.vmap(jax.random.fold_in)
    keys, _ = jax.lax.scan(lambda keys, numbers: (fold_in(keys, numbers), None), keys, folded)
    words = jax.random.key_data(keys[:slots])
    bits = words[:, 0] ^ words[:, 1]  # the words after them repeat these where the PRNG is "rbg"
    return (bits >> 9).astype(jnp.int32), keys[slots:]


def _step(
    setup: TrainingSetup,
    key: jax.Array,
    epoch: jax.Array,
    trained: Trained,
    minibatch: _Minibatch,
) -> tuple[Trained, jax.Array, jax.Array]:
    """One step of the optimizer; also the summed loss and how many predictions were right.

    Of a regression, these are the summed squared errors.
    """
    variables, opt_state = trained
    inputs, labels, weights, valid = minibatch

    def objective(params):
        outputs, changed = setup.model.train({**variables, "params": params}, inputs, key=key)
        losses, right = _losses(setup, outputs.logits, labels, valid)
        losses = weights.astype(losses.dtype) * losses
        total = jnp.sum(jnp.where(valid, losses, 0.0))
        return total / jnp.sum(valid).astype(total.dtype), (changed, total, jnp.sum(right))

    gradient, (changed, total, right) = jax.grad(objective, has_aux=True)(variables["params"])
    # Rules of optax multiply floats with integer counters, which strict promotion would refuse.
    with jax.numpy_dtype_promotion("standard"):
        optimizer = optax.with_extra_args_support(setup.optimizer)
        updates, opt_state = optimizer.update(gradient, opt_state, variables["params"], epoch=epoch)
        params = optax.apply_updates(variables["params"], updates)
    # With 64-bit numbers switched on, an optimizer or a model may answer in a wider type than it
    # was given, and what a loop carries must keep its type.
    after = with_dtypes_of(trained, Trained({**changed, "params": params}, opt_state))
    right = right.astype(jnp.float32 if are_targets(labels) else jnp.int32)
    return after, total.astype(jnp.float32), right


def _losses(
    setup: TrainingSetup, logits: jax.Array, labels: jax.Array, valid: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The loss of each row, [n], and what is summed of the valid ones; see `_step`."""
    if not are_targets(labels):
        right = jnp.argmax(logits, axis=-1).astype(labels.dtype) == labels
        return setup.loss(logits, labels), valid & right
    predicted = logits[:, 0].astype(labels.dtype)
    losses = setup.loss(predicted, labels)
    if jnp.shape(losses) != labels.shape:
        raise ValueError(
            f"loss: expected one number for each of {len(labels)} predictions, "
            f"got {describe(losses)}"
        )
    return losses, jnp.where(valid, (predicted - labels) ** 2, 0.0)


def with_dtypes_of(old: PyTree, new: PyTree) -> PyTree:
    """The new leaves in the types of the old ones, as a loop has to carry them."""

    def cast(old, new):
        return new if jnp.result_type(new) == old.dtype else jnp.asarray(new, old.dtype)

    return jax.tree.map(cast, old, new)
