"""Strategies for the first labels, by coverage of feature space: herding, ProbCover, TypiClust."""

import jax
import jax.numpy as jnp

from jaxal import scores, selection
from jaxal.base import ObserveFn, Strategy
from jaxal.checks import check_fraction, check_integer, check_name, check_positive
from jaxal.numerics import unit_rows
from jaxal.selection._purity import purity_radius
from jaxal.strategies.registry import register
from jaxal.strategies.scoring import UNCERTAINTIES

WORTH = UNCERTAINTIES | {"margin": lambda logits: 1.0 + scores.margin(logits)}
"""The uncertainties, each at least 0: logits [n, C] -> [n]."""


def observe_directions(key, model, variables, inputs, labels) -> jax.Array:
    """Features divided by their lengths, [n, D]."""
    return unit_rows(model.apply(variables, inputs).features)


def observe_uncertainty(uncertainty: str) -> ObserveFn:
    """Observes the same, and how uncertain each row is, [n]; an unknown name is a ValueError."""
    check_name("uncertainty", uncertainty, WORTH)

    def observe(key, model, variables, inputs, labels):
        outputs = model.apply(variables, inputs)
        return unit_rows(outputs.features), WORTH[uncertainty](outputs.logits)

    return observe


@register
def max_herding(*, bandwidth: float | None = 1.0) -> Strategy:
    """MaxHerding: the batch that, with the labelled rows, covers the pool best under a kernel.

    Greedy maximisation of the mean, over all examples, of the kernel to the nearest that is
    labelled or selected, on features divided by their lengths. It works from no label at all. See
    `selection.herding` for the cost.

    Args:
      bandwidth: of the kernel exp(-|x - y|^2 / bandwidth^2); None: the least distance of two
        labelled examples, so that it shrinks as labels are added, and 1 before there are any.

    Raises:
      TypeError: a bandwidth that is no number.
      ValueError: one that is not above 0.

    References:
      Bae et al., "Generalized coverage for more robust low-budget active learning", ECCV 2024.
    """
    if bandwidth is not None:
        check_positive(bandwidth=bandwidth)

    def select(key, view, budget):
        return selection.herding(
            view.observation, view.available, budget, labeled=view.labeled, bandwidth=bandwidth
        )

    return Strategy(observe_directions, select, regresses=True)


@register
def u_herding(*, uncertainty: str = "margin", bandwidth: float | None = None) -> Strategy:
    """UHerding: the batch that covers what the model is unsure of, for few labels and for many.

    Herding whose targets are weighted by their uncertainty. The radius is the least distance of two
    labelled examples, on features divided by their lengths: as it shrinks with more labels, the
    rule goes over from covering the pool to uncertainty. See `selection.herding` for the cost.

    Args:
      uncertainty: "margin" (1 less the lead of the likeliest class), "entropy" or
        "least_confidence".
      bandwidth: as for `max_herding`, but None by default.

    Raises:
      TypeError: a bandwidth that is no number.
      ValueError: one that is not above 0, or an unknown uncertainty.

    References:
      Bae et al., "Uncertainty herding: one active learning method for all label budgets", ICLR
      2025.
    """
    if bandwidth is not None:
        check_positive(bandwidth=bandwidth)

    def select(key, view, budget):
        features, worth = view.observation
        return selection.herding(
            features,
            view.available,
            budget,
            labeled=view.labeled,
            weights=jnp.where(view.labeled, 0.0, worth),
            bandwidth=bandwidth,
        )

    return Strategy(observe_uncertainty(uncertainty), select)


@register
def prob_cover(*, bandwidth: float | None = None, purity: float = 0.95) -> Strategy:
    """ProbCover: the batch with most examples within a radius of it, or of a labelled one.

    On features divided by their lengths, from no label at all. Without a bandwidth the radius is
    the largest at which a share of the balls are pure: hold examples of one cluster alone, of as
    many clusters of k-means as the model has classes. It is meant for features of a self-supervised
    model, whose clusters are the classes: on digits it was not told apart from random selection on
    features of the classifier that is being trained, and on principal components of MNIST it is
    behind (`configs/low_budget_mnist.toml`). See `selection.herding` for the cost; the radius costs
    O(N^2 D) more.

    Args:
      bandwidth: the radius; None: by purity.
      purity: the share of pure balls, in (0, 1).

    Raises:
      TypeError: a number of another type.
      ValueError: one that is out of range.

    References:
      Yehuda et al., "Active learning through a covering lens", NeurIPS 2022.
    """
    check_fraction(purity=purity)
    if bandwidth is not None:
        check_positive(bandwidth=bandwidth)

    def observe(key, model, variables, inputs, labels):
        outputs = model.apply(variables, inputs)
        # Of the logits their number alone is of use.
        return unit_rows(outputs.features), jnp.zeros_like(outputs.logits, dtype=bool)

    def select(key, view, budget):
        features, classes = view.observation
        radius = bandwidth
        if radius is None:
            usable = view.available | view.labeled
            radius = purity_radius(key, features, usable, classes.shape[1], purity)
        return selection.herding(
            features,
            view.available,
            budget,
            labeled=view.labeled,
            kernel="top_hat",
            bandwidth=radius,
        )

    return Strategy(observe, select)


@register
def typi_clust(*, num_neighbors: int = 20, min_cluster_size: int = 6) -> Strategy:
    """TypiClust: the most typical example of each cluster without labels, for the first labels.

    As many clusters of k-means as labelled rows and picks, at most 500, on features divided by
    their lengths. It works from no label at all, and falls below random selection once there are
    many. See `selection.typiclust` for the cost.

    Args:
      num_neighbors: typicality is by the mean distance to that many neighbours, or half a cluster.
      min_cluster_size: clusters of fewer examples come last.

    Raises:
      TypeError: a number that is no integer.
      ValueError: one below 1.

    References:
      Hacohen et al., "Active learning on a budget: opposite strategies suit high and low budgets",
      ICML 2022.
    """
    check_integer(1, num_neighbors=num_neighbors, min_cluster_size=min_cluster_size)

    def select(key, view, budget):
        return selection.typiclust(
            key,
            view.observation,
            view.available,
            budget,
            labeled=view.labeled,
            num_neighbors=num_neighbors,
            min_cluster_size=min_cluster_size,
        )

    return Strategy(observe_directions, select, regresses=True)
