"""Diversity strategies, in feature or gradient space: core-set, BADGE, k-means."""

import jax
import jax.numpy as jnp

from jaxal import selection
from jaxal.base import CopyRule, Strategy, prepared
from jaxal.checks import check_at_least, check_integer, check_name
from jaxal.points.losses import Loss, check_loss
from jaxal.selection import certified
from jaxal.strategies.copies import check_precision, features_of_labeled
from jaxal.strategies.registry import register


@register
def core_set(*, block_size: int = 256, precision: str = "float32") -> Strategy:
    """Core-set: greedy k-center in feature space, with the labelled examples as centers.

    Repeatedly selects the example whose features are farthest from those of all labelled and
    selected ones. See `selection.k_center` for the cost.

    Args:
      block_size: candidates examined in a pass over the pool. It changes the time alone: larger
        blocks mean fewer passes with more work in each.
      precision: in which the features of a pool that is read are kept on the devices: "float32",
        "bfloat16" or "int8". Of a copy the picks are the same, rounding of equal distances aside:
        see `selection.certified.k_center`. Of a pool in memory it changes nothing.

    Raises:
      TypeError: if the block size is not an integer.
      ValueError: if it is below 1, or the precision unknown.

    References:
      Sener and Savarese, "Active learning for convolutional neural networks: a core-set approach",
      ICLR 2018.
    """
    check_integer(1, block_size=block_size)
    check_precision(precision)

    def observe(key, model, variables, inputs, labels):
        return model.apply(variables, inputs).features

    def select(key, view, budget):
        return selection.k_center(
            view.observation,
            view.available,
            budget,
            centers=view.observation,
            center_mask=view.labeled,
            block_size=block_size,
        )

    def from_copy(key, pool, rest, view, budget):
        centers = features_of_labeled(pool, view.labeled)
        return certified.k_center(
            pool, view.available, budget, centers=centers, block_size=block_size
        )

    copy = None
    if precision != "float32":
        copy = CopyRule(precision, lambda features: (features, ()), from_copy)
    return Strategy(observe, select, regresses=True, copy=copy)


@register
def badge(
    *, block_size: int = 64, loss: Loss | None = None, precision: str = "float32"
) -> Strategy:
    """BADGE: k-means++ on last-layer gradients of the pseudo-label.

    The gradient of each example's loss is taken at the label that the model predicts: it is large
    where the model is uncertain, and k-means++ seeding spreads the batch out. See `selection.badge`
    for the cost.

    Args:
      block_size: candidates drawn in a pass over the pool. It changes the time and the random
        draws, not their law.
      loss: (logits [n, C], labels [n]) -> [n]; the cross-entropy if None.
      precision: in which the features of a pool that is read are kept on the devices: "float32",
        "bfloat16" or "int8". Of a copy the law is the same, and the draws of a key are others: see
        `selection.certified.badge`. Of a pool in memory it changes nothing.

    Raises:
      TypeError: if the block size is not an integer, or the loss no function.
      ValueError: if it is below 1, or the precision unknown.

    References:
      Ash et al., "Deep batch active learning by diverse, uncertain gradient lower bounds", ICLR
      2020.
    """
    check_integer(1, block_size=block_size)
    check_loss("loss", loss)
    check_precision(precision)

    def observe(key, model, variables, inputs, labels):
        outputs = model.apply(variables, inputs)
        # The other factor of the gradients is the features, which may be of 16 bits.
        gradients = selection.gradient_embedding(*outputs, loss=loss)
        return gradients.residuals, outputs.features

    def select(key, view, budget):
        residuals, features = view.observation
        return selection.badge(
            key, residuals, features, view.available, budget, block_size=block_size
        )

    def from_copy(key, pool, residuals, view, budget):
        return certified.badge(key, residuals, pool, view.available, budget, block_size=block_size)

    copy = None
    if precision != "float32":
        copy = CopyRule(precision, lambda observed: (observed[1], observed[0]), from_copy)
    return Strategy(observe, select, reads_labels=False, copy=copy)


REPRESENTATIONS = ("features", "inputs")
STARTS = ("empty", "labeled")


@register
def k_means(
    *,
    representation: str = "features",
    start: str = "empty",
    max_steps: int = 300,
    tolerance: float = 1e-4,
    restarts: int = 10,
    batch_size: int | None = None,
) -> Strategy:
    """k-means: clusters the available examples and selects the one nearest to each center.

    See `selection.k_means` for the cost.

    Args:
      representation: what is clustered: the model's "features", or the "inputs", normalised if the
        model normalises them (`models.normalized`), all leaves of the pytree flattened and side by
        side.
      start: "empty", or "labeled": the labelled rows are clusters beside these, which stay where
        they are, so that a batch is of what they do not stand for.
      max_steps: moves of the centers at most, in a restart.
      tolerance: a restart ends once the squared shifts of all centers add up to at most this many
        times the mean variance of the features; with 0, once nothing moves.
      restarts: how many times to begin from new seeds; the clusters of least inertia are kept.
      batch_size: rows of a mini-batch, for large pools; None: every step takes all rows.

    Raises:
      TypeError: if max_steps, restarts or batch_size is not an integer.
      ValueError: if the representation is unknown, or a number out of range.

    References:
      Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory, 1982.
      Sculley, "Web-scale k-means clustering", WWW 2010 (mini-batches).
      Zhdanov, "Diverse mini-batch active learning", 2019.
    """
    check_name("representation", representation, REPRESENTATIONS)
    check_name("start", start, STARTS)
    check_integer(1, max_steps=max_steps, restarts=restarts)
    check_at_least(0, tolerance=tolerance)
    if batch_size is not None:
        check_integer(1, batch_size=batch_size)

    def observe(key, model, variables, inputs, labels):
        if representation == "features":
            return model.apply(variables, inputs).features
        leaves = jax.tree.leaves(prepared(model, inputs))
        flat = [leaf.reshape(len(labels), -1).astype(float) for leaf in leaves]
        return jnp.concatenate(flat, axis=1)

    def select(key, view, budget):
        from_labeled = start == "labeled"
        return selection.k_means(
            key,
            view.observation,
            view.available,
            budget,
            centers=view.observation if from_labeled else None,
            center_mask=view.labeled if from_labeled else None,
            max_steps=max_steps,
            tolerance=tolerance,
            restarts=restarts,
            batch_size=batch_size,
        )

    return Strategy(observe, select, reads_labels=start == "labeled", regresses=True)
